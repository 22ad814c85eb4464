"""A network over the whole grid of pairs (a, b): its answers, and its activations where the answer is read."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.errors import InputError
from miii.model import fast
from miii.model.tap import capture, must_be_finite
from miii.model.transformer import Transformer
from miii.tasks import Task

CHUNK = 2048  #: pairs run at a time
MIN_P = 11  #: below it there are fewer than five frequencies, too few to say that some stand out


def modulus(task: Task) -> int:
    """The p of a task whose examples are all pairs (a, b) of Z_p in the order a * p + b.

    Raises:
        InputError: the task is another, or its p is too small to tell frequencies apart.
    """
    p = task.d_vocab_out
    if task.n_ctx != 3 or len(task.labels) != p * p:
        raise InputError(f"task must have all p^2 pairs of Z_p as its examples (got {len(task.labels)} examples).")
    if p < MIN_P:
        raise InputError(f"p must be at least {MIN_P} to tell its frequencies apart (got {p}).")
    return p


def logits(model: Transformer, task: Task) -> Float[Tensor, "examples d_vocab_out"]:
    """The logits of every example where the answer is read, less their mean over the answers, in float64.

    The mean is taken off because softmax does not see it. The forward pass runs in the weights' own precision.

    Raises:
        InputError: a logit is not finite: the network has fallen apart.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4.
    """
    with torch.no_grad():
        examples = fast.plan(task.tokens)
        rows = torch.arange(len(task.labels)).split(CHUNK)
        found = torch.cat([fast.answer_logits(model, examples.rows(chunk)) for chunk in rows]).double()
    must_be_finite(found, "logits")
    return found - found.mean(1, keepdim=True)


def activations(model: Transformer, task: Task, name: str) -> Float[Tensor, "examples ..."]:
    """An activation of every example at the last position: ``"0.mlp_post"`` gives [examples, d_mlp].

    Of ``pattern`` and ``scores`` the last query is given: [examples, head, key].

    Raises:
        InputError: ``name`` was never met, or is ``pos_embed``, which no example has for itself.
    """
    if name == "pos_embed":
        raise InputError("name must be an activation that each example has for itself (got pos_embed).")
    last = (slice(None), slice(None), -1) if name.endswith(("pattern", "scores")) else (slice(None), -1)
    with torch.no_grad():  # cloned, since a view would keep the other positions
        return torch.cat([capture(model, chunk, {name})[name][last].clone() for chunk in task.tokens.split(CHUNK)])


def neurons(model: Transformer, task: Task) -> Float[Tensor, "examples d_mlp"]:
    """``mlp_pre`` of the last block at the last position, for every example; its ``act`` gives ``mlp_post``.

    Source: Nanda et al. 2023, section 4.2.
    """
    with torch.no_grad():
        examples = fast.plan(task.tokens)
        rows = torch.arange(len(task.labels)).split(CHUNK)
        found = torch.cat([fast.answer_neurons(model, examples.rows(chunk)) for chunk in rows])
    return must_be_finite(found, "mlp_pre")


def combined(p: int, multipliers: tuple[int, int] = (1, 1)) -> Int[Tensor, " pairs"]:
    """``(alpha a + beta b) mod p`` of every pair in the order a * p + b; (1, 1) is the sum, (1, -1) the difference."""
    n = torch.arange(p)
    return ((multipliers[0] * n[:, None] + multipliers[1] * n) % p).flatten()
