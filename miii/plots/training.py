"""Curves and grids of a run while it trains, and of the task before it does."""

import altair as alt
import pandas as pd
import torch
from jaxtyping import Bool
from torch import Tensor

from miii.plots.heatmap import categories
from miii.plots.style import FLUID, HEIGHT, MAIN, MUTED, TEST, TRAIN, WRONG, top_legend
from miii.tasks import Task

SPLITS = {"train": TRAIN, "test": TEST}


def loss(metrics: pd.DataFrame, steps: int | None = None) -> alt.Chart:
    """Cross-entropy of both splits over the steps, on a log scale; ``metrics`` as ``Run.metrics`` gives them.

    Args:
        steps: where the axis ends; the last row unless given.

    Source: Nanda et al. 2023 (arXiv 2301.05217), figure 1.
    """
    scale = alt.Scale(type="log", nice=False)
    return _curves(metrics, "loss", alt.Y("value:Q", title="loss (nats, log scale)", scale=scale), "Loss", steps)


def accuracy(metrics: pd.DataFrame, steps: int | None = None) -> alt.Chart:
    """Share of right answers in both splits over the steps.

    Args:
        steps: where the axis ends; the last row unless given.

    Source: Power et al. 2022 (arXiv 2201.02177), figure 1.
    """
    y = alt.Y("value:Q", title="right answers", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1]))
    return _curves(metrics, "accuracy", y, "Accuracy", steps)


def weight_norm(metrics: pd.DataFrame, steps: int | None = None) -> alt.Chart:
    """Length of the vector of all weights over the steps. Source: Nanda et al. 2023, section 5.1."""
    y = alt.Y("weight_norm:Q", title="length of all weights", scale=alt.Scale(zero=False))
    return (
        alt.Chart(metrics)
        .mark_line(color=MAIN, clip=True)
        .encode(x=_steps(metrics, steps), y=y, tooltip=["step:Q", alt.Tooltip("weight_norm:Q", format=".2f")])
        .properties(title="Weight norm", height=HEIGHT, autosize=FLUID)
    )


def split(task: Task, p: int, size: int = 340) -> alt.Chart:
    """The p x p table of all pairs, with those marked that train. Source: Nanda et al. 2023, figure 2."""
    return categories(
        task.train_mask.int().view(p, p),
        ["test", "train"],
        [MUTED, TRAIN],
        title="Every pair (a, b)",
        row="a",
        column="b",
        value="split",
        size=size,
    )


def answers(correct: Bool[Tensor, " examples"], task: Task, p: int, size: int = 340) -> alt.Chart:
    """The p x p grid of right and wrong answers, by split where it is known. Source: own design."""
    labels = ["train, right", "test, right", "train, wrong", "test, wrong"]
    colors = [TRAIN, "#7cc0e8", WRONG, "#33333c"]
    codes = torch.where(correct, 0, 2) + (~task.train_mask).int()
    if not task.split_known:
        labels, colors, codes = ["right", "wrong"], [TRAIN, WRONG], (~correct).int()
    return categories(
        codes.view(p, p),
        labels,
        colors,
        title="Right and wrong answers",
        row="a",
        column="b",
        value="answer",
        size=size,
    )


def class_balance(task: Task) -> alt.Chart:
    """How many examples of each split have each label. Source: own design."""
    counts = [
        {"label": label, "split": name, "pairs": int(n)}
        for name, mask in (("train", task.train_mask), ("test", ~task.train_mask))
        for label, n in enumerate(torch.bincount(task.labels[mask], minlength=task.d_vocab_out))
    ]
    return (
        alt.Chart(pd.DataFrame(counts))
        .mark_bar()
        .encode(
            x=alt.X("label:O", title="answer c", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("sum(pairs):Q", title="pairs"),
            color=_split_color(),
            tooltip=["label:O", "split:N", "sum(pairs):Q"],
        )
        .properties(title="Pairs with each answer", height=HEIGHT, autosize=FLUID)
    )


def _curves(metrics: pd.DataFrame, kind: str, y: alt.Y, title: str, steps: int | None) -> alt.Chart:
    long = pd.concat(
        [pd.DataFrame({"step": metrics["step"], "value": metrics[f"{name}_{kind}"], "split": name}) for name in SPLITS]
    )
    return (
        alt.Chart(long)
        .mark_line(clip=True)
        .encode(
            x=_steps(metrics, steps),
            y=y,
            color=_split_color(),
            strokeDash=alt.StrokeDash("split:N", sort=list(SPLITS), legend=None),
            tooltip=["step:Q", "split:N", alt.Tooltip("value:Q", title=kind, format=".4g")],
        )
        .properties(title=title, height=HEIGHT, autosize=FLUID)
    )


def _split_color() -> alt.Color:
    scale = alt.Scale(domain=list(SPLITS), range=list(SPLITS.values()))
    return alt.Color("split:N", title=None, scale=scale, legend=top_legend())


def _steps(metrics: pd.DataFrame, steps: int | None) -> alt.X:
    end = steps or (int(metrics["step"].max()) if len(metrics) else 1)
    return alt.X("step:Q", title="step", scale=alt.Scale(domain=[0, end], nice=False))
