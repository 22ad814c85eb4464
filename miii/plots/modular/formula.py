"""Charts of a formula: its terms, kinds of waves in the logits, and steering."""

from collections.abc import Mapping

import altair as alt
import pandas as pd

from miii.analysis.modular.decomposition import KINDS
from miii.analysis.modular.formula import Formula, Term
from miii.analysis.modular.steering import Steering
from miii.plots.style import ACCENT, CATEGORY, FLUID, HEIGHT, MAIN, Chart, top_legend


def _wave(term: Term) -> str:
    text = f"{term.k_a}a {term.k_b:+d}b {-term.k_c:+d}c"
    return text.replace("+", "+ ").replace(" -", " \u2212 ").replace("-", "\u2212")


def terms(formula: Formula) -> alt.Chart:
    """Draw the amplitude of each term. Source: Nanda et al. 2023 (arXiv 2301.05217), section 4.2."""
    rows = [{"term": _wave(t), "amplitude": t.amplitude, "phase": t.phase} for t in formula.terms]
    return (
        alt.Chart(pd.DataFrame(rows, columns=["term", "amplitude", "phase"]))
        .mark_bar(color=MAIN)
        .encode(
            y=alt.Y("term:N", title="wave in", sort=None),
            x=alt.X("amplitude:Q", title="amplitude (logits)"),
            tooltip=[
                "term:N",
                alt.Tooltip("amplitude:Q", format=".4f"),
                alt.Tooltip("phase:Q", title="phase (radians)", format=".4f"),
            ],
        )
        .properties(title="Terms of the formula", height=alt.Step(26), autosize=FLUID)
    )


def kinds(shares: Mapping[str, Mapping[str, float]]) -> alt.Chart:
    """Draw the share of the logits' variance by kind of wave, one bar per network.

    Args:
        shares: from ``decomposition.shares``, by network.
    """
    rows = [
        {"network": name, "kind": kind, "share": value, "order": i}
        for name, found in shares.items()
        for i, (kind, value) in enumerate(found.items())
    ]
    names = list(KINDS)
    color = alt.Color(
        "kind:N",
        title=None,
        scale=alt.Scale(domain=names, range=CATEGORY[: len(names)]),
        legend=alt.Legend(orient="bottom", columns=2, labelLimit=320, title=None, offset=8),
    )
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar()
        .encode(
            y=alt.Y("network:N", title="network", sort=None),
            x=alt.X(
                "share:Q",
                title="share of the logits' variance over the pairs",
                axis=alt.Axis(format="%"),
                scale=alt.Scale(domain=[0, 1], nice=False),
            ),
            color=color,
            order="order:Q",
            tooltip=["network:N", "kind:N", alt.Tooltip("share:Q", format=".2%")],
        )
        .properties(title="Logit variance by kind of wave", height=alt.Step(44), autosize=FLUID)
    )


def steering(values: Steering) -> Chart:
    """Draw the share of answers that shift by s with the rotated planes, and that stay with the control's planes."""
    names = ("key planes rotated: answers sum + s", "other planes rotated: still the sum")
    rows = [
        {"s": s + 1, "turned": name, "share": value}
        for name, found in zip(names, (values.accuracy, values.control_accuracy), strict=True)
        for s, value in enumerate(found.tolist())
    ]
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_line()
        .encode(
            x=alt.X("s:Q", title="rotation by s", scale=alt.Scale(nice=False)),
            y=alt.Y("share:Q", title="share of all pairs", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            color=alt.Color(
                "turned:N",
                title=None,
                scale=alt.Scale(domain=list(names), range=[MAIN, ACCENT]),
                legend=top_legend(labelLimit=320),
            ),
            strokeDash=alt.StrokeDash("turned:N", sort=list(names), legend=None),
            tooltip=["turned:N", "s:Q", alt.Tooltip("share:Q", format=".2%")],
        )
        .properties(title="Steering: share of pairs whose answer shifts by s", height=HEIGHT, autosize=FLUID)
    )
