"""Pictures of the primes on the Data page: by size, by residue, by angle, in a spiral."""

import math

import streamlit as st

from miii import analysis, numbers, plots
from miii.plots.style import Chart
from miii.tasks.primes import Primes
from pages._kit import write
from pages._kit.cell import cell
from pages._kit.inputs import integer


def density(low: int, high: int) -> Chart:
    return plots.density(analysis.integers.density(low, high))


def wheel(low: int, high: int, q: int) -> Chart:
    return plots.wheel(analysis.integers.classes(low, high, q))


def polar(high: int, q: int, others: bool) -> Chart:
    return plots.polar(analysis.integers.polar(1, high, q, others))


def ulam(side: int, start: int, q: int | None) -> Chart:
    return plots.ulam(analysis.integers.ulam(side, start), q)


def section(task: Primes) -> None:
    """Where the primes are: by size, by residue, by angle, in a spiral."""
    write.header("How dense are the primes?", anchor="density")
    cell(
        density,
        low=task.low,
        high=task.high,
        alt=f"Dots: share of primes in bins of the range {task.low} to {task.high}; a curve: 1 / ln n.",
        caption="Every integer of the range is counted, also those that are not in the data set. Near n, one in ln n is prime: a "
        "network that knows only the size of its integer can say no more than this.",
    )
    write.header("Residues", anchor="residues")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        q = integer("Modulus q", 2, 120, 30, "q", "2 to 120") or 30
        reach = (
            integer(
                "Polar plot up to",
                10,
                100_000,
                2_500,
                "reach",
                "The largest n in it, 10 to 100,000",
                width=160,
                step=500,
            )
            or 2_500
        )
        others = st.toggle(
            "Integers that are neither",
            True,
            key="others",
            bind="query-params",
            help="Whether those that are neither prime nor a multiple of q are drawn in the polar plot",
        )
    coprime = sum(math.gcd(r, q) == 1 for r in range(q))
    left, right = st.columns(2)
    with left:
        cell(
            wheel,
            low=task.low,
            high=task.high,
            q=q,
            width="content",
            alt=f"A wheel of {q} sectors; gray: integers of each class modulo {q}; blue: primes.",
            caption=f"Primes that do not divide {q} fall into {coprime} of the {q} classes, those coprime to {q}, and into each of "
            "these about equally often (Dirichlet). A sieve is a wheel for every prime.",
        )
    with right:
        shown = analysis.integers.polar(1, reach, q, others)
        cell(
            polar,
            high=reach,
            q=q,
            others=others,
            width="content",
            alt=f"Points at the radius n and the angle n for n up to {reach}; primes and multiples of {q} are marked.",
            caption=f"{len(shown.n):,} points"
            + (f"; {shown.left_out:,} further integers up to {reach:,} are left out" if shown.left_out else "")
            + ". 44 radians are nearly 7 turns, so the integers lie on 44 arms, their classes modulo 44; primes keep to the "
            "20 arms coprime to 44.",
        )
    write.header("Ulam's spiral", anchor="ulam")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        side = st.slider("Side", 51, 801, 201, 50, key="side", bind="query-params", width=240, help="Integers a side")
        start = integer("Begins at", 0, numbers.LARGEST - 801**2, 1, "start", "In the middle", width=160) or 0
        marked = st.toggle(
            "Mark multiples of q", key="marked", bind="query-params", help="Multiples of the modulus chosen above"
        )
    cell(
        ulam,
        side=int(side),
        start=start,
        q=q if marked else None,
        width="content",
        alt=f"A square spiral of the integers from {start} on, {side} a side, with the primes marked.",
        caption=f"{side**2:,} integers. A diagonal is a quadratic polynomial in n; some of them are rich in primes. "
        "From 41 the long diagonal is Euler's n² + n + 41.",
    )
