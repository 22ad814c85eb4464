"""The page Sieve for a network that was asked for primes."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

import miii
from miii import analysis, numbers, plots
from miii.plots.style import Chart
from miii.runs import Run
from miii.runs.read import finite
from miii.tasks import Primes
from pages._kit import write
from pages._kit.cell import cell, shared
from pages._kit.inputs import integer
from pages._kit.latex import product
from pages._parts.sieve import interventions, probes
from pages._parts.sieve.interventions import percent
from pages._tasks.primes import depth
from pages._tasks.primes.depth import measured_depth

ABOUT = r"""
A number is prime if no smaller prime $q$ divides it, and $q$ divides it if its digits, each times its power of the base,
add up to 0 modulo $q$: **primality is modular addition**. Nobody tells the network. Its last digit rules out 2 and 5; every
other factor depends on all digits. How far does it sieve, and does it sum their residues?
"""


@shared
def digit_sums(name: str, step: int, q: int) -> tuple[analysis.sieve.Plane, analysis.sieve.Heads]:
    run = miii.runs.open(name, miii.Primes)
    model, task, config = run.model(step), run.task(), run.task_config
    seen = analysis.sieve.moduli_to_test(config, measured_depth(name, step))[1]
    layer = analysis.sieve.block_of_sum(model, task, config, q, tuple(p for p in seen if p != q))
    fitted, held_out = (analysis.sieve.sum_of_split(model, task, config, side, layer=layer) for side in (True, False))
    metric = analysis.sieve.sensitivity(model, fitted)
    plane = analysis.sieve.plane(fitted, held_out, q)
    return plane, analysis.sieve.heads(held_out, metric, q)


def digit_plane(name: str, step: int, q: int) -> Chart:
    config = miii.runs.open(name, miii.Primes).task_config
    return plots.digit_plane(digit_sums(name, step, q)[0], config.base)


def heads(name: str, step: int, q: int) -> tuple[Chart, Chart]:
    config = miii.runs.open(name, miii.Primes).task_config
    places = miii.numbers.place_names(config.base, config.width)
    found = digit_sums(name, step, q)[1]
    return plots.head_attention(found, [*places, "?"]), plots.head_sums(found, places)


def page(run: Run, task: Primes, step_of: Callable[[Run], int]) -> None:
    """Everything about one snapshot."""
    write.text(ABOUT)
    name, step = run.name, step_of(run)
    with st.spinner("Judging the held-out integers …", show_time=True):
        found = measured_depth(name, step)
    depth.depth_of_sieve(run, step, found)
    moduli, seen = analysis.sieve.moduli_to_test(task, found)
    write.header("What does each digit add?", anchor="digits")
    write.text(
        rf"""
Attention is a sum: from each place, each head takes what the digit there has to say, and the neurons read the total. If the
network sums residues modulo $q$, all that counts of a digit is its **residue**, digit · ${task.base}^\mathrm{{place}} \bmod q$: digits
with the same residue must add the same. A network that adds integers and looks the sum up afterwards would tell them apart.
"""
    )
    q = choose_modulus(moduli, seen)
    with st.spinner("Taking the sum apart …", show_time=True):
        what_digits_add(run, task, step, q)
    explained = st.container()
    who_adds(run, step, q)
    waiting = st.container()  # what takes longer is filled in after the rest of the page is there
    verdict = st.container()
    try_a_number(run, task, step, q, found)
    with explained, st.spinner("Measuring …", show_time=True):
        how_much(task, q, interventions.added(name, step, q, seen).explained)
    with waiting:
        interventions.section(run, step, q, seen)
        interventions.totals(run, step, q, seen)
        probes.probes(run, step, moduli, q)
    with verdict:
        interventions.verdict(run, step, moduli, seen, q)


def choose_modulus(moduli: tuple[int, ...], seen: tuple[int, ...]) -> int:
    """By which prime the page looks for a sum of residues."""
    chosen = st.segmented_control(
        "Modulus q",
        moduli,
        default=seen[0] if seen else moduli[0],
        required=True,
        key="modulus",
        bind="query-params",
        help="The primes below 14 that do not divide the base, and those that it sieves by; the sections below are about it",
    )
    return int(chosen or moduli[0])  # an empty value in the URL gives None


def what_digits_add(run: Run, config: Primes, step: int, q: int) -> None:
    """The plane of residues."""
    plane, _ = digit_sums(run.name, step, q)
    cell(
        digit_plane,
        name=run.name,
        step=step,
        q=q,
        width="content",
        alt=f"For each place a dot a digit, colored by digit times {config.base}^place modulo {q}.",
        caption=f"Each dot is what a digit adds on average, in the two directions in which residues modulo {q} differ most. "
        f"{percent(plane.share, 0)} of the variance of these means lies in them, {percent(plane.first, 0)} in the first alone. The last digit is one that no divisor of {config.base} divides.",
    )


def how_much(config: Primes, q: int, explained: analysis.sieve.Explained) -> None:
    """What the residue explains of the digits' contributions."""
    places = numbers.place_names(config.base, config.width)
    if math.isnan(explained.share):
        write.text(
            "What digits add does not vary, as the output feels it, so there is nothing for a residue to explain."
        )
        return
    write.text(
        f"As the output feels it, the residue modulo {q} explains **{explained.share:.1%}** of the variance of what digits add; "
        f"renamed at random, it explains {explained.chance:.1%}. The digit itself explains {explained.by_digit:.1%}: no residue "
        f"can explain more. One and the same meaning of a residue at all places explains {explained.pooled:.1%}."
    )
    if q >= config.base:
        write.caption(
            f"{q} is at least the base {config.base}: each digit has a residue of its own, so the residue by place explains as much "
            "as the digit in any network. The verdict goes by the last of these shares."
        )
    write.table(
        {place: [finite(share)] for place, share in zip(places, explained.by_place, strict=True)},
        width="content",
        column_config={place: st.column_config.NumberColumn(format="percent") for place in places},
        name="residue-share-by-place",
    )
    write.caption(f"Share explained by the residue modulo {q}, place by place.")


def who_adds(run: Run, step: int, q: int) -> None:
    """Heads."""
    write.header("Who adds?", anchor="heads")
    write.text(
        "Attention is the summing operation: a head that attends evenly takes from every digit alike. The right picture splits what "
        "residues add among heads and places; its shares add up to 100 %."
    )
    found = digit_sums(run.name, step, q)[1]
    most = found.adds.sum(1)
    evenness = found.attends[:, :-1]
    cell(
        heads,
        name=run.name,
        step=step,
        q=q,
        width="content",
        alt=f"A row for each of {len(most)} heads, a column for each place.",
    )
    shares = ", ".join(f"head {h} {round(share, 2) + 0.0:.0%}" for h, share in enumerate(most.tolist()))
    write.caption(
        f"Together over the places: {shares}. Digits get {evenness.sum(1).min():.0%} to {evenness.sum(1).max():.0%} of a head's "
        "attention, the answer's own position the rest."
    )


def try_a_number(run: Run, task: Primes, step: int, q: int, found: analysis.sieve.Depth) -> None:
    """One integer: the evidence, the truth, and the residues of its digits."""
    write.header("Try a number", anchor="try")
    n = integer(
        "n",
        task.low,
        task.high,
        min(max(task.low, 30_031), task.high),
        "n",
        f"Any integer from {task.low:,} to {task.high:,}",
        width=180,
    )
    n = task.low if n is None else n
    built = run.task()
    tokens = task.encode(np.array([n]))
    evidence = float(analysis.sieve.evidence(run.model(step), built.tokens.new_tensor(tokens))[0])
    factors = numbers.factors(n)
    prime = factors == {n: 1}
    where = (built.facts["n"] == n).nonzero()[:, 0].tolist()
    side = (
        "not in its data"
        if not where
        else "in its training half"
        if built.train_mask[where[0]]
        else "that it has never seen"
    )
    said = "prime" if evidence >= found.threshold else "composite"
    with st.container(horizontal=True):
        write.metric("Evidence", f"{evidence:.2f}", border=True, help="The logit of prime less that of composite")
        write.metric(
            "It says",
            said,
            border=True,
            help=f"Prime from {found.threshold:.2f} on, the threshold of best F1 in training",
        )
        write.metric("The truth", "prime" if prime else "composite", border=True)
    write.text(f"${n} = {product(factors)}$, a number {side}.")
    digits = [int(digit) for digit in numbers.digits(np.array([n]), task.base, task.width)[0]]
    residues = [digit * task.base ** (task.width - 1 - i) % q for i, digit in enumerate(digits)]
    table = pd.DataFrame([digits, residues], columns=numbers.place_names(task.base, task.width))
    table.insert(0, "", ["digit", f"digit · place mod {q}"])
    write.table(table, width="content", name="digits-and-residues")
    write.text(
        rf"${' + '.join(map(str, residues))} \equiv {n % q} \pmod{{{q}}}$"
        + (f": {q} divides {n}." if n % q == 0 else ".")
    )
