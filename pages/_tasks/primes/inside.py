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
from pages._parts.sieve import interventions, lines, probes
from pages._parts.sieve.interventions import percent
from pages._tasks.primes import bases, depth
from pages._tasks.primes.depth import measured_depth
from pages._tasks.view import logit

ABOUT = r"""
The last digit reveals the factors of the base; any other factor takes **modular addition** over all digits.
"""


@shared
def digit_sums(name: str, step: int, q: int) -> tuple[analysis.sieve.Plane, analysis.sieve.Heads]:
    run = miii.runs.open(name, miii.Primes)
    model, task, config = run.model(step), run.task(), run.task_config
    seen = analysis.sieve.moduli_to_test(config, measured_depth(name, step))[1]
    by_block = analysis.sieve.sums_by_block(model, task, config)
    layer = analysis.sieve.block_of_sum(model, by_block, q, tuple(p for p in seen if p != q))
    fitted, held_out = by_block[layer], analysis.sieve.sum_of_split(model, task, config, False, layer=layer)
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
    with st.spinner("Measuring …", show_time=True):
        found = measured_depth(name, step)
    verdict = st.container()  # first on the page, measured last
    depth.depth_of_sieve(run, step, found)
    moduli, seen = analysis.sieve.moduli_to_test(task, found)
    write.header("What does each digit add?", anchor="digits")
    write.text(
        rf"""
Attention sums one vector per place. If the network sums residues modulo $q$, digits with the same **residue**,
${{\text{{digit}} \cdot {task.base}^\text{{place}} \bmod q}}$, contribute the same vector.
"""
    )
    q = choose_modulus(moduli, seen)
    with st.spinner("Measuring …", show_time=True):
        what_digits_add(run, task, step, q)
    explained = st.container()
    who_adds(run, step, q)
    waiting = st.container()  # slow parts are filled in once the rest of the page is there
    try_a_number(run, task, step, q, found)
    others = st.container()  # takes seconds on a cold server
    with explained, st.spinner("Measuring …", show_time=True):
        how_much(task, q, interventions.added(name, step, q, seen).explained)
    with waiting:
        interventions.section(run, step, q, seen)
        on_lines = lines.section(run, step, q, seen) if len(seen) > 1 else ()
        interventions.totals(run, step, q, seen)
        probes.probes(run, step, moduli, q)
    with verdict:
        interventions.verdict(run, step, moduli, seen, q, on_lines)
    with others:
        bases.section()


def choose_modulus(moduli: tuple[int, ...], seen: tuple[int, ...]) -> int:
    """Return the prime whose residues the page looks at."""
    chosen = st.segmented_control(
        "Modulus q",
        moduli,
        default=seen[0] if seen else moduli[0],
        required=True,
        key="modulus",
        bind="query-params",
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
        caption=f"Means, in the two directions where residues modulo {q} differ most: {percent(plane.share, 0)} of the variance "
        f"({percent(plane.first, 0)} in the first).",
    )


def how_much(config: Primes, q: int, explained: analysis.sieve.Explained) -> None:
    """How much of the digits' contributions the residue explains."""
    places = numbers.place_names(config.base, config.width)
    if math.isnan(explained.share):
        write.text("Contributions do not vary in directions that affect the output.")
        return
    write.text(
        f"The residue modulo {q} explains **{explained.share:.1%}** of the variance of contributions, weighted by their effect on the output "
        f"(relabeled at random: {explained.chance:.1%}; the digit itself: {explained.by_digit:.1%}; one vector per residue for all places: "
        f"{explained.pooled:.1%})."
    )
    if q >= config.base:
        write.caption(
            f"Modulo {q}, every digit has its own residue, so the first share says nothing; the verdict uses the last."
        )
    write.table(
        {place: [finite(share)] for place, share in zip(places, explained.by_place, strict=True)},
        width="content",
        column_config={place: st.column_config.NumberColumn(format="percent") for place in places},
        name="residue-share-by-place",
    )
    write.caption("Variance explained, by place.")


def who_adds(run: Run, step: int, q: int) -> None:
    """Heads."""
    write.header("Which heads add?", anchor="heads")
    found = digit_sums(run.name, step, q)[1]
    most = found.adds.sum(1)
    evenness = found.attends[:, :-1]
    cell(
        heads,
        name=run.name,
        step=step,
        q=q,
        width="content",
    )
    shares = ", ".join(f"head {h} {round(share, 2) + 0.0:.0%}" for h, share in enumerate(most.tolist()))
    received = " to ".join(dict.fromkeys(f"{share:.0%}" for share in (evenness.sum(1).min(), evenness.sum(1).max())))
    write.caption(f"Digits get {received} of each head's attention. Contributions over all places: {shares}.")


def try_a_number(run: Run, task: Primes, step: int, q: int, found: analysis.sieve.Depth) -> None:
    """One integer: the evidence, the true label, and the residues of its digits."""
    write.header("Try a number", anchor="try")
    n = integer(
        "n",
        task.low,
        task.high,
        min(max(task.low, 30_031), task.high),
        "n",
        f"{task.low:,} to {task.high:,}",
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
        "outside its data"
        if not where
        else "from its training split"
        if built.train_mask[where[0]]
        else "it has never seen"
    )
    said = "prime" if evidence >= found.threshold else "composite"
    with st.container(horizontal=True):
        write.metric("Evidence", logit(evidence), border=True, help=depth.EVIDENCE)
        write.metric(
            "Prediction",
            said,
            border=True,
            help=depth.from_threshold(found.threshold),
        )
        write.metric("Label", "prime" if prime else "composite", border=True)
    write.text(f"${n} = {product(factors)}$, an integer {side}.")
    digits = [int(digit) for digit in numbers.digits(np.array([n]), task.base, task.width)[0]]
    residues = [digit * task.base ** (task.width - 1 - i) % q for i, digit in enumerate(digits)]
    table = pd.DataFrame([digits, residues], columns=numbers.place_names(task.base, task.width))
    table.insert(0, "", ["digit", f"digit · place mod {q}"])
    write.table(table, width="content", name="digits-and-residues")
    write.text(
        rf"${' + '.join(map(str, residues))} \equiv {n % q} \pmod{{{q}}}$"
        + (f": {q} divides {n}." if n % q == 0 else ".")
    )
