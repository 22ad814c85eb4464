"""Interchange and steering of the sum: how the evidence moves, and how often it crosses the midpoint."""

import math
from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd

from miii.analysis.sieve import CROSSES, KEEPS, Crossing
from miii.plots.style import ACCENT, CATEGORY, FLUID, MAIN, MUTED, Chart, top_legend

BINS = 50  #: bins per distribution


def evidence_moves(values: Crossing, name: str, size: int = 330) -> Chart:
    """Draw the evidence for "prime" or "theorem" before and after each kind of change, and the midpoint.

    Args:
        name: name of the change, for the title.
    """
    q, kinds = values.q, ("others", f"multiples of {values.q}")
    changes = {
        (True, False): f"{kinds[1]} → {kinds[0]}",
        (False, True): f"{kinds[0]} → {kinds[1]}",
        (True, True): f"control: {kinds[1]}, kept",
        (False, False): f"control: {kinds[0]}, kept",
    }
    drawn = [side for move in values.moves for side in (move.before, move.after)]
    low, high = (min(map(np.min, drawn)), max(map(np.max, drawn))) if drawn else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    rows = []
    for move in values.moves:
        for when, evidence in (("before", move.before), ("after", move.after)):
            shares = np.histogram(evidence, edges)[0] / len(evidence)
            rows += [
                {
                    "change": changes[move.of, move.to],
                    "when": when,
                    "from": edges[i],
                    "to": edges[i + 1],
                    "share": share,
                }
                for i, share in enumerate(shares)
                if share
            ]
    frame = pd.DataFrame(rows, columns=["change", "when", "from", "to", "share"])
    frame["midpoint"], frame["floor"] = values.midpoint, 0
    whens = {"before": MUTED, "after": MAIN}
    bars = (
        alt.Chart()
        .mark_bar(opacity=0.65, binSpacing=0, stroke=None)
        .encode(
            x=alt.X("from:Q", title="evidence: logit of yes minus logit of no", scale=alt.Scale(zero=False)),
            x2="to:Q",
            y=alt.Y("share:Q", title="share", stack=None, axis=alt.Axis(format="%", tickCount=4)),
            y2="floor:Q",
            color=alt.Color(
                "when:N", scale=alt.Scale(domain=list(whens), range=list(whens.values())), legend=top_legend()
            ),
            tooltip=[
                "change:N",
                "when:N",
                alt.Tooltip("from:Q", format=".2f"),
                alt.Tooltip("to:Q", format=".2f"),
                alt.Tooltip("share:Q", format=".1%"),
            ],
        )
    )
    rule = alt.Chart().mark_rule(color=ACCENT, strokeWidth=2, strokeDash=[5, 4]).encode(x="min(midpoint):Q")
    layered = alt.layer(bars, rule, data=frame).properties(width=size, height=110)
    facets = layered.facet(facet=alt.Facet("change:N", title=None, sort=list(changes.values())), columns=2)
    return facets.properties(title=f"{name}, modulo {q}")


def crossings(changes: Mapping[str, Crossing]) -> Chart:
    """Draw the share of integers that cross the midpoint after each change, and the controls.

    Args:
        changes: the changes by name.
    """
    parts = {"moved off the multiples": "to_other", "moved to the multiples": "to_multiple"}
    parts |= {"control": "control", "control: everything else": "rest"}
    frame = pd.DataFrame(
        [
            {"change": name, "made": made, "share": getattr(values, field)}
            for name, values in changes.items()
            for made, field in parts.items()
            if field != "rest" or not math.isnan(values.rest)
        ]
    )
    controls = frame["made"].str.startswith("control")
    frame["bound"] = [f"at most {KEEPS:.0%}" if control else f"at least {CROSSES:.0%}" for control in controls]
    base = alt.Chart(frame).encode(
        y=alt.Y("change:N", title="change", sort=None), yOffset=alt.YOffset("made:N", sort=list(parts))
    )
    x = alt.X(
        "share:Q",
        title="share that crosses the midpoint",
        axis=alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]),
        scale=alt.Scale(domain=[0, 1.08], nice=False),
    )
    color = alt.Color(
        "made:N",
        scale=alt.Scale(domain=list(parts), range=[MAIN, CATEGORY[3], MUTED, ACCENT]),
        legend=top_legend(labelLimit=220),
    )
    tooltip = ["change:N", "made:N", alt.Tooltip("share:Q", format=".2%"), "bound:N"]
    bars = base.mark_bar().encode(x=x, color=color, tooltip=tooltip)
    texts = (
        base.transform_filter("isValid(datum.share)")
        .mark_text(align="left", dx=4, color=MUTED)
        .encode(x="share:Q", text=alt.Text("share:Q", format=".1%"))
    )
    return alt.layer(bars, texts).properties(
        title="Share that crosses the midpoint", height=alt.Step(22), autosize=FLUID
    )
