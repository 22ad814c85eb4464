"""One integer's sum, digit by digit, among the sums of others."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float

from miii.analysis.sieve import DivisorTest
from miii.plots.style import ACCENT, CATEGORY, FIXED, MUTED, Chart, top_legend

NEAR = 0.06  #: stations closer than this share of the picture share a label
LABELED = 7  #: most residues with separate colors


def digit_path(
    values: DivisorTest, path: Float[np.ndarray, "stations 2"], digits: Sequence[str], n: int, size: int = 300
) -> Chart:
    """Draw the path of one integer's sum through the plane of residues, digit by digit, among other sums.

    Args:
        path: from ``values.path``, with one more station than digits.
        digits: labels of the steps.
    """
    q = values.q
    several = q <= LABELED
    domain = [f"{r} mod {q}" for r in range(q)] if several else [f"multiple of {q}", "other"]
    names = [domain[r if several else min(r, 1)] for r in values.residues]
    sample = pd.DataFrame({"x": values.sample[:, 0], "y": values.sample[:, 1], "residue": names})
    steps = pd.DataFrame(path, columns=["x", "y"])
    steps["digit"] = ["start", *digits]
    steps["order"] = range(len(steps))
    steps["label"] = _together(
        path, ["start", *(f"+{digit}" for digit in digits)], NEAR * float(np.ptp(values.sample, 0).max())
    )
    axis = alt.Axis(labels=False, ticks=False, tickCount=3, domain=False)
    x = alt.X("x:Q", title="first direction", axis=axis, scale=alt.Scale(zero=False))
    y = alt.Y("y:Q", title="second direction", axis=axis, scale=alt.Scale(zero=False))
    colors = alt.Scale(
        domain=domain, range=[ACCENT, *[c for c in CATEGORY if c != ACCENT]] if several else [ACCENT, MUTED]
    )
    dots = (
        alt.Chart(sample)
        .mark_circle(size=22, opacity=0.4)
        .encode(
            x=x,
            y=y,
            color=alt.Color("residue:N", scale=colors, legend=top_legend(columns=4)),
            tooltip=["residue:N", alt.Tooltip("x:Q", format=".3f"), alt.Tooltip("y:Q", format=".3f")],
        )
    )
    tooltip: list[Any] = ["digit:N", alt.Tooltip("x:Q", format=".3f"), alt.Tooltip("y:Q", format=".3f")]
    base = alt.Chart(steps).encode(x="x:Q", y="y:Q", tooltip=tooltip)
    way = base.mark_line(color=MUTED, strokeWidth=2, point=alt.OverlayMarkDef(color=MUTED, size=36))
    end = base.transform_filter(f"datum.order === {len(digits)}").mark_point(
        size=260, strokeWidth=3, color=MUTED, shape="diamond"
    )
    texts = base.mark_text(dx=9, dy=-9, fontSize=13, fontWeight="bold", color=MUTED).encode(text="label:N")
    return alt.layer(dots, way.encode(order="order:Q"), end, texts).properties(
        title=f"The sum of {n}, digit by digit, modulo {q}", width=size, height=size, autosize=FIXED
    )


def _together(path: Float[np.ndarray, "stations 2"], names: Sequence[str], near: float) -> list[str]:
    """Return the labels of stations; a station close to an earlier one shares its label."""
    labels = list(names)
    for i, name in enumerate(names):
        first = int((np.linalg.norm(path[: i + 1] - path[i], axis=1) <= near).argmax())
        if first < i:
            labels[first], labels[i] = f"{labels[first]} {name}".strip(), ""
    return labels
