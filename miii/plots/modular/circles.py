"""Several circles of an embedding in one chart."""

import math
from collections.abc import Sequence

import altair as alt
import pandas as pd

from miii.analysis.modular.fourier import Circle
from miii.plots.style import FIXED, MUTED, Chart

ACROSS = 2  #: circles in a row
BARE = alt.Axis(labels=False, ticks=False, grid=False, domain=False)


def circles(values: Sequence[Circle], size: int = 250) -> Chart:
    """Draw the tokens on several circles, two per row, on one scale.

    A circle's area is its share of the variance. Colors run once around each circle: token n has color k n mod p.

    Args:
        values: the circles, of one embedding.
        size: width and height in pixels.

    Source: Liu et al. 2022 (arXiv 2205.10343), figure 1.
    """
    rows, names = [], []
    for i, each in enumerate(values):
        p, right, down = len(each.xy), i % ACROSS, i // ACROSS
        spread = each.xy.square().sum(1).mean().sqrt().clamp_min(1e-9)
        points = each.xy / spread * math.sqrt(each.variance) * 0.65  # neighbors touch at 60%
        rows += [
            {"token": n, "k": each.frequency, "turn": n * each.frequency % p / p, "x": right + x, "y": -down + y}
            for n, (x, y) in enumerate(points.tolist())
        ]
        names.append({"x": right, "y": -down - 0.47, "text": f"k = {each.frequency}: {each.variance:.0%}"})
    high = -((len(values) - 1) // ACROSS)
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("x:Q", title="cosine direction", axis=BARE, scale=alt.Scale(domain=[-0.5, ACROSS - 0.5], nice=False)),
        y=alt.Y("y:Q", title="sine direction", axis=BARE, scale=alt.Scale(domain=[high - 0.52, 0.5], nice=False)),
    )
    color = alt.Color("turn:Q", scale=alt.Scale(scheme="sinebow", domain=[0, 1]), legend=None)
    dots = base.mark_circle(size=28, opacity=1, clip=True).encode(color=color, tooltip=["token:Q", "k:Q"])
    text = alt.Chart(pd.DataFrame(names)).mark_text(color=MUTED, fontSize=11).encode(x="x:Q", y="y:Q", text="text:N")
    return alt.layer(dots, text).properties(title="Circles in the embedding", width=size, height=size, autosize=FIXED)
