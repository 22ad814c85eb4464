"""Faithfulness: how much of the network's metric a circuit recovers, by number of edges."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.causal.circuits.experiment import Experiment, Progress
from miii.analysis.causal.circuits.forward import run

SMALLEST = 0.001  #: share of edges at which the areas start
SIZES = 100  #: most sizes to measure
ROUNDING = 1e-9  #: relative difference of metrics that float64 cannot resolve


@dataclass(frozen=True)
class Faithfulness:
    """The share of the metric that the top edges recover: f = (m(C) - m(empty)) / (m(full) - m(empty)).

    f is 0 without edges and 1 with all of them; in between it may leave that range. Areas are over the share of edges
    from 0.1% to 100%, by the trapezoidal rule. If m(full) equals m(empty), f and both areas are None.

    Attributes:
        m_full, m_empty: the metric with all edges and with none.
        n_edges: the measured sizes, from 0 to all edges: every size for graphs of up to 100 edges, otherwise 100
            log-spaced sizes.
        cpr: circuit performance ratio, the area under f.
        cmd: circuit-model distance, the area under |1 - f|; 0 is best.

    Source: Mueller et al. 2025 (arXiv 2504.13151), who measure ten sizes.
    """

    m_full: float
    m_empty: float
    n_edges: tuple[int, ...]
    f: tuple[float, ...] | None
    cpr: float | None
    cmd: float | None

    def smallest(self, wanted: float) -> int | None:
        """Return the smallest measured size with at least this f, or None if there is no f."""
        return None if self.f is None else next(n for n, f in zip(self.n_edges, self.f, strict=True) if f >= wanted)


def measure_faithfulness(
    experiment: Experiment, ranking: Int[Tensor, " edges"], progress: Progress | None = None
) -> Faithfulness:
    """Run the network with only the top edges of a ranking, for growing numbers of edges.

    Source: Hanna et al. 2024 (arXiv 2403.17806); areas as in Mueller et al. 2025.
    """
    mask = torch.zeros(len(ranking), dtype=torch.bool)
    empty = experiment.differences(run(experiment, mask))
    full = experiment.differences(run(experiment, ~mask, 0))
    m_empty, m_full = empty.mean().item(), full.mean().item()
    sizes = _sizes(len(ranking))
    if abs(m_full - m_empty) <= ROUNDING * (full.abs() + empty.abs()).mean().item():
        return Faithfulness(m_full, m_empty, sizes, None, None, None)
    f = []
    for done, size in enumerate(sizes, 1):
        mask[ranking[:size]] = True
        f.append((experiment.metric(run(experiment, mask, 0)) - m_empty) / (m_full - m_empty))
        if progress:
            progress(done, len(sizes))
    share = (torch.tensor(sizes).double() / len(ranking)).clamp_min(SMALLEST)
    curve: Float[Tensor, " sizes"] = torch.tensor(f, dtype=torch.float64)
    cpr, cmd = (torch.trapezoid(y, share).item() for y in (curve, (1 - curve).abs()))
    return Faithfulness(m_full, m_empty, sizes, tuple(f), cpr, cmd)


def _sizes(n: int) -> tuple[int, ...]:
    if n <= SIZES:
        return tuple(range(n + 1))
    steps = torch.logspace(0, 1, SIZES, base=n, dtype=torch.float64)
    return (0, *sorted(set(steps.round().int().tolist())))
