"""Neurons of the last block: all of them, and one by one."""

import streamlit as st

import miii
from miii import InputError, analysis, plots
from miii.analysis.causal.ablation import Kind
from miii.analysis.modular.neurons import SINGLE
from miii.expression import in_words
from miii.plots.style import Chart
from pages._kit import startup, write
from pages._kit.cell import cell, shared
from pages._kit.run_picker import refuse
from pages._kit.step_picker import step_of
from pages._parts.neurons import neuron as one_neuron
from pages._parts.neurons.neuron import neuron_inputs, ordered
from pages._tasks.modular.checks import modular_run, small_enough

startup.run_app_first()

write.title("Neurons")
write.text(
    r"""
A neuron that reads $\cos w_k a + \cos w_k b$ approximates their product, part of $\cos w_k(a+b)$. If the network adds, each neuron should
have **one frequency**, and write at the sum of the **phases** it reads.
"""
)

run, task = modular_run()
name, step = run.name, step_of(run)
small_enough(run, task)
try:
    order, multipliers = ordered(name, step)
except InputError as error:
    refuse(run, str(error))
if not order.full:
    refuse(run, f"task must have all p^2 pairs of Z_p as its examples (got {len(order.rows)}).")
added, numbers = order.words(multipliers), order.names == ("a", "b")
phase = in_words(*multipliers).replace("a", r"\varphi_a").replace("b", r"\varphi_b")
if not numbers:
    write.caption(
        f"Operands are ordered by **{order.names[0]}** and **{order.names[1]}**, answers by **{order.answer}**"
        + (f", logarithms to base {order.base}" if order.base else "")
        + "."
    )
elif {abs(multiplier) for multiplier in multipliers} != {1}:
    write.caption(f"For ${added}$, neurons have different frequencies in $a$ and $b$; phases mean nothing.")
if run.config.model.n_layers > 1:
    write.caption(f"Neurons of the last block, {run.config.model.n_layers - 1}.")


@shared
def describe_neurons(name: str, step: int) -> analysis.neurons.Neurons:
    run, (order, multipliers) = miii.runs.open(name), ordered(name, step)
    return analysis.neurons.describe(run.model(step), run.task(), multipliers, order, neuron_inputs(name, step))


def neuron_wall(name: str, step: int, by_angle: bool) -> Chart:
    run, (order, _) = miii.runs.open(name), ordered(name, step)
    post = run.model(step).blocks[-1].act(neuron_inputs(name, step)[order.rows])
    return plots.neuron_wall(describe_neurons(name, step), post, by_angle)


def clusters(name: str, step: int) -> Chart:
    return plots.clusters(describe_neurons(name, step))


def single_frequency(name: str, step: int) -> Chart:
    return plots.single_frequency(describe_neurons(name, step))


def phases(name: str, step: int) -> Chart:
    return plots.phases(describe_neurons(name, step))


def power_over_training(name: str) -> Chart:
    run = miii.runs.open(name)
    models = (run.model(step) for step in run.steps)
    power = analysis.neurons.power_over_training(models, run.task(), ordered(name, run.steps[-1])[0])
    return plots.power_over_training(power, run.steps)


def cluster_ablation(name: str, step: int, kind: Kind) -> Chart:
    run = miii.runs.open(name)
    clusters = describe_neurons(name, step).clusters()
    groups, names = list(clusters.values()), [f"k = {k}" for k in clusters]
    return plots.ablation(analysis.ablation.neurons(run.model(step), run.task(), kind, groups=groups, names=names))


with st.spinner("Analyzing neurons …", show_time=True):
    neurons = describe_neurons(name, step)
live = int(neurons.alive.sum())
found = neurons.clusters()

write.header("All neurons", anchor="wall")
by_angle = (
    st.segmented_control(
        "Operands in the order of",
        ["value", "angle"],
        default="value",
        required=True,
        key="order",
        bind="query-params",
        help="value: the 24 smallest; angle: all",
    )
    == "angle"
)
cell(
    neuron_wall,
    name=name,
    step=step,
    by_angle=by_angle,
    width="content",
    pick=("neuron", one_neuron.choose),
    caption=f"{order.names[0]} down, {order.names[1]} right; each tile has its own color scale. "
    + ("One frequency, one pattern, shifted by phase. " if by_angle else "Phase grows from left to right. ")
    + "Click a tile to open it [below](#neuron).",
)
one_neuron.show(run, step, neurons)

write.header("One frequency each?", anchor="frequencies")
with st.container(horizontal=True):
    write.metric(
        "Live neurons",
        live,
        border=True,
        help="Variance over 1e-6 of the largest",
    )
    write.metric("Dead neurons", neurons.dead, border=True)
    write.metric(
        "Single-frequency",
        f"{neurons.single_frequency:.0%}",
        border=True,
        help=f"Over {SINGLE:.0%} of the variance in one frequency",
    )
    write.metric(
        "Phase agreement",
        f"{neurons.alignment[neurons.alive].mean():.3f}" if live else "–",
        border=True,
        help="Mean cosine of read minus written; chance: 0",
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
        caption=f"Single-frequency: {listed}. Click to open one.",
    )
with right:
    cell(
        single_frequency,
        name=name,
        step=step,
        caption=f"{neurons.single_frequency:.0%} exceed {SINGLE:.0%}, the line.",
    )

write.header("Do they write the phase they read?", anchor="phases")
u, v, c, total = (text.replace("log", r"\log") for text in (*order.names, order.answer, added))
read = [text if len(text) == 1 else f"({text})" for text in (u, v, c)]
write.text(
    rf"""
A neuron that reads $\cos(w_k {read[0]} + \varphi_a) + \cos(w_k {read[1]} + \varphi_b)$ contains $\cos(w_k({total}) + {phase})$. If it writes
$\cos(w_k {read[2]} + \varphi_c)$ with $\varphi_c = {phase}$, it favors ${c} = {total}$.
"""
)
cell(
    phases,
    name=name,
    step=step,
    pick=("neuron", one_neuron.choose),
    caption="On the line, a neuron writes the phase it reads; a constant in the task shifts a frequency's neurons alike."
    if found
    else "No single-frequency neurons.",
)

write.header("What if a cluster is ablated?", anchor="silenced")
if found:
    kind = st.segmented_control(
        "Replace its neurons with",
        ["mean", "zero", "interchange"],
        default="mean",
        required=True,
        key="silenced",
        bind="query-params",
        help="interchange: from a pair with another answer",
    )
    kind = kind or "mean"  # an empty value in the URL gives None
    cell(
        cluster_ablation,
        name=name,
        step=step,
        kind=kind,
    )
else:
    write.caption("No single-frequency neurons.")

write.header("When do the neurons find their frequencies?", anchor="training")
with st.spinner(f"Analyzing {len(run.steps)} snapshots …", show_time=True):
    cell(
        power_over_training,
        name=name,
        stamp=len(run.steps),
        caption="Mean over live neurons.",
    )
