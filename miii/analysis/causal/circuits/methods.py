"""Four ways to score the edges of a network: exact patching, ACDC, and two attributions from gradients."""

from collections.abc import Callable, Sequence

import torch
from einops import einsum
from jaxtyping import Bool, Float
from torch import Tensor

from miii.analysis.causal.circuits.experiment import Experiment, Progress
from miii.analysis.causal.circuits.forward import run
from miii.errors import InputError

STEPS = 5  #: steps of the integrated gradients
#: nats; four a decade
TAUS: tuple[float, ...] = tuple(10 ** (k / 4) for k in range(-24, 9))


def exact(experiment: Experiment, progress: Progress | None = None) -> Float[Tensor, " edges"]:
    """Score each edge by how much the metric falls if only that edge carries the corrupted run's value.

    Everything downstream is recomputed. Scores are positive for edges that support the network's answer, negative for
    edges that work against it.

    Source: path patching of single edges: Goldowsky-Dill et al. 2023 (arXiv 2304.05969).
    """
    graph = experiment.graph
    mask = torch.ones(len(graph.edges), dtype=torch.bool)
    scores = torch.zeros(len(mask), dtype=torch.float64)
    # compare with the whole network recomputed from the same stage, so that an edge without effect scores
    # exactly 0, without rounding error
    whole: dict[int, float] = {}
    todo = (~experiment.inactive).nonzero().flatten().tolist()
    for done, i in enumerate(todo, 1):
        mask[i] = False
        stage = graph.first_stage(mask)
        without = experiment.metric(run(experiment, mask))
        mask[i] = True
        if stage not in whole:
            whole[stage] = experiment.metric(run(experiment, mask, stage))
        scores[i] = whole[stage] - without
        if progress:
            progress(done, len(todo))
    return scores


def eap(experiment: Experiment, progress: Progress | None = None) -> Float[Tensor, " edges"]:
    """Score edges by edge attribution patching (EAP): (clean - corrupted output) . gradient at the reader's input.

    Takes the gradient in the clean run. As in ``exact``, a score is positive if removing the edge lowers the metric.

    Source: Syed et al. 2023 (arXiv 2310.10348).
    """
    return eap_ig(experiment, progress, steps=1)


def eap_ig(experiment: Experiment, progress: Progress | None = None, steps: int = STEPS) -> Float[Tensor, " edges"]:
    """Score edges by EAP with integrated gradients: average the gradient over inputs between corrupted and clean.

    Args:
        steps: number of runs. Run k has embeddings k / steps of the way from the corrupted to the clean input.

    Source: Hanna et al. 2024 (arXiv 2403.17806).
    """
    writes = experiment.clean.writes[:, 0], experiment.corrupt.writes[:, 0]
    scores = torch.zeros(len(experiment.graph.edges), dtype=torch.float64)
    for k in range(1, steps + 1):
        gradients = gradients_by_reader(experiment, torch.lerp(writes[1], writes[0], k / steps))
        every = einsum(gradients, experiment.differs, "reader pos b d, pos writer b d -> reader pos writer")
        scores += experiment.graph.of_edges(every) / steps
        if progress:
            progress(k, steps)
    return scores


def gradients_by_reader(
    experiment: Experiment, embed: Float[Tensor, "pos batch d_model"]
) -> Float[Tensor, "reader pos batch d_model"]:
    """Return the gradient of the metric with respect to each reader's input, in a run from given embeddings.

    Queries, keys, values and neurons are linear in their inputs, so this multiplies their gradients by W_Q, W_K, W_V
    or W_in.

    Source: Syed et al. 2023.
    """
    model, last = experiment.model, experiment.graph.n_layers - 1
    mask: dict[str, Tensor] = {}

    def tap(name: str, value: Tensor) -> Tensor:
        if name == "0.resid_pre":
            value = embed.transpose(0, 1).detach().requires_grad_()
        if name.split(".")[-1] in ("q", "k", "v", "mlp_pre") or name == f"{last}.resid_post":
            mask[name] = value
        return value

    with torch.enable_grad():
        model(experiment.tokens, tap=tap)
        end = mask[f"{last}.resid_post"]
        metric = (end[:, -1] * experiment.direction).sum(-1).mean()
        by = dict(zip(mask, torch.autograd.grad(metric, list(mask.values()), materialize_grads=True), strict=True))
    readers = []
    for layer, block in enumerate(model.blocks):
        for which in "qkv":
            W = getattr(block, f"W_{which.upper()}")
            readers.append(einsum(by[f"{layer}.{which}"], W, "b pos head dh, head d dh -> head pos b d"))
        readers.append((by[f"{layer}.mlp_pre"] @ block.W_in.T).transpose(0, 1)[None])
    readers.append(by[f"{last}.resid_post"].transpose(0, 1)[None])
    return torch.cat(readers)


def acdc(experiment: Experiment, tau: float) -> Bool[Tensor, " edges"]:
    """Return the edges that one pass of automatic circuit discovery (ACDC) keeps.

    Removes edges one by one, from the logits back to the embedding, latest writer first. An edge stays removed if the
    mean KL divergence from the whole network's output grows by less than tau.

    Args:
        tau: nats.

    Raises:
        InputError: ``tau`` is not positive.

    Source: Conmy et al. 2023 (arXiv 2304.14997), algorithm 1.
    """
    return _acdc_pass(experiment, tau, _divergence(experiment))


def acdc_scores(
    experiment: Experiment, progress: Progress | None = None, taus: Sequence[float] = TAUS
) -> Float[Tensor, " edges"]:
    """Score each edge by the largest threshold at which ACDC keeps it, in nats; 0 if it never does.

    Makes one pass for each of ``taus``. Edges between the same two thresholds are tied.

    Raises:
        InputError: a threshold is not positive.

    Source: Conmy et al. 2023, who sweep tau in the same way for their ROC curves.
    """
    divergence = _divergence(experiment)
    scores = torch.zeros(len(experiment.graph.edges), dtype=torch.float64)
    for done, tau in enumerate(sorted(taus), 1):
        scores[_acdc_pass(experiment, tau, divergence)] = tau
        if progress:
            progress(done, len(taus))
    return scores


def _acdc_pass(
    experiment: Experiment, tau: float, divergence: Callable[[Bool[Tensor, " edges"]], float]
) -> Bool[Tensor, " edges"]:
    if not tau > 0:
        raise InputError(f"tau must be above 0 (got {tau}).")
    mask = torch.ones(len(experiment.graph.edges), dtype=torch.bool)
    now = 0.0
    for i in reversed(range(len(mask))):
        mask[i] = False
        without = divergence(mask)
        mask[i] = without - now >= tau
        now = now if mask[i] else without
    return mask


def _divergence(experiment: Experiment) -> Callable[[Bool[Tensor, " edges"]], float]:
    """Return a function from kept edges to the mean KL divergence, in nats, from the whole network's output."""
    whole = _log_probabilities(experiment, torch.ones(len(experiment.graph.edges), dtype=torch.bool))
    known: dict[bytes, float] = {}

    def divergence(mask: Bool[Tensor, " edges"]) -> float:
        # many sets differ only in edges without effect; these share one run
        live = experiment.graph.live(mask & ~experiment.inactive)
        key = live.numpy().tobytes()
        if key not in known:
            logs = _log_probabilities(experiment, live | experiment.inactive)
            known[key] = (whole.exp() * (whole - logs)).sum(-1).mean().item()
        return known[key]

    return divergence


def _log_probabilities(experiment: Experiment, mask: Bool[Tensor, " edges"]) -> Float[Tensor, "batch d_vocab_out"]:
    return torch.log_softmax(experiment.logits(run(experiment, mask)), dim=-1)


METHODS: dict[str, Callable[[Experiment, Progress | None], Float[Tensor, " edges"]]] = {
    "exact": exact,
    "acdc": acdc_scores,
    "eap": eap,
    "eap-ig": eap_ig,
}
