"""Edge scores from gradients: what removing each edge would change, to first order, all edges at once."""

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from miii.analysis.causal.circuits.experiment import Experiment, Progress

STEPS = 5


def eap(experiment: Experiment, progress: Progress | None = None) -> Float[Tensor, " edges"]:
    """Edge attribution patching: (clean - corrupted writing) . gradient of the metric by the reader's input.

    The gradient is the clean run's. The sign is ``exact``'s: positive where removing the edge lowers the metric.

    Source: Syed et al. 2023 (arXiv 2310.10348).
    """
    return eap_ig(experiment, progress, steps=1)


def eap_ig(experiment: Experiment, progress: Progress | None = None, steps: int = STEPS) -> Float[Tensor, " edges"]:
    """EAP with integrated gradients: the gradient is a mean over runs between the corrupted and the clean input.

    Args:
        steps: how many runs, the last of them the clean one; their embeddings are k / steps of the way to it.

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
    """Gradient of the metric by what each reader of ``Graph`` hears, in a run from given embeddings.

    A head's queries, keys and values, and the neurons, are linear in what is heard, so the gradients by them are taken
    and brought back through W_Q, W_K, W_V and W_in.

    Source: Syed et al. 2023; own way of computing them.
    """
    model, last = experiment.model, experiment.graph.n_layers - 1
    kept: dict[str, Tensor] = {}

    def tap(name: str, value: Tensor) -> Tensor:
        if name == "0.resid_pre":
            value = embed.transpose(0, 1).detach().requires_grad_()
        if name.split(".")[-1] in ("q", "k", "v", "mlp_pre") or name == f"{last}.resid_post":
            kept[name] = value
        return value

    with torch.enable_grad():
        model(experiment.tokens, tap=tap)
        end = kept[f"{last}.resid_post"]
        metric = (end[:, -1] * experiment.direction).sum(-1).mean()
        by = dict(zip(kept, torch.autograd.grad(metric, list(kept.values()), materialize_grads=True), strict=True))
    readers = []
    for layer, block in enumerate(model.blocks):
        for which in "qkv":
            W = getattr(block, f"W_{which.upper()}")
            readers.append(einsum(by[f"{layer}.{which}"], W, "b pos head dh, head d dh -> head pos b d"))
        readers.append((by[f"{layer}.mlp_pre"] @ block.W_in.T).transpose(0, 1)[None])
    readers.append(by[f"{last}.resid_post"].transpose(0, 1)[None])
    return torch.cat(readers)
