"""Roll out a network on frames: the next integers, digit by digit, and their labels."""

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
Like the world model GAIA-1, the network predicts frames: a **condition** $+d$, the **digits** of the next integer, its **label**. In a
**roll-out** it reads its own output, given only conditions: one wrong digit spoils what follows.
"""
PLACES = r"""
Each position adds vectors of its frame and slot:

$$W_{\mathrm{pos}}[i] = W_{\mathrm{step}}[\lfloor i / F \rfloor] + W_{\mathrm{slot}}[i \bmod F].$$
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
        f"{run.name} predicts only the last label, so it has no roll-out.",
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
        help=f"{task.frames - 1} in training; beyond, the oldest is dropped",
    )
    try:
        first, steps = analysis.rollout.starts(task, ahead, 1)
    except InputError as error:
        write.error(error)
        write.stop()
    write.header("Roll out one sequence", anchor="written")
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        n = number("First integer", int(first[0]), "n", f"At most {task.width} digits, also after the last step")
        d = number("Step d", int(steps[0]), "d", f"1 to {task.largest_step}")
    if n is None or d is None or not (2 <= n < task.base**task.width and 1 <= d <= task.largest_step):
        write.error(
            f"n must be from 2 to {task.base**task.width - 1} and d from 1 to {task.largest_step} (got {n} and {d})."
        )
        write.stop()
    try:
        fresh = analysis.rollout.unseen(task, np.array([n]))[0]
        seen = "is in no training sequence" if fresh else "may occur in training"
        cell(
            frames_written,
            name=run.name,
            step=step,
            n=int(n),
            d=int(d),
            ahead=ahead,
            width="content",
            caption=f"{n} {seen}.",
        )
    except InputError as error:
        write.error(error)
        write.stop()

    write.header("How far ahead is it correct?", anchor="scores")
    with st.spinner("Rolling out …", show_time=True):
        report: dict[str, Any] = scored(run.name, step, ahead)
    far, held = report["rollout"][-1], report["held_out"]
    with st.container(horizontal=True):
        write.metric(
            f"Integer accuracy, {ahead} ahead",
            f"{far['integers']:.1%}",
            border=True,
            help=f"All digits correct, over {report['sequences']:,} roll-outs from held-out first frames",
        )
        for label, value, says in (
            ("Labels, ROC AUC", held["auc"], "Last label of held-out sequences, given the true frames"),
            ("Coprime to the base", held["auc_coprime"], "Where the last digit reveals nothing"),
            (
                "Baseline from earlier labels",
                report["context"]["labels_coprime"],
                "Coprime to the base; from last digit, step and earlier labels",
            ),
        ):
            write.metric(label, "–" if value is None else f"{value:.3f}", border=True, help=says)
    write.caption(
        f"Baselines on all integers: ROC AUC {report['context']['digit'] or 0.5:.3f} from the last digit, "
        f"{report['context']['labels'] or 0.5:.3f} with earlier labels; chance 0.5."
    )
    cell(
        by_frame,
        name=run.name,
        step=step,
        ahead=ahead,
        caption="Labels are scored on integers outside training; after predicted frames, against the predicted integer. "
        f"{far['seen']:.0%} of the integers {ahead} ahead occur in training.",
    )
    cell(
        one_ahead,
        name=run.name,
        step=step,
        ahead=ahead,
        caption="Copying gets high digits right without carries. Held-out sequences: "
        + ", ".join(f"{row['sequences']:,} with {row['carries']}" for row in report["by_carries"])
        + " carries.",
    )

write.header("Steps and slots", anchor="places")
if run.config.model.positions == "frames":
    write.text(PLACES)
    cell(
        places,
        name=run.name,
        step=step,
        width="content",
        caption=f"Near 0 before training. Slot 0 is the condition, slot {task.width + 1} the label.",
    )
else:
    write.text(f"Positions “{run.config.model.positions}” have no step and slot vectors.")
