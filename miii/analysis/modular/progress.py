"""Progress measures: how a network changes while its accuracy stays the same."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii import metrics
from miii.analysis.modular import fourier, grid
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.model.wiring import LAST
from miii.tasks import Task

TRIPLES = 4096  #: for the gradient symmetricity; its standard error is then .007 at most where cosines deviate by .45
ROUNDING = 1e-6  #: a smaller share of the whole is float32 rounding


@dataclass(frozen=True)
class Losses:
    """Cross-entropy in nats, of the network and with parts of its logits removed. Means over all pairs.

    Attributes:
        full: the network.
        restricted: its logits projected onto cos and sin of w_k (alpha a + beta b), for the key frequencies k, plus
            their mean over all pairs.
        excluded: its logits minus those projections, over the training pairs (all pairs if the split is unknown).
        excluded_alone: the same with one key frequency removed, by frequency.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 5.1.
    """

    full: float
    restricted: float
    excluded: float
    excluded_alone: dict[int, float]


def losses(
    logits: Float[Tensor, "pairs p"],
    labels: Int[Tensor, " pairs"],
    train_mask: Bool[Tensor, " pairs"],
    frequencies: Sequence[int],
    multipliers: tuple[int, int] = (1, 1),
    combined: Int[Tensor, " pairs"] | None = None,
) -> Losses:
    """Return full, restricted and excluded loss. Without frequencies the restricted logits are the mean only.

    Args:
        logits: logits of all pairs, in the order a * p + b, or of those in ``combined``.
        combined: the sum modulo p of each pair, such as that of a ``relabelling``; that of ``multipliers`` if None.

    Raises:
        InputError: a frequency is not in 1 .. p // 2.
    """
    p = logits.shape[1]
    wrong = [k for k in frequencies if not 1 <= k <= p // 2]
    if wrong:
        raise InputError(f"frequencies must be in 1 .. {p // 2} (got {wrong[0]}).")
    combined = grid.combined(p, multipliers) if combined is None else combined
    logits = logits.double()
    # the projection depends on the sum alone, so store a table [value, c] for each frequency
    counts = torch.bincount(combined, minlength=p).clamp_min(1)[:, None]
    by_value = torch.zeros(p, p, dtype=torch.float64).index_add(0, combined, logits) / counts
    basis = fourier.basis(p)
    tables = {
        k: basis[2 * k - 1 : 2 * k + 1].T @ (basis[2 * k - 1 : 2 * k + 1] @ by_value) for k in sorted(set(frequencies))
    }
    together = sum(tables.values(), torch.zeros(p, p, dtype=torch.float64))
    rows = train_mask if train_mask.any() else torch.ones_like(train_mask)
    some, values, answers = logits[rows], combined[rows], labels[rows]

    def without(table: Tensor) -> float:
        return metrics.cross_entropy(some - table[values], answers).mean().item()

    restricted = torch.log_softmax(together + logits.mean(0), 1)
    return Losses(
        full=metrics.cross_entropy(logits, labels).mean().item(),
        restricted=-restricted[combined, labels].mean().item(),
        excluded=without(together),
        excluded_alone={k: without(table) for k, table in tables.items()},
    )


class Estimate(NamedTuple):
    """A mean over random draws, and its standard error."""

    value: float
    error: float


def gradient_symmetricity(model: Transformer, task: Task, n: int = TRIPLES, seed: int = 0) -> Estimate:
    """Return the mean cosine between the gradients of logit c with respect to the embeddings of a and b.

    The mean is over random (a, b, c), from -1 to 1; 1 means that the network uses a and b alike. Triples with a zero
    gradient are left out; returns 0 if none remain.

    Args:
        n: number of triples, drawn with repetition.

    Raises:
        InputError: the task does not have all pairs of Z_p.

    Source: Zhong et al. 2023 (arXiv 2306.17844), section 4.1 and appendix; of the raw logits, as in their code.
    """
    p = grid.modulus(task)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(p * p, (n,), generator=generator)
    answers = torch.randint(p, (n,), generator=generator)
    found: list[Tensor] = []

    def record(name: str, value: Tensor) -> Tensor:
        if name != "embed":
            return value
        found.append(value.detach().requires_grad_())
        return found[0]

    with torch.enable_grad():
        chosen = model(task.tokens[rows], tap=record, at=LAST)[:, -1].gather(1, answers[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, found[0])
    of_a, of_b = gradient[:, 0].double(), gradient[:, 1].double()
    lengths = of_a.norm(dim=1) * of_b.norm(dim=1)
    known = lengths > 0
    if not known.any():
        return Estimate(0.0, 0.0)
    cosines = (of_a * of_b).sum(1)[known] / lengths[known]
    return Estimate(cosines.mean().item(), cosines.std(correction=0).item() / math.sqrt(len(cosines)))


def distance_irrelevance(logits: Float[Tensor, "pairs p"], labels: Int[Tensor, " pairs"]) -> float:
    """Return how independent the correct answer's logit is of a - b: 0 if it depends on a - b alone, 1 if not at all.

    This is the standard deviation over pairs of one distance a - b, averaged over distances, divided by the standard
    deviation over all pairs. A logit that varies only by rounding gives 1.

    Args:
        logits: raw, as in the authors' code; ``grid.logits`` are centered, which changes the result.

    Source: Zhong et al. 2023 (arXiv 2306.17844), section 4.2.
    """
    p = logits.shape[1]
    right = logits.double().gather(1, labels[:, None])[:, 0].view(p, p)
    n = torch.arange(p)
    by_distance = right[(n + n[:, None]) % p, n]  # [a - b, b]
    overall = right.std(correction=0)
    if overall <= ROUNDING * right.abs().max():
        return 1.0
    return (by_distance.std(dim=1, correction=0).mean() / overall).item()


def circularity(W: Float[Tensor, "p d"]) -> float:
    """Return how far the embedding's first four principal components are waves: 1 if each has a single frequency.

    Averages each component's largest share of power in one frequency, without components of rounding error. If two
    waves of different frequencies are equally strong, their components are not unique and may mix.

    Source: Zhong et al. 2023 (arXiv 2306.17844), appendix on circularity.
    """
    W = W.double()
    U, S, _ = torch.linalg.svd(W - W.mean(0), full_matrices=False)
    components = U[:, :4][:, S[:4] > ROUNDING * W.norm()]
    shares = [fourier.spectrum(column[:, None]).power.max().item() for column in components.T]
    return sum(shares) / len(shares) if shares else 0.0


def gini(norms: Float[Tensor, " n"]) -> float:
    """Return the Gini coefficient: 0 if all values are equal, (n - 1) / n if only one is not 0.

    Source: Nanda et al. 2023, section 5.1, on the norms of Fourier components.
    """
    ordered = norms.double().sort().values
    n, total = len(ordered), ordered.sum()
    if total <= 0:
        return 0.0
    rank = torch.arange(1, n + 1, dtype=torch.float64)
    return ((2 * rank - n - 1) @ ordered / (n * total)).item()


def component_norms(W: Float[Tensor, "p d"]) -> Float[Tensor, " component"]:
    """Return the norms of the components of W along every row of ``fourier.basis`` except the constant.

    Source: Nanda et al. 2023, section 5.1.
    """
    return (fourier.basis(W.shape[0]) @ W.double()).norm(dim=1)[1:]


def effective_rank(W: Float[Tensor, "p d"]) -> float:
    """Return exp of the entropy of the singular values' shares, without the mean over tokens: 1 .. min(p, d).

    Source: Roy and Vetterli 2007 (EUSIPCO), definition 1.
    """
    values = fourier.singular_values(W)
    shares = values / values.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return math.exp(torch.special.entr(shares).sum().item())


def squared_weights(model: Transformer) -> float:
    """Return the sum of all squared weights. Source: Nanda et al. 2023, section 5.1."""
    return sum(weight.detach().double().square().sum().item() for weight in model.parameters())


def active_frequencies(
    power: Float[Tensor, "snapshots frequency"], over_time: bool = False
) -> Bool[Tensor, "snapshots frequency"]:
    """Mark the active frequencies of each snapshot, by one of two rules.

    The rule of the preprint's text: power above the snapshot's mean + 2 standard deviations, so at most a fifth of the
    frequencies can be active (Cantelli's inequality).

    The rule of its code, ``over_time``: average each frequency's power over three snapshots, divide by its sum over
    time, and compare with mean + 1 standard deviation of all these values. So a frequency is active when it is strong
    for itself, however weak beside others. The code drops the first and last snapshot; here they average over two.

    Args:
        power: power of each frequency in the neurons, such as ``Neurons.power``.

    Source: Syrkis 2024's preprint, section 4, and ``omega_aux`` in its repository's ``paper.py``.
    """
    power = power.double()
    if over_time:
        power = torch.nn.functional.avg_pool1d(power.T, 3, stride=1, padding=1, count_include_pad=False).T
        power = power / power.sum(0).clamp_min(torch.finfo(torch.float64).tiny)
    deviation, mean = torch.std_mean(power, dim=None if over_time else 1, correction=0, keepdim=True)
    # by more than rounding: frequencies of equal power are not active
    return power > (mean + _deviations(over_time) * deviation) * (1 + 1e-9)


def active_by_chance(snapshots: int, frequencies: int, over_time: bool = False) -> float:
    """Return how many frequencies of a snapshot a rule of ``active_frequencies`` marks in normally distributed noise.

    Source: a sample's studentized deviation; its square, divided by n - 1, has a beta distribution (Thompson 1935).
    """
    from scipy.special import betainc  # a tenth of a second to import

    n = snapshots * frequencies if over_time else frequencies
    if n < 3 or (over_time and snapshots == 1):  # all values are equal, or equally far from the mean
        return 0.0
    beyond = 1 - betainc(0.5, (n - 2) / 2, min(1.0, _deviations(over_time) ** 2 / (n - 1)))
    return float(frequencies * beyond / 2)


def _deviations(over_time: bool) -> int:
    return 1 if over_time else 2
