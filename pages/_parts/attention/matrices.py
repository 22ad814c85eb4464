"""QK and OV circuits of a head in plain blocks, and direct contributions to the logits."""

from typing import Any

import streamlit as st
import torch
from torch import Tensor

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from miii.runs import Run
from pages._kit import write
from pages._kit.cell import cell, shared


def strongest(shares: Tensor) -> str:
    """The strongest two of the frequencies 1 .. p // 2 and their shares, in words."""
    top = shares.topk(min(2, len(shares)))
    listed = " and ".join(f"$k = {k + 1}$ ({share:.0%})" for share, k in zip(*(x.tolist() for x in top), strict=True))
    return f"Strongest frequencies: {listed}."


@shared
def scored(name: str, step: int, layer: int, head: int) -> "torch.Tensor":
    run = miii.runs.open(name)
    p = run.task().d_vocab_out
    equals = run.task().tokens[0, -1:]
    return analysis.attention.qk(run.model(step), layer, equals)[head, 0, :2, :p]


def token_scores(name: str, step: int, layer: int, head: int) -> Chart:
    return plots.token_scores(scored(name, step, layer, head), ["a", "b"], head)


def qk(name: str, step: int, layer: int, head: int) -> Chart:
    run = miii.runs.open(name)
    p = run.task().d_vocab_out
    scores = analysis.attention.qk(run.model(step), layer)[head, :, 0, :p]
    return plots.qk(scores, head)


@shared
def votes(name: str, step: int, layer: int, head: int) -> "torch.Tensor":
    run = miii.runs.open(name)
    return analysis.attention.ov(run.model(step), layer)[head, : run.task().d_vocab_out]


def ov(name: str, step: int, layer: int, head: int) -> Chart:
    return plots.ov(votes(name, step, layer, head), head)


@shared
def written_by(name: str, step: int) -> analysis.direct.Contributions:
    run = miii.runs.open(name)
    task = run.task()
    return analysis.direct.contributions(run.model(step), task.tokens, task.labels)


def contributions(name: str, step: int) -> Chart:
    return plots.contributions(written_by(name, step))


def show(run: Run, step: int, layer: int, head: int) -> None:
    """Show both sections."""
    shown: dict[str, Any] = {"name": run.name, "step": step, "layer": layer, "head": head}
    p, n_layers = run.task().d_vocab_out, run.config.model.n_layers
    write.header("QK and OV circuits", anchor="circuits")
    write.text(
        r"""
    The **QK circuit** $W_E W_Q W_K^\top W_E^\top$ scores each token against each. The **OV circuit** $W_E W_V W_O W_U$ is what attending to a
    token adds to each logit.
    """
        + ("" if layer == 0 else "\n\nOnly direct paths: the head also reads what earlier blocks wrote.")
    )
    scores, written = scored(run.name, step, layer, head), votes(run.name, step, layer, head)
    deviation, shift = float(scores[0].std(correction=0)), float((scores[1] - scores[0]).mean())
    cell(
        token_scores,
        **shown,
        caption="From “=”, all tokens have the same score."
        if deviation < analysis.attention.CONSTANT
        else f"The scores' difference divides attention. Standard deviation {deviation:.2g}; scores at $b$ are "
        f"{abs(shift):.2g} {'lower' if shift < 0 else 'higher'}. "
        + strongest(analysis.fourier.spectrum(scores[0][:, None]).power),
    )
    columns = st.columns(2)
    with columns[0]:
        cell(
            qk,
            **shown,
            width="content",
            alt=f"Score of head {head} by query and key token.",
            caption=f"Row means removed. Only the last row, “=” ({p}), matters to the answer.",
        )
    with columns[1]:
        cell(
            ov,
            **shown,
            width="content",
            alt=f"What head {head} adds to logits, by token attended to.",
            caption="No direct contribution to the logits."
            if not written.any()
            else f"Standard deviation {float(written.std(correction=0)):.2g}. "
            + strongest(analysis.fourier.spectrum(written).power),
        )

    write.header("Which parts write the answer?", anchor="writers")
    parts = written_by(run.name, step)
    cell(
        contributions,
        name=run.name,
        step=step,
        caption=f"On average, the correct logit is {parts.total():.3g} above the mean: {parts.of('head'):.3g} directly from heads, "
        f"{parts.of('MLP'):.3g} from the MLP{'s' if n_layers > 1 else ''}, which includes what heads write through neurons.",
    )
