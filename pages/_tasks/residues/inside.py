"""The page Sieve for a network that was asked for all residues at once."""

from collections.abc import Callable

import streamlit as st

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from miii.runs import Run
from miii.tasks import Residues
from pages._kit import write
from pages._kit.cell import cell, shared

ASKED = 0.995  #: of the right answers, from which a task counts as solved


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


def page(run: Run, task: Residues, step_of: Callable[[Run], int]) -> None:
    """Everything about one snapshot, and the frequencies over training."""
    asked = "its two digits" if task.control == "digits" else f"$n$ modulo every prime below {task.p}"
    write.text(
        f"The network sees the digits of $n = x_0 + {task.p} x_1$ and is asked for {asked}, all at once."
        + (
            ""
            if task.control == "digits"
            else r" Each task is a modular addition, $x_0 + p\,x_1 \bmod q$, with the same digits and another modulus."
        )
    )
    step = step_of(run)
    write.header("What does it answer right?", anchor="right")
    with st.spinner("Asking …", show_time=True):
        found = target_accuracies(run.name, step)
    mean, worst = analysis.multitask.over_targets(found, task)
    solved = sum(value >= ASKED for value in found.values())
    with st.container(horizontal=True):
        write.metric(
            "Tasks solved",
            f"{solved} of {len(found)}",
            border=True,
            help=f"At least {ASKED:.1%} of the held-out numbers right",
        )
        write.metric(
            "Mean over digits" if task.control == "digits" else "Mean over primes",
            f"{mean:.1%}",
            border=True,
            help="Mean accuracy on held-out numbers over those that are trained",
        )
        write.metric("Worst", worst, border=True, help="The trained task with the fewest right answers")
        write.metric("Its accuracy", f"{found[worst]:.1%}", border=True, help="On held-out numbers")
    masked = [f"mod {q}" for q in task.masked]
    cell(
        right_by_target,
        name=run.name,
        step=step,
        alt=f"Accuracy of each of {len(found)} tasks.",
        caption=f"The worst, {worst}, has {found[worst]:.1%}. Held-out numbers. Gray is what the commonest answer alone gives."
        + (f" Never trained: {', '.join(masked)}." if masked else ""),
    )

    write.header("Does each head look at one digit?", anchor="heads")
    with st.spinner("Looking …", show_time=True):
        heads = head_patterns(run.name, step)
    single = [head.head for head in heads if head.one_digit]
    cell(
        head_digits,
        name=run.name,
        step=step,
        alt=f"Bars of the attention of each of {len(heads)} heads to the tokens.",
        caption=(
            f"Yes: each of the {len(heads)} heads"
            if len(single) == len(heads)
            else f"No: {len(single)} of {len(heads)} heads" + (f" ({', '.join(map(str, single))})" if single else "")
        )
        + f" give at least {analysis.multitask.ONE_DIGIT:.0%} of what goes to the digits to one of them.",
    )

    write.header("How many frequencies are active?", anchor="frequencies")
    write.text(
        """
The neurons are waves in the digits. A frequency is **active** by the preprint's text if its power is more than two standard
deviations above the mean of its step. By its code, power is smoothed over three steps and each frequency divided by its sum over
time; active is what exceeds mean plus one standard deviation of all steps together. The preprint reports that
the count rises and falls again; here that means that its peak is at least twice the first and the last count.
"""
    )
    count = len(run.steps)
    if st.toggle(
        "Count them", key="count", bind="query-params", help=f"All numbers through {count} snapshots: half a minute"
    ):
        with st.spinner(f"Measuring {count} snapshots …", show_time=True):
            active = frequencies(run.name)
            cell(
                active_frequencies,
                name=run.name,
                stamp=count,
                alt="Active frequencies by snapshot, by both rules, and the power of each frequency.",
            )
        write.caption(f"{counted_by_rule(active)}.")


def counted_by_rule(active: analysis.multitask.Active) -> str:
    """Return ``counted`` for both rules, each with the count of noise."""
    rules = zip(("Within the step", "over all steps"), (active.within, active.overall), active.chance, strict=True)
    return "; ".join(
        f"{rule}: {counted(marks.sum(1).tolist(), list(active.steps))} (noise has {chance:.1f})"
        for rule, marks, chance in rules
    )


def counted(counts: list[int], steps: list[int]) -> str:
    """The first count, the largest and the last in words, and whether it rises and falls: to twice, or from twice."""
    most = max(counts)
    rises, falls = most >= 2 * max(1, counts[0]), most >= 2 * max(1, counts[-1])
    verdict = {
        (True, True): "rises and falls",
        (True, False): "rises and does not fall",
        (False, True): "falls and does not rise",
        (False, False): "neither rises nor falls",
    }[rises, falls]
    return (
        f"{counts[0]} at first, at most {most} (step {steps[counts.index(most)]}), {counts[-1]} at last: it {verdict}"
    )
