"""Small runs compared: what training left out, and how many examples it had."""

from collections.abc import Mapping

import altair as alt
import pandas as pd

from miii.plots.style import CATEGORY, FLUID, HEIGHT, MUTED, Chart, top_legend

ROW = 44  #: pixels per row


def transfer(bands: pd.DataFrame, labels: Mapping[str, str], title: str) -> Chart:
    """Draw measures by name: the median over seeds as a point, least to greatest as a line, chance as a rule.

    Args:
        bands: from ``analysis.experience.bands``.
        labels: the measures to draw, and their labels.
    """
    frame = bands[bands["measure"].isin(labels)].assign(shown=lambda rows: rows["measure"].map(labels))
    names, kinds = list(dict.fromkeys(frame["name"])), list(labels.values())
    base = alt.Chart(frame).encode(
        y=alt.Y("name:N", title=None, sort=names),
        yOffset=alt.YOffset("shown:N", sort=kinds),
        color=alt.Color("shown:N", scale=alt.Scale(domain=kinds, range=CATEGORY[: len(kinds)]), legend=top_legend()),
        tooltip=[
            *("name:N", "shown:N", "examples:Q", "seeds:Q"),
            *(alt.Tooltip(f"{end}:Q", format=".3f") for end in ("low", "median", "high")),
        ],
    )
    scale = alt.Scale(domain=[0, 1])
    spread = base.mark_rule(strokeWidth=3, opacity=0.5).encode(x=alt.X("low:Q", title=title, scale=scale), x2="high:Q")
    points = base.mark_point(filled=True, size=70, opacity=1).encode(x=alt.X("median:Q", title=title))
    chance = alt.Chart(pd.DataFrame({"at": [0.5]})).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(x="at:Q")
    return alt.layer(spread, points, chance).properties(
        title="AUC on what training left out", height=ROW * len(names), autosize=FLUID
    )


def learning_curve(bands: pd.DataFrame, labels: Mapping[str, str], title: str, y: str) -> Chart:
    """Draw measures over the number of training examples: the median over seeds, in a band from least to greatest.

    Args:
        bands, labels: see ``transfer``.

    Source: Mitchell 1997, *Machine Learning*, section 1.1: performance P improves with experience E.
    """
    frame = bands[bands["measure"].isin(labels)].assign(shown=lambda rows: rows["measure"].map(labels))
    kinds = list(labels.values())
    base = alt.Chart(frame).encode(
        x=alt.X("examples:Q", title="training examples (log scale)", scale=alt.Scale(type="log", nice=False)),
        color=alt.Color("shown:N", scale=alt.Scale(domain=kinds, range=CATEGORY[: len(kinds)]), legend=top_legend()),
        tooltip=["shown:N", "examples:Q", "seeds:Q", alt.Tooltip("median:Q", format=".3f")],
    )
    scale = alt.Scale(domain=[0, 1])
    band = base.mark_area(opacity=0.25).encode(y=alt.Y("low:Q", title=y, scale=scale), y2="high:Q")
    line = base.mark_line(point=alt.OverlayMarkDef(size=30)).encode(y=alt.Y("median:Q", title=y))
    return alt.layer(band, line).properties(title=title, height=HEIGHT, autosize=FLUID)
