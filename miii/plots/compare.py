"""Compare architectures: training curves, and measures with their spread over seeds."""

from typing import Any

import altair as alt
import pandas as pd

from miii.plots.style import CATEGORY, FLUID, HEIGHT, MAIN, Chart, top_legend

DASHES = ([1, 0], [6, 3], [2, 2])  #: for more architectures than colors
ROW = 26  #: pixels per architecture


def learning(curves: pd.DataFrame, title: str, chance: float = 0.0) -> Chart:
    """Draw the median over seeds of each architecture, in a band from least to greatest.

    A run that stops early keeps its last value. Click the legend to isolate an architecture, elsewhere to reset.

    Args:
        curves: from ``analysis.compare.curves``: columns run, architecture, seed, step, value.
        title: title of the value.
        chance: start of the axis.
    """
    names = list(dict.fromkeys(curves["architecture"]))
    chosen = alt.selection_point(fields=["architecture"], bind="legend")
    scale = alt.Scale(domain=names, range=[CATEGORY[i % len(CATEGORY)] for i in range(len(names))])
    dash = alt.Scale(domain=names, range=[list(DASHES[i // len(CATEGORY) % len(DASHES)]) for i in range(len(names))])
    legend = top_legend(symbolStrokeWidth=3, symbolOpacity=1, symbolType="stroke", labelLimit=220)
    y_scale, percent = alt.Scale(domain=[chance, 1]), alt.Axis(format="%")
    base = alt.Chart(_bands(curves)).encode(
        x=alt.X("step:Q", title="step"),
        color=alt.Color("architecture:N", scale=scale, legend=legend),
        tooltip=[
            "architecture:N",
            "step:Q",
            *(alt.Tooltip(f"{name}:Q", format=".2%") for name in ("median", "lowest", "highest")),
            "seeds:Q",
        ],
    )
    shade = alt.when(chosen).then(alt.value(0.14)).otherwise(alt.value(0.0))
    band = base.mark_area(clip=True).encode(
        y=alt.Y("lowest:Q", title=title, scale=y_scale, axis=percent), y2="highest:Q", opacity=shade
    )
    line = base.mark_line(clip=True, strokeWidth=2).encode(
        y=alt.Y("median:Q", title=title),
        strokeDash=alt.StrokeDash("architecture:N", scale=dash, legend=legend),
        opacity=alt.when(chosen).then(alt.value(0.95)).otherwise(alt.value(0.06)),
    )
    return (
        alt.layer(band, line)
        .add_params(chosen)
        .properties(title="Median and range over seeds", height=HEIGHT + 80, autosize=FLUID)
    )


def _bands(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the median, least and greatest value of each architecture and step, and its number of seeds."""
    wide = curves.pivot_table(index="step", columns=["architecture", "run", "seed"], values="value").ffill()
    grouped = wide.T.groupby(level="architecture", sort=False)
    found = {"median": grouped.median(), "lowest": grouped.min(), "highest": grouped.max(), "seeds": grouped.count()}
    long = pd.concat({name: frame.T.melt(ignore_index=False)["value"] for name, frame in found.items()}, axis=1)
    long["architecture"] = found["median"].T.melt(ignore_index=False)["architecture"]
    return long.dropna().reset_index()


def spread(summary: pd.DataFrame, measure: str, title: str) -> Chart:
    """Draw a measure by architecture: the median over seeds as a point, minimum to maximum as a line.

    Args:
        summary: from ``analysis.compare.summary``.
    """
    known = summary[summary[measure].notna()]
    order = list(summary["architecture"])
    y = alt.Y("architecture:N", sort=order, title=None, axis=alt.Axis(labelLimit=200), scale=alt.Scale(domain=order))
    x = alt.X(f"{measure}:Q", title=title, scale=alt.Scale(zero=False, padding=12))
    shown: list[Any] = [
        "architecture:N",
        alt.Tooltip(f"{measure}:Q", title="median", format=".4~g"),
        alt.Tooltip(f"{measure}_low:Q", title="minimum", format=".4~g"),
        alt.Tooltip(f"{measure}_high:Q", title="maximum", format=".4~g"),
        "seeds:Q",
    ]
    base = alt.Chart(known).encode(y=y, tooltip=shown)
    lines = base.mark_rule(strokeWidth=3, opacity=0.45, color=MAIN).encode(
        x=alt.X(f"{measure}_low:Q", title=title), x2=f"{measure}_high:Q"
    )
    points = base.mark_point(filled=True, size=90, color=MAIN, opacity=1).encode(x=x)
    return alt.layer(lines, points).properties(
        title=title[:1].upper() + title[1:], height=ROW * len(order), autosize=FLUID
    )
