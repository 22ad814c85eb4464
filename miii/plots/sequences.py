"""Kinds of integer sequences: scores, confidences, the modulo spectrum, and which terms and residues argued."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float

from miii.analysis.sequences.continuation import Continuation
from miii.analysis.sequences.moduli import Carrier, Spectrum
from miii.plots.style import CATEGORY, DIVERGING, FIXED, FLUID, MAIN, MUTED, SEQUENTIAL, WHOLE, Chart, top_legend
from miii.tasks.sequences.kinds import KINDS

CELL = 17  #: pixels of a cell's side


def kind_scores(scores: Mapping[str, Mapping[str, float]]) -> Chart:
    """Draw the F1 score of each kind, by network or baseline.

    Args:
        scores: from ``analysis.kinds.held_out`` or ``analysis.kinds.tree``, by name.
    """
    rows = [(name, kind, each[kind]) for name, each in scores.items() for kind in KINDS]
    frame = pd.DataFrame(rows, columns=["of", "kind", "F1"])
    colors = alt.Scale(domain=list(scores), range=CATEGORY[: len(scores)])
    return (
        alt.Chart(frame)
        .mark_point(filled=True, size=80, opacity=1)
        .encode(
            x=alt.X("F1:Q", title="F1 on held-out families", scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("kind:N", title="kind", sort=list(KINDS)),
            color=alt.Color("of:N", scale=colors, legend=top_legend(symbolType="circle")),
            shape=alt.Shape("of:N", scale=alt.Scale(domain=list(scores)), legend=None),
            tooltip=["of:N", "kind:N", alt.Tooltip("F1:Q", format=".3f")],
        )
        .properties(title="F1 by kind", height=25 * len(KINDS), autosize=FLUID)
    )


def kind_confidences(found: Mapping[str, float], true: Sequence[str] = ()) -> Chart:
    """Draw the probability of each kind of a sequence, the kinds that hold in color."""
    rows = [(kind, p, "holds" if kind in true else "other") for kind, p in found.items()]
    frame = pd.DataFrame(rows, columns=["kind", "confidence", "truth"])
    scale = alt.Scale(domain=["holds", "other"], range=[MAIN, MUTED])
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("confidence:Q", title="confidence", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("kind:N", title="kind", sort=list(found)),
            color=alt.Color("truth:N", scale=scale, legend=top_legend(symbolType="square") if true else None),
            tooltip=["kind:N", alt.Tooltip("confidence:Q", format=".1%"), "truth:N"],
        )
        .properties(title="Confidence by kind", height=25 * len(found), autosize=FLUID)
    )


def modulo_spectrum(spectrum: Spectrum, of: str = "without") -> Chart:
    """Draw the modulo spectrum: F1 lost without a part, or F1 with only this part of the residues, by kind.

    Args:
        of: "without" or "alone".
    """
    lost = of == "without"
    values = spectrum.needed if lost else spectrum.alone
    rows = [(part, kind, values[i, j]) for i, part in enumerate(spectrum.parts) for j, kind in enumerate(KINDS)]
    title = "F1 lost" if lost else "F1"
    largest = max(0.05, float(np.abs(values).max()))
    domain = [-largest, 0, largest] if lost else [0, 1]
    return _rectangles(
        pd.DataFrame(rows, columns=["part", "kind", "value"]),
        (list(spectrum.parts), "part of the terms"),
        (list(KINDS), "kind"),
        title,
        alt.Scale(scheme=DIVERGING if lost else SEQUENTIAL, domain=domain),
        "F1 lost when one part is swapped" if lost else "F1 from one modulus alone",
    )


def argued(effect: Float[np.ndarray, "parts terms"], parts: Sequence[str], terms: Sequence[str], kind: str) -> Chart:
    """Draw how much the logit of a kind falls without each part of each term.

    Args:
        effect: from ``analysis.moduli.argued``.
        terms: the terms, shortened.
    """
    places = [f"{i}" for i in range(effect.shape[1])]
    rows = [(part, places[j], terms[j], effect[i, j]) for i, part in enumerate(parts) for j in range(effect.shape[1])]
    largest = max(1e-3, float(np.abs(effect).max()))
    return _rectangles(
        pd.DataFrame(rows, columns=["part", "index", "term", "value"]).rename(columns={"index": "kind"}),
        (list(parts), "part of the term"),
        (places, "index of the term"),
        "logit lost",
        alt.Scale(scheme=DIVERGING, domain=[-largest, 0, largest]),
        f"Contributions to {kind}",
        vertical=False,
    )


def carriers(found: Sequence[Carrier]) -> Chart:
    """Draw the share of "yes" after residues, or sign and size, of one sequence meet the others of another."""
    names = {
        "yes": "of the kind",
        "residues": "its residues, another's size",
        "size": "its size, another's residues",
        "no": "not of the kind",
    }
    rows = [(each.kind, label, getattr(each, name), each.pairs) for each in found for name, label in names.items()]
    frame = pd.DataFrame(rows, columns=["kind", "input", "yes", "pairs"])
    colors = alt.Scale(domain=list(names.values()), range=[MUTED, CATEGORY[0], CATEGORY[1], MUTED])
    return (
        alt.Chart(frame)
        .mark_point(filled=True, size=80, opacity=1)
        .encode(
            x=alt.X(
                "yes:Q", title="share predicted as the kind", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])
            ),
            y=alt.Y("kind:N", title="kind", sort=list(KINDS)),
            color=alt.Color("input:N", scale=colors, legend=top_legend(symbolType="circle", columns=2)),
            shape=alt.Shape("input:N", scale=alt.Scale(domain=list(names.values())), legend=None),
            tooltip=["kind:N", "input:N", alt.Tooltip("yes:Q", format=".1%"), "pairs:Q"],
        )
        .properties(title="Residues or size?", height=25 * len(KINDS), autosize=FLUID)
    )


def decodability(found: pd.DataFrame) -> Chart:
    """Draw how accurately a linear map reads each residue, by step and control."""
    across = [str(c) for c in found if c != "part"]
    return _rectangles(
        found.melt("part", across, "kind", "value"),
        (list(found["part"]), "residue"),
        (across, "step or control"),
        "accuracy",
        alt.Scale(scheme=SEQUENTIAL, domain=[0, 1]),
        "Residues of the sixth term, read at the answer",
    )


def next_residues(found: Continuation, true: int | None = None) -> Chart:
    """Draw the confidence of the next term's residue for each modulus, by whether the residue is combined.

    Args:
        true: the true next term, if known: wrong residues get a color of their own.
    """
    used, agrees, other, wrong = "combined", "agrees", "contradicts", "wrong"
    rows = []
    for each in found.residues:
        state = used if each.used else agrees if each.agrees else other
        if true is not None and true % each.modulus != each.residue:
            state = wrong
        rows.append((each.modulus, each.residue, each.probability, each.rule, state))
    frame = pd.DataFrame(rows, columns=["modulus", "residue", "confidence", "rule", "residue is"])
    states = [used, agrees, other, *([wrong] if true is not None else [])]
    scale = alt.Scale(domain=states, range=[CATEGORY[0], MUTED, CATEGORY[1], CATEGORY[2]][: len(states)])
    bars = alt.Chart(frame).encode(
        x=alt.X("modulus:O", title="modulus", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
        y=alt.Y("confidence:Q", title="confidence", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        tooltip=["modulus:O", "residue:Q", alt.Tooltip("confidence:Q", format=".1%"), "rule:N", "residue is:N"],
    )
    color = alt.Color("residue is:N", scale=scale, legend=top_legend(symbolType="square", columns=2))
    return bars.mark_bar().encode(color=color).properties(title="Residues of the next term", height=220, autosize=FLUID)


def kinds_over_training(metrics: pd.DataFrame, steps: int | None = None) -> Chart:
    """Draw the F1 score of each kind, and their mean, over the steps; of other targets, accuracies.

    Args:
        steps: the length of the axis; by default the last step.
    """
    mean = "macro_f1" if "macro_f1" in metrics else "test_accuracy"
    columns = [mean, *(c for c in map(str, metrics) if c.startswith(("f1_", "accuracy_")))]
    frame = metrics.melt("step", [c for c in columns if c in metrics], "kind", "F1").dropna()
    frame["kind"] = frame["kind"].replace(mean, "mean").str.removeprefix("f1_").str.removeprefix("accuracy_")
    last = int(metrics["step"].max()) if steps is None else steps
    kinds = mean == "macro_f1"
    measured = "F1 on held-out families" if kinds else "accuracy on held-out families"
    title = "F1 of each kind, and their mean" if kinds else "Accuracy of each answer, and of all together"
    x = alt.X("step:Q", scale=alt.Scale(domain=[0, max(1, last)], nice=False))
    y = alt.Y("F1:Q", title=measured, scale=alt.Scale(domain=[0, 1]))
    base = alt.Chart(frame).encode(x=x, y=y, tooltip=["step:Q", "kind:N", alt.Tooltip("F1:Q", format=".3f")])
    each = base.transform_filter("datum.kind != 'mean'").mark_line(color=MUTED, opacity=0.6).encode(detail="kind:N")
    mean = base.transform_filter("datum.kind == 'mean'").mark_line(color=MAIN, strokeWidth=3, point=True)
    return alt.layer(each, mean).properties(title=title, height=240, autosize=FLUID)


def _rectangles(
    frame: pd.DataFrame,
    rows: tuple[list[str], str | None],
    columns: tuple[list[str], str | None],
    value: str,
    scale: alt.Scale,
    title: str,
    vertical: bool = True,
) -> Chart:
    axis = alt.Axis(labelAngle=-50 if vertical else 0, labelOverlap=False)
    legend = alt.Legend(orient="top", title=value, gradientLength=160, offset=4, padding=0)
    tooltip = [c for c in frame.columns if c != "value"] + [alt.Tooltip("value:Q", title=value, format=".3f")]
    return (
        alt.Chart(frame)
        .mark_rect()
        .encode(
            x=alt.X("kind:N", title=columns[1], sort=columns[0], axis=axis, scale=WHOLE),
            y=alt.Y("part:N", title=rows[1], sort=rows[0], axis=alt.Axis(labelOverlap=False), scale=WHOLE),
            color=alt.Color("value:Q", scale=scale, legend=legend),
            tooltip=tooltip,
        )
        .properties(title=title, width=round(CELL * 1.4) * len(columns[0]), height=CELL * len(rows[0]), autosize=FIXED)
    )
