"""Modular addition on a clock with p hours."""

import math

import altair as alt
import pandas as pd

from miii.errors import InputError
from miii.plots.style import ACCENT, FIXED, MAIN, MUTED, Chart, top_legend

LABELED = 24  #: most hours to number individually
RING = {"a": 0.72, "b more": 0.84}  #: radius of each arc


def clock(a: int, b: int, p: int, size: int = 280) -> Chart:
    """Draw a clock with hours 0 to p - 1: turn to a, then by b, and read off (a + b) mod p.

    Args:
        size: width and height in pixels.

    Raises:
        InputError: p is below 2, or a or b is not in 0 .. p - 1.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4: their network adds by rotations.
    """
    if p < 2 or not (0 <= a < p and 0 <= b < p):
        raise InputError(f"a and b must be hours of a clock with at least two, 0 .. {p - 1} (got {a} and {b}).")
    hours = pd.DataFrame([{"hour": n} | _at(n / p, 1) | _at(n / p, 1.17, "label") for n in range(p)])
    hours["is"] = ["the sum" if n == (a + b) % p else "hour" for n in range(p)]
    turns = pd.DataFrame(
        [
            {"turn": name, "order": i} | _at(start / p + i / 60 * by / p, RING[name])
            for name, start, by in (("a", 0, a), ("b more", a, b))
            for i in range(61)
        ]
    )
    hands = pd.DataFrame(
        [{"turn": name, "x0": 0.0, "y0": 0.0} | _at(n / p, RING[name]) for name, n in (("a", a), ("b more", a + b))]
    )
    scale = alt.Scale(domain=[-1.3, 1.3], nice=False)
    x = alt.X("x:Q", title="to the right", scale=scale, axis=None)
    y = alt.Y("y:Q", title="up", scale=scale, axis=None)
    colors = alt.Scale(domain=[*RING, "the sum"], range=[MAIN, ACCENT, ACCENT])
    color = alt.Color("turn:N", scale=colors, legend=top_legend(values=list(RING)))
    marked = alt.condition("datum.is === 'the sum'", alt.value(ACCENT), alt.value(MUTED))
    dots = (
        alt.Chart(hours)
        .mark_circle(opacity=1)
        .encode(x=x, y=y, color=marked, size=alt.condition("datum.is === 'the sum'", alt.value(190), alt.value(50)))
        .encode(tooltip=["hour:O", "is:N"])
    )
    numbers = (
        alt.Chart(hours if p <= LABELED else hours[hours["is"] == "the sum"])
        .mark_text(fontSize=13)
        .encode(
            x=alt.X("label_x:Q", scale=scale, axis=None),
            y=alt.Y("label_y:Q", scale=scale, axis=None),
            text="hour:O",
            color=marked,
        )
    )
    arcs = alt.Chart(turns).mark_line(strokeWidth=6, strokeCap="round").encode(x=x, y=y, order="order:Q", color=color)
    rays = alt.Chart(hands).mark_rule(strokeWidth=2, opacity=0.6).encode(x=x, y=y, x2="x0:Q", y2="y0:Q", color=color)
    title = f"{a} + {b} = {(a + b) % p} on a clock of {p}"
    return alt.layer(dots, numbers, rays, arcs).properties(title=title, width=size, height=size, autosize=FIXED)


def _at(turn: float, radius: float, name: str = "") -> dict[str, float]:
    """Return the end point of a clockwise turn from the top; 1 is a full turn."""
    before = f"{name}_" if name else ""
    angle = 2 * math.pi * turn
    return {f"{before}x": radius * math.sin(angle), f"{before}y": radius * math.cos(angle)}
