"""Lines of residues, for the page Sieve of a network that sieves by several primes."""

import streamlit as st

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from miii.runs import Run
from miii.runs.read import finite
from pages._kit import write
from pages._kit.cell import cell, shared
from pages._parts.sieve.interventions import added, percent

#: Columns of shares, with what the page writes above them.
SHARES = {
    "agreement": "agreement",
    "by chance": "chance",
    "moves cross": "cross",
    "control": "control",
    "residue follows": "follow",
    "random move": "random",
    "others stay": "others stay",
    "a turn keeps": "turn keeps",
}


@shared
def lines(name: str, step: int, seen: tuple[int, ...]) -> tuple[analysis.sieve.Lines, ...]:
    run = miii.runs.open(name, miii.Primes)
    reported = analysis.sieve.reported_lines(run.report, step, seen)
    if reported is not None:
        return reported
    found = tuple(added(name, step, q, seen) for q in seen)
    return analysis.sieve.measure_lines(run.model(step), run.task(), run.task_config, found, seen)


def digit_steps(name: str, step: int, seen: tuple[int, ...], q: int) -> Chart:
    (found,) = (each for each in lines(name, step, seen) if each.q == q)
    return plots.digit_steps(found, miii.runs.open(name, miii.Primes).task_config.base)


def section(run: Run, step: int, q: int, seen: tuple[int, ...]) -> tuple[analysis.sieve.Lines, ...]:
    """Show the lines of every sieved prime, and what moving sums along them changes."""
    write.header("Several moduli in one sum", anchor="lines")
    write.text(
        f"""
The {len(seen)} factors share the sum's few dimensions, so their planes overlap. Along a **line** of q, each digit moves the sum by its
residue in equal steps, up to turns of q steps. Moving along it should change *n* mod q and nothing else.
"""
    )
    with st.spinner("Looking for lines …", show_time=True):
        found = lines(run.name, step, seen)
    write.table(
        [
            {
                "q": each.q,
                "sums on lines": each.adds,
                "block": each.layer,
                "lines": len(each.lines),
                "agreement": finite(each.agreement),
                "by chance": finite(each.chance),
                "moves cross": finite(each.steering.accuracy),
                "control": finite(each.steering.control),
                "residue follows": each.follows,
                "random move": each.random,
                "others stay": each.stays,
                "a turn keeps": each.turn,
            }
            for each in found
        ],
        width="content",
        column_config={name: st.column_config.NumberColumn(label, format="percent") for name, label in SHARES.items()},
        name="lines-by-modulus",
    )
    write.caption(
        "Agreement: how close held-out sums lie to their residue's position (chance: residues permuted among digits). Follow: predictions of "
        "the new n mod q (random: random moves). Others stay: other residues, unchanged. Turn keeps: residues unchanged by a whole turn."
    )
    for each in found:
        if each.adds and each.turn is not None:
            write.text(
                f"Modulo {each.q}, the network sums residues on lines. If it added digits, a whole turn would change nothing; it changes "
                f"{percent(1 - each.turn)} of predictions."
            )
    short = [
        f"modulo {each.q} on {'; '.join(condition.text for condition in each.conditions if not condition.holds)}"
        for each in found
        if each.lines and not each.adds
    ]
    if short:
        write.text(f"It falls short {', '.join(short)}.")
    shown = next((each for each in found if each.q == q and each.lines), None)
    if shown is not None:
        cell(
            digit_steps,
            name=run.name,
            step=step,
            seen=seen,
            q=q,
            caption=f"Dots lie at whole steps, {q} apart within a residue. Agreement {percent(shown.agreement)}, by chance {percent(shown.chance)}.",
        )
    return found
