"""Networks for all residues: accuracy by target, active frequencies, attention, and shared directions."""

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd

from miii.analysis.multitask import Active, Head, Sharing
from miii.plots.style import ACCENT, FLUID, HEIGHT, MAIN, MUTED, SEQUENTIAL, WHOLE, Chart, bar_legend, top_legend


def right_by_target(accuracy: Mapping[str, float], chance: Mapping[str, float]) -> Chart:
    """Draw the accuracy on each target, and the accuracy of always predicting its most common answer."""
    names = {"network": MAIN, "most common answer": MUTED}
    frame = pd.DataFrame(
        [
            {"target": target, "who": who, "accuracy": found[target]}
            for target in accuracy
            for who, found in zip(names, (accuracy, chance), strict=True)
        ]
    )
    return (
        alt.Chart(frame)
        .mark_circle(size=60, opacity=1)
        .encode(
            x=alt.X("target:N", title="target", sort=None, axis=alt.Axis(labelAngle=-60)),
            y=alt.Y("accuracy:Q", title="test accuracy", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            color=alt.Color(
                "who:N", scale=alt.Scale(domain=list(names), range=list(names.values())), legend=top_legend()
            ),
            tooltip=["target:N", "who:N", alt.Tooltip("accuracy:Q", format=".2%")],
        )
        .properties(title="Accuracy on held-out numbers", height=HEIGHT, autosize=FLUID)
    )


def active_frequencies(values: Active) -> Chart:
    """Draw the number of active frequencies at each snapshot, by both rules. Source: Syrkis 2024's preprint."""
    rules = {"within the step": (values.within, MAIN), "over all steps": (values.overall, ACCENT)}
    frame = pd.DataFrame(
        [
            {"step": step, "rule": rule, "active": int(row.sum())}
            for rule, (marks, _) in rules.items()
            for step, row in zip(values.steps, marks, strict=True)
        ]
    )
    colors = alt.Scale(domain=list(rules), range=[color for _, color in rules.values()])
    return (
        alt.Chart(frame)
        .mark_line()
        .encode(
            x=alt.X("step:O", title="step of the snapshot", axis=alt.Axis(labelAngle=-45, labelOverlap=True)),
            y=alt.Y("active:Q", title="active frequencies", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color("rule:N", scale=colors, legend=top_legend()),
            strokeDash=alt.StrokeDash("rule:N", sort=list(rules), legend=None),
            tooltip=["step:O", "rule:N", "active:Q"],
        )
        .properties(title="Active frequencies over training", height=HEIGHT, autosize=FLUID)
    )


def head_digits(values: Sequence[Head]) -> Chart:
    """Draw each head's attention to the two digits and to "="."""
    parts = {"x0": MAIN, "x1": ACCENT, "=": MUTED}
    frame = pd.DataFrame(
        [
            {"head": f"head {head.head}", "to": name, "share": share, "deviation": head.deviation}
            for head in values
            for name, share in zip(parts, head.to, strict=True)
        ]
    )
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("share:Q", title="share of attention", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("head:N", title="head", sort=None),
            color=alt.Color(
                "to:N", scale=alt.Scale(domain=list(parts), range=list(parts.values())), legend=top_legend()
            ),
            tooltip=[
                "head:N",
                "to:N",
                alt.Tooltip("share:Q", format=".1%"),
                alt.Tooltip("deviation:Q", title="standard deviation of the share of x0", format=".3f"),
            ],
        )
        .properties(title="Attention of each head", height=alt.Step(26), autosize=FLUID)
    )


def shared_directions(values: Sharing) -> Chart:
    """Draw the overlap of every two targets' subspaces. Random subspaces stand in the tooltip."""
    frame = pd.DataFrame(
        [
            {
                "target": a,
                "with": b,
                "overlap": round(values.overlap[i, j].item(), 5),
                "chance": round(values.chance[i, j].item(), 5),
                "angle": round(values.smallest[i, j].item(), 2),
                "directions": values.directions[i],
            }
            for i, a in enumerate(values.names)
            for j, b in enumerate(values.names)
            if i != j
        ],
        columns=["target", "with", "overlap", "chance", "angle", "directions"],
    )
    top = float(max(values.between[1], frame["overlap"].max()) if len(frame) else 1)
    return (
        alt.Chart(frame)
        .mark_rect()
        .encode(
            x=alt.X("with:N", title="with", sort=list(values.names), axis=alt.Axis(labelAngle=-60), scale=WHOLE),
            y=alt.Y("target:N", title="target", sort=list(values.names), scale=WHOLE),
            color=alt.Color(
                "overlap:Q",
                title="mean cosine²",
                scale=alt.Scale(scheme=SEQUENTIAL, domain=[0, top]),
                legend=bar_legend(format=".3f"),
            ),
            tooltip=[
                "target:N",
                "with:N",
                alt.Tooltip("overlap:Q", title="mean squared cosine", format=".4f"),
                alt.Tooltip("chance:Q", title="random subspaces", format=".4f"),
                alt.Tooltip("angle:Q", title="smallest angle in degrees", format=".1f"),
                "directions:Q",
            ],
        )
        .properties(title="Overlap of two targets' directions", height=alt.Step(14), autosize=FLUID)
    )
