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
    """Show the primes by size, residue and angle, and in a spiral."""
    write.header("Density", anchor="density")
    cell(
        density,
        low=task.low,
        high=task.high,
        caption="Near n, about one in ln n is prime.",
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
                "10 to 100,000",
                width=160,
                step=500,
            )
            or 2_500
        )
        others = st.toggle(
            "Other integers",
            True,
            key="others",
            bind="query-params",
            help="Neither prime nor a multiple of q",
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
            caption=f"Primes that do not divide {q} fall into the {coprime} classes coprime to {q}, about equally often (Dirichlet).",
        )
    with right:
        shown = analysis.integers.polar(1, reach, q, others)
        cell(
            polar,
            high=reach,
            q=q,
            others=others,
            width="content",
            caption=f"{len(shown.n):,} points"
            + (f"; {shown.left_out:,} more up to {reach:,} are left out" if shown.left_out else "")
            + ". 44 radians are nearly 7 turns, so classes modulo 44 form arms; primes stay on 20 of them.",
        )
    write.header("Ulam's spiral", anchor="ulam")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        side = st.slider("Side", 51, 801, 201, 50, key="side", bind="query-params", width=240, help="Integers per side")
        start = integer("Start", 0, numbers.LARGEST - 801**2, 1, "start", width=160) or 0
        marked = st.toggle("Mark multiples of q", key="marked", bind="query-params")
    cell(
        ulam,
        side=int(side),
        start=start,
        q=q if marked else None,
        width="content",
        caption="Diagonals are quadratic polynomials; from 41, the one rich in primes is Euler's n² + n + 41.",
    )
