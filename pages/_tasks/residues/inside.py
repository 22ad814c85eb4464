"""The page Sieve for residues."""

from collections.abc import Callable

import streamlit as st

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from miii.runs import Run
from miii.tasks import Residues
from pages._kit import write
from pages._kit.cell import cell, shared

SOLVED = 0.995  #: accuracy from which a task counts as solved


@shared
def target_accuracies(name: str, step: int) -> dict[str, float]:
    run = miii.runs.open(name)
    return analysis.multitask.accuracies(run.model(step), run.task())


@shared
def head_patterns(name: str, step: int) -> tuple[analysis.multitask.Head, ...]:
    run = miii.runs.open(name)
    return analysis.multitask.heads(run.model(step), run.task())


@shared
def frequencies(name: str) -> analysis.multitask.Active:
    return miii.reports.active_frequencies(miii.runs.open(name))


def right_by_target(name: str, step: int) -> Chart:
    held_out = miii.runs.open(name).task()
    rows = ~held_out.train_mask
    chance = {t.name: t.labels[rows].bincount().max().item() / int(rows.sum()) for t in held_out.targets}
    return plots.right_by_target(target_accuracies(name, step), chance)


def head_digits(name: str, step: int) -> Chart:
    return plots.head_digits(head_patterns(name, step))


def active_frequencies(name: str) -> tuple[Chart, Chart]:
    active = frequencies(name)
    return plots.active_frequencies(active), plots.power_over_training(active.power, list(active.steps))


@shared
def sharing(name: str, step: int) -> analysis.multitask.Sharing:
    run = miii.runs.open(name)
    return analysis.multitask.sharing(run.model(step), run.task())


def shared_directions(name: str, step: int) -> Chart:
    return plots.shared_directions(sharing(name, step))


def page(run: Run, task: Residues, step_of: Callable[[Run], int]) -> None:
    """Everything about one snapshot, and the frequencies over training."""
    targets = "the two digits themselves" if task.control == "digits" else f"$n$ modulo every prime below {task.p}"
    write.text(f"The network sees the digits of $n = x_0 + {task.p} x_1$ and predicts {targets} at once.")
    step = step_of(run)
    write.header("Learned residues", anchor="right")
    with st.spinner("Measuring …", show_time=True):
        found = target_accuracies(run.name, step)
    mean, worst = analysis.multitask.over_targets(found, task)
    solved = sum(value >= SOLVED for value in found.values())
    with st.container(horizontal=True):
        write.metric(
            "Tasks solved",
            f"{solved} of {len(found)}",
            border=True,
            help=f"At least {SOLVED:.1%} test accuracy",
        )
        write.metric(
            task.headline({}).name.capitalize(),
            f"{mean:.1%}",
            border=True,
            help="Test accuracy over trained targets",
        )
        write.metric("Worst", worst, border=True, help="Of the trained targets")
        write.metric("Worst accuracy", f"{found[worst]:.1%}", border=True)
    masked = [f"mod {q}" for q in task.masked]
    cell(
        right_by_target,
        name=run.name,
        step=step,
        caption=f"Never trained: {', '.join(masked)}." if masked else "",
    )

    write.header("Does each head attend to one digit?", anchor="heads")
    with st.spinner("Measuring …", show_time=True):
        heads = head_patterns(run.name, step)
    single = [head.head for head in heads if head.one_digit]
    cell(
        head_digits,
        name=run.name,
        step=step,
        caption=(
            f"Yes: each of the {len(heads)} heads puts"
            if len(single) == len(heads)
            else f"No: {len(single)} of {len(heads)} heads"
            + (f" ({', '.join(map(str, single))})" if single else "")
            + " put"
        )
        + f" at least {analysis.multitask.ONE_DIGIT:.0%} of its attention to digits on one of them.",
    )

    how_targets_share(run.name, step)

    write.header("Active frequencies", anchor="frequencies")
    write.text(
        """
Syrkis's preprint reports that **active** frequencies rise, then fall. In its text, they exceed their step's mean power by two standard
deviations; in its code, the smoothed, normalized mean over all steps by one. Is the peak at least twice the first and last count?
"""
    )
    count = len(run.steps)
    if st.toggle("Count them", key="count", bind="query-params", help=f"{count} snapshots; half a minute"):
        with st.spinner(f"Measuring {count} snapshots …", show_time=True):
            active = frequencies(run.name)
            cell(
                active_frequencies,
                name=run.name,
                stamp=count,
            )
        write.caption(f"{counted_by_rule(active)}.")


def how_targets_share(name: str, step: int) -> None:
    """Show which directions of the residual stream two targets share."""
    write.header("Shared directions", anchor="sharing")
    found = sharing(name, step)
    total = sum(found.directions)
    write.text(
        f"The {len(found.names)} targets read {min(found.directions)} to {max(found.directions)} directions each, the fewest that hold "
        f"{analysis.multitask.ENERGY:.0%} of their read-out weights' squared norm: **{total} in sum**, spanning {found.together} of the stream's {found.width}."
    )
    if len(found.names) < 2:
        return
    mean, chance = found.between
    apart = "They hardly share" if mean < chance / 2 else "They share"
    cell(
        shared_directions,
        name=name,
        step=step,
        caption=f"{apart}: the mean squared cosine of the principal angles between two targets is {mean:.4f}; between random subspaces, "
        f"{chance:.4f} (0: orthogonal; 1: one holds the other).",
    )


def counted_by_rule(active: analysis.multitask.Active) -> str:
    """Return ``counted`` for both rules, each with the count by chance."""
    rules = zip(("Within each step", "over all steps"), (active.within, active.overall), active.chance, strict=True)
    return "; ".join(
        f"{rule}: {counted(marks.sum(1).tolist(), list(active.steps))} (chance: {chance:.1f})"
        for rule, marks, chance in rules
    )


def counted(counts: list[int], steps: list[int]) -> str:
    """Write the first, largest and last count, and whether the count rises and falls by a factor of two."""
    most = max(counts)
    rises, falls = most >= 2 * max(1, counts[0]), most >= 2 * max(1, counts[-1])
    verdict = {
        (True, True): "rises and falls",
        (True, False): "rises and does not fall",
        (False, True): "falls and does not rise",
        (False, False): "neither rises nor falls",
    }[rises, falls]
    return f"{counts[0]} at first, a peak of {most} at step {steps[counts.index(most)]}, {counts[-1]} at the end: it {verdict}"
