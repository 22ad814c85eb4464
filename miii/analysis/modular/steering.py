"""Steering: rotate the planes that represent a + b, and test whether the network answers a + b + s."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.activations import collect
from miii.analysis.modular import grid, relabelling
from miii.analysis.modular.fourier import basis
from miii.analysis.modular.relabelling import Relabelling
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.tasks import Task

BASELINE_SHIFTS = 16  #: shifts at which the baselines are measured, drawn at random
READABLE = 0.5  #: least R^2 of the wave that is read worst in a plane; below, the plane is a line
ROWS = 1024  #: pairs to steer at once; their logits stay in the processor's cache


@dataclass(frozen=True)
class Steering:
    """The effect of rotations by every s = 1 .. p - 1.

    Attributes:
        frequencies: the rotated planes.
        accuracy: share of all p^2 pairs for which the rotated network answers alpha a + beta b + s, by s; with a
            constant gamma in the task, alpha a + beta b + gamma + s.
        control_frequencies: the same number of other frequencies (or all that remain), drawn at random as a control.
        control_accuracy: share of pairs still answered without the shift when the control's planes are rotated, by s.
        chord_accuracy: share of pairs shifted by s if, in place of the rotation, the straight line between the means of
            two answers s apart is added to every activation; mean over some s, each with a random first answer.
        random_accuracy: share of pairs shifted by s if as many random planes are rotated; mean over the same s.

    Source: the planes of Nanda et al. 2023 (arXiv 2301.05217), section 4.2; rotating a circle, Engels et al. (arXiv
    2405.14860), section 5; separate directions to read and write, Haufe et al. (NeuroImage 87, 2014), theorem 1.
    """

    frequencies: tuple[int, ...]
    accuracy: Float[Tensor, " shifts"]
    control_frequencies: tuple[int, ...]
    control_accuracy: Float[Tensor, " shifts"]
    chord_accuracy: float
    random_accuracy: float

    @property
    def mean(self) -> float:
        """The mean accuracy over s."""
        return self.accuracy.mean().item()

    @property
    def minimum(self) -> float:
        """The accuracy of the worst s."""
        return self.accuracy.min().item()


@torch.no_grad()
def steer(
    model: Transformer,
    task: Task,
    frequencies: Sequence[int],
    multipliers: tuple[int, int] = (1, 1),
    seed: int = 0,
    relabelled: Relabelling | None = None,
    known: grid.Known | None = None,
) -> Steering:
    """Rotate the planes of some frequencies at the last ``mlp_out`` by the angle of every s, and change nothing else.

    The plane of k is spanned by the two directions in which ``mlp_out`` moves with cos and sin of w_k (alpha a +
    beta b), found by regression over all pairs. An activation's position in the plane is read by a second regression,
    which predicts these cosines and sines from ``mlp_out``. Only this part is rotated, by w_k s. The intervention is
    one linear map for all inputs, independent of a and b. It rotates the whole plane if the waves are equally strong
    for all pairs; if their strength r varies with a - b, it rotates a share of mean(r)^2 / mean(r^2).

    Some networks hold one wave of a frequency, such as cos w_k (a - b), but not the other: a line, which no linear map
    rotates. There, the sum is read from all planes together (as the sum whose mean reading is closest to the
    activation's), and the wave moves to its value after the shift. The map is still one for all inputs, and sees only
    the activation.

    Args:
        frequencies: in 1 .. p // 2, such as the key frequencies; if empty, all accuracies are 0.
        multipliers: (alpha, beta): (1, 1) for a sum, (1, -1) for a difference.
        seed: draws the control's frequencies, the baselines' shifts and planes.
        relabelled: the operands and answers that are added; the numbers as they are if None.
        known: ``grid.known(model, task)``, if it was computed already.

    Raises:
        InputError: a frequency is not in 1 .. p // 2, or the task does not have all pairs of Z_p.
    """
    if relabelled is None:
        grid.modulus(task)
        relabelled = relabelling.natural(task)
    p, answers = relabelled.m, relabelled.answers
    wrong = [k for k in frequencies if not 1 <= k <= p // 2]
    if wrong:
        raise InputError(f"frequencies must be in 1 .. {p // 2} (got {wrong[0]}).")
    keys = tuple(sorted(set(frequencies)))
    others = [k for k in range(1, p // 2 + 1) if k not in keys]
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(others), generator=generator)[: len(keys)]
    control = tuple(sorted(others[i] for i in drawn.tolist()))

    logits, out, steer_logits = _linearize(model, task, relabelled.rows, known or grid.known(model, task))
    out = (out - out.mean(0)).double()
    combined = relabelled.sum(multipliers)
    right = (combined + constant(relabelled, task, multipliers)) % p
    means, write, read, unread = planes(out, combined, p)
    inside = out @ read  # [pairs, p]: the waves as read from the activations
    if lines := [k for k in keys if k in unread and 2 * k < p]:
        all_keys = rows_of(keys, p)
        shown = torch.cdist(inside[:, all_keys], means @ read[:, all_keys]).argmin(1)
        inside[:, rows_of(lines, p)] = basis(p)[rows_of(lines, p)][:, shown].T
    parts = [slice(start, start + ROWS) for start in range(0, len(out), ROWS)]

    def share(waves: Tensor, change: Tensor, s: int) -> Tensor:
        """Return the share of pairs whose answer is s more once ``waves @ change`` is added to the activations."""
        changed, targets, shifted = steer_logits(change.float()), answers[(right + s) % p][None], 0
        for rows in parts:
            moved, target = changed(waves[rows], rows), targets[:, rows]
            score = moved.gather(0, target)[0]
            # comparing with the maximum of the others is faster than an argmax; ties do not count
            shifted += int((score > moved.scatter_(0, target, -torch.inf).amax(0)).sum())
        return torch.tensor(shifted / len(out), dtype=torch.float64)

    def rotated(chosen: tuple[int, ...], moves: bool) -> Float[Tensor, " shifts"]:
        rows = rows_of(chosen, p)
        waves = inside[:, rows].float()
        changes = (_turns(p, chosen) - torch.eye(len(rows), dtype=torch.float64)).mT @ write[rows]
        return torch.stack([share(waves, change, s * moves) for s, change in enumerate(changes, 1)])

    if not keys:
        kept = (logits.argmax(1) == answers[right]).double().mean()
        return Steering(keys, torch.zeros(p - 1, dtype=torch.float64), control, kept.expand(p - 1), 0.0, 0.0)
    shifts = (torch.randperm(p - 1, generator=generator)[:BASELINE_SHIFTS] + 1).tolist()
    turned = tuple(k for k in keys if 2 * k < p)[: out.shape[1] // 2]
    axes = torch.randn(out.shape[1], 2 * len(turned), generator=generator, dtype=torch.float64)
    axes = torch.linalg.qr(axes).Q
    chord, random, placed, turns = 0.0, 0.0, (out @ axes).float(), _turns(p, turned)
    for s in shifts:
        first = int(torch.randint(p, (1,), generator=generator))
        line = (means[(first + s) % p] - means[first])[None]
        chord += share(torch.ones(len(out), 1), line, s).item() / len(shifts)
        turn = turns[s - 1] - torch.eye(axes.shape[1], dtype=torch.float64)
        random += share(placed, turn.T @ axes.T, s).item() / len(shifts)
    return Steering(keys, rotated(keys, moves=True), control, rotated(control, moves=False), chord, random)


def constant(relabelled: Relabelling, task: Task, multipliers: tuple[int, int]) -> int:
    """Return gamma if the answer of every pair is alpha u + beta v + gamma, otherwise 0."""
    beyond = (relabelled.labels(task.labels) - relabelled.sum(multipliers)) % relabelled.m
    return int(beyond[0]) if (beyond == beyond[0]).all() else 0


class Planes(NamedTuple):
    """The planes of all frequencies, by row of ``basis(p)``; those of some are at ``rows_of``.

    Attributes:
        means: the mean activation of each sum.
        write: the direction in which activations move with each wave.
        read: the map that predicts the waves from centered activations.
        unread: the frequencies whose waves are not readable: an R^2 is below ``READABLE``.
    """

    means: Float[Tensor, "p d_model"]
    write: Float[Tensor, "p d_model"]
    read: Float[Tensor, "d_model p"]
    unread: frozenset[int]


def planes(out: Float[Tensor, "pairs d_model"], combined: Int[Tensor, " pairs"], p: int) -> Planes:
    """Return the planes in which activations hold the waves of a sum, by two regressions over all pairs.

    Args:
        out: centered activations in float64.
        combined: the sum of each pair, in 0 .. p - 1.
    """
    # the regression of all pairs on the waves of their sum: add up the pairs of each value, then Fourier transform
    counts = torch.bincount(combined, minlength=p).clamp_min(1)[:, None]
    sums = torch.zeros(p, out.shape[1], dtype=out.dtype).index_add(0, combined, out)
    live = out.any(0)  # networks without attention may have many dimensions that are 0
    covariance = out[:, live].T @ out[:, live]
    read = torch.zeros(out.shape[1], p, dtype=out.dtype)
    read[live] = torch.linalg.pinv(covariance, rtol=1e-9, hermitian=True) @ (basis(p) @ sums[:, live]).T
    write = basis(p) @ (sums / counts)
    lines = set()
    for k in range(1, p // 2 + 1):
        at = rows_of([k], p)
        if torch.linalg.eigvalsh(write[at] @ read[:, at]).min() < READABLE:  # shares of the waves that are read: R^2
            lines.add(k)
    return Planes(sums / counts, write, read, frozenset(lines))


def rows_of(frequencies: Sequence[int], p: int) -> list[int]:
    """Return the rows of ``basis(p)`` with the cosine and sine of each frequency; the Nyquist frequency has no sine."""
    return [row for k in frequencies for row in range(2 * k - 1, min(2 * k + 1, p))]


#: Function of write [d, d_model], which returns a function of (waves [rows, d], rows): this adds waves @ write to the
#: output of the last neurons for these rows, and returns new logits [answer, row], whose maxima over answers are fast.
SteerLogits = Callable[[Tensor], Callable[[Tensor, slice], Tensor]]


def _linearize(
    model: Transformer, task: Task, rows: Int[Tensor, " pairs"], known: grid.Known
) -> tuple[Float[Tensor, "pairs d_vocab_out"], Float[Tensor, "pairs d_model"], SteerLogits]:
    """Return logits, the last neurons' output up to a constant, and a function from changes to it to the logits."""
    logits = known.centered.float()[rows]
    block, last = model.blocks[-1], len(model.blocks) - 1
    if model.ln_final is None and block.wiring.norm != "post" and block.mlp_gain is None:  # linear from here on
        to_logits = (model.W_U - model.W_U.mean(1, keepdim=True)).float()
        out, by_answer = block.act(known.inputs[rows]) @ block.W_out, logits.T.contiguous()

        def linear(write: Tensor) -> Callable[[Tensor, slice], Tensor]:
            of_waves = (write @ to_logits).T.contiguous()
            return lambda waves, part: torch.addmm(by_answer[:, part], of_waves, waves.T)

        return logits, out, linear
    before = "attn_out" if block.wiring.parallel else "resid_mid"
    names = (f"{last}.{before}", f"{last}.mlp_out")
    found = collect(model, task.tokens, names, last=True)
    mid, out = (found[name][rows] for name in names)

    def normed(write: Tensor) -> Callable[[Tensor, slice], Tensor]:
        return lambda waves, part: (
            model.unembed(block.add_mlp(mid[part], out[part] + (waves @ write).to(out.dtype))).float().T
        )

    return logits, out, normed


def _turns(p: int, frequencies: tuple[int, ...]) -> Float[Tensor, "shifts d d"]:
    """Return the rotations of all planes by their angles w_k s, s = 1 .. p - 1.

    The Nyquist frequency has a line, which flips.
    """
    turns = torch.zeros(p - 1, *[sum(1 + (2 * k < p) for k in frequencies)] * 2, dtype=torch.float64)
    at, shifts = 0, torch.arange(1, p)
    for k in frequencies:
        angle = 2 * torch.pi * (k * shifts % p).double() / p
        cos, sin = angle.cos(), angle.sin()
        turns[:, at, at] = cos
        if 2 * k < p:
            turns[:, at, at + 1], turns[:, at + 1, at], turns[:, at + 1, at + 1] = -sin, sin, cos
        at += 1 + (2 * k < p)
    return turns
