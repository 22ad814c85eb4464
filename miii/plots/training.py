"""Training curves, grids of correct answers, and the split."""

from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from miii.plots.heatmap import categories, panels
from miii.plots.style import (
    CATEGORY,
    FLUID,
    GAP,
    HEIGHT,
    MAIN,
    MUTED,
    SEQUENTIAL,
    TEST,
    TRAIN,
    WHOLE,
    WRONG,
    Chart,
    bar_legend,
    log_axis,
    top_legend,
)
from miii.tasks import Task
from miii.tasks.modular import grid_of
from miii.tasks.primes import SIEVED

SPLITS = {"train": TRAIN, "test": TEST}
TOKENS = {"digits": "digits", "integers": "integers", "auc": "label, AUC", "auc_coprime": "label, coprime to the base"}
LENGTHS = {"train_accuracy": "training", "accuracy_as_long": "test, same lengths", "accuracy_longer": "test, longer"}
MOST = 4_000  #: most points of a chart


def loss(metrics: pd.DataFrame, steps: int | None = None, unit: str = "nats") -> alt.Chart:
    """Draw the loss of both splits over the steps on a log scale; ``metrics`` from ``Run.metrics``.

    Args:
        steps: end of the axis; the last row if None.
        unit: unit of the loss.

    Source: Nanda et al. 2023 (arXiv 2301.05217), figure 1.
    """
    y = alt.Y("value:Q", title=f"loss ({unit}, log scale)", scale=alt.Scale(type="log", nice=False), axis=log_axis())
    return _curves(metrics, "loss", y, "Loss", steps)


def accuracy(metrics: pd.DataFrame, steps: int | None = None) -> alt.Chart:
    """Draw the accuracy of both splits over the steps; for all residues, a number counts if all are correct.

    Args:
        steps: end of the axis; the last row if None.

    Source: Power et al. 2022 (arXiv 2201.02177), figure 1.
    """
    y = alt.Y("value:Q", title="accuracy", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    title = "All residues correct" if "accuracy_worst" in metrics else "Accuracy"
    return _curves(metrics, "accuracy", y, title, steps)


def sieving(metrics: pd.DataFrame, steps: int | None = None) -> Chart:
    """Draw the AUC of primes over the steps, against all composites and by smallest factor.

    Dashed lines show the criterion for sieving by 3, ``miii.tasks.primes.SIEVED``.

    Args:
        steps: end of the axis; the last row if None.
    """
    columns = [name for name in map(str, metrics.columns) if name.partition("_")[0] == "auc"]
    long = _long(metrics, {name: name.removeprefix("auc").removeprefix("_") or "all" for name in columns})
    required = pd.DataFrame(
        {"line": ["all", "3"], "value": SIEVED, "step": 0, "text": [f"required: {x}" for x in SIEVED]}
    )
    names = list(long["line"].unique())
    scale = alt.Scale(domain=names, range=CATEGORY[: len(names)])
    color = alt.Color("line:N", scale=scale, legend=top_legend())
    # a fixed scale: 0.5 is chance, and noise goes slightly below
    y = alt.Y("value:Q", title="area under the ROC curve", scale=alt.Scale(domain=[0.4, 1]))
    shown = [
        "step:Q",
        alt.Tooltip("line:N", title="smallest factor"),
        alt.Tooltip("value:Q", title="AUC", format=".4f"),
    ]
    lines = alt.Chart(long).mark_line(clip=True).encode(x=_steps(metrics, steps), y=y, color=color, tooltip=shown)
    rules = alt.Chart(required).mark_rule(strokeDash=[4, 4]).encode(y=y, color=color, tooltip="text:N")
    labels = alt.Chart(required).mark_text(align="left", dx=4, dy=8)
    labels = labels.encode(x=_steps(metrics, steps), y=y, color=color, text="text:N")
    return alt.layer(lines, rules, labels).properties(
        title="AUC by smallest prime factor", height=HEIGHT, autosize=FLUID
    )


def by_prime(metrics: pd.DataFrame) -> alt.Chart:
    """Draw the accuracy on n mod q over the steps, one row for each q."""
    columns = [name for name in map(str, metrics.columns) if name.startswith("accuracy_") and name != "accuracy_worst"]
    long = _long(metrics, {name: name.removeprefix("accuracy_") for name in columns})
    color = alt.Color("value:Q", title="accuracy", scale=alt.Scale(scheme=SEQUENTIAL, domain=[0, 1]))
    overlap = alt.Axis(labelOverlap=True)
    return (
        alt.Chart(long)
        .mark_rect()
        .encode(
            x=alt.X("step:O", title="step", axis=alt.Axis(labelAngle=0, labelOverlap=True), scale=WHOLE),
            y=alt.Y("line:O", title="modulo", sort=list(long["line"].unique()), axis=overlap, scale=WHOLE),
            color=color.legend(bar_legend(format="%")),
            tooltip=[
                "step:Q",
                alt.Tooltip("line:N", title="modulo"),
                alt.Tooltip("value:Q", title="accuracy", format=".2%"),
            ],
        )
        .properties(title="Test accuracy by modulus", height=max(HEIGHT, 10 * len(columns)), autosize=FLUID)
    )


def by_length(metrics: pd.DataFrame, steps: int | None = None) -> alt.Chart:
    """Draw the accuracy over the steps on strings of training lengths and on longer ones.

    Args:
        steps: end of the axis; the last row if None.
    """
    names = {column: name for column, name in LENGTHS.items() if column in metrics}
    y = alt.Y("value:Q", title="accuracy", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    colors = dict(zip(names.values(), CATEGORY, strict=False))
    return _lines(metrics, names, y, "Accuracy by string length", colors, steps, ".2%")


def by_token(metrics: pd.DataFrame, steps: int | None = None) -> alt.Chart:
    """Draw ``Frames.scores`` over the steps: digits and integers correct, and label AUCs.

    Args:
        steps: end of the axis; the last row if None.
    """
    names = {column: name for column, name in TOKENS.items() if column in metrics}
    y = alt.Y("value:Q", title="accuracy or AUC", scale=alt.Scale(domain=[0, 1]))
    colors = dict(zip(names.values(), CATEGORY, strict=False))
    return _lines(metrics, names, y, "Held-out frames, after the true frames", colors, steps, ".4f")


def weight_norm(metrics: pd.DataFrame, steps: int | None = None) -> alt.Chart:
    """Draw the norm of all weights over the steps. Source: Nanda et al. 2023, section 5.1."""
    y = alt.Y("weight_norm:Q", title="L2 norm of weights", scale=alt.Scale(zero=False))
    return (
        alt.Chart(metrics)
        .mark_line(color=MAIN, clip=True)
        .encode(x=_steps(metrics, steps), y=y, tooltip=["step:Q", alt.Tooltip("weight_norm:Q", format=".2f")])
        .properties(title="Weight norm", height=HEIGHT, autosize=FLUID)
    )


def split(task: Task, p: int, columns: int | None = None) -> alt.LayerChart:
    """Draw the table of all pairs, p x p unless ``columns``, by split. Source: Nanda et al. 2023, figure 2."""
    return categories(
        *_with_gaps(task, task.train_mask.int(), p, ["test", "train"], [MUTED, TRAIN], columns),
        title="Every pair (a, b)",
        row="a",
        column="b",
        value="split",
    )


def answers(
    correct: Bool[Tensor, " examples"], task: Task, p: int, columns: int | None = None, size: int = 340
) -> alt.LayerChart:
    """Draw the grid of correct and wrong answers, p x p unless ``columns``, by split if it is known."""
    codes, labels, colors = _answers(correct, task)
    return categories(
        *_with_gaps(task, codes, p, labels, colors, columns),
        title="Correct and wrong answers",
        row="a",
        column="b",
        value="answer",
        size=size,
    )


def answers_over_training(correct: Mapping[int, Bool[Tensor, " examples"]], task: Task, p: int) -> Chart:
    """Draw small grids of correct and wrong answers at several snapshots.

    Args:
        correct: the correct pairs, by step of the snapshot.
    """
    drawn = {step: _answers(right, task) for step, right in correct.items()}
    gaps = {step: _with_gaps(task, codes, p, labels, colors) for step, (codes, labels, colors) in drawn.items()}
    _, labels, colors = next(iter(gaps.values()))
    named = {
        f"step {step}: {right.double().mean().item():.0%} correct": gaps[step][0] for step, right in correct.items()
    }
    return panels(named, labels, colors, title="Answers over training", row="a", column="b")


def _with_gaps(
    task: Task, codes: Int[Tensor, " pairs"], p: int, labels: list[str], colors: list[str], columns: int | None = None
) -> tuple[Int[Tensor, "p columns"], list[str], list[str]]:
    """Return the table of codes, labels and colors, with one more for the pairs that the task leaves out."""
    table = grid_of(task, codes, p, len(labels), columns)
    return (table, [*labels, "left out"], [*colors, GAP]) if len(codes) < table.numel() else (table, labels, colors)


def _answers(correct: Bool[Tensor, " examples"], task: Task) -> tuple[Int[Tensor, " examples"], list[str], list[str]]:
    """Return codes of correct and wrong answers by split if it is known, their labels, and their colors."""
    if not task.split_known:
        return (~correct).int(), ["correct", "wrong"], [TRAIN, WRONG]
    codes = torch.where(correct, 0, 2) + (~task.train_mask).int()
    labels = ["train, correct", "test, correct", "train, wrong", "test, wrong"]
    return codes, labels, [TRAIN, "#7cc0e8", WRONG, "#666672"]


def at_step(chart: Chart, step: int, x: str = "step") -> alt.LayerChart:
    """Mark the step of a snapshot in a chart over the steps.

    Args:
        x: the field of the chart's x axis; ``at`` for logarithmic steps, where 0 is drawn at 0.7.
    """
    lines = chart.copy()
    options = {name: getattr(chart, name) for name in ("title", "height", "autosize")}
    for name in options:  # properties of the whole chart, not of its layers
        setattr(lines, name, alt.Undefined)
    where = pd.DataFrame({"step": [step], "at": [max(0.7, step)]})
    rule = alt.Chart(where).mark_rule(color=MUTED, strokeWidth=2).encode(x=f"{x}:Q", tooltip="step:Q")
    return alt.LayerChart(layer=[lines, rule]).properties(**options)


def _curves(metrics: pd.DataFrame, kind: str, y: alt.Y, title: str, steps: int | None) -> alt.Chart:
    if kind in metrics:  # an imported history with an unknown split
        return _lines(metrics, {kind: "all pairs"}, y, title, {"all pairs": MAIN}, steps, ".4g")
    return _lines(metrics, {f"{name}_{kind}": name for name in SPLITS}, y, title, SPLITS, steps, ".4g")


def _lines(
    metrics: pd.DataFrame,
    names: Mapping[str, str],
    y: alt.Y,
    title: str,
    colors: Mapping[str, str],
    steps: int | None,
    shown: str,
) -> alt.Chart:
    """Draw one line per column, with new names."""
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    return (
        alt.Chart(_long(metrics, names))
        .mark_line(clip=True)
        .encode(
            x=_steps(metrics, steps),
            y=y,
            color=alt.Color("line:N", title=None, scale=scale, legend=top_legend()),
            strokeDash=alt.StrokeDash("line:N", sort=list(colors), legend=None),
            tooltip=["step:Q", "line:N", alt.Tooltip("value:Q", format=shown)],
        )
        .properties(title=title, height=HEIGHT, autosize=FLUID)
    )


def _long(metrics: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Return columns in long form (step, value, line); thin many rows evenly, keeping the first and last."""
    most = max(2, MOST // max(1, len(names)))
    if len(metrics) > most:
        metrics = metrics.iloc[np.linspace(0, len(metrics) - 1, most).round().astype(int)]
    parts = [
        pd.DataFrame({"step": metrics["step"], "value": metrics[column], "line": name})
        for column, name in names.items()
    ]
    return pd.concat(parts)


def _steps(metrics: pd.DataFrame, steps: int | None) -> alt.X:
    end = steps or (int(metrics["step"].max()) if len(metrics) else 1)
    return alt.X("step:Q", title="step", scale=alt.Scale(domain=[0, end], nice=False))
