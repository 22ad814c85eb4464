"""The page Sieve for a network that was trained on the gcd: its list of divisors, and what the list explains."""

import math
import statistics
from collections.abc import Callable
from typing import Any

import streamlit as st

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from miii.runs import Run
from miii.runs.read import finite
from miii.tasks import GCD
from pages._kit import inputs, write
from pages._kit.cell import cell, shared
from pages._tasks.view import share

RUNS = "gcd.jsonl"

#: Labels and helps of the metrics, on every page.
LEARNED = ("Learned divisors", f"Correct on at least {miii.tasks.gcd.LEARNED:.0%} of the held-out pairs of that gcd")
EXPLAINED = ("Explained by the list", "Pairs answered with their largest learned divisor")
UNLEARNED = ("On unlearned gcds", "Pairs whose gcd is not learned")
ACCURACY = ("Test accuracy", "On equally many pairs of each gcd")


@shared
def measured(name: str, step: int) -> analysis.sieve.Divisors:
    run = miii.runs.open(name)
    config = analysis.sieve.check_gcd(run.config.task)
    return analysis.sieve.divisors(run.model(step), run.task(), config)


def learned_divisors(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    learned = analysis.sieve.learned_over_training(run.metrics())
    config = analysis.sieve.check_gcd(run.config.task)
    return plots.at_step(plots.learned_divisors(learned, config.theory), step)


def gcd_answers(name: str, step: int) -> Chart:
    return plots.gcd_answers(measured(name, step).answers)


def digit_swaps(name: str, step: int) -> Chart:
    swap = measured(name, step).swap
    assert swap is not None
    return plots.digit_swaps(swap)


def divisors_by_base() -> tuple[Chart, ...]:
    found = analysis.sieve.load_runs(miii.runs.homes()[1] / "gcd.jsonl")
    parts = {drawn: [each for each in found if each["drawn"] == drawn] for drawn in ("uniform", "log-uniform")}
    return tuple(plots.divisors_by_base(part, drawn) for drawn, part in parts.items() if part)


def page(run: Run, task: GCD, step_of: Callable[[Run], int]) -> None:
    """The list at one snapshot, the list over training, its answers, and the digits that decide."""
    write.text(
        f"Networks that predict the gcd from digits, here in base {task.base}, learn a **list of divisors**, those of the base first, and answer with the **largest "
        "listed divisor of both integers** (Charton 2023)."
    )
    step = step_of(run)
    with st.spinner("Measuring …", show_time=True):
        found = measured(run.name, step)
    with st.container(horizontal=True):
        write.metric(
            LEARNED[0],
            len(found.learned),
            border=True,
            help=LEARNED[1],
        )
        write.metric(
            EXPLAINED[0],
            share(found.follows),
            border=True,
            help=EXPLAINED[1],
        )
        write.metric(
            UNLEARNED[0],
            share(found.follows_new),
            border=True,
            help=UNLEARNED[1],
        )
        write.metric(ACCURACY[0], share(found.accuracy), border=True, help=ACCURACY[1])
    learned(run, step, found)
    explained(run, step, found)
    decided(run, step, found, task)
    ask(run, step, found, task)
    if (miii.runs.homes()[1] / RUNS).exists():  # an installed package has no shipped runs
        bases()


def learned(run: Run, step: int, found: analysis.sieve.Divisors) -> None:
    """The list, and how it grew."""
    write.header("Learned divisors", anchor="learned")
    extra = listed(found.extra)
    write.text(
        f"At step {step}: **{listed(found.learned)}**. "
        + (
            f"Not products of the base's primes: **{extra}**."
            if found.extra
            else "All are products of the base's primes." * bool(found.learned)
        )
        + (
            f" Products that are not learned, up to {len(found.answers)}: {listed(found.missing)}."
            if found.missing
            else ""
        )
    )
    cell(
        learned_divisors,
        name=run.name,
        step=step,
        stamp=len(run.metrics()),
        caption=theory(found),
    )


def theory(found: analysis.sieve.Divisors) -> str:
    """How the list compares with the divisors of powers of the base."""
    predicted = found.predicted
    if not predicted.digits:
        return "The divisors of the base are not all learned."
    digits = "the last digit decides" if predicted.digits == 1 else f"the last {predicted.digits} digits decide"
    known = f"It knows all divisors that {digits}"
    if predicted.equal:
        return f"{known}, and no others."
    return f"{known}, and some that one more digit decides." if predicted.between else f"{known}, and others."


def explained(run: Run, step: int, found: analysis.sieve.Divisors) -> None:
    """The answers by gcd, beside the rule's."""
    write.header("Does the list explain every answer?", anchor="rule")
    differ = [each for each in found.answers if each.common != each.rule]
    write.text(
        f"The most common answer is the largest learned divisor for **{found.agreeing} of {len(found.answers)}** gcds. "
        + (f"Exceptions: {listed([each.gcd for each in differ])}." if differ else "")
    )
    cell(
        gcd_answers,
        name=run.name,
        step=step,
        caption=f"Rings: the list's prediction. Random lists of equal length explain {share(found.follows_random)} of the pairs with unlearned gcds.",
    )
    with st.expander("Every gcd"):
        write.table(
            [
                {
                    "gcd": each.gcd,
                    "most common answer": each.common,
                    "share": finite(each.share),
                    "largest learned divisor": each.rule,
                    "agree": each.common == each.rule,
                }
                for each in found.answers
            ],
            width="content",
            column_config={"share": st.column_config.NumberColumn(format="percent")},
            name="answers-by-gcd",
        )


def decided(run: Run, step: int, found: analysis.sieve.Divisors, task: GCD) -> None:
    """Swap digits between pairs."""
    write.header("Which digits decide?", anchor="digits")
    swap = found.swap
    if swap is None:
        write.text("No digits can be swapped here.")
        return
    digits = "digit" if swap.digits == 1 else f"{swap.digits} digits"
    write.text(
        f"We replace the last {digits} of both integers by those of a pair with another answer. Control: the {task.width - swap.digits} leading digits."
    )
    cell(
        digit_swaps,
        name=run.name,
        step=step,
        caption=f"{share(swap.last)} of {swap.pairs:,} pairs take the other pair's answer; with its leading digits, {share(swap.leading)}. The list "
        f"predicts {share(swap.follows)} of the new answers.",
    )


def ask(run: Run, step: int, found: analysis.sieve.Divisors, task: GCD) -> None:
    """A pair of the reader's own."""
    write.header("Try a pair", anchor="ask")
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        a, b = choose(task)
    answer = analysis.sieve.answer_gcd(run.model(step), task, a, b)
    rule = max((k for k in found.learned if math.gcd(a, b) % k == 0), default=None)
    write.text(
        f"Prediction **{answer}**. The gcd is {math.gcd(a, b)}; the largest learned divisor is {'none' if rule is None else rule}."
    )


def choose(task: GCD) -> tuple[int, int]:
    """Show the choice of two integers."""
    says = f"1 to {task.high:,}"
    a = inputs.integer("a", 1, task.high, min(1_260, task.high), "gcd_a", says) or 1
    b = inputs.integer("b", 1, task.high, min(708, task.high), "gcd_b", says) or 1
    return a, b


def bases() -> None:
    """Small runs in other bases: what all seeds learn, beside the theory."""
    write.header("Other bases", anchor="bases")
    found = analysis.sieve.load_runs(miii.runs.homes()[1] / RUNS)
    write.text(
        f"Prediction: the divisors of the base, which one digit decides, then those of its square, and no others. In {len(found)} runs of "
        f"{found[0]['steps']} steps:"
    )
    for drawn in dict.fromkeys(each["drawn"] for each in found):
        write.text(f"- {drawn.capitalize()} operands: {summary([each for each in found if each['drawn'] == drawn])}")
    cell(
        divisors_by_base,
        stamp=(miii.runs.homes()[1] / RUNS).stat().st_mtime_ns,
        caption="Divisors that no run learned are left out.",
    )
    with st.expander("Every base"):
        write.table(by_base(found), width="content", name="gcd-by-base")


def summary(found: list[dict[str, Any]]) -> str:
    """How many lists are as predicted, and how much they explain, in words."""
    equal, between = (sum(each["predicted"][name] for each in found) for name in ("equal", "between"))
    new, chance = (statistics.median(each[name] for each in found) for name in ("follows_new", "follows_random"))
    worst = min(found, key=lambda each: each["follows_new"])
    bases = sorted({each["base"] for each in found})
    of = {base: [each["predicted"]["equal"] for each in found if each["base"] == base] for base in bases}
    differ = [str(base) for base, exact in of.items() if 2 * sum(exact) <= len(exact)]
    where = f"; they differ in {', '.join(differ)}" if differ else ""
    seeds = sorted({len(exact) for exact in of.values()})
    beyond = {
        base: {k for each in found if each["base"] == base for k in {*each["learned"]} - {*each["theory"]}}
        for base in bases
    }
    others = "; ".join(f"{listed(sorted(extra))} in base {base}" for base, extra in beyond.items() if extra)
    return (
        f"lists are as predicted in **{len(bases) - len(differ)} of {len(bases)} bases**, in most of {' or '.join(map(str, seeds))} seeds{where}; "
        f"**{between} of {len(found)}** are in the predicted order, {equal} of them exact. On unlearned gcds, the list explains {new:.1%} of the pairs "
        f"(median; random lists: {chance:.1%}), and least in base {worst['base']}: {worst['follows_new']:.1%} (leading digits decide "
        f"{worst['swap']['leading']:.1%}). Not products of the base's primes: **{others or 'none'}**."
    )


def by_base(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each base and distribution of the operands."""
    rows = []
    for drawn, base in sorted({(each["drawn"], each["base"]) for each in found}, reverse=True):
        same = [each for each in found if (each["drawn"], each["base"]) == (drawn, base)]
        common = set.intersection(*(set(each["learned"]) for each in same))
        some = set.union(*(set(each["learned"]) for each in same)) - common
        rows.append(
            {
                "base": base,
                "operands": drawn,
                "seeds": len(same),
                "learned by all": listed(sorted(common)),
                "by some": listed(sorted(some)),
                "divisors of base^m": f"{sum(each['predicted']['equal'] for each in same)} of {len(same)}",
                "list explains": f"{statistics.median(each['follows_new'] for each in same):.1%}",
                "random lists": f"{statistics.median(each['follows_random'] for each in same):.1%}",
            }
        )
    return sorted(rows, key=lambda row: (row["operands"] != "uniform", row["base"]))


def listed(values: tuple[int, ...] | list[int]) -> str:
    """Integers as a list; "none" without any."""
    return ", ".join(map(str, values)) or "none"
