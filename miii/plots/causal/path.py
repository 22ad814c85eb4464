"""The path of one input as one connected diagram."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from miii.analysis.causal.path import InputPath
from miii.plots.style import ACCENT, FLUID, MAIN, MUTED, Chart

ROWS = {"1 Tokens": "tokens", "2 Attention": "looks", "3 Neurons": "neurons", "4 Logits": "says"}  #: and their anchors
DEPTH, WIDEST, GUTTER = 112, 11, 76  #: pixels between rows, of the widest line, and for the names of the rows
KINDS = {"attention": MUTED, "adds": MAIN, "subtracts": ACCENT}


def input_path(path: InputPath, tokens: Sequence[str], answers: Sequence[str]) -> Chart:
    """Draw tokens, heads, neurons and logits from top to bottom, and what each gives the next as the width of a line.

    Width is relative to the widest line between two rows. The name of each row links to the
    anchor of its section.

    Args:
        tokens: names of the tokens, one a position.
        answers: names of the answers shown, one each.

    Source: after Transformer Explainer (Cho et al. 2024, arXiv 2408.04619).
    """
    heads = [f"head {h}" for h in range(len(path.attention))]
    neurons = [str(n) for n in path.neurons.tolist()]
    rows = (list(tokens), heads, neurons, list(answers))
    values = (
        [1.0] * len(tokens),
        [1.0] * len(heads),
        path.activation.tolist(),
        path.probability.tolist(),
    )
    said = (
        [f"position {i}: {name}" for i, name in enumerate(tokens)],
        heads,
        [f"neuron {name}, activation {_signed(value)}" for name, value in zip(neurons, values[2], strict=True)],
        [
            f"{name}: {_signed(logit, '+')}, {share:.1%}"
            for name, logit, share in zip(answers, path.logits.tolist(), values[3], strict=True)
        ],
    )
    links = [
        {
            "from": said[row][i],
            "to": said[row + 1][j],
            "value": value,
            "share": abs(value) / most,
            "kind": ("subtracts" if value < 0 else "attention" if row == 0 else "adds"),
            "link": f"{row}-{i}-{j}",
            "x": _place(i, rows[row]),
            "x2": _place(j, rows[row + 1]),
            "y": row,
        }
        for row, matrix in enumerate((path.attention.T, path.read, path.written))
        for most in [max(1e-9, float(matrix.abs().max()))]
        for i, line in enumerate(matrix.tolist())
        for j, value in enumerate(line)
    ]
    nodes = [
        {
            "x": _place(i, names),
            "y": row,
            "name": name,
            "says": said[row][i],
            "size": abs(values[row][i]) / max(1e-9, *map(abs, values[row])) if row > 1 else min(1.0, 12 / len(names)),
            "href": f"#{anchor}",
        }
        for row, (names, anchor) in enumerate(zip(rows, ROWS.values(), strict=True))
        for i, name in enumerate(names)
    ]
    return _draw(links, nodes, max(map(len, rows))).properties(
        title="The path of this input", height=DEPTH * (len(ROWS) - 1) + 60, autosize=FLUID
    )


def _signed(value: float, sign: str = "") -> str:
    """Return a number with two digits and a true minus sign."""
    return f"{value:{sign}.2f}".replace("-", "\u2212")


def _place(i: int, row: Sequence[str]) -> float:
    return (i + 0.5) / len(row)


def _draw(links: list[dict[str, Any]], nodes: list[dict[str, Any]], most: int) -> Chart:
    x = alt.Scale(domain=[0, 1], range=[GUTTER, alt.expr("width")], nice=False, zero=False)
    y = alt.Scale(domain=[len(ROWS) - 0.85, -0.3], nice=False, zero=False)
    lines = (
        alt.Chart(pd.DataFrame(links))
        .transform_calculate(
            xs="[datum.x, datum.x, datum.x2, datum.x2]",
            ys="[datum.y + .07, datum.y + .25, datum.y + .57, datum.y + .75]",
            turn="[0, 1, 2, 3]",
        )
        .transform_flatten(["xs", "ys", "turn"])
        .mark_line(interpolate="basis", strokeCap="round")
        .encode(
            x=alt.X("xs:Q", title="part", scale=x, axis=None),
            y=alt.Y("ys:Q", title="stage", scale=y, axis=None),
            order="turn:Q",
            detail="link:N",
            strokeWidth=alt.StrokeWidth("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.1, WIDEST]), legend=None),
            opacity=alt.Opacity("share:Q", scale=alt.Scale(domain=[0, 1], range=[0.15, 0.8]), legend=None),
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=list(KINDS), range=list(KINDS.values())),
                legend=alt.Legend(orient="top", title=None, offset=4, padding=0, symbolStrokeWidth=4),
            ),
            tooltip=["from:N", "to:N", alt.Tooltip("value:Q", format=".3f")],
        )
    )
    base = alt.Chart(pd.DataFrame(nodes)).encode(
        x=alt.X("x:Q", scale=x, axis=None), y=alt.Y("y:Q", scale=y, axis=None), tooltip="says:N", href="href:N"
    )
    dots = base.mark_circle(color=MAIN, opacity=1, cursor="pointer").encode(
        size=alt.Size("size:Q", scale=alt.Scale(domain=[0, 1], range=[12, 160]), legend=None)
    )
    names = base.mark_text(
        dy=-16, fontSize=11 if most <= 24 else 9, fontWeight="bold", color=MUTED, cursor="pointer"
    ).encode(text="name:N")
    titles = pd.DataFrame({"y": range(len(ROWS)), "row": list(ROWS), "href": [f"#{a}" for a in ROWS.values()]})
    sections = (
        alt.Chart(titles)
        .mark_text(align="left", fontSize=13, color=MAIN, cursor="pointer")
        .encode(x=alt.value(0), y=alt.Y("y:Q", scale=y, axis=None), text="row:N", href="href:N")
    )
    return alt.layer(lines, dots, names, sections)
