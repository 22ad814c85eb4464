"""Automatic circuit discovery: edges removed one after another, as long as the answers stay what they were."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from miii.analysis.causal.circuits.experiment import Experiment, Progress
from miii.analysis.causal.circuits.run import run
from miii.errors import InputError

#: nats; four a decade
TAUS: tuple[float, ...] = tuple(10 ** (k / 4) for k in range(-24, 9))


def acdc(experiment: Experiment, tau: float) -> Bool[Tensor, " edges"]:
    """The edges that one pass of ACDC keeps.

    From the logits back to the embedding, the latest writer first, each edge is removed; it stays removed if the mean
    KL divergence of the answers from the whole network's grows by less than tau.

    Args:
        tau: nats.

    Raises:
        InputError: ``tau`` is not positive.

    Source: Conmy et al. 2023 (arXiv 2304.14997), algorithm 1.
    """
    return _pass(experiment, tau, _divergence(experiment))


def acdc_scores(
    experiment: Experiment, progress: Progress | None = None, taus: Sequence[float] = TAUS
) -> Float[Tensor, " edges"]:
    """The largest of some thresholds at which ACDC still keeps each edge, in nats; 0 where it never does.

    ACDC answers yes or no for one tau. One pass is made for each of ``taus``, and an edge is scored by the largest
    that it survives; edges between the same two thresholds are tied.

    Raises:
        InputError: a threshold is not positive.

    Source: own design, on Conmy et al. 2023, who sweep tau in the same way to draw their ROC curves.
    """
    divergence = _divergence(experiment)
    scores = torch.zeros(len(experiment.graph.edges), dtype=torch.float64)
    for done, tau in enumerate(sorted(taus), 1):
        scores[_pass(experiment, tau, divergence)] = tau
        if progress:
            progress(done, len(taus))
    return scores


def _pass(
    experiment: Experiment, tau: float, divergence: Callable[[Bool[Tensor, " edges"]], float]
) -> Bool[Tensor, " edges"]:
    if not tau > 0:
        raise InputError(f"tau must be above 0 (got {tau}).")
    kept = torch.ones(len(experiment.graph.edges), dtype=torch.bool)
    now = 0.0
    for i in reversed(range(len(kept))):
        kept[i] = False
        without = divergence(kept)
        kept[i] = without - now >= tau
        now = now if kept[i] else without
    return kept


def _divergence(experiment: Experiment) -> Callable[[Bool[Tensor, " edges"]], float]:
    """KL divergence in nats of the answers with some edges from the whole network's, mean over the examples."""
    whole = _log_probabilities(experiment, torch.ones(len(experiment.graph.edges), dtype=torch.bool))
    known: dict[bytes, float] = {}

    def divergence(kept: Bool[Tensor, " edges"]) -> float:
        # Many sets differ only in edges that make no difference; one run is enough for all of these.
        heard = experiment.graph.live(kept & ~experiment.silent)
        key = heard.numpy().tobytes()
        if key not in known:
            logs = _log_probabilities(experiment, heard | experiment.silent)
            known[key] = (whole.exp() * (whole - logs)).sum(-1).mean().item()
        return known[key]

    return divergence


def _log_probabilities(experiment: Experiment, kept: Bool[Tensor, " edges"]) -> Float[Tensor, "batch d_vocab_out"]:
    return torch.log_softmax(experiment.logits(run(experiment, kept)), dim=-1)
