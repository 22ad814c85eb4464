"""The neurons of the last block, all of them and one by one."""

import streamlit as st

import miii
from miii import analysis, plots
from miii.analysis.causal.ablation import Kind
from miii.analysis.modular.neurons import SINGLE
from miii.expression import in_words
from miii.plots.style import Chart
from pages._kit import startup, write
from pages._kit.cell import cell, shared
from pages._kit.step_picker import step_of
from pages._parts.neurons import neuron as one_neuron
from pages._tasks.modular.checks import all_pairs, modular_run

startup.run_app_first()

write.title("Neurons")
write.text(
    r"""
A neuron that sees $\cos w_k a$ and $\cos w_k b$ can multiply them, if only roughly, for a bent function of a sum holds the
product; and products are what $\cos w_k(a+b)$ is made of. So if the network adds, each neuron should keep to **one
frequency**, read the operands at some **phase**, and write to the answers at the phase that it has read.
"""
)

run, task = modular_run()
name, step = run.name, step_of(run)
p = all_pairs(run, task)
added = in_words(*task.multipliers)
phase = added.replace("a", r"\varphi_a").replace("b", r"\varphi_b")
if {abs(multiplier) for multiplier in task.multipliers} != {1}:
    write.caption(
        f"The task is ${added}$, a sum of multiples: a neuron that makes it has another frequency in $a$ than in $b$, so it does not "
        "count as one of a single frequency, and its phases say nothing."
    )
if run.config.model.n_layers > 1:
    write.caption(f"Shown are the neurons of the last block, {run.config.model.n_layers - 1}.")


@shared
def describe_neurons(name: str, step: int) -> analysis.neurons.Neurons:
    run = miii.runs.open(name, miii.ModularAddition)
    return analysis.neurons.describe(run.model(step), run.task(), run.task_config.multipliers)


def clusters(name: str, step: int) -> Chart:
    return plots.clusters(describe_neurons(name, step))


def single_frequency(name: str, step: int) -> Chart:
    return plots.single_frequency(describe_neurons(name, step))


def phases(name: str, step: int) -> Chart:
    return plots.phases(describe_neurons(name, step))


def power_over_training(name: str) -> Chart:
    run = miii.runs.open(name)
    models = (run.model(step) for step in run.steps)
    power = analysis.neurons.power_over_training(models, run.task())
    return plots.power_over_training(power, run.steps)


def cluster_ablation(name: str, step: int, kind: Kind) -> Chart:
    run = miii.runs.open(name)
    clusters = describe_neurons(name, step).clusters()
    groups, names = list(clusters.values()), [f"k = {k}" for k in clusters]
    return plots.ablation(analysis.ablation.neurons(run.model(step), run.task(), kind, groups=groups, names=names))


with st.spinner("Taking the neurons apart …", show_time=True):
    neurons = describe_neurons(name, step)
live = int(neurons.alive.sum())
found = neurons.clusters()

write.header("One frequency each?", anchor="frequencies")
with st.container(horizontal=True):
    write.metric(
        "Live neurons",
        live,
        border=True,
        help="Those that vary over the pairs: more than a millionth of what the most varying one does",
    )
    write.metric(
        "Dead neurons",
        neurons.dead,
        border=True,
        help="Those that hardly vary over the pairs: they write the same whatever a and b are",
    )
    write.metric(
        "Of a single frequency",
        f"{neurons.single_frequency:.0%}",
        border=True,
        help=f"Share of the live neurons with more than {SINGLE:.0%} of their variance in one frequency",
    )
    write.metric(
        "Read and write agree",
        f"{neurons.alignment[neurons.alive].mean():.3f}" if live else "–",
        border=True,
        help="Mean cosine between the phase a live neuron reads and the phase it writes; 1 is perfect, 0 is chance",
    )


def look_at_frequency(bar: dict[str, int]) -> None:
    one_neuron.choose_frequency(neurons, str(bar["frequency"]))


listed = ", ".join(f"{len(members)} at k = {k}" for k, members in found.items()) or "none"
left, right = st.columns(2)
with left:
    cell(
        clusters,
        name=name,
        step=step,
        pick=("frequency", look_at_frequency),
        alt="Bars of the live neurons by their strongest frequency.",
        caption=f"Neurons of a single frequency: {listed}. A click on a bar shows its purest neuron [below](#neuron).",
    )
with right:
    cell(
        single_frequency,
        name=name,
        step=step,
        alt="Histogram of the neurons' share of variance in their strongest frequency.",
        caption="The share counts waves in $a$, in $b$, and products of both, all at that frequency. "
        f"{neurons.single_frequency:.0%} are above {SINGLE:.0%}, the line.",
    )

write.header("Do they write what they read?", anchor="phases")
write.text(
    rf"""
A neuron driven by $\cos(w_k a + \varphi_a) + \cos(w_k b + \varphi_b)$ contains $\cos(w_k({added}) + {phase})$. If it writes
$\cos(w_k c + \varphi_c)$ to the answers with $\varphi_c = {phase}$, it pulls at $c = {added}$; neurons of many phases
together make a clean wave.
"""
)
cell(
    phases,
    name=name,
    step=step,
    pick=("neuron", one_neuron.choose),
    alt="Phase written against the difference of phase read and phase written for neurons of one frequency.",
    caption="Dots on the line write exactly the phase that they read. Their spread along it shows how evenly the phases are "
    "taken. A click on a dot shows that neuron [below](#neuron)."
    if found
    else "No neuron has a single frequency here, so there are no phases to compare.",
)

write.header("What if a cluster falls silent?", anchor="silenced")
if found:
    kind = st.segmented_control(
        "Replace its neurons by",
        ["mean", "zero", "interchange"],
        default="mean",
        required=True,
        key="silenced",
        bind="query-params",
        help="Their mean over all pairs, zero, or what they are on another pair with another answer",
    )
    kind = kind or "mean"  # an empty value in the URL gives None
    cell(
        cluster_ablation,
        name=name,
        step=step,
        kind=kind,
        alt=f"Loss over all pairs with each cluster of neurons replaced by its {kind}, on a log scale.",
        caption="Each bar starts at the loss of the whole network. A cluster that does nothing has no bar.",
    )
else:
    write.caption("There is no cluster of neurons of a single frequency at this step.")

one_neuron.show(run, step, neurons)

write.header("When do the neurons find their frequencies?", anchor="training")
with st.spinner(f"Taking the neurons of {len(run.steps)} snapshots apart …", show_time=True):
    cell(
        power_over_training,
        name=name,
        stamp=len(run.steps),
        alt="Heatmap of the mean share of each frequency in the live neurons, from the first to the last snapshot.",
        caption="Each column is a snapshot; the share of each frequency in a neuron's variance, averaged over the live neurons.",
    )
