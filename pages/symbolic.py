"""Symbolic and sub-symbolic: the same function as a program and as a network, small enough to see through both."""

import streamlit as st

import miii
from miii import analysis, plots, runs
from miii.analysis.modular.verdict import Report
from miii.errors import InputError
from miii.expression import in_words, parse
from miii.plots.style import Chart
from pages._kit import startup, write
from pages._kit.cell import cell, shared
from pages._parts.symbolic import logic as symbolic_logic
from pages._server import control
from pages._server.jobs import registry
from pages._server.settings import LIMIT
from pages._tasks.modular.inputs import type_expression

startup.run_app_first()

jobs = registry()


def values(expression: str, p: int) -> Chart:
    task = miii.ModularAddition(operation="expr", expression=expression, p=p).build()
    labels = miii.tasks.modular.grid_of(task, task.labels.double(), p, float("nan"))
    return plots.heatmap(labels, title="The value at every pair", row="a", column="b", value="c")


@shared
def analyzed(name: str, step: int) -> analysis.verdict.Report:
    run = miii.runs.open(name)
    return analysis.verdict.analyze(run.model(step), run.task())


@shared
def describe_neurons(name: str, step: int) -> analysis.neurons.Neurons:
    run = miii.runs.open(name, miii.ModularAddition)
    return analysis.neurons.describe(run.model(step), analysis.compiled.as_plain_addition(run.task_config))


@st.cache_resource(max_entries=8, show_spinner=False)
def compiled(task: miii.ModularAddition) -> tuple[Report, analysis.neurons.Neurons]:
    """The compiled network, measured as the trained one."""
    model = analysis.compiled.network(task)
    return analysis.verdict.analyze(model, task.build()), analysis.neurons.describe(
        model, analysis.compiled.as_plain_addition(task)
    )


def trained_spectrum(name: str, step: int) -> Chart:
    return plots.spectrum(
        analysis.fourier.embedding_spectrum(miii.runs.open(name).model(step), miii.runs.open(name).task()),
        "Trained: the embedding",
    )


def trained_clusters(name: str, step: int) -> Chart:
    return plots.clusters(describe_neurons(name, step)).properties(title="Trained: the neurons")


def compiled_spectrum(expression: str, p: int) -> Chart:
    task = miii.ModularAddition(operation="expr", expression=expression, p=p)
    model = analysis.compiled.network(task)
    return plots.spectrum(analysis.fourier.embedding_spectrum(model, task.build()), "Compiled: the embedding")


def compiled_clusters(expression: str, p: int) -> Chart:
    task = miii.ModularAddition(operation="expr", expression=expression, p=p)
    model = analysis.compiled.network(task)
    found = analysis.neurons.describe(model, analysis.compiled.as_plain_addition(task))
    return plots.clusters(found).properties(title="Compiled: the neurons")


def _has_weights(run: runs.Run) -> bool:
    try:
        return bool(run.steps)
    except InputError:  # a corrupt run must not hide the others
        return False


def recorded(config: miii.RunConfig) -> str | None:
    """The newest run of that very config, on its way or on disk."""
    of_jobs = (job.name for job in reversed(jobs.all()) if job.config == config and not job.ended)
    on_disk = (run.name for run in runs.every() if run.config == config and _has_weights(run))
    return next(of_jobs, None) or next(on_disk, None)


def watch(name: str) -> None:
    """The control of a run that trains; called again and again."""
    job = jobs.get(name)
    if job is None or job.ended:
        st.rerun()
    right = "" if job.evaluation is None else f" · test accuracy {job.evaluation.test_accuracy:.1%}"
    control.show(name, job, None, job.config, 0, right)


def summarize(report: Report, neurons: analysis.neurons.Neurons) -> list[str]:
    """What is compared of a network, in words; in the order of ``MEASURES``."""
    return [
        f"{report.accuracy:.1%}",
        f"{report.loss:.2g}",
        ", ".join(map(str, report.key_frequencies)) or "none",
        report.computes or "nothing that they agree on",
        f"{report.logit_variance_explained:.1%}",
        f"{report.argmax_agreement:.1%}",
        f"{report.steering_accuracy:.1%}",
        str(int(neurons.alive.sum())),
        f"{neurons.single_frequency:.1%}",
    ]


MEASURES = [
    "answers right, of all pairs",
    "loss, in nats",
    "key frequencies",
    "the formula's waves are in",
    "variance of the logits that the formula explains",
    "same answer as the formula",
    "steering: answers s more",
    "live neurons",
    "of them of a single frequency",
]

write.title("Symbolic")
write.text(
    """
A program is made of parts that mean something by themselves; a network is made of weights that do not. The paper calls the one
**symbolic** and the other **sub-symbolic**, and shows a function as both. Here are both, small enough to be checked in every row.
"""
)
symbolic_logic.section()

write.header("A formula of your own", anchor="formula")
write.text(
    """
The same with arithmetic modulo $p$. Type a formula: you get its table, a network **trained** on a part of the table, and, where
the formula is a sum of multiples of $a$ and $b$, a network **compiled** from it, every weight written down without any training.
"""
)
with st.container(horizontal=True, gap="medium"):
    text = type_expression("3*a - b + 7")
    asked = st.number_input(
        "p", value=59, step=1, key="p", bind="query-params", width=140, help=f"The modulus, 2 to {LIMIT}"
    )
    fraction = st.slider(
        "Share for training", 0.01, 0.99, 0.7, 0.01, key="share", bind="query-params", width=240, help="Of all pairs"
    )
try:
    if asked is None or asked > LIMIT:
        raise InputError(f"p must be at least 2 and at most {LIMIT} in the app (got {asked}).")
    p, formula = int(asked), parse(text)
    task = miii.ModularAddition(operation="expr", expression=text, p=p, train_fraction=fraction)
    total = formula.linear(p)
except InputError as error:
    write.error(error, icon="edit")
    st.stop()
config = miii.recipe(task=task)
name = recorded(config)
job = jobs.get(name) if name is not None else None
live = job is not None and not job.ended

left, right = st.columns([5, 4], gap="medium")
with left:
    cell(
        values,
        expression=text,
        p=p,
        width="content",
        alt=f"Grid of {p} by {p} values of {text} modulo {p}.",
        caption="A sum of multiples is a pattern of parallel stripes; any other formula is not.",
    )
with right:
    write.latex(f"c = {formula.latex()}")
    if total is None:
        write.text(
            "**No modular sum**: at some pairs its value is not that of any $\\alpha a + \\beta b + \\gamma$. So there is no network "
            "compiled from it here, and no formula of waves to expect in the trained one."
        )
    else:
        write.text(
            f"**A modular sum**: at every pair it is ${in_words(*total)}$ modulo {p}. So a network can be compiled from it: with "
            rf"$\cos$ and $\sin$ of a few frequencies as embedding, one head for each operand, neurons that multiply waves, and "
            f"answers that read $\\cos w_k({in_words(*total)} - c)$."
        )
    st.button(
        "Train",
        type="primary",
        icon=":material/play_arrow:",
        on_click=control.start,
        args=(config,),
        disabled=live,
        help=f"A network on {task.n_train:,} of the {task.n_pairs:,} pairs by the recipe fast; it is kept as a run like any other",
    )
    control.messages()
    if live and name is not None:
        st.fragment(watch, run_every=control.POLL)(name)
    elif name is None:
        write.caption("No network has been trained on this formula, p and share yet.")
    else:
        run = runs.open(name)
        if run.can_resume:  # it was paused or stopped
            control.show(name, job, run, config, run.steps[-1])
        write.caption(f"Trained: the run {write.escaped(name)}. See it under Look inside.")

write.header("Inside the two", anchor="inside")
done = runs.open(name) if name is not None and not live else None
if done is None and total is None:
    write.caption("There is nothing to compare yet: train a network.")
    st.stop()
if p < analysis.grid.MIN_P:
    write.info(f"p must be at least {analysis.grid.MIN_P} to tell frequencies apart (got {p}).")
    st.stop()
if task.n_pairs < p * p:
    write.info(f"What follows needs all pairs of numbers; {p * p - task.n_pairs:,} of {p * p:,} are left out.")
    st.stop()
columns: dict[str, list[str]] = {"measure": MEASURES}
with st.spinner("Taking the networks apart …", show_time=True):
    if done is not None:
        step = done.steps[-1]
        columns["trained"] = summarize(analyzed(done.name, step), describe_neurons(done.name, step))
    if total is not None:
        columns["compiled"] = summarize(*compiled(task))
write.table(columns, width="content", name="trained-and-compiled")
write.caption(
    "The formula is fitted to half of the pairs and judged on the rest; steering turns the planes of the key frequencies by the "
    "angle of every s, see the page Formula. "
    + (
        f"Neurons are looked at over the multiples that the formula adds, for a neuron of ${in_words(*total)}$ has another "
        "frequency in $a$ than in $b$."
        if task.modular_sum is not None and total is not None and {abs(m) for m in total[:2]} != {1}
        else ""
    )
)
left, right = st.columns(2)
if done is not None:
    with left:
        step = done.steps[-1]
        cell(
            trained_spectrum,
            name=done.name,
            step=step,
            alt="Length of the trained embedding's waves by frequency.",
        )
        cell(
            trained_clusters,
            name=done.name,
            step=step,
            alt="Neurons of the trained network by their strongest frequency.",
        )
if total is not None:
    with right if done is not None else left:
        cell(compiled_spectrum, expression=text, p=p, alt="Length of the compiled embedding's waves by frequency.")
        cell(
            compiled_clusters, expression=text, p=p, alt="Neurons of the compiled network by their strongest frequency."
        )
