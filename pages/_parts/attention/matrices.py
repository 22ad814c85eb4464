"""What a head of plain blocks looks for and writes, read off its matrices, and who writes the answer."""

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
    return f"The strongest frequencies: {listed}."


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
    """Both sections of the page Attention."""
    shown: dict[str, Any] = {"name": run.name, "step": step, "layer": layer, "head": head}
    p, n_layers = run.task().d_vocab_out, run.config.model.n_layers
    write.header("What does a head look for, and what does it write?", anchor="circuits")
    write.text(
        r"""
    A head's four matrices act only in pairs. $W_E W_Q W_K^\top W_E^\top$, the **QK circuit**, scores every token against every
    other: it says where the head looks. $W_E W_V W_O W_U$, the **OV circuit**, says what looking there adds to the logit of
    each answer. Neither depends on an input, so both can be read off the weights.
    """
        + (
            ""
            if layer == 0
            else "\n\nIn this layer they are the direct paths: the head reads what earlier blocks wrote, too."
        )
    )
    scores, written = scored(run.name, step, layer, head), votes(run.name, step, layer, head)
    deviation, shift = float(scores[0].std(correction=0)), float((scores[1] - scores[0]).mean())
    cell(
        token_scores,
        **shown,
        alt=f"Score of head {head} from = to every token at either position.",
        caption="“=” gives the same score to every token: this head cannot tell them apart."
        if deviation < analysis.attention.CONSTANT
        else f"Two operands share the attention by the difference of their scores. Over the tokens the scores deviate by "
        f"{deviation:.2g}; at position $b$ each is {abs(shift):.2g} {'lower' if shift < 0 else 'higher'} than at $a$. "
        + strongest(analysis.fourier.spectrum(scores[0][:, None]).power),
    )
    columns = st.columns(2)
    with columns[0]:
        cell(
            qk,
            **shown,
            width="content",
            alt=f"Head {head}'s score of every query token against every key token.",
            caption=f"Each row is drawn less its mean, which the softmax does not see. Only the last row is ever used: token {p} is "
            "“=”, which alone asks at the last position.",
        )
    with columns[1]:
        cell(
            ov,
            **shown,
            width="content",
            alt=f"What head {head} adds to the logit of each answer for every token it attends to.",
            caption="It writes nothing to the logits directly."
            if not written.any()
            else f"A head's own vote, {float(written.std(correction=0)):.2g} logits strong (standard deviation). "
            + strongest(analysis.fourier.spectrum(written).power),
        )

    write.header("Who writes the answer?", anchor="writers")
    write.text(
        "Without a norm the logits are a sum of what every part of the network wrote, so each part's own contribution to the "
        "logit of the correct answer can be told. What a head adds by way of the neurons counts as theirs."
    )
    parts = written_by(run.name, step)
    cell(
        contributions,
        name=run.name,
        step=step,
        alt="Mean direct contribution of every head and MLP to the correct answer's logit.",
        caption=f"Over all pairs the logit of the correct answer is {parts.total():.3g} above the mean of all answers. The heads "
        f"write {parts.of('head'):.3g} of it directly, the MLP{'s' if n_layers > 1 else ''} {parts.of('MLP'):.3g}.",
    )
