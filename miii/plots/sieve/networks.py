"""Reports of several networks: addition, depth of the sieve, and circuits."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd

from miii.analysis.sieve import CROSSES, EXPLAINED, KEEPS, LEAST
from miii.plots.style import ACCENT, CATEGORY, FLUID, HEIGHT, MAIN, MUTED, Chart, top_legend

#: The measures of the verdict: their fields in a report, those of their controls, and the bounds of both.
MEASURES = {
    "explained": ("digit_variance_explained", "digit_variance_chance", EXPLAINED, None),
    "interchange": ("interchange_accuracy", "interchange_control", CROSSES, KEEPS),
    "steering": ("steering_accuracy", "steering_control", CROSSES, KEEPS),
}
READ = {"key": ACCENT, "value": MAIN}  #: how a head reads a position


def addition_by_network(reports: Mapping[str, Mapping[str, Any]], q: int) -> Chart:
    """Draw the three measures of addition modulo q and their controls, one dot per network, with the verdict's bounds.

    Args:
        reports: from ``reports.report_sieve``, by network.
    """
    kinds = {"measured": MAIN, "control": MUTED}
    frame = pd.DataFrame(
        [
            {"measure": measure, "network": name, "kind": kind, "share": report[field][str(q)]}
            for measure, fields in MEASURES.items()
            for name, report in reports.items()
            for kind, field in zip(kinds, fields[:2], strict=True)
        ]
    )
    bounds = pd.DataFrame(
        [
            {"measure": measure, "bound": bound, "required": f"{words} {bound:.0%}"}
            for measure, (_, _, least, most) in MEASURES.items()
            for words, bound in (("at least", least), ("control at most", most))
            if bound is not None
        ]
    )
    y = alt.Y("measure:N", title=None, sort=list(MEASURES))
    scale = alt.Scale(domain=[-0.02, 1.02], nice=False)
    axis = alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1])
    colors = alt.Scale(domain=list(kinds), range=list(kinds.values()))
    dots = (
        alt.Chart(frame)
        .mark_circle(size=110, opacity=0.65)
        .encode(
            x=alt.X("share:Q", title="share", scale=scale, axis=axis),
            y=y,
            color=alt.Color("kind:N", scale=colors, legend=top_legend(symbolType="circle")),
            tooltip=["network:N", "measure:N", "kind:N", alt.Tooltip("share:Q", format=".2%")],
        )
    )
    ticks = (
        alt.Chart(bounds)
        .mark_tick(color=ACCENT, thickness=2, size=30)
        .encode(x=alt.X("bound:Q", title="share", scale=scale), y=y, tooltip=["measure:N", "required:N"])
    )
    return alt.layer(dots, ticks).properties(
        title=f"Evidence for addition modulo {q}, one dot per network", height=alt.Step(48), autosize=FLUID
    )


def depth_by_network(reports: Mapping[str, Mapping[str, Any]]) -> Chart:
    """Draw the AUC of primes against composites by smallest factor, one line per network, with lower bounds.

    The dashed line is the bound at which a factor counts as seen.

    Args:
        reports: from ``reports.report_sieve`` or ``sieve.Depth.to_json``, by network.
    """
    frame = pd.DataFrame(
        [
            {"network": name, "q": int(q), "auc": auc, "low": report["auc_low_by_factor"][q], "bound": LEAST}
            for name, report in reports.items()
            for q, auc in report["auc_by_factor"].items()
        ]
    )
    scale = alt.Scale(domain=[0.4, 1.02], nice=False)
    title = "AUC against primes"
    colors = alt.Scale(domain=list(reports), range=CATEGORY[: len(reports)])
    base = alt.Chart(frame).encode(
        x=alt.X("q:O", title="smallest prime factor of the composites", axis=alt.Axis(labelAngle=0)),
        color=alt.Color("network:N", scale=colors, legend=top_legend()),
        tooltip=[
            "network:N",
            alt.Tooltip("q:O", title="smallest factor"),
            alt.Tooltip("auc:Q", title="AUC", format=".4f"),
            alt.Tooltip("low:Q", title="lower bound", format=".4f"),
        ],
    )
    return alt.layer(
        base.mark_line(point={"size": 60}).encode(y=alt.Y("auc:Q", title=title, scale=scale)),
        base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", title=title, scale=scale), y2="auc:Q"),
        alt.Chart(frame)
        .mark_rule(color=MUTED, strokeDash=[5, 4])
        .encode(y=alt.Y("min(bound):Q", title=title, scale=scale)),
    ).properties(title="AUC by smallest factor", height=HEIGHT, autosize=FLUID)


def readers(edges: Mapping[str, float], places: Sequence[str], title: str) -> Chart:
    """Draw the scores of a circuit's edges from the embedding to keys and values, by place.

    Args:
        edges: scores by name, from ``sieve.QuestionCircuit``; other edges are left out.
        places: names of the positions.
    """
    rows = []
    for name, score in edges.items():
        source, _, sink = name.partition(" -> ")
        kind = {"k": "key", "v": "value"}.get(sink.split("@")[0].rpartition(".")[2])
        if source.startswith("embed@") and kind is not None:
            rows.append({"place": places[int(source.partition("@")[2])], "read as": kind, "score": score, "edge": name})
    colors = alt.Scale(domain=list(READ), range=list(READ.values()))
    return (
        alt.Chart(pd.DataFrame(rows, columns=["place", "read as", "score", "edge"]))
        .mark_bar()
        .encode(
            x=alt.X("place:N", title="place", scale=alt.Scale(domain=list(places)), axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("read as:N", sort=list(READ), scale=alt.Scale(domain=list(READ))),
            y=alt.Y("score:Q", title="score in logits"),
            color=alt.Color("read as:N", scale=colors, legend=top_legend()),
            tooltip=["edge:N", alt.Tooltip("score:Q", format=".3f")],
        )
        .properties(title=title, height=200, autosize=FLUID)
    )
