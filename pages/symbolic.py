"""Symbolic and sub-symbolic: the same function as a program and as a network."""

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
    return plots.heatmap(labels, title="Value at every pair", row="a", column="b", value="c")


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
    """Return the newest run of the same config, training or on disk; else one of the same task, such as the shipped one."""
    of_jobs = (job.name for job in reversed(jobs.all()) if job.config == config and not job.ended)
    on_disk = [run for run in runs.every() if run.config.task == config.task and _has_weights(run)]
    names = [run.name for run in sorted(on_disk, key=lambda run: run.config != config)]
    return next(of_jobs, None) or next(iter(names), None)


def watch(name: str) -> None:
    """Control of a training run; a fragment that reruns."""
    job = jobs.get(name)
    if job is None or job.ended:
        st.rerun()
    right = "" if job.evaluation is None else f" · test accuracy {job.evaluation.test_accuracy:.1%}"
    control.show(name, job, None, job.config, 0, right)


def summarize(report: Report, neurons: analysis.neurons.Neurons) -> list[str]:
    """Write what is compared of a network, in the order of ``MEASURES``."""
    return [
        f"{report.accuracy:.1%}",
        f"{report.loss:.2g}",
        ", ".join(map(str, report.key_frequencies)) or "none",
        report.computes or "no common sum",
        f"{report.logit_variance_explained:.1%}",
        f"{report.argmax_agreement:.1%}",
        f"{report.steering_accuracy:.1%}",
        str(int(neurons.alive.sum())),
        f"{neurons.single_frequency:.1%}",
    ]


MEASURES = [
    "accuracy, all pairs",
    "loss (nats)",
    "key frequencies",
    "waves in",
    "logit variance explained by the formula",
    "argmax agreement with the formula",
    "steering accuracy",
    "live neurons",
    "of these, single-frequency",
]

write.title("Symbolic")
write.text(
    "The draft paper calls programs **symbolic**, as their parts have meanings, and networks **sub-symbolic**. Here is one function as both."
)
symbolic_logic.section()

write.header("Your own formula", anchor="formula")
write.text(
    "Train a network on part of a formula's table. If linear in $a$ and $b$, it also gives a **compiled** network, every weight set by hand."
)
with st.container(horizontal=True, gap="medium"):
    text = type_expression("3*a - b + 7")
    asked = st.number_input("p", value=59, step=1, key="p", bind="query-params", width=140, help=f"2 to {LIMIT}")
    fraction = st.slider("Training share", 0.01, 0.99, 0.7, 0.01, key="share", bind="query-params", width=240)
try:
    if asked is None or asked > LIMIT:
        raise InputError(f"p must be at least 2 and at most {LIMIT} in the app (got {asked}).")
    p, formula = int(asked), parse(text)
    task = miii.ModularAddition(operation="expr", expression=text, p=p, train_fraction=fraction)
    total = formula.linear(p)
except InputError as error:
    write.error(error, icon="edit")
    write.stop()
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
        caption="Parallel stripes: a linear formula.",
    )
with right:
    write.latex(f"c = {formula.latex()}")
    if total is None:
        write.text(
            "**Not a modular sum**: no $\\alpha a + \\beta b + \\gamma$ has these values, so there is no compiled network."
        )
    else:
        write.text(
            f"**A modular sum**: ${in_words(*total)}$ modulo {p}. The compiled network embeds numbers as waves, multiplies them in neurons, and writes "
            f"$\\cos w_k({in_words(*total)} - c)$."
        )
    st.button(
        "Train",
        type="primary",
        icon=":material/play_arrow:",
        on_click=control.start,
        args=(config,),
        disabled=live,
        help=f"{task.n_train:,} of {task.n_pairs:,} pairs",
    )
    control.messages()
    if live and name is not None:
        st.fragment(watch, run_every=control.POLL)(name)
    elif name is None:
        write.caption("Not trained yet.")
    else:
        run = runs.open(name)
        if run.can_resume:  # it was paused or stopped
            control.show(name, job, run, config, run.steps[-1])
        write.caption(f"Saved as the run {write.escaped(name)}.")

write.header("Trained and compiled, side by side", anchor="inside")
done = runs.open(name) if name is not None and not live else None
if done is None and total is None:
    write.caption("Not trained yet.")
    write.stop()
if p < analysis.grid.MIN_P:
    write.info(f"p must be at least {analysis.grid.MIN_P} to tell frequencies apart (got {p}).")
    write.stop()
if task.n_pairs < p * p:
    write.info(f"A value is needed at all {p * p:,} pairs; {p * p - task.n_pairs:,} have none.")
    write.stop()
columns: dict[str, list[str]] = {"measure": MEASURES}
with st.spinner("Analyzing …", show_time=True):
    if done is not None:
        step = done.steps[-1]
        columns["trained"] = summarize(analyzed(done.name, step), describe_neurons(done.name, step))
    if total is not None:
        columns["compiled"] = summarize(*compiled(task))
write.table(columns, width="content", name="trained-and-compiled")
write.caption(
    "Measures: see Formula."
    + (
        f" Neurons are analyzed over the multiples in ${in_words(*total)}$: they have different frequencies in $a$ and $b$."
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
        )
        cell(
            trained_clusters,
            name=done.name,
            step=step,
        )
if total is not None:
    with right if done is not None else left:
        cell(compiled_spectrum, expression=text, p=p, alt="Compiled embedding by frequency.")
        cell(compiled_clusters, expression=text, p=p, alt="Compiled neurons by frequency.")
