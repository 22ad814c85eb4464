"""A network over the whole grid of pairs (a, b): its logits and activations at the last position."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.activations import chunks, collect, last_logits
from miii.errors import InputError
from miii.model import fast
from miii.model.tap import must_be_finite
from miii.model.transformer import Transformer
from miii.tasks import Task, modular

MIN_P = 11  #: smaller p have fewer than five frequencies, too few for any to stand out


def modulus(task: Task) -> int:
    """Return the p of a task with all pairs (a, b) of Z_p as examples, in the order a * p + b.

    Raises:
        InputError: the task has other examples, or its p is too small to tell frequencies apart.
    """
    if not _of_two(task) or not complete(task):
        raise InputError(f"task must have all p^2 pairs of Z_p as its examples (got {len(task.labels)} examples).")
    return least_p(task)


def complete(task: Task) -> bool:
    """Return whether a task of pairs has all p^2 of them."""
    return len(task.labels) == task.d_vocab_out**2


def check_pairs(task: Task) -> int:
    """Return the p of a task whose examples are pairs (a, b) of Z_p; some may be missing.

    Raises:
        InputError: the examples are not pairs of Z_p.
    """
    p = task.d_vocab_out
    if not _of_two(task) or task.extra_targets or max(each.max() for each in operands(task)) >= p:
        raise InputError(f"task must have pairs of Z_p as its examples (got {task.n_ctx} tokens and {p} answers).")
    return p


def _of_two(task: Task) -> bool:
    """Return whether a prompt may be ``a b``, ``a b =`` or ``a op b =``."""
    return task.n_ctx in (2, 3) or (task.n_ctx == 4 and bool((task.tokens[:, 1] == task.tokens[0, 1]).all()))


def least_p(task: Task) -> int:
    """Return the p of a task as ``check_pairs``, if it is large enough to tell frequencies apart.

    Raises:
        InputError: the examples are not pairs of Z_p, or p is below 11.
    """
    p = check_pairs(task)
    if p < MIN_P:
        raise InputError(f"p must be at least {MIN_P} to tell its frequencies apart (got {p}).")
    return p


@dataclass(frozen=True)
class Known:
    """What several measures of one network on one task need, computed once.

    Attributes:
        raw: ``raw_logits``.
        centered: ``logits``.
        inputs: ``neuron_inputs``.
    """

    raw: Float[Tensor, "examples d_vocab_out"]
    centered: Float[Tensor, "examples d_vocab_out"]
    inputs: Float[Tensor, "examples d_mlp"]


@torch.no_grad()
def known(model: Transformer, task: Task) -> Known:
    """Return logits and neuron inputs of every example, from one pass.

    Raises:
        InputError: a value is not finite.
    """
    parts = [fast.answer_both(model, fast.plan(task.tokens[rows])) for rows in chunks(model, task.tokens)]
    logits, inputs = (torch.cat(each) for each in zip(*parts, strict=True))
    raw = must_be_finite(logits, "logits").double()
    return Known(raw, center(raw), must_be_finite(inputs, "mlp_pre"))


def operands(task: Task) -> tuple[Int[Tensor, " examples"], Int[Tensor, " examples"]]:
    """Return a and b of every example, also if b has tokens of its own."""
    a, b = modular.operands(task)
    return a, b - task.d_vocab_out if b.min() >= task.d_vocab_out else b


def logits(model: Transformer, task: Task) -> Float[Tensor, "examples d_vocab_out"]:
    """Return the logits of every example at the last position, minus their mean over answers, in float64.

    Softmax ignores the mean. The forward pass runs in the weights' precision.

    Raises:
        InputError: a logit is not finite.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4.
    """
    return center(raw_logits(model, task))


def raw_logits(model: Transformer, task: Task) -> Float[Tensor, "examples d_vocab_out"]:
    """Return ``logits`` with their mean over answers, in float64.

    Raises:
        InputError: a logit is not finite.
    """
    return last_logits(model, task.tokens).double()


def center(raw: Float[Tensor, "examples d_vocab_out"]) -> Float[Tensor, "examples d_vocab_out"]:
    """Subtract each example's mean over answers."""
    return raw - raw.mean(1, keepdim=True)


def activations(model: Transformer, task: Task, name: str) -> Float[Tensor, "examples ..."]:
    """Return an activation of every example at the last position: ``"0.mlp_post"`` gives [examples, d_mlp].

    ``pattern`` and ``scores`` are those of the last query: [examples, head, key].

    Raises:
        InputError: the model has no such activation, or it is ``pos_embed``, which has no batch axis.
    """
    return collect(model, task.tokens, {name}, last=True)[name]


@torch.no_grad()
def neuron_inputs(model: Transformer, task: Task) -> Float[Tensor, "examples d_mlp"]:
    """Return ``mlp_pre`` of the last block at the last position, for every example.

    Raises:
        InputError: a value is not finite.
    """
    parts = [fast.answer_neurons(model, fast.plan(task.tokens[rows])) for rows in chunks(model, task.tokens)]
    return must_be_finite(torch.cat(parts), "mlp_pre")


def combined(p: int, multipliers: tuple[int, int] = (1, 1)) -> Int[Tensor, " pairs"]:
    """Return (alpha a + beta b) mod p of every pair, in the order a * p + b; (1, -1) gives a - b."""
    n = torch.arange(p)
    return ((multipliers[0] * n[:, None] + multipliers[1] * n) % p).flatten()
