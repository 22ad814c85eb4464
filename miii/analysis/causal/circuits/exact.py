"""The truth that the cheap methods approximate: every edge removed by itself, and the network run again."""

import torch
from jaxtyping import Float
from torch import Tensor

from miii.analysis.causal.circuits.experiment import Experiment, Progress
from miii.analysis.causal.circuits.run import run


def exact(experiment: Experiment, progress: Progress | None = None) -> Float[Tensor, " edges"]:
    """By how much the metric falls if one edge alone carries what the corrupted run wrote.

    The reader hears the corrupted writing, nobody else does, and all that follows is computed anew. Positive where
    the edge helps the network's answer, negative where it works against it.

    Source: path patching of single edges: Goldowsky-Dill et al. 2023 (arXiv 2304.05969).
    """
    graph = experiment.graph
    kept = torch.ones(len(graph.edges), dtype=torch.bool)
    scores = torch.zeros(len(kept), dtype=torch.float64)
    # Each stage is compared with the whole network computed from that stage on: what has no effect then scores 0
    # exactly, and not a rounding error.
    whole: dict[int, float] = {}
    todo = (~experiment.silent).nonzero().flatten().tolist()
    for done, i in enumerate(todo, 1):
        kept[i] = False
        stage = graph.first_stage(kept)
        without = experiment.metric(run(experiment, kept))
        kept[i] = True
        if stage not in whole:
            whole[stage] = experiment.metric(run(experiment, kept, stage))
        scores[i] = whole[stage] - without
        if progress:
            progress(done, len(todo))
    return scores
