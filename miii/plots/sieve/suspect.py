"""One integer or string before its judge: its evidence beside others', and how its sum is made."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float

from miii.analysis.sieve.beside import Beside
from miii.analysis.sieve.suspect import Suspect
from miii.plots.sieve.reach import ANSWERS
from miii.plots.style import ACCENT, CATEGORY, FIXED, FLUID, HEIGHT, MAIN, MUTED, Chart, top_legend

NEAR = 0.06  #: of the picture: stations no further apart share a label
LABELLED = 7  #: residues that have a colour each; of more, multiples and others have


def evidence_beside(values: Beside, evidence: float, name: str) -> Chart:
    """The evidence of one integer, a line, beside that of held-out integers of each kind.

    Args:
        name: what the line stands for.
    """
    kinds = values.table["kind"].tolist()
    x: dict[str, Any] = {"title": "evidence for prime, in logits", "scale": alt.Scale(zero=False)}
    y = alt.Y("kind:N", title="held-out integers", sort=kinds, axis=alt.Axis(labelLimit=240))
    tooltip: list[Any] = ["kind:N", "integers:Q"] + [
        alt.Tooltip(f"{part}:Q", format=".2f") for part in ("low", "first", "median", "third", "high")
    ]
    color = alt.condition("datum.kind === 'primes'", alt.value(MAIN), alt.value(MUTED))
    base = alt.Chart(values.table).encode(y=y, color=color, tooltip=tooltip)
    lines = pd.DataFrame({"line": [name, "prime from here on"], "at": [evidence, values.threshold]})
    rules = (
        alt.Chart(lines)
        .mark_rule(strokeWidth=2)
        .encode(
            x="at:Q",
            color=alt.Color(
                "line:N", scale=alt.Scale(domain=lines["line"].tolist(), range=[ACCENT, MAIN]), legend=top_legend()
            ),
            strokeDash=alt.StrokeDash("line:N", sort=lines["line"].tolist(), legend=None),
            tooltip=["line:N", alt.Tooltip("at:Q", format=".2f")],
        )
    )
    return alt.layer(
        base.mark_rule(strokeWidth=1).encode(x=alt.X("low:Q", **x), x2="high:Q"),
        base.mark_bar(height=9).encode(x=alt.X("first:Q", **x), x2="third:Q"),
        rules,
    ).properties(title="Its evidence beside others'", height=alt.Step(24), autosize=FLUID)


def digit_walk(
    values: Suspect, path: Float[np.ndarray, "stations 2"], digits: Sequence[str], n: int, size: int = 300
) -> Chart:
    """The way of one integer's sum through the plane of residues, digit by digit, among the sums of others.

    Args:
        path: ``values.path`` of it: one station more than there are digits.
        digits: what each step adds.

    Source: ``analysis.sieve.suspect``.
    """
    q = values.q
    several = q <= LABELLED
    domain = [f"{r} mod {q}" for r in range(q)] if several else [f"multiple of {q}", "other"]
    names = [domain[r if several else min(r, 1)] for r in values.residues]
    crowd = pd.DataFrame({"x": values.crowd[:, 0], "y": values.crowd[:, 1], "residue": names})
    steps = pd.DataFrame(path, columns=["x", "y"])
    steps["digit"] = ["start", *digits]
    steps["order"] = range(len(steps))
    steps["label"] = _together(
        path, ["start", *(f"+{digit}" for digit in digits)], NEAR * float(np.ptp(values.crowd, 0).max())
    )
    axis = alt.Axis(labels=False, ticks=False, tickCount=3, domain=False)
    x = alt.X("x:Q", title="first direction", axis=axis, scale=alt.Scale(zero=False))
    y = alt.Y("y:Q", title="second direction", axis=axis, scale=alt.Scale(zero=False))
    colors = alt.Scale(
        domain=domain, range=[ACCENT, *[c for c in CATEGORY if c != ACCENT]] if several else [ACCENT, MUTED]
    )
    dots = (
        alt.Chart(crowd)
        .mark_circle(size=22, opacity=0.4)
        .encode(
            x=x,
            y=y,
            color=alt.Color("residue:N", scale=colors, legend=top_legend(columns=4)),
            tooltip=["residue:N", alt.Tooltip("x:Q", format=".3f"), alt.Tooltip("y:Q", format=".3f")],
        )
    )
    tooltip: list[Any] = ["digit:N", alt.Tooltip("x:Q", format=".3f"), alt.Tooltip("y:Q", format=".3f")]
    base = alt.Chart(steps).encode(x="x:Q", y="y:Q", tooltip=tooltip)
    way = base.mark_line(color=MUTED, strokeWidth=2, point=alt.OverlayMarkDef(color=MUTED, size=36))
    end = base.transform_filter(f"datum.order === {len(digits)}").mark_point(
        size=260, strokeWidth=3, color=MUTED, shape="diamond"
    )
    texts = base.mark_text(dx=9, dy=-9, fontSize=13, fontWeight="bold", color=MUTED).encode(text="label:N")
    return alt.layer(dots, way.encode(order="order:Q"), end, texts).properties(
        title=f"How the sum of {n} is made, modulo {q}", width=size, height=size, autosize=FIXED
    )


def _together(path: Float[np.ndarray, "stations 2"], names: Sequence[str], near: float) -> list[str]:
    """The labels of stations, those of a place that is met again at its first station."""
    labels = list(names)
    for i, name in enumerate(names):
        first = int((np.linalg.norm(path[: i + 1] - path[i], axis=1) <= near).argmax())
        if first < i:
            labels[first], labels[i] = f"{labels[first]} {name}".strip(), ""
    return labels


def evidence_by_letter(string: str, evidence: Float[np.ndarray, " letters"]) -> Chart:
    """The evidence for "theorem" after each letter of an MIU string: what the network says of what has come so far.
    """
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
        alt.Tooltip("I:Q", title="I's so far"),
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
        title="What it says letter by letter", height=HEIGHT, autosize=FLUID
    )
