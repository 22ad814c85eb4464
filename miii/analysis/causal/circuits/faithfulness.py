"""Faithfulness: how much of the network's metric a circuit recovers, by number of edges."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
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
        f: of the top edges by |score|: does the circuit do what the network does?
        f_signed: of the top edges by score, those against the answer last: how well can a circuit do?
        cpr: circuit performance ratio, the area under ``f_signed``.
        cmd: circuit-model distance, the area under |1 - f|; 0 is best.

    Source: Mueller et al. 2025 (arXiv 2504.13151), who measure ten sizes.
    """

    m_full: float
    m_empty: float
    n_edges: tuple[int, ...]
    f: tuple[float, ...] | None
    f_signed: tuple[float, ...] | None
    cpr: float | None
    cmd: float | None


def ranking(scores: Float[Tensor, " edges"], signed: bool = False) -> Int[Tensor, " edges"]:
    """Return the indices of the edges by |score|, or by score, descending; in a tie, the last in ``Graph`` comes first.

    Source: |score| as in Hanna et al. 2024 (arXiv 2403.17806); signed for CPR as in Mueller et al. 2025.
    """
    last = len(scores) - 1
    values = scores if signed else scores.abs()
    return last - torch.sort(values.flip(0), descending=True, stable=True).indices


def measure_faithfulness(
    experiment: Experiment, scores: Float[Tensor, " edges"], progress: Progress | None = None
) -> Faithfulness:
    """Run the network with only the top edges, for growing numbers of edges. Draw other examples than for ``scores``.

    Source: Hanna et al. 2024 (arXiv 2403.17806); areas as in Mueller et al. 2025.
    """
    sizes, ends = _sizes(len(scores)), _ends(experiment, len(scores))
    if ends.flat:
        return Faithfulness(ends.full, ends.empty, sizes, None, None, None, None)
    curves = []
    for turn, signed in enumerate((False, True)):
        f, order = [], ranking(scores, signed)
        for done, size in enumerate(sizes, 1):
            f.append(_f(experiment, order[:size], ends))
            if progress:
                progress(turn * len(sizes) + done, 2 * len(sizes))
        curves.append(torch.tensor(f, dtype=torch.float64))
    share = (torch.tensor(sizes).double() / len(scores)).clamp_min(SMALLEST)
    by_size, by_sign = curves
    cpr, cmd = (torch.trapezoid(y, share).item() for y in (by_sign, (1 - by_size).abs()))
    return Faithfulness(ends.full, ends.empty, sizes, tuple(by_size.tolist()), tuple(by_sign.tolist()), cpr, cmd)


def smallest_faithful(experiment: Experiment, scores: Float[Tensor, " edges"], wanted: float) -> int | None:
    """Return the fewest top edges by |score| with at least this f, or None if there is no f.

    The sizes are those of ``Faithfulness``.
    """
    ends, order = _ends(experiment, len(scores)), ranking(scores)
    if ends.flat:
        return None
    return next(size for size in _sizes(len(scores)) if _f(experiment, order[:size], ends) >= wanted)


def faithfulness_of(experiment: Experiment, kept: Bool[Tensor, " edges"]) -> float:
    """Return f with only these edges; NaN if there is no f."""
    ends = _ends(experiment, len(kept))
    return math.nan if ends.flat else _f(experiment, kept.nonzero()[:, 0], ends)


class _Ends(NamedTuple):
    """The metric with all edges and with none, and whether they are equal up to rounding."""

    full: float
    empty: float
    flat: bool


def _ends(experiment: Experiment, edges: int) -> _Ends:
    mask = torch.zeros(edges, dtype=torch.bool)
    empty = experiment.differences(run(experiment, mask))
    full = experiment.differences(run(experiment, ~mask, 0))
    m_full, m_empty = full.mean().item(), empty.mean().item()
    return _Ends(m_full, m_empty, abs(m_full - m_empty) <= ROUNDING * (full.abs() + empty.abs()).mean().item())


def _f(experiment: Experiment, kept: Int[Tensor, " kept"], ends: _Ends) -> float:
    mask = torch.zeros(len(experiment.graph.edges), dtype=torch.bool)
    mask[kept] = True
    return (experiment.metric(run(experiment, mask, 0)) - ends.empty) / (ends.full - ends.empty)


def _sizes(n: int) -> tuple[int, ...]:
    if n <= SIZES:
        return tuple(range(n + 1))
    steps = torch.logspace(0, 1, SIZES, base=n, dtype=torch.float64)
    return (0, *sorted(set(steps.round().int().tolist())))
