"""What a network on frames writes by itself: the next integers, digit by digit, and their labels."""

from typing import Any

import numpy as np
import streamlit as st

import miii
from miii import analysis, plots
from miii.errors import InputError
from miii.plots.style import Chart
from miii.tasks import Frames
from pages._kit import startup, write
from pages._kit.cell import cell, shared
from pages._kit.inputs import number
from pages._kit.step_picker import step_of
from pages._tasks.checks import run_of_kind

MOST = 12  # frames ahead

INTRO = r"""
GAIA-1-style, with integers for images. Everything is a token: a **condition** $+d$ that says how far the next integer is away,
the **digits**, the most significant first, and the **label**, prime or composite. A causal decoder predicts the next token; the
conditions are given. What it writes becomes what it reads, so one wrong digit spoils all that follows.

A token's place is two places: the frame that it is in, and its slot there. Position $i$ of a frame of $F$ tokens has the vector

$$W_{\mathrm{pos}}[i] = W_{\mathrm{step}}[\lfloor i / F \rfloor] + W_{\mathrm{slot}}[i \bmod F],$$

so that what holds for the tens of one frame holds for those of the next.
"""


def frames_written(name: str, step: int, n: int, d: int, ahead: int) -> Chart:
    run = miii.runs.open(name)
    config = analysis.rollout.check(run.config.task)
    rolled = analysis.rollout.roll_one(run.model(step), config, n, d, ahead)
    return plots.generated_frames(rolled)


@shared
def scored(name: str, step: int, ahead: int) -> dict[str, object]:
    return miii.reports.report_rollout(miii.runs.open(name), step, ahead)


def by_frame(name: str, step: int, ahead: int) -> tuple[Chart, ...]:
    report = scored(name, step, ahead)
    return plots.rollout_integers(report), plots.rollout_labels(report)


def one_ahead(name: str, step: int, ahead: int) -> tuple[Chart, ...]:
    report = scored(name, step, ahead)
    base = analysis.rollout.check(miii.runs.open(name).config.task).base
    return plots.rollout_digits(report, base), plots.rollout_carries(report)


def places(name: str, step: int) -> tuple[Chart, ...]:
    model = miii.runs.open(name).model(step)
    return plots.vector_similarity(model.W_step, "step"), plots.vector_similarity(model.W_slot, "slot")


startup.run_app_first()
write.title("Frames")
run, task = run_of_kind(Frames, "a run on frames")
write.text(INTRO)
step = step_of(run)

if task.predict == "label":
    write.info(
        f"{run.name} was asked for the last label alone (predict label), so it writes no frames; how well it labels is on the "
        "page Train.",
        icon="signpost",
    )
else:
    ahead = st.slider(
        "Frames ahead",
        1,
        MOST,
        min(task.frames - 1, MOST),
        key="ahead",
        bind="query-params",
        width=320,
        help=f"A sequence in training has {task.frames - 1} after the first. Beyond that the oldest frame is forgotten.",
    )
    try:
        first, steps = analysis.rollout.starts(task, ahead, 1)
    except InputError as error:
        write.error(error)
        st.stop()
    write.header("What does it write?", anchor="written")
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        n = number("First integer", int(first[0]), "n", f"At most {task.width} digits, also after the last step")
        d = number("Step d", int(steps[0]), "d", f"From one integer to the next, 1 to {task.largest_step}")
    if n is None or d is None or not (2 <= n < task.base**task.width and 1 <= d <= task.largest_step):
        write.error(
            f"n must be from 2 to {task.base**task.width - 1} and d from 1 to {task.largest_step} (got {n} and {d})."
        )
        st.stop()
    try:
        fresh = analysis.rollout.unseen(task, np.array([n]))[0]
        seen = "is in no training sequence" if fresh else "may be in training"
        cell(
            frames_written,
            name=run.name,
            step=step,
            n=int(n),
            d=int(d),
            ahead=ahead,
            width="content",
            alt=f"The {ahead} frames that the network writes after {n} with +{d}, wrong tokens marked.",
            caption=f"Each token is the likeliest after those before it; {n} {seen}.",
        )
    except InputError as error:
        write.error(error)
        st.stop()

    write.header("How far is it right?", anchor="scores")
    with st.spinner("Writing …", show_time=True):
        report: dict[str, Any] = scored(run.name, step, ahead)
    far, held = report["rollout"][-1], report["held_out"]
    with st.container(horizontal=True):
        write.metric(
            f"Integers right, {ahead} ahead",
            f"{far['integers']:.1%}",
            border=True,
            help=f"In all digits, of {report['sequences']:,} roll-outs from held-out first frames",
        )
        for label, value, says in (
            ("Labels, ROC AUC", held["auc"], "Of the last label of held-out sequences, after the true frames"),
            ("Beyond the last digit", held["auc_coprime"], "ROC AUC of integers coprime to the base; 0.5 is chance"),
            (
                "Labels before would give",
                report["context"]["labels_coprime"],
                "The same, of a table of the last digit, the step and the labels of the frames before: of three terms with "
                "a step that 3 does not divide, one is a multiple of 3",
            ),
        ):
            write.metric(label, "–" if value is None else f"{value:.3f}", border=True, help=says)
    write.caption(
        f"The last digit alone predicts the label with a ROC AUC of {report['context']['digit'] or 0.5:.3f}, and of "
        f"{report['context']['labels'] or 0.5:.3f} with the labels of the frames before as well."
    )
    cell(
        by_frame,
        name=run.name,
        step=step,
        ahead=ahead,
        alt="By frames ahead: share of integers right, and area under the ROC curve of labels.",
        caption="The controls are the same network before training, and a copy of the first frame. Labels are scored on integers "
        "that no training sequence has; after its own frames, on the integer that the network wrote. "
        f"{far['seen']:.0%} of the integers {ahead} ahead are in training sequences.",
    )
    cell(
        one_ahead,
        name=run.name,
        step=step,
        ahead=ahead,
        alt="One frame ahead: digits right by place, and integers right by the number of carries.",
        caption="High digits are right by repeating, unless a carry reaches them: the test of adding is the right-hand side, over all "
        + ", ".join(f"{row['sequences']:,} held-out sequences with {row['carries']}" for row in report["by_carries"])
        + " carries.",
    )

write.header("Steps and slots", anchor="places")
if run.config.model.positions == "frames":
    cell(
        places,
        name=run.name,
        step=step,
        width="content",
        alt="Cosines between the vectors of the steps, and between those of the slots.",
        caption=f"Slot 0 is the condition, 1 to {task.width} are the digits, {task.width + 1} is the label. At first all are near 0.",
    )
else:
    write.text(f"This network has positions “{run.config.model.positions}”, so no vectors of steps and slots.")
