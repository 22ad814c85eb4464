"""The live figure of the first page: a network learns to add while the reader watches.

Every frame is a snapshot of a run. They play one per poll, so that a fast machine does not finish unseen, and a recorded
run plays in the same way.
"""

from collections.abc import Callable

import streamlit as st

import miii
from miii import RunConfig, analysis, plots, recipe, runs
from miii.errors import InputError
from miii.notebook.cells import Figure
from miii.plots.style import Chart
from pages._kit import links, write
from pages._kit.draw import draw
from pages._server import control
from pages._server.jobs import registry

P, STEPS, SHARE = 59, 150, 0.5
RECORDED = "add-113"  #: played where training is not allowed
RUN, FRAME, PLAYING = "start_run", "start_frame", "start_playing"  #: keys of the session
FIRST = 8  #: steps below show nothing yet and are skipped
LEARNED = 0.99
CAPTION = "To add, the network rotates the circles ($k$: frequency; percentage: share of the embedding)."


def config() -> RunConfig:
    """Return the config of the network that the button trains."""
    task = {"operation": "add", "p": P, "train_fraction": SHARE}
    return recipe("fast", task=task, steps=STEPS, eval_every=5, snapshots=60)


def right(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    task = run.task()
    correct = miii.answer(run.model(step), task.tokens) == task.labels
    return plots.answers(correct, task, task.d_vocab_out, size=230)


def strongest(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    W = run.weights(step)["W_E"][: run.task().d_vocab_out]
    keys = analysis.fourier.spectrum(W).power.topk(4).indices + 1
    return plots.circles([analysis.fourier.circle(W, k) for k in sorted(keys.tolist())], size=235)


def curves(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    metrics, last = run.metrics(), run.config.steps if run.result is None else run.steps[-1]
    return plots.accuracy(metrics[metrics["step"] <= step], last)


FIGURES: tuple[tuple[Callable[..., Chart], str], ...] = (
    (right, "Correct and wrong sums."),
    (strongest, "Strongest circles."),
    (curves, "Accuracy by step."),
)


def show() -> None:
    """Show the button and the figure; the figure alone is drawn again while it plays."""
    why = _why_not()
    kept = st.session_state.get(RUN)
    playing = st.session_state.get(PLAYING, False)
    again = kept is not None or why is not None
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.button(
            "Play it again" if kept else "Play a recorded training" if again else "Train a network",
            type="primary",
            icon=":material/replay:" if again else ":material/play_arrow:",
            on_click=_play if again else _train,
            disabled=playing,
            key="start",
            help=why or f"Addition modulo {P}: a few seconds",
        )
        if kept and kept != RECORDED and not playing:
            links.to("fourier", "Look inside it", ":material/graphic_eq:", run=kept, step=None)
    control.messages()
    if playing:
        st.fragment(_frame, run_every=control.POLL)()
    else:
        _frame()
    write.caption(CAPTION)


def _why_not() -> str | None:
    try:
        control.check_start(config())
    except InputError as error:
        return str(error)
    return None


def _train() -> None:
    control.start(config())
    if control.WRONG not in st.session_state:
        st.session_state.update({RUN: st.session_state["run"], FRAME: 0, PLAYING: True})


def _play() -> None:
    st.session_state.setdefault(RUN, RECORDED)
    st.session_state.update({FRAME: 0, PLAYING: True})


def _frame() -> None:
    """Draw the next snapshot, and stop after the last one."""
    name, playing = st.session_state.get(RUN) or RECORDED, st.session_state.get(PLAYING, False)
    job = registry().get(name)
    training = job is not None and not job.ended
    try:
        run = runs.open(name)
        steps = _steps(run)
    except InputError as error:  # queued or deleted
        if training:
            st.caption("Queued …")
            return
        st.session_state.pop(RUN, None)
        st.session_state[PLAYING] = False
        write.error(job.message if job is not None and job.message else error)
        return
    if not steps:
        return
    at = min(st.session_state.get(FRAME, 0), len(steps) - 1) if playing else len(steps) - 1
    _draw(run, steps[at])
    if playing and at == len(steps) - 1 and not training:
        st.session_state[PLAYING] = False
        st.rerun()
    st.session_state[FRAME] = at + 1 if playing else 0


def _steps(run: runs.Run) -> list[int]:
    """Return the snapshots to play: the first, and those at which there is an evaluation to show."""
    known = int(run.rows()[-1]["step"]) if run.rows() else -1
    return [step for step in run.steps if step <= known and (step == 0 or step >= FIRST)]


def _draw(run: runs.Run, step: int) -> None:
    row = [row for row in run.rows() if row["step"] <= step][-1]
    write.text(f"**Step {step:,}.** {sentence(row['train_accuracy'], row['test_accuracy'])}")
    with st.container(key="start-figure"):
        for make, alt in FIGURES:
            arguments = {"name": run.name, "step": step}
            draw(
                make(**arguments),
                alt=alt,
                key=f"start-{make.__name__}",
                width="stretch" if make is curves else "content",
            )
            write.record(Figure(make, arguments, alt, alt))


def sentence(train: float, test: float) -> str:
    """Describe what the network can do."""
    numbers = f"Training accuracy {train:.0%}, test accuracy {test:.0%}."
    if test >= LEARNED:
        return f"{numbers} It adds pairs that it never saw: it has **grokked**."
    if train >= LEARNED:
        return f"{numbers} It begins to generalize." if test > 0.5 else f"{numbers} It has memorized the training sums."
    return numbers
