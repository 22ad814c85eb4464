"""Sections 4.4 and 4.5 of the paper: other tasks, other networks, and a summary of goals."""

from typing import Any

import streamlit as st

import miii
from miii import analysis, plots, runs
from miii.analysis.compare import ADDS
from miii.errors import InputError, join_names
from miii.plots.style import Chart
from miii.tasks import Frames
from pages._kit import write
from pages._kit.cell import cell
from pages._kit.inputs import integer
from pages._parts.paper.ledger import ledger
from pages._parts.paper.parts import available, link, link_details, report, short_table, stamp
from pages._tasks.residues.inside import SOLVED, counted_by_rule

ARCHITECTURES = "architectures/add-113.jsonl"


def moduli_over_training() -> Chart:
    return plots.by_prime(miii.runs.shipped("residues-113").metrics())


def active_over_training() -> Chart:
    report = miii.runs.shipped("residues-113").report
    return plots.active_frequencies(analysis.multitask.active(analysis.multitask.reported_power(report or {})))


def frames_that_it_writes(n: int, d: int) -> Chart:
    run = miii.runs.shipped("frames-10")
    config = analysis.rollout.check(run.config.task)
    return plots.generated_frames(analysis.rollout.roll_one(run.model(), config, n, d, 3))


def composites_found() -> Chart:
    home, read = miii.runs.homes()[1] / "sparse", miii.sparse.files.report
    networks = {"sparse grid": read(home / "grid").test, "digits in base 210": read(home / "primes-210").test}
    ranges = miii.sparse.files.open(home / "grid").config
    by = {"by 2, 3, 5": (2, 3, 5), "by 2, 3, 5, 7": (2, 3, 5, 7)}
    sieve = miii.sparse.evaluation.sieve_recall
    return plots.recalls(networks, {name: sieve(ranges.middle, ranges.end, primes) for name, primes in by.items()})


def explained_by_architecture() -> Chart:
    found = analysis.compare.load(miii.runs.homes()[1] / "architectures" / "add-113.jsonl")
    summary = analysis.compare.summary(analysis.compare.table(found))
    return plots.spread(summary, "explained", "variance that the formula explains")


def section() -> None:
    """Show both sections."""
    write.subheader("4.4 Other numbers, other networks", anchor="other")
    if available("residues-113"):
        residues()
    if available("frames-10"):
        frames()
    if available("sparse/grid", "sparse/primes-210"):
        sparse()
    if (runs.homes()[1] / ARCHITECTURES).exists():
        architectures()
    write.subheader("4.5 Goals reached and missed", anchor="ledger")
    short_table(ledger(), "ledger", hide_index=True)


def residues() -> None:
    """Show the preprint's task: all residues at once."""
    found = report("residues-113")
    right = found["accuracy"]
    looking = [max(x0, x1) / (x0 + x1) for x0, x1, _ in found["heads"]]
    active = analysis.multitask.active(analysis.multitask.reported_power(found))
    write.text(
        r"""
**All residues at once.** Syrkis's later preprint asks for 29 additions: from the digits of ${n = x_0 + 113\,x_1}$, predict ${n \bmod q}$ for all primes
below 113.
"""
    )
    cell(
        moduli_over_training,
        stamp=stamp("residues-113"),
        alt="Accuracy by modulus.",
        caption=f"{sum(x >= SOLVED for x in right.values())} of {len(right)} reach {SOLVED:.1%} test accuracy; the worst has "
        f"{found['accuracy_worst']:.1%}.",
    )
    cell(
        active_over_training,
        stamp=stamp("residues-113"),
        alt="Active frequencies.",
        caption=f"Do active frequencies rise and fall, as in the preprint? {counted_by_rule(active)}.",
    )
    yes = "Yes" if found["heads_look_at_one_digit"] else "No"
    write.text(
        f"Does each head attend to one digit, as there? {yes}: it gets at least {min(looking):.2%} of the head's attention to digits."
    )
    link_details("sieve", run="residues-113")


def frames() -> None:
    """Show frames that a decoder generates."""
    found = report("frames-10")
    held, context = found["held_out"], found["context"]
    write.text(
        """
**In the style of GAIA-1**, a network writes frames ${[+d][\\text{digits}][\\text{prime?}]}$: a step, the next integer and its label.
"""
    )
    ahead = found["rollout"]
    write_frames(
        f"It adds, with carries: from {found['sequences']:,} unseen first integers, {ahead[0]['integers']:.1%} of the next are "
        f"correct{_carried(found)}; after {ahead[-1]['ahead']} frames, {ahead[-1]['integers']:.1%}. Labels use little but the last digit: AUC "
        f"{held['auc']:.3f}, by that digit alone {context['digit']:.3f}; beyond it {held['auc_coprime']:.3f}, where earlier labels would give "
        f"{context['labels_coprime']:.3f}."
    )
    link_details("frames", run="frames-10")


def _carried(found: dict[str, Any]) -> str:
    """The hardest sums: over all held-out first frames with the most carries."""
    most = found["by_carries"][-1]
    return f" ({most['integers']:.1%} of the {most['sequences']:,} with {most['carries']} carries)"


@st.fragment
def write_frames(caption: str) -> None:
    """Show three frames after an integer of choice."""
    task = runs.shipped("frames-10", Frames).task_config
    with st.container(horizontal=True, gap="small"):
        n = integer(
            "First integer",
            task.low,
            task.high,
            min(1_987, task.high),
            "first",
            f"{task.low:,} to {task.high:,}",
            width=170,
            linked=False,
        )
        d = integer(
            "Step",
            1,
            task.largest_step,
            min(7, task.largest_step),
            "by",
            f"1 to {task.largest_step}",
            width=120,
            linked=False,
        )
    try:
        cell(
            frames_that_it_writes,
            n=int(n or task.low),
            d=int(d or 1),
            stamp=stamp("frames-10"),
            width="content",
            alt=f"Frames after {n}, by +{d}.",
            caption=caption,
        )
    except InputError as error:
        write.error(error)


def sparse() -> None:
    """Show Lee and Kim's recalls beside trial division."""
    found = miii.sparse.files.report(runs.homes()[1] / "sparse" / "grid")
    digits = miii.sparse.files.report(runs.homes()[1] / "sparse" / "primes-210")
    write.text(
        """
**A recall is worth its baseline.** Lee and Kim report recalls of 99% on primes and 79% on composites, with an integer as a single 1 in a grid of
$150^3$. But ${150 = 2 \\cdot 3 \\cdot 5 \\cdot 5}$: the last coordinate shows whether 2, 3 or 5 divides.
"""
    )
    cell(
        composites_found,
        stamp=(runs.homes()[1] / "sparse" / "grid" / "report.json").stat().st_mtime,
        alt="Recall on composites.",
        caption=f"Neither network gets beyond its last digit: recall on {found.n_test:,} held-out integers is {found.test.composites:.3%} on the grid, "
        f"{digits.test.composites:.3%} in base 210, whose last digit also shows 7.",
    )
    link("sparse", "Look inside: Sparse grid")


def architectures() -> None:
    """Compare architectures under equal conditions."""
    home = runs.homes()[1]
    summary = analysis.compare.summary(analysis.compare.table(analysis.compare.load(home / ARCHITECTURES)))
    every = summary[summary["grokked"] == summary["seeds"]]
    alike = every[every[ADDS] == every["seeds"]]
    write.text(
        """
**Adding on circles needs neither skips nor norms.** All architectures get the same task, split, budget and five seeds.
"""
    )
    cell(
        explained_by_architecture,
        stamp=(home / ARCHITECTURES).stat().st_mtime,
        alt="Variance explained.",
        caption=f"{len(every)} of {len(summary)} architectures grok with every seed; of these, {join_names([f'*{name}*' for name in alike['architecture']])} "
        "always get the verdict *modular addition*. Median and range.",
    )
    link_details("compare", comparison="add-113")
