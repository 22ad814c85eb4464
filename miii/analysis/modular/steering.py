"""Steering: turn the planes in which a network holds a + b, and see whether it answers a + b + s."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from miii.analysis.modular import grid
from miii.analysis.modular.fourier import basis
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.tasks import Task


@dataclass(frozen=True)
class Steering:
    """What turning did, for every s = 1 .. p - 1.

    Attributes:
        frequencies: those whose planes were turned.
        accuracy: share of all p^2 pairs at which the turned network answers alpha a + beta b + s, by s; where the task
            is that sum and a constant gamma more, alpha a + beta b + gamma + s.
        control_frequencies: as many others (all of them, where fewer are left), drawn by seed, whose planes were turned
            in the same way.
        control_accuracy: share at which the network then still answers as without s, by s.

    Source: own design, on the planes of Nanda et al. 2023 (arXiv 2301.05217), section 4.2. Turning a circle is Engels
    et al.'s (arXiv 2405.14860), section 5; that the directions to write along and to read by differ is Haufe et al.'s
    (NeuroImage 87, 2014), theorem 1.
    """

    frequencies: tuple[int, ...]
    accuracy: Float[Tensor, " shifts"]
    control_frequencies: tuple[int, ...]
    control_accuracy: Float[Tensor, " shifts"]

    @property
    def mean(self) -> float:
        """Mean over s of ``accuracy``."""
        return self.accuracy.mean().item()

    @property
    def minimum(self) -> float:
        """The worst s."""
        return self.accuracy.min().item()


@torch.no_grad()
def steer(
    model: Transformer,
    task: Task,
    frequencies: Sequence[int],
    multipliers: tuple[int, int] = (1, 1),
    seed: int = 0,
) -> Steering:
    """Turn the planes of some frequencies at the last ``mlp_out`` by the angle of every s, and touch nothing else.

    The plane of k is spanned by the two directions in which ``mlp_out`` moves with cos and sin of
    w_k (alpha a + beta b), found by regression over all pairs. Where an activation stands in it is read by the linear
    map that predicts these cosines and sines best; that part is turned by w_k s, and all else stays as it was: the
    activation's other parts, and what attention and embedding add to the residual stream. So the intervention is one
    linear map for all inputs, which knows neither a nor b. Where the waves are as strong for all pairs, the whole plane
    is turned; where their strength r varies with a - b, the prediction is cautious, and mean(r)^2 / mean(r^2) of it.

    Args:
        frequencies: in 1 .. p // 2, such as the key frequencies. Without any nothing can be turned: accuracies are 0.
        multipliers: (alpha, beta): (1, 1) steers a sum, (1, -1) a difference.
        seed: draws the frequencies of the control.

    Raises:
        InputError: a frequency is not in 1 .. p // 2, or the task is not made of all pairs of Z_p.

    Source: as ``Steering``.
    """
    p = grid.modulus(task)
    wrong = [k for k in frequencies if not 1 <= k <= p // 2]
    if wrong:
        raise InputError(f"frequencies must be in 1 .. {p // 2} (got {wrong[0]}).")
    keys = tuple(sorted(set(frequencies)))
    others = [k for k in range(1, p // 2 + 1) if k not in keys]
    drawn = torch.randperm(len(others), generator=torch.Generator().manual_seed(seed))[: len(keys)]
    control = tuple(sorted(others[i] for i in drawn.tolist()))

    logits = grid.logits(model, task).float()
    out, answers = _written(model, task, logits)
    out = (out - out.mean(0)).double()
    combined = grid.combined(p, multipliers)
    beyond = (task.labels - combined) % p
    right = task.labels if (beyond == beyond[0]).all() else combined
    # every value of the combination is met equally often, so the regression is a mean over the pairs of each value,
    # and a Fourier transform of that
    means = torch.zeros(p, out.shape[1], dtype=out.dtype).index_add(0, combined, out) / p
    write = basis(p) @ means
    read = torch.linalg.pinv(out.T @ out, rtol=1e-9, hermitian=True) @ write.T * p
    inside = out @ read  # [pairs, p]: what the activations say that the waves are

    def turned(chosen: tuple[int, ...], moves: bool) -> Float[Tensor, " shifts"]:
        rows = [row for k in chosen for row in range(2 * k - 1, min(2 * k + 1, p))]
        waves, moved, found = inside[:, rows].float(), torch.empty_like(logits), []
        for s in range(1, p):
            turn = _turn(p, chosen, s) - torch.eye(len(rows), dtype=torch.float64)
            answers(waves, (turn.T @ write[rows]).float(), moved)
            asked = ((right + s * moves) % p)[:, None]
            score = moved.gather(1, asked)[:, 0]
            # the largest of the others is found faster than where the largest of all is; a tie is no answer
            found.append((score > moved.scatter_(1, asked, -torch.inf).amax(1)).double().mean())
        return torch.stack(found)

    if not keys:
        share = (logits.argmax(1) == right).double().mean()
        return Steering(keys, torch.zeros(p - 1, dtype=torch.float64), control, share.expand(p - 1))
    return Steering(keys, turned(keys, moves=True), control, turned(control, moves=False))


#: Puts into the last argument the logits of a network whose last neurons write waves @ write [d, d_model] more.
Answers = Callable[[Tensor, Tensor, Tensor], object]


def _written(
    model: Transformer, task: Task, logits: Float[Tensor, "examples d_vocab_out"]
) -> tuple[Float[Tensor, "examples d_model"], Answers]:
    """What the last neurons write, up to a constant, and how the logits follow from what is added to it."""
    block, last = model.blocks[-1], len(model.blocks) - 1
    if model.config.plain:  # linear from there on
        to_logits = (model.W_U - model.W_U.mean(1, keepdim=True)).float()
        out = block.act(grid.neuron_inputs(model, task)) @ block.W_out
        return out, lambda waves, write, found: torch.addmm(logits, waves, write @ to_logits, out=found)
    before = "attn_out" if block.wiring.parallel else "resid_mid"
    mid, out = (grid.activations(model, task, f"{last}.{site}") for site in (before, "mlp_out"))

    def answers(waves: Tensor, write: Tensor, found: Tensor) -> None:
        found.copy_(model.unembed(block.close(mid, out + (waves @ write).to(out.dtype))))

    return out, answers


def _turn(p: int, frequencies: tuple[int, ...], s: int) -> Float[Tensor, "d d"]:
    """The rotation of all planes by their own angle w_k s; the Nyquist frequency has a line, which is turned over."""
    blocks = [torch.empty(0, 0, dtype=torch.float64)]
    for k in frequencies:
        angle = torch.tensor(2 * torch.pi * (k * s % p) / p, dtype=torch.float64)
        cos, sin = angle.cos(), angle.sin()
        blocks.append(cos[None, None] if 2 * k == p else torch.stack([cos, -sin, sin, cos]).view(2, 2))
    return torch.block_diag(*blocks)
