"""Networks for the MIU puzzle: accuracy by length, evidence by number of I's."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from miii.plots.style import ACCENT, FLUID, HEIGHT, MAIN, MUTED, Chart, top_legend

ANSWERS = {"theorem": MAIN, "not a theorem": ACCENT}


def string_accuracy(strings: pd.DataFrame, by: str, longest: int | None = None) -> Chart:
    """Draw the accuracy on theorems and on other strings, by length or by number of I's.

    Args:
        strings: from ``analysis.lengths.by_length``.
        by: "length" or "I".
        longest: length of the longest string in training, marked by a line.
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
            y=alt.Y("accuracy:Q", title="accuracy", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            color=_answers(),
            tooltip=[f"{by}:Q", "answer:N", alt.Tooltip("accuracy:Q", format=".2%"), "strings:Q"],
        )
    )
    layers: list[alt.Chart] = [lines]
    if longest is not None:
        frame["longest"] = longest
        rule = alt.Chart(frame).mark_rule(color=MUTED, strokeDash=[5, 4])
        layers.append(rule.encode(x=alt.X("min(longest):Q", title=names[by], scale=scale)))
    title = {"length": "Accuracy by length", "I": "Accuracy by number of I's"}[by]
    return alt.layer(*layers).properties(title=title, height=HEIGHT, autosize=FLUID)


def evidence_by_count(evidence: Float[np.ndarray, " strings"], count: Int[np.ndarray, " strings"]) -> Chart:
    """Draw the evidence for "theorem" by the number of I's: median and quartiles."""
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
    title = "evidence (logit of theorem minus the other)"
    base = alt.Chart(frame).encode(x=x, tooltip=tooltip)
    return alt.layer(
        base.mark_line(color=MUTED, strokeWidth=1).encode(y=alt.Y("median:Q", title=title)),
        base.mark_rule(strokeWidth=3).encode(y=alt.Y("low:Q", title=title), y2="high:Q", color=_answers()),
        base.mark_circle(size=70, opacity=1).encode(y=alt.Y("median:Q", title=title), color=_answers()),
    ).properties(title="Evidence by the number of I's", height=HEIGHT, autosize=FLUID)


def evidence_by_letter(string: str, evidence: Float[np.ndarray, " letters"]) -> Chart:
    """Draw the evidence for "theorem" after each letter of an MIU string."""
    letters = string[1:]
    counts = [letters[: i + 1].count("I") for i in range(len(letters))]
    frame = pd.DataFrame(
        {
            "letter": range(1, len(letters) + 1),
            "string": [string[: i + 2] for i in range(len(letters))],
            "I": counts,
            "evidence": evidence,
            "answer": [list(ANSWERS)[count % 3 == 0] for count in counts],
        }
    )
    marks = ", ".join(f"'{i}': '{letter}'" for i, letter in enumerate(letters, 1))
    axis = alt.Axis(values=list(range(1, len(letters) + 1)), labelExpr=f"{{{marks}}}[datum.value]", labelOverlap=False)
    x = alt.X(
        "letter:Q", title="letter after M", axis=axis, scale=alt.Scale(domain=[0.5, len(letters) + 0.5], nice=False)
    )
    y = alt.Y("evidence:Q", title="evidence for theorem, in logits")
    tooltip: list[Any] = [
        "string:N",
        alt.Tooltip("I:Q", title="number of I's so far"),
        "answer:N",
        alt.Tooltip("evidence:Q", format=".2f"),
    ]
    base = alt.Chart(frame).encode(x=x, y=y, tooltip=tooltip)
    scale = alt.Scale(domain=list(ANSWERS), range=list(ANSWERS.values()))
    dots = base.mark_circle(size=80, opacity=1).encode(
        color=alt.Color("answer:N", scale=scale, legend=top_legend(symbolType="circle"))
    )
    zero = alt.Chart(pd.DataFrame({"evidence": [0.0]})).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(y="evidence:Q")
    return alt.layer(base.mark_line(color=MUTED, strokeWidth=1), dots, zero).properties(
        title="Evidence letter by letter", height=HEIGHT, autosize=FLUID
    )


def _answers() -> alt.Color:
    scale = alt.Scale(domain=list(ANSWERS), range=list(ANSWERS.values()))
    return alt.Color("answer:N", scale=scale, legend=top_legend(symbolType="circle"))
