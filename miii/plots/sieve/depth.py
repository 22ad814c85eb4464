"""How far a network that was asked for primes sieves, and whether it changes its mind when its sum is changed."""

from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd

from miii.analysis.sieve.depth import LEAST, Depth
from miii.analysis.sieve.interchange import Crossing
from miii.analysis.sieve.report import CROSSES, KEEPS
from miii.plots.style import ACCENT, CATEGORY, FLUID, HEIGHT, MAIN, MUTED, Chart, top_legend

BINS = 50  #: of a distribution
SEEN = {"told apart": MAIN, "not told apart": ACCENT}


def sieve_depth(values: Depth) -> Chart:
    """AUC of primes against the composites of each smallest factor, with its 95 % interval and the bound.

    Source: ``analysis.sieve.depth``.
    """
    frame = pd.DataFrame(
        [{"q": f.q, "auc": f.auc, "low": f.low, "high": f.high, "integers": f.integers} for f in values.factors],
        columns=["q", "auc", "low", "high", "integers"],
    )
    frame["factor"] = [list(SEEN)[low < LEAST] for low in frame["low"]]
    frame["bound"] = LEAST
    bottom = min([0.4, *frame["low"]])
    scale = alt.Scale(domain=[max(0.0, bottom - 0.02), 1.01], nice=False)
    y = alt.Y("auc:Q", title="AUC against primes", scale=scale)
    base = alt.Chart(frame).encode(
        x=alt.X("q:O", title="smallest prime factor of the composites", axis=alt.Axis(labelAngle=0)),
        tooltip=[
            alt.Tooltip("q:O", title="smallest factor"),
            alt.Tooltip("auc:Q", title="AUC", format=".4f"),
            alt.Tooltip("low:Q", title="95 % interval from", format=".4f"),
            alt.Tooltip("high:Q", title="to", format=".4f"),
            alt.Tooltip("integers:Q", title="composites", format=","),
        ],
    )
    color = alt.Color(
        "factor:N",
        scale=alt.Scale(domain=list(SEEN), range=list(SEEN.values())),
        legend=top_legend(symbolType="circle"),
    )
    return alt.layer(
        base.mark_rule(strokeWidth=2).encode(
            y=alt.Y("low:Q", title="AUC against primes", scale=scale), y2="high:Q", color=color
        ),
        base.mark_circle(size=70, opacity=1).encode(y=y, color=color),
        alt.Chart(frame)
        .mark_rule(color=MUTED, strokeDash=[5, 4])
        .encode(y=alt.Y("min(bound):Q", title="AUC against primes", scale=scale)),
    ).properties(title="Primes against composites, by smallest factor", height=HEIGHT, autosize=FLUID)


def sieve_oracles(values: Depth) -> Chart:
    """ROC AUC of the network, as a line, beside trial division by all primes up to each q.

    Trial division has two lines: by all primes up to q, and by the primes that divide the base as well, which the last
    digit gives away.

    Source: ``analysis.sieve.depth``.
    """
    lines = {"also by the base's": values.oracles_and_base, "primes up to q": values.oracles}
    frame = pd.DataFrame(
        [{"q": q, "auc": auc, "line": name} for name, found in lines.items() for q, auc in found.items()],
        columns=["q", "auc", "line"],
    )
    frame["network"] = values.roc_auc
    scale, title = alt.Scale(zero=False, padding=14), "ROC AUC"
    colors = alt.Scale(domain=[*lines, "network"], range=[MAIN, MUTED, ACCENT])
    return alt.layer(
        alt.Chart(frame)
        .mark_line(point={"size": 45})
        .encode(
            x=alt.X("q:O", title="q", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("auc:Q", title=title, scale=scale),
            color=alt.Color("line:N", scale=colors, legend=top_legend()),
            tooltip=["line:N", "q:O", alt.Tooltip("auc:Q", title="ROC AUC", format=".4f")],
        ),
        alt.Chart(frame)
        .transform_calculate(line="'network'")
        .mark_rule(strokeWidth=2)
        .encode(
            y=alt.Y("mean(network):Q", title=title, scale=scale),
            color=alt.Color("line:N", scale=colors),
            tooltip=[alt.Tooltip("mean(network):Q", title="the network", format=".4f")],
        ),
    ).properties(title="The network beside trial division up to q", height=HEIGHT, autosize=FLUID)


def evidence_moves(values: Crossing, name: str, size: int = 330) -> Chart:
    """The evidence for "prime" or "theorem" before and after each kind of change; the line is the midpoint.

    Args:
        name: of the change, for the title.

    Source: ``analysis.sieve.interchange``.
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
            x=alt.X("from:Q", title="evidence: logit of yes less that of no", scale=alt.Scale(zero=False)),
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
    """The share of integers that cross the midpoint after each change, and their controls.

    Args:
        changes: by their names.

    Source: ``analysis.sieve.interchange``.
    """
    parts = {"made no multiple": "to_other", "made a multiple": "to_multiple", "control": "control"}
    frame = pd.DataFrame(
        [
            {"change": name, "made": made, "share": getattr(values, field)}
            for name, values in changes.items()
            for made, field in parts.items()
        ]
    )
    frame["asked for"] = [
        f"at most {KEEPS:.0%}" if m == "control" else f"at least {CROSSES:.0%}" for m in frame["made"]
    ]
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
        scale=alt.Scale(domain=list(parts), range=[MAIN, CATEGORY[3], MUTED]),
        legend=top_legend(labelLimit=220),
    )
    tooltip = ["change:N", "made:N", alt.Tooltip("share:Q", format=".2%"), "asked for:N"]
    bars = base.mark_bar().encode(x=x, color=color, tooltip=tooltip)
    texts = (
        base.transform_filter("isValid(datum.share)")
        .mark_text(align="left", dx=4, color=MUTED)
        .encode(x="share:Q", text=alt.Text("share:Q", format=".1%"))
    )
    return alt.layer(bars, texts).properties(title="Who crosses", height=alt.Step(22), autosize=FLUID)
