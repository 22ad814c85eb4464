"""Every measure of ``progress`` at every snapshot of a run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from miii import metrics
from miii.analysis.modular import fourier, grid, neurons, progress, relabelling
from miii.analysis.modular.relabelling import Relabelling
from miii.model.transformer import Transformer
from miii.tasks import Task

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Point:
    """The measures of one snapshot. Losses in nats, over all pairs unless noted; see ``progress``.

    Attributes:
        train_loss, test_loss, train_accuracy, test_accuracy: None if the split is unknown.
        gradient_symmetricity, gradient_symmetricity_error: mean over random triples, and its standard error. Both and
            ``distance_irrelevance`` are None if a pair is missing.
        power: share of each frequency 1 .. p // 2 in the neurons, averaged over live neurons.
        embedding: the same in the embedding.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 5; Zhong et al. 2023 (arXiv 2306.17844), section 4.
    """

    step: int
    loss: float
    accuracy: float
    train_loss: float | None
    test_loss: float | None
    train_accuracy: float | None
    test_accuracy: float | None
    restricted_loss: float
    excluded_loss: float
    excluded_alone: dict[int, float]
    squared_weights: float
    gini_embedding: float
    gini_neuron_logit: float
    gradient_symmetricity: float | None
    gradient_symmetricity_error: float | None
    distance_irrelevance: float | None
    circularity: float
    neurons_single_frequency: float
    dead_neurons: int
    power: Float[Tensor, " frequency"]
    embedding: Float[Tensor, " frequency"]


@torch.no_grad()
def measure(
    model: Transformer,
    task: Task,
    frequencies: Sequence[int],
    multipliers: tuple[int, int] = (1, 1),
    step: int = 0,
    relabelled: Relabelling | None = None,
) -> Point:
    """Return all measures of one network.

    Args:
        frequencies: for restricted and excluded loss, usually the key frequencies of the last snapshot.
        relabelled: the operands and answers that are added; the numbers as they are if None. Neurons are measured in
            them if they are one-to-one, and the losses on the pairs that have labels.

    Raises:
        InputError: the task does not have pairs of Z_p, p is below 11, a frequency is not in 1 .. p // 2, or a pair is
            missing and the relabelling is not one-to-one.
    """
    grid.least_p(task)
    relabelled = relabelled or relabelling.natural(task)
    raw = grid.raw_logits(model, task)
    logits, complete = grid.center(raw), grid.complete(task)
    symmetricity = progress.gradient_symmetricity(model, task) if complete else None
    loss = progress.losses(
        relabelled.logits(logits),
        relabelled.labels(task.labels),
        task.train_mask[relabelled.rows],
        frequencies,
        combined=relabelled.sum(multipliers),
    )
    each, right = metrics.cross_entropy(logits, task.labels), metrics.correct(logits, task.labels).double()
    train, known = task.train_mask, task.split_known
    W_E = fourier.relabelled_embedding(model, task, relabelled)
    W_L = fourier.relabelled_neuron_logit(model, relabelled)
    of_neurons = neurons.describe(model, task, multipliers, relabelled if relabelled.full else None)
    return Point(
        step=step,
        loss=each.mean().item(),
        accuracy=right.mean().item(),
        train_loss=each[train].mean().item() if known else None,
        test_loss=each[~train].mean().item() if known else None,
        train_accuracy=right[train].mean().item() if known else None,
        test_accuracy=right[~train].mean().item() if known else None,
        restricted_loss=loss.restricted,
        excluded_loss=loss.excluded,
        excluded_alone=loss.excluded_alone,
        squared_weights=progress.squared_weights(model),
        gini_embedding=progress.gini(progress.component_norms(W_E)),
        gini_neuron_logit=progress.gini(progress.component_norms(W_L)),
        gradient_symmetricity=symmetricity.value if symmetricity else None,
        gradient_symmetricity_error=symmetricity.error if symmetricity else None,
        distance_irrelevance=progress.distance_irrelevance(raw, task.labels) if complete else None,
        circularity=progress.circularity(W_E),
        neurons_single_frequency=of_neurons.single_frequency,
        dead_neurons=of_neurons.dead,
        power=of_neurons.power,
        embedding=fourier.spectrum(W_E).power,
    )


@dataclass(frozen=True)
class Trajectory:
    """The measures of a run, snapshot by snapshot."""

    frequencies: tuple[int, ...]
    points: tuple[Point, ...]

    def power(self) -> Float[Tensor, "snapshots frequency"]:
        """Return the share of each frequency in the neurons, one row per snapshot."""
        return torch.stack([point.power for point in self.points])

    def frame(self) -> "pd.DataFrame":
        """Return one row per snapshot with all measures, ``active_frequencies`` by both rules, and ``excluded_<k>``."""
        import pandas as pd

        tensors = ("power", "embedding", "excluded_alone")
        rows = [
            {f.name: getattr(point, f.name) for f in fields(Point) if f.name not in tensors}
            | {f"excluded_{k}": value for k, value in point.excluded_alone.items()}
            for point in self.points
        ]
        power = self.power()
        return pd.DataFrame(rows).assign(
            active_frequencies=progress.active_frequencies(power).sum(1).tolist(),
            active_frequencies_together=progress.active_frequencies(power, over_time=True).sum(1).tolist(),
        )


def measure_all(
    models: Iterable[tuple[int, Transformer]],
    task: Task,
    frequencies: Sequence[int],
    multipliers: tuple[int, int] = (1, 1),
    relabelled: Relabelling | None = None,
) -> Trajectory:
    """Measure all snapshots, with one network in memory at a time.

    Args:
        models: (step, network), such as ``((step, run.model(step)) for step in run.steps)``.

    Raises:
        InputError: as ``measure``.
    """
    points = tuple(measure(model, task, frequencies, multipliers, step, relabelled) for step, model in models)
    return Trajectory(tuple(frequencies), points)
