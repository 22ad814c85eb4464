"""Fourier analysis over Z_p: the frequencies of a matrix over the tokens 0 .. p - 1.

The basis is Nanda et al.'s: the constant, then cos 2 pi k n / p and sin 2 pi k n / p for k = 1 .. p // 2, each of unit
length. For even p the last frequency, the Nyquist frequency p / 2, has no sine.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from miii.analysis.modular import keys
from miii.analysis.modular.keys import Choice
from miii.analysis.modular.relabelling import Relabelling
from miii.errors import InputError
from miii.model.tap import must_be_finite
from miii.model.transformer import Transformer
from miii.tasks import Task


def basis(p: int) -> Float[Tensor, "component p"]:
    """Return the orthonormal Fourier basis of Z_p in float64: rows constant, cos 1, sin 1, cos 2, sin 2, ...

    Raises:
        InputError: ``p`` is below 2.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4 and appendix B.
    """
    if p < 2:
        raise InputError(f"p must be at least 2 (got {p}).")
    n = torch.arange(p)
    # reduce k n modulo p as integers first, so the angle is exact to the last bit
    angle = 2 * math.pi / p * (n[1 : p // 2 + 1, None] * n % p).double()
    pairs = torch.stack([angle.cos(), angle.sin()], dim=1).flatten(0, 1)
    matrix = torch.cat([torch.ones(1, p, dtype=torch.float64), pairs])[:p]  # for even p, the last frequency has no sine
    return matrix / matrix.norm(dim=1, keepdim=True)


def frequency_of(p: int) -> list[int]:
    """Return the frequency k of each row of ``basis(p)``: 0, 1, 1, 2, 2, ..."""
    return [(i + 1) // 2 for i in range(p)]


@dataclass(frozen=True)
class Spectrum:
    """The spectrum of a matrix W [p, d] over the tokens.

    Attributes:
        p: the modulus; frequencies are 1 .. p // 2.
        cos_norm, sin_norm: length of the component of W along each basis row, by frequency.
        constant_norm: the same for the constant.
        power: cos_norm^2 + sin_norm^2 as a share of all power except the constant's.
        key_frequencies: those of the model if the matrix is part of one.

    Source: Nanda et al. 2023, section 4.1 and figure 3.
    """

    p: int
    cos_norm: Float[Tensor, " frequency"]
    sin_norm: Float[Tensor, " frequency"]
    constant_norm: float
    power: Float[Tensor, " frequency"]
    key_frequencies: tuple[int, ...] = ()


def spectrum(W: Float[Tensor, "p d"]) -> Spectrum:
    """Return the spectrum of a matrix over the tokens 0 .. p - 1, in float64.

    By Parseval, constant_norm^2 plus the sum of cos_norm^2 + sin_norm^2 is the sum of the squares of W.

    Source: Nanda et al. 2023, section 4.1.
    """
    p = W.shape[0]
    norms = (basis(p) @ W.double()).norm(dim=1)
    cos, sin = norms[1::2], norms[2::2]
    sin = torch.cat([sin, sin.new_zeros(len(cos) - len(sin))])
    power = cos.square() + sin.square()
    power = power / power.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return Spectrum(p, cos, sin, norms[0].item(), power)


def neuron_logit(model: Transformer) -> Float[Tensor, "d_mlp d_vocab_out"]:
    """Return W_L = W_out W_U, the map from the last block's neurons to the logits.

    Raises:
        InputError: the weights are so large that their product is not finite.

    Source: Nanda et al. 2023, section 4.2.
    """
    return must_be_finite(model.blocks[-1].W_out @ model.W_U, "W_out W_U")


def operand_embedding(model: Transformer, p: int | None = None) -> Float[Tensor, "p d_model"]:
    """Return W_E of the operands 0 .. p - 1, without "=" and other tokens.

    Args:
        p: the number of outputs if None.

    Raises:
        InputError: ``p`` is below 2, or the model has fewer tokens.

    Source: Nanda et al. 2023, section 4.1.
    """
    p = model.W_U.shape[1] if p is None else p
    if not 2 <= p <= model.W_E.shape[0]:
        raise InputError(f"p must be at least 2 and at most the model's {model.W_E.shape[0]} tokens (got {p}).")
    return model.W_E[:p]


def relabelled_embedding(model: Transformer, task: Task, relabelled: Relabelling) -> Float[Tensor, "m d_model"]:
    """Return ``operand_embedding`` in the order of the first operand's labels, if they are one-to-one."""
    tokens = relabelled.tokens(task)
    return operand_embedding(model, task.d_vocab_out) if tokens is None else model.W_E[tokens]


def relabelled_neuron_logit(model: Transformer, relabelled: Relabelling) -> Float[Tensor, "m d_mlp"]:
    """Return ``neuron_logit`` transposed: one row per answer, in the order of the answers' labels."""
    written = neuron_logit(model).T
    return written if relabelled.natural else written[relabelled.answers]


def embedding_spectrum(model: Transformer, task: Task | None = None, choice: Choice | None = None) -> Spectrum:
    """Return the spectrum of a model's embedding, with the model's key frequencies and in their relabelling.

    Args:
        task: addition modulo the number of outputs if None.
        choice: ``keys.of_model(model, task)``, if it is known.

    Raises:
        InputError: as ``keys.of_model``.

    Source: Nanda et al. 2023, figure 3.
    """
    task = task or keys.addition(model)
    choice = choice or keys.of_model(model, task)
    found = spectrum(relabelled_embedding(model, task, choice.relabelling))
    return replace(found, key_frequencies=choice.frequencies)


def neuron_logit_spectrum(model: Transformer, task: Task | None = None, choice: Choice | None = None) -> Spectrum:
    """Return the spectrum of ``neuron_logit`` over answers; arguments and errors as in ``embedding_spectrum``.

    Source: Nanda et al. 2023, section 4.2.
    """
    choice = choice or keys.of_model(model, task or keys.addition(model))
    found = spectrum(relabelled_neuron_logit(model, choice.relabelling))
    return replace(found, key_frequencies=choice.frequencies)


def power_over_training(matrices: Iterable[Float[Tensor, "p d"]]) -> Float[Tensor, "snapshot frequency"]:
    """Return the power of each frequency, one row per snapshot. Rows sum to 1.

    Source: Nanda et al. 2023, figure 7.
    """
    return torch.stack([spectrum(W).power for W in matrices])


@dataclass(frozen=True)
class Circle:
    """The embeddings of the tokens 0 .. p - 1 in the plane of one frequency.

    Attributes:
        xy: coordinates of the tokens, in units of the embedding.
        variance: share of the embedding's variance over the tokens that lies in this plane.

    Source: Nanda et al. 2023, section 4.1; the circle of Liu et al. 2022 (arXiv 2205.10343).
    """

    frequency: int
    xy: Float[Tensor, "p 2"]
    variance: float


def circle(W: Float[Tensor, "p d"], frequency: int) -> Circle:
    """Project the rows of W onto the plane of its cosine and sine directions at one frequency.

    The directions are W's components (basis row @ W), made orthonormal: an exact circle stays a circle, and unequal or
    oblique directions give an ellipse.

    Raises:
        InputError: ``frequency`` is not in 1 .. p // 2.

    Source: Nanda et al. 2023, section 4.1.
    """
    p = W.shape[0]
    if not 1 <= frequency <= p // 2:
        raise InputError(f"frequency must be in 1 .. {p // 2} (got {frequency}).")
    W = W.double() - W.double().mean(0)
    rows = basis(p)[2 * frequency - 1 : 2 * frequency + 1]
    components = rows @ W
    components[components.norm(dim=1) <= 1e-7 * W.norm()] = 0  # drop a direction of rounding errors
    Q = torch.linalg.qr(components.T).Q
    signs = torch.sign((components[: Q.shape[1]] * Q.T).sum(1))
    xy = W @ (Q * signs)
    if xy.shape[1] == 1:  # the Nyquist frequency has a cosine only
        xy = torch.cat([xy, torch.zeros_like(xy)], dim=1)
    total = W.square().sum().clamp_min(torch.finfo(torch.float64).tiny)
    return Circle(frequency, xy, (xy.square().sum() / total).item())


@dataclass(frozen=True)
class Angles:
    """The angles of tokens 0 .. p - 1 at one frequency, each read in a plane fitted to other tokens.

    Attributes:
        turn: k n mod p, where addition modulo p needs token n.
        angle: the measured angle in p-ths of a turn, the representative within p / 2 of ``turn``.
        r2: variance of the angle explained by ``turn``: 1 for exact circles, near 0 for random vectors.
    """

    frequency: int
    turn: Float[Tensor, " p"]
    angle: Float[Tensor, " p"]
    r2: float


def angles(W: Float[Tensor, "p d"], frequency: int) -> Angles:
    """Measure each token's angle in the plane of one frequency, fitted to the other half of the tokens.

    A plane fitted to all tokens would show a blurred circle even in random vectors. The halves are drawn with seed 0.

    Raises:
        InputError: ``frequency`` is not below p / 2 and at least 1: a circle needs a cosine and a sine.
    """
    p = W.shape[0]
    if not 1 <= frequency <= (p - 1) // 2:
        raise InputError(f"frequency must be in 1 .. {(p - 1) // 2} (got {frequency}).")
    W, turn = W.double(), (torch.arange(p) * frequency % p).double()
    waves = torch.stack([torch.ones_like(turn), *_cos_sin(turn, p)], dim=1)
    order = torch.randperm(p, generator=torch.Generator().manual_seed(0))
    angle = torch.zeros_like(turn)
    for fitted, held in ((order[::2], order[1::2]), (order[1::2], order[::2])):
        mean, *plane = torch.linalg.pinv(waves[fitted]) @ W[fitted]
        x, y = ((W[held] - mean) @ torch.linalg.pinv(torch.stack(plane))).T
        angle[held] = torch.atan2(y, x) * p / (2 * math.pi)
    error = (angle - turn + p / 2) % p - p / 2
    r2 = 1 - error.square().mean() / turn.var(correction=0)
    return Angles(frequency, turn, turn + error, r2.item())


def _cos_sin(turn: Float[Tensor, " p"], p: int) -> tuple[Float[Tensor, " p"], Float[Tensor, " p"]]:
    radians = 2 * math.pi / p * turn
    return radians.cos(), radians.sin()


def singular_values(W: Float[Tensor, "p d"]) -> Float[Tensor, " rank"]:
    """Return the singular values of W without its mean over tokens, descending. Source: Nanda et al. 2023, figure 4."""
    W = W.double()
    return torch.linalg.svdvals(W - W.mean(0))
