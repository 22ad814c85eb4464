"""Symmetries: equivariance over training, and the representations of a group."""

import math
from collections.abc import Sequence

import altair as alt
import pandas as pd

from miii.analysis.representations import Part
from miii.plots.style import ACCENT, CATEGORY, FLUID, HEIGHT, MAIN, MUTED, Chart, top_legend

KINDS = {"r2": "shift", "control": "random permutation"}


def equivariance(frame: pd.DataFrame) -> Chart:
    """Draw the held-out R^2 of the best rotation by step and site; dashed: permutations in place of shifts.

    Values below 0 are drawn at 0.

    Args:
        frame: from ``analysis.equivariance.over_training``. Step 0 is drawn at 0.7.

    Source: Bronstein et al. 2021 (arXiv 2104.13478), section 3.1.
    """
    long = frame.melt(["step", "site"], list(KINDS), "kind", "value").assign(kind=lambda rows: rows["kind"].map(KINDS))
    long["at"], long["shown"] = long["step"].clip(lower=0.7), long["value"].clip(lower=0)
    sites, end = list(dict.fromkeys(frame["site"])), max(1.0, float(frame["step"].max()))
    return (
        alt.Chart(long)
        .mark_line(point=alt.OverlayMarkDef(size=16))
        .encode(
            x=alt.X(
                "at:Q",
                title="step (log scale)",
                scale=alt.Scale(type="log", domain=[0.7, end], nice=False),
                axis=alt.Axis(format="~s", values=[v for v in (1, 10, 100, 1000, 10_000, 100_000) if v <= end]),
            ),
            y=alt.Y("shown:Q", title="held-out R² of the best rotation", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color(
                "site:N", scale=alt.Scale(domain=sites, range=CATEGORY[: len(sites)]), legend=top_legend(columns=4)
            ),
            strokeDash=alt.StrokeDash(
                "kind:N",
                scale=alt.Scale(domain=list(KINDS.values()), range=[[1, 0], [5, 4]]),
                legend=top_legend(columns=2),
            ),
            tooltip=["step:Q", "site:N", "kind:N", alt.Tooltip("value:Q", format=".3f")],
        )
        .properties(title="Does a shift act as a rotation?", height=HEIGHT, autosize=FLUID)
    )


def representations(parts: Sequence[Part], null: float) -> Chart:
    """Draw the share of the logits that each representation's character explains; a line at the largest by chance.

    Args:
        parts, null: see ``analysis.representations.Report``. Shares below 0 are drawn at 0.
    """
    names = [part.name for part in parts]
    frame = pd.DataFrame(
        {
            "representation": names,
            "dimension": [part.dimension for part in parts],
            "explained": [part.explained for part in parts],
            "drawn": [max(0.0, part.explained) for part in parts],
            "kind": ["key" if part.key else "other" for part in parts],
        }
    )
    top = 0.1 * math.ceil(10 * max(0.1, null, *frame["drawn"]))
    bars = (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X(
                "representation:N", title="representation", sort=names, axis=alt.Axis(labelAngle=0, labelOverlap=True)
            ),
            y=alt.Y("drawn:Q", title="share of held-out logits explained", scale=alt.Scale(domain=[0, top])),
            color=alt.Color(
                "kind:N", scale=alt.Scale(domain=["key", "other"], range=[MAIN, MUTED]), legend=top_legend()
            ),
            tooltip=["representation:N", "dimension:Q", alt.Tooltip("explained:Q", format=".4f")],
        )
    )
    line = alt.Chart(pd.DataFrame({"null": [max(0.0, null)]})).mark_rule(color=ACCENT, strokeDash=[4, 3])
    title = "Characters behind the logits"
    return (bars + line.encode(y="null:Q")).properties(title=title, height=HEIGHT, autosize=FLUID)
