"""The data of tasks: labels by split, all residues, MIU strings, and frames."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int

from miii.plots.heatmap import categories
from miii.plots.style import ACCENT, FLUID, HEIGHT, MAIN, MUTED, TEST, TRAIN, top_legend
from miii.tasks import Task

SPLITS = {"train": TRAIN, "test": TEST}
ANSWERS = {"theorem": MAIN, "not a theorem": ACCENT}


def class_balance(task: Task) -> alt.Chart:
    """Draw the number of examples with each label, by split."""
    counts = [
        {"label": label, "split": name, "pairs": int(n)}
        for name, mask in (("train", task.train_mask), ("test", ~task.train_mask))
        for label, n in enumerate(torch.bincount(task.labels[mask], minlength=task.d_vocab_out))
    ]
    scale = alt.Scale(domain=list(SPLITS), range=list(SPLITS.values()))
    return (
        alt.Chart(pd.DataFrame(counts))
        .mark_bar()
        .encode(
            x=alt.X("label:O", title="answer c", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("sum(pairs):Q", title="pairs"),
            color=alt.Color("split:N", title=None, scale=scale, legend=top_legend()),
            tooltip=["label:O", "split:N", "sum(pairs):Q"],
        )
        .properties(title="Pairs by answer", height=HEIGHT, autosize=FLUID)
    )


def loss_weights(task: Task) -> alt.Chart:
    """Draw the weight of each target in the loss; masked targets have 0."""
    return _bars(
        task, "weight", "weight of the loss", [target.weight for target in task.targets], "Loss weight of each task"
    )


def chance(task: Task) -> alt.Chart:
    """Draw the chance level of each target: the accuracy of always predicting its most common answer."""
    best = [target.labels.bincount().max().item() / len(target.labels) for target in task.targets]
    return _bars(task, "accuracy", "chance accuracy", best, "Chance accuracy")


def digit_split(task: Task, p: int, size: int = 340) -> alt.LayerChart:
    """Draw the p x p table of all n = x0 + p x1, with the training numbers marked."""
    return categories(
        task.train_mask.int().view(p, p),
        ["test", "train"],
        [MUTED, TRAIN],
        title="Every number x0 + p x1",
        row="x1",
        column="x0",
        value="split",
        size=size,
    )


def string_lengths(length: Int[np.ndarray, " strings"], theorem: Bool[np.ndarray, " strings"]) -> alt.Chart:
    """Draw the number of theorems and other strings by length."""
    names = np.where(theorem, *ANSWERS)
    return _stacked(length, names, ANSWERS, "length", "letters after M", "Theorems by length")


def string_counts(count: Int[np.ndarray, " strings"], theorem: Bool[np.ndarray, " strings"]) -> alt.Chart:
    """Draw the number of theorems and other strings by number of I's."""
    names = np.where(theorem, *ANSWERS)
    return _stacked(count, names, ANSWERS, "I", "I's in the string", "Theorems by their number of I's")


def string_split(length: Int[np.ndarray, " strings"], train: Bool[np.ndarray, " strings"]) -> alt.Chart:
    """Draw the split by length of the string."""
    return _stacked(length, np.where(train, *SPLITS), SPLITS, "length", "letters after M", "The split by length")


def split_blocks(train: Bool[np.ndarray, " integers"], low: int, block: int) -> alt.Chart:
    """Draw the split of ``Frames``: blocks of consecutive integers from ``low`` on."""
    begin = np.arange(0, len(train), block)
    frame = pd.DataFrame(
        {
            "first": low + begin,
            "last": low + np.minimum(begin + block, len(train)) - 1,
            "split": np.where(train[begin], *SPLITS),
        }
    )
    scale = alt.Scale(domain=list(SPLITS), range=list(SPLITS.values()))
    x = alt.X("first:Q", title="integer", scale=alt.Scale(domain=[low, low + len(train) - 1], nice=False))
    return (
        alt.Chart(frame)
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=x,
            x2="last:Q",
            y=alt.Y("split:N", title="side", sort=list(SPLITS)),
            color=alt.Color("split:N", scale=scale, legend=None),
            tooltip=["first:Q", "last:Q", "split:N"],
        )
        .properties(title="The split by blocks of integers", height=60, autosize=FLUID)
    )


def _bars(task: Task, name: str, title: str, values: Sequence[float], heading: str) -> alt.Chart:
    names = [target.name for target in task.targets]
    return (
        alt.Chart(pd.DataFrame({"task": names, "answers": [t.size for t in task.targets], name: values}))
        .mark_bar(color=MAIN)
        .encode(
            x=alt.X("task:N", sort=names, title="task", axis=alt.Axis(labelAngle=-60, labelOverlap=True)),
            y=alt.Y(f"{name}:Q", title=title),
            tooltip=["task:N", "answers:Q", alt.Tooltip(f"{name}:Q", format=".4f")],
        )
        .properties(title=heading, height=HEIGHT, autosize=FLUID)
    )


def _stacked(
    values: np.ndarray, names: np.ndarray, colors: dict[str, str], name: str, title: str, heading: str
) -> alt.Chart:
    """Draw the number of strings with each value, stacked by name."""
    frame = pd.DataFrame({name: values, "kind": names}).groupby([name, "kind"], as_index=False).size()
    frame = frame.rename(columns={"size": "strings"})
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X(f"{name}:O", title=title, axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("strings:Q", title="strings"),
            color=alt.Color("kind:N", scale=scale, legend=top_legend()),
            tooltip=[f"{name}:O", "kind:N", alt.Tooltip("strings:Q", format=",")],
        )
        .properties(title=heading, height=HEIGHT, autosize=FLUID)
    )
