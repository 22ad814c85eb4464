"""Networks with hand-set weights that compute a given formula, as oracles to test the analyses."""

import math
from typing import Literal

import torch
from torch import Tensor

from miii.analysis.modular.formula import Formula
from miii.errors import InputError
from miii.model.config import ModelConfig
from miii.model.transformer import Transformer

HINGES = 8  #: kinks on either side of 0 of a parabola made of ReLU neurons
PHASES = 4  #: phases of the neurons of one term
FOCUS = 80.0  #: attention scores; e^-80 vanishes even in float64


def from_formula(
    formula: Formula,
    *,
    act: Literal["square", "relu"] = "square",
    hinges: int = HINGES,
    n_heads: int = 2,
    dead_neurons: int = 0,
    embedding_phases: tuple[float, ...] | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Transformer:
    """Return a one-layer network with the formula's logits.

    The embedding holds cos(w_k n + theta) and sin(w_k n + theta) of each frequency. Head 0 moves a's to "=",
    head 1 moves b's. For each term, four pairs of neurons with phases phi_j = 0, 45, 90, 135 degrees compute::

        (cos(x + phi_j) + cos(y + phi_j))^2 - (cos(x + phi_j) - cos(y + phi_j))^2
            = 2 cos(x - y) + 2 cos(x + y + 2 phi_j)

    with x = w k_a a + theta_a, y = w k_b b + theta_b. Written to the answers as cos(2 phi_j + w k_c c + ...), they sum
    to the term, and the part in x - y cancels. Embedding and unembedding hold the phases. For k_a or k_b of 0 the wave
    is the constant 1.

    With "square" this is exact. With "relu" 2 * hinges neurons approximate each parabola on [-2, 2] piecewise linearly,
    and a logit is off by at most the sum of the amplitudes / hinges^2. A random rotation of the residual stream keeps
    features off the axes.

    Args:
        n_heads: heads beyond the second have random queries, keys and values, and write nothing.
        dead_neurons: additional neurons that never fire.
        embedding_phases: theta of each frequency of a or b, ascending by frequency; 0 if None.
        seed: draws the rotation and the idle heads.

    Raises:
        InputError: the formula has no term, a frequency above p // 2 or a k_c below 1; or there are fewer than two
            heads, less than one hinge, a negative number of dead neurons, or the number of phases is wrong.

    Source: the neurons: Gromov (arXiv 2301.02679), equations 7 to 10, with a difference instead of infinitely many
    phases; hand-set weights as an oracle: Lindner et al. (arXiv 2301.05062).
    """
    p = formula.p
    used = sorted({abs(k) for term in formula.terms for k in (term.k_a, term.k_b)})
    if not used:
        raise InputError("formula must have at least one term (got none).")
    wrong = [t for t in formula.terms if max(abs(t.k_a), abs(t.k_b), t.k_c) > p // 2 or t.k_c < 1]
    if wrong:
        found = (wrong[0].k_a, wrong[0].k_b, wrong[0].k_c)
        raise InputError(
            f"formula must have frequencies in 1 .. {p // 2}, k_a and k_b also of 0 or below (got {found})."
        )
    for name, value, least in (("n_heads", n_heads, 2), ("hinges", hinges, 1), ("dead_neurons", dead_neurons, 0)):
        if value < least:
            raise InputError(f"{name} must be at least {least} (got {value}).")
    theta = embedding_phases if embedding_phases is not None else (0.0,) * len(used)
    if len(theta) != len(used):
        raise InputError(f"embedding_phases must be one for each of the frequencies {used} (got {len(theta)}).")

    waves, terms = 2 * len(used), len(formula.terms)
    # the residual stream: waves of the token, its position, waves of a and b from the heads, terms
    token, place = slice(0, waves), slice(waves, waves + 3)
    from_a = slice(place.stop, place.stop + waves)
    from_b = slice(from_a.stop, from_a.stop + waves)
    summed = slice(from_b.stop, from_b.stop + 2 * terms)
    d_head = max(waves, 1, math.ceil(summed.stop / n_heads))
    parabola, slopes, kinks = _parabola(act, hinges)
    d_mlp = terms * 2 * PHASES * len(parabola) + dead_neurons
    biases: Literal["mlp", "none"] = "none" if act == "square" and not dead_neurons else "mlp"
    config = ModelConfig(d_model=n_heads * d_head, n_heads=n_heads, d_mlp=d_mlp, act=act, biases=biases)
    model = Transformer(config, d_vocab=p + 1, d_vocab_out=p, n_ctx=3).to(dtype=torch.float64)
    block = model.blocks[0]
    generator = torch.Generator().manual_seed(seed)

    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        for i, k in enumerate(used):
            angle = _angles(p, k) + theta[i]
            model.W_E[:p, 2 * i], model.W_E[:p, 2 * i + 1] = angle.cos(), angle.sin()
        model.W_pos[:, place] = torch.eye(3, dtype=torch.float64)
        for head, target in enumerate((from_a, from_b)):
            block.W_Q[head, place.start + 2, 0] = 1.0
            block.W_K[head, place.start + head, 0] = FOCUS * math.sqrt(d_head)
            block.W_V[head, token, :waves] = torch.eye(waves, dtype=torch.float64)
            block.W_O[head, :waves, target] = torch.eye(waves, dtype=torch.float64)
        for head in range(2, n_heads):
            for W in (block.W_Q, block.W_K, block.W_V):
                W[head] = torch.randn(W[head].shape, generator=generator, dtype=torch.float64) / math.sqrt(d_head)

        neuron = 0
        for t, term in enumerate(formula.terms):
            x, theta_a = _wave(used, theta, term.k_a)
            y, theta_b = _wave(used, theta, term.k_b)
            for j in range(PHASES):
                phi = math.pi * j / PHASES
                for sign in (1.0, -1.0):
                    row = torch.zeros(config.d_model, dtype=torch.float64)
                    for start, (i, orientation), factor in ((from_a.start, x, 1.0), (from_b.start, y, sign)):
                        # cos(+-angle + phi) = cos angle cos phi -+ sin angle sin phi
                        row[start + 2 * i] += factor * math.cos(phi)
                        row[start + 2 * i + 1] -= factor * orientation * math.sin(phi)
                    span = slice(neuron, neuron + len(parabola))
                    block.W_in[:, span] = torch.outer(row, slopes)
                    if block.b_in is not None:
                        block.b_in[span] = kinks
                    block.W_out[span, summed.start + 2 * t] = sign * math.cos(2 * phi) * parabola / PHASES
                    block.W_out[span, summed.start + 2 * t + 1] = sign * math.sin(2 * phi) * parabola / PHASES
                    neuron += len(parabola)
            # sum_j 2 cos(x + y + 2 phi_j) (cos 2 phi_j, sin 2 phi_j) / PHASES = (cos(x + y), -sin(x + y))
            out = _angles(p, term.k_c) + theta_a + theta_b - term.phase
            model.W_U[summed.start + 2 * t] = term.amplitude * out.cos()
            model.W_U[summed.start + 2 * t + 1] = -term.amplitude * out.sin()
        if block.b_in is not None and dead_neurons:
            block.b_in[neuron:] = -1.0 if act == "relu" else 0.0
        _rotate(model, generator)
    return model.to(dtype).requires_grad_(False).eval()


def _parabola(act: str, hinges: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return x^2 on [-2, 2] as a sum of weights * act(slopes * x + biases): one square or 2 * hinges ReLU neurons."""
    if act == "square":
        return torch.ones(1).double(), torch.ones(1).double(), torch.zeros(1).double()
    width = 2 / hinges
    # the chord between kinks i and i + 1 has slope (2 i + 1) * width: each kink adds 2 * width
    changes = torch.full((hinges,), 2 * width, dtype=torch.float64)
    changes[0] = width
    kinks = -width * torch.arange(hinges, dtype=torch.float64)
    one = torch.ones(hinges, dtype=torch.float64)
    return torch.cat([changes, changes]), torch.cat([one, -one]), torch.cat([kinks, kinks])


def _wave(used: list[int], theta: tuple[float, ...], k: int) -> tuple[tuple[int, float], float]:
    """Return the index and orientation of the wave of frequency |k|, and its phase."""
    i, orientation = used.index(abs(k)), math.copysign(1.0, k)
    return (i, orientation), orientation * theta[i]


def _angles(p: int, k: int) -> Tensor:
    return 2 * math.pi / p * (k * torch.arange(p) % p).double()


def _rotate(model: Transformer, generator: torch.Generator) -> None:
    """Rotate the residual stream in all readers and writers, which leaves the function unchanged."""
    d = model.config.d_model
    R = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    block = model.blocks[0]
    for written in (model.W_E, model.W_pos, block.W_O, block.W_out):
        written.copy_(written @ R)
    for read in (block.W_Q, block.W_K, block.W_V, block.W_in, model.W_U):
        read.copy_(R.T @ read)
