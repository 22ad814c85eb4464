"""Attention patterns for any task: one example, and the mean."""

from collections.abc import Callable, Iterable

import streamlit as st
import torch

import miii
from miii import analysis, plots
from miii.model.wiring import BLOCKS
from miii.plots.style import Chart
from miii.runs import Run
from miii.tasks import TaskConfig
from pages._kit import write
from pages._kit.cell import cell, shared
from pages._kit.inputs import integer

SHORT = 12  # positions; more do not fit a figure
MANY = 2000  # examples in a mean


def pattern(name: str, step: int, example: int, layer: int) -> Chart:
    run = miii.runs.open(name)
    task = run.task()
    tokens = task.tokens[example]
    weights = analysis.attention.pattern(run.model(step), tokens, layer)
    return plots.pattern(weights, [task.token_names[token] for token in tokens])


@shared
def mean_by_position(name: str, step: int, layer: int, every: int) -> list[list[float]]:
    run = miii.runs.open(name)
    return analysis.attention.over_inputs(run.model(step), run.task().tokens[::every], layer).mean().tolist()


@shared
def mean_by_token(name: str, step: int, layer: int, every: int) -> list[list[float]]:
    run = miii.runs.open(name)
    tokens = run.task().tokens[::every]
    weight = analysis.attention.over_inputs(run.model(step), tokens, layer).weight
    shares = [(weight * (token == tokens.T)).sum(1).mean(1) for token in range(run.task().d_vocab)]
    return torch.stack(shares, dim=1).tolist()


def choose_layer(n_layers: int) -> int:
    """Return the chosen block, if there are several."""
    if n_layers == 1:
        return 0
    layer = st.segmented_control("Layer", range(n_layers), default=0, required=True, key="layer", bind="query-params")
    return int(layer or 0)  # an empty value in the URL gives None


def _sums(run: Run, what: str) -> str:
    """Write what a row of weights sums to; depends on the block."""
    if BLOCKS[run.config.model.block].shape == "softmax":
        return f"{what} sum{'s' if what == 'Each row' else ''} to 1."
    return f"{what} need not sum to 1 here; weights may be negative."


def show_pattern(run: Run, step: int, example: int, layer: int) -> None:
    """Show an example's attention pattern, head by head."""
    task = run.task()
    last = f"the last row (“{task.token_names[task.tokens[example, -1]]}”)"
    cell(
        pattern,
        name=run.name,
        step=step,
        example=example,
        layer=layer,
        width="content",
        caption=f"{_sums(run, 'Each row')} Only {last} affects the answer directly."
        if run.config.model.n_layers == 1
        else f"{_sums(run, 'Each row')} The answer is read in {last}.",
    )


def answer_as_word(task: miii.Task, answer: int) -> str:
    """Write an answer as yes or no, or as a token if the task predicts tokens."""
    return ("no", "yes")[answer] if answer < 2 else f"the token {task.token_names[answer]}"


def answer_as_number(task: miii.Task, answer: int) -> str:
    """Write a numeric answer."""
    return str(answer)


def show(
    run: Run,
    config: TaskConfig,
    step: int,
    word: Callable[[miii.Task, int], str] = answer_as_word,
    caption: str = "",
    by_token: bool = False,
) -> None:
    """Show the page Attention for a task whose examples are not all pairs.

    Args:
        word: writes an answer.
        caption: a remark on the answers.
        by_token: average over tokens in place of positions, for tokens that stand at random positions.
    """
    task = run.task()
    write.header("One example", anchor="input")
    with st.container(horizontal=True, gap="medium"):
        example = _choose_example(task)
        layer = choose_layer(run.config.model.n_layers)
    model, tokens = run.model(step), task.tokens[example]
    shown = [task.token_names[token] for token in tokens]
    with torch.no_grad():
        answer = int(model(tokens[None])[0, -1, task.logits_of(task.name)].argmax())
    truth, said = word(task, int(task.labels[example])), word(task, answer)
    write.text(
        f"`{' '.join(shown)}`: {task.name}? Label **{truth}**, prediction at step {step} **{said}** "
        f"({'training' if task.train_mask[example] else 'test'} split)."
    )
    if caption:
        write.caption(caption)
    if task.n_ctx <= SHORT:
        show_pattern(run, step, example, layer)
    else:
        weights = analysis.attention.pattern(model, tokens, layer)[:, -1]
        first = {"position": list(range(task.n_ctx)), "token": shown}
        _table(weights.T.tolist(), first, "head", range(len(weights)), "attention-of-one-input")
        write.caption("Attention from the last position. " + _sums(run, "Each head's weights"))

    write.header("On average", anchor="inputs")
    every = -(-len(task.labels) // MANY)
    count = f"{len(task.labels[::every]):,}"
    if by_token:
        means = mean_by_token(run.name, step, layer, every)
        _table(means, _heads(means), "to", task.token_names, "mean-attention-by-token")
        write.caption(f"Mean attention from “?” over {count} strings; · is a blank.")
    else:
        means = mean_by_position(run.name, step, layer, every)
        _table(means, _heads(means), "to position", range(task.n_ctx), "mean-attention-by-position")
        write.caption(f"Mean attention from the last position over {count} examples.")


def _heads(means: list[list[float]]) -> dict[str, list]:
    return {"head": list(range(len(means)))}


def _choose_example(task: miii.Task) -> int:
    if "n" not in task.facts:
        last = len(task.labels) - 1
        return integer("Example", 0, last, 0, "example", f"0 to {last}", width=160) or 0
    n = task.facts["n"]  # ascending
    low, high = int(n[0]), int(n[-1])
    chosen = integer("n", low, high, (low + high) // 2, "n", f"{low} to {high}", width=160)
    return int(torch.searchsorted(n, low if chosen is None else chosen))


def _table(rows: list[list[float]], first: dict[str, list], word: str, columns: Iterable[object], name: str) -> None:
    names = [f"{word} {column}" for column in columns]
    shares = dict(zip(names, zip(*rows, strict=True), strict=True))
    format_ = {name: st.column_config.NumberColumn(format="percent") for name in names}
    write.table(first | shares, width="content", column_config=format_, name=name)
