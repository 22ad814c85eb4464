"""What networks on all residues, and on the MIU puzzle, answer right, and by what means."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from miii.analysis.multitask import Active, Head
from miii.plots.style import ACCENT, FLUID, HEIGHT, MAIN, MUTED, Chart, top_legend

ANSWERS = {"theorem": MAIN, "no theorem": ACCENT}


def right_by_target(accuracy: Mapping[str, float], chance: Mapping[str, float]) -> Chart:
    """Share of right answers to each target, beside what its commonest answer alone gives."""
    names = {"network": MAIN, "commonest answer": MUTED}
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
            x=alt.X("target:N", title="asked", sort=None, axis=alt.Axis(labelAngle=-60)),
            y=alt.Y("accuracy:Q", title="right answers", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            color=alt.Color(
                "who:N", scale=alt.Scale(domain=list(names), range=list(names.values())), legend=top_legend()
            ),
            tooltip=["target:N", "who:N", alt.Tooltip("accuracy:Q", format=".2%")],
        )
        .properties(title="Right answers on the held-out numbers", height=HEIGHT, autosize=FLUID)
    )


def active_frequencies(values: Active) -> Chart:
    """How many frequencies are active at each snapshot, by both rules. Source: Syrkis 2024's preprint."""
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
    """How each head divides its attention between the two digits and the answer's own position.

    Source: ``analysis.multitask``.
    """
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
        .properties(title="What each head looks at", height=alt.Step(26), autosize=FLUID)
    )


def reach(strings: pd.DataFrame, by: str, longest: int | None = None) -> Chart:
    """Accuracy on theorems, and on strings that are none, by a property of the string.

    Args:
        strings: as ``analysis.lengths.by_length`` gives them.
        by: the property, "length" or "I".
        longest: the longest string in training, for a line there.
    """
    names = {"length": "letters after M", "I": "I's in the string"}
    frame = strings.groupby([by, "theorem"])["right"].agg(["mean", "size"]).reset_index()
    frame.columns = [by, "theorem", "accuracy", "strings"]
    frame["answer"] = [list(ANSWERS)[not theorem] for theorem in frame["theorem"]]
    scale = alt.Scale(domain=[int(frame[by].min()), int(frame[by].max())], nice=False)
    lines = (
        alt.Chart(frame)
        .mark_line(point={"size": 25})
        .encode(
            x=alt.X(f"{by}:Q", title=names[by], scale=scale),
            y=alt.Y("accuracy:Q", title="right answers", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            color=_answers(),
            tooltip=[f"{by}:Q", "answer:N", alt.Tooltip("accuracy:Q", format=".2%"), "strings:Q"],
        )
    )
    layers: list[alt.Chart] = [lines]
    if longest is not None:
        frame["longest"] = longest
        rule = alt.Chart(frame).mark_rule(color=MUTED, strokeDash=[5, 4])
        layers.append(rule.encode(x=alt.X("min(longest):Q", title=names[by], scale=scale)))
    title = {"length": "Right answers by length", "I": "Right answers by the number of I's"}[by]
    return alt.layer(*layers).properties(title=title, height=HEIGHT, autosize=FLUID)


def evidence_by_count(evidence: Float[np.ndarray, " strings"], count: Int[np.ndarray, " strings"]) -> Chart:
    """The evidence for "theorem" by the number of I's: the median, and the middle half of the strings.
    """
    strings = pd.DataFrame({"I": count, "evidence": evidence})
    found = strings.groupby("I")["evidence"].quantile(np.array([0.25, 0.5, 0.75])).unstack()
    found.columns = ["low", "median", "high"]
    frame = found.reset_index()
    frame["strings"] = strings.groupby("I").size().to_numpy()
    frame["answer"] = [list(ANSWERS)[n % 3 == 0] for n in frame["I"]]
    x = alt.X(
        "I:Q", title="I's in the string", scale=alt.Scale(domain=[-0.5, float(frame["I"].max()) + 0.5], nice=False)
    )
    tooltip = [
        alt.Tooltip("I:Q"),
        alt.Tooltip("answer:N"),
        alt.Tooltip("median:Q", format=".2f"),
        alt.Tooltip("low:Q", title="first quartile", format=".2f"),
        alt.Tooltip("high:Q", title="third quartile", format=".2f"),
        alt.Tooltip("strings:Q"),
    ]
    title = "evidence (logit of theorem less that of none)"
    base = alt.Chart(frame).encode(x=x, tooltip=tooltip)
    return alt.layer(
        base.mark_line(color=MUTED, strokeWidth=1).encode(y=alt.Y("median:Q", title=title)),
        base.mark_rule(strokeWidth=3).encode(y=alt.Y("low:Q", title=title), y2="high:Q", color=_answers()),
        base.mark_circle(size=70, opacity=1).encode(y=alt.Y("median:Q", title=title), color=_answers()),
    ).properties(title="Evidence by the number of I's", height=HEIGHT, autosize=FLUID)


def _answers() -> alt.Color:
    scale = alt.Scale(domain=list(ANSWERS), range=list(ANSWERS.values()))
    return alt.Color("answer:N", scale=scale, legend=top_legend(symbolType="circle"))
