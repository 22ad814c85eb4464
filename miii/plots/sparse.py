"""Compare classifiers of primes: networks and trial division."""

from collections.abc import Mapping

import altair as alt
import pandas as pd

from miii.plots.style import ACCENT, FLUID, MAIN, MUTED, Chart, top_legend
from miii.sparse.evaluation import Recall, Scores


def recalls(networks: Mapping[str, Recall], sieves: Mapping[str, Recall]) -> Chart:
    """Draw the recall on composites of networks and trial division; recall on primes is in the tooltip.

    The axis does not start at zero, so dots mark the values instead of bars.

    Source: Lee and Kim's two figures.
    """
    kinds = {"network": MAIN, "trial division": MUTED}
    frame = pd.DataFrame(
        [
            {"judge": name, "kind": kind, "composites": recall.composites, "primes": recall.primes}
            for kind, found in zip(kinds, (networks, sieves), strict=True)
            for name, recall in found.items()
        ]
    ).sort_values("composites", kind="stable")
    base = alt.Chart(frame).encode(
        y=alt.Y("judge:N", title=None, sort=None, axis=alt.Axis(labelLimit=260)),
        x=alt.X(
            "composites:Q",
            title="recall on held-out composites",
            scale=alt.Scale(zero=False, padding=60),
            axis=alt.Axis(format=".0%", tickCount=5, grid=True),
        ),
        tooltip=[
            "judge:N",
            alt.Tooltip("composites:Q", title="recall on composites", format=".3%"),
            alt.Tooltip("primes:Q", title="recall on primes", format=".3%"),
        ],
    )
    color = alt.Color(
        "kind:N",
        scale=alt.Scale(domain=list(kinds), range=list(kinds.values())),
        legend=top_legend(symbolType="circle"),
    )
    return alt.layer(
        base.mark_circle(size=110, opacity=1).encode(color=color),
        base.mark_text(align="left", dx=10, color=MUTED).encode(text=alt.Text("composites:Q", format=".2%")),
    ).properties(title="Recall on composites", height=alt.Step(34), autosize=FLUID)


def seen_factors(networks: Mapping[str, Scores]) -> Chart:
    """Draw the AUC of primes against the held-out composites of each smallest factor, one line per network."""
    frame = pd.DataFrame(
        [
            {"network": name, "q": f.q, "auc": f.auc, "low": f.low, "high": f.high, "integers": f.integers}
            for name, found in networks.items()
            for f in found.factors
        ]
    )
    return (
        alt.Chart(frame)
        .mark_line(point={"size": 60})
        .encode(
            x=alt.X("q:O", title="smallest prime factor of the composites", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("auc:Q", title="AUC against primes", scale=alt.Scale(domain=[0.4, 1.02], nice=False)),
            color=alt.Color(
                "network:N",
                scale=alt.Scale(domain=list(networks), range=[MAIN, ACCENT]),
                legend=top_legend(symbolType="stroke"),
            ),
            strokeDash=alt.StrokeDash("network:N", sort=list(networks), legend=None),
            tooltip=[
                "network:N",
                alt.Tooltip("q:O", title="smallest factor"),
                alt.Tooltip("auc:Q", title="AUC", format=".4f"),
                alt.Tooltip("low:Q", title="95% interval from", format=".4f"),
                alt.Tooltip("high:Q", title="to", format=".4f"),
                alt.Tooltip("integers:Q", title="composites", format=","),
            ],
        )
        .properties(title="Primes against composites, by smallest factor", height=170, autosize=FLUID)
    )
