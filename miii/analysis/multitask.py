"""All residues at once: accuracy by target, frequencies of the neurons, attention, and shared directions."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from miii.analysis.activations import collect, last_logits
from miii.analysis.modular.fourier import basis, frequency_of
from miii.analysis.modular.progress import active_by_chance, active_frequencies
from miii.errors import InputError
from miii.model.tap import sites
from miii.model.transformer import Transformer
from miii.tasks import Residues, Task
from miii.training.evaluation import evaluated

ENERGY = 0.9  #: share of a read-out's squared norm that its directions hold
ONE_DIGIT = 0.9  #: a head looks at one digit if that digit gets this share of its attention to digits


def check(config: object) -> Residues:
    """Return the config of a task on all residues.

    Raises:
        InputError: the config is for a different task.
    """
    if not isinstance(config, Residues):
        raise InputError(f"task must be residues for this analysis (got {getattr(config, 'name', config)}).")
    return config


def accuracies(model: Transformer, task: Task) -> dict[str, float]:
    """Return the accuracy on each target, over the held-out numbers that training evaluates.

    Source: Syrkis 2024's preprint.
    """
    rows = evaluated(task)
    rows = rows[~task.train_mask[rows]]
    logits = last_logits(model, task.tokens[rows])
    return {
        target.name: (logits[:, task.logits_of(target.name)].argmax(1) == target.labels[rows]).double().mean().item()
        for target in task.targets
    }


def over_targets(accuracy: Mapping[str, float], config: Residues) -> tuple[float, str]:
    """Return the mean accuracy over the trained targets, and the name of the worst one."""
    trained = {name: accuracy[name] for name in config.trained}
    return statistics.fmean(trained.values()), min(trained, key=trained.__getitem__)


@torch.no_grad()
def frequency_power(model: Transformer, task: Task, p: int) -> Float[Tensor, " frequency"]:
    """Return the neurons' share of power at k = 1 .. p // 2 along either digit, averaged over live neurons.

    Source: Syrkis 2024's preprint; the Fourier basis is Nanda et al.'s (arXiv 2301.05217), section 4.
    """
    name = f"{len(model.blocks) - 1}.mlp_post"
    neurons = collect(model, task.tokens, {name}, last=True)[name].double().view(p, p, -1)  # x1, x0, neuron
    neurons = neurons - neurons.mean((0, 1))
    waves, frequency = basis(p)[1:], torch.tensor(frequency_of(p)[1:])
    power = torch.zeros(p // 2, neurons.shape[-1], dtype=torch.float64)
    for digit in (0, 1):
        along = waves @ neurons.movedim(digit, 0).flatten(1)
        power.index_add_(0, frequency - 1, along.square().view(p - 1, p, -1).sum(1))
    total = neurons.square().sum((0, 1))
    return (power / total.clamp(min=1e-12))[:, total > 0].mean(1) if (total > 0).any() else power.mean(1)


@dataclass(frozen=True)
class Active:
    """The active frequencies of each step, by both rules of ``progress.active_frequencies``.

    Attributes:
        within: the rule of the preprint's text, within each step.
        overall: the rule of its code, over all steps.

    Source: Syrkis 2024's preprint.
    """

    steps: tuple[int, ...]
    power: Float[Tensor, "steps frequency"]
    within: Bool[Tensor, "steps frequency"]
    overall: Bool[Tensor, "steps frequency"]

    def counts(self, marks: Bool[Tensor, "steps frequency"]) -> dict[str, int]:
        """Return the number of active frequencies at each step, by one rule."""
        return {str(step): int(count) for step, count in zip(self.steps, marks.sum(1), strict=True)}

    @property
    def chance(self) -> tuple[float, float]:
        """The number of active frequencies of a step if power were noise: ``within``, ``overall``."""
        snapshots, frequencies = self.power.shape
        return active_by_chance(snapshots, frequencies), active_by_chance(snapshots, frequencies, over_time=True)


def active(power_by_step: Mapping[int, Float[Tensor, " frequency"]]) -> Active:
    """Mark the active frequencies of each step by both rules.

    Source: Syrkis 2024's preprint.
    """
    steps = sorted(power_by_step)
    power = torch.stack([power_by_step[step] for step in steps])
    return Active(tuple(steps), power, active_frequencies(power), active_frequencies(power, over_time=True))


@dataclass(frozen=True)
class Head:
    """The mean attention of a head of the last block at the last position, over all numbers.

    Attributes:
        to: share that goes to x0, to x1, and to "=".
        deviation: standard deviation of the share of x0 over the numbers.

    Source: Syrkis 2024's preprint.
    """

    head: int
    to: tuple[float, float, float]
    deviation: float

    @property
    def one_digit(self) -> bool:
        """Whether at least 90% of the attention to digits goes to one of them."""
        digits = self.to[0] + self.to[1]
        return max(self.to[:2]) >= ONE_DIGIT * digits


@torch.no_grad()
def heads(model: Transformer, task: Task) -> tuple[Head, ...]:
    """Return the attention of each head of the last block; empty for mixers without a pattern.

    Source: Syrkis 2024's preprint, which finds that each head looks at one digit.
    """
    if "pattern" not in sites(model.config):
        return ()
    name = f"{len(model.blocks) - 1}.pattern"
    pattern = collect(model, task.tokens, {name}, last=True)[name].double()
    first = task.tokens[0].tolist().index(task.token_names.index("="))
    order = [place for place in range(3) if place != first] + [first]  # x0, x1, =
    pattern = pattern[:, :, order]
    mean, deviation = pattern.mean(0), pattern[:, :, 0].std(0, correction=0)
    return tuple(Head(h, tuple(mean[h].tolist()), deviation[h].item()) for h in range(mean.shape[0]))


def reported_power(report: dict[str, Any]) -> dict[int, Float[Tensor, " frequency"]]:
    """Return the frequency power by step from a report; empty if it has none."""
    rows = report.get("frequency_power", {})
    return {int(step): torch.tensor(values, dtype=torch.float64) for step, values in rows.items()}


@dataclass(frozen=True)
class Sharing:
    """How the targets share the residual stream: the principal angles between the subspaces that their logits read.

    A target's subspace has the fewest directions that hold 90% of its centered read-out weights' squared norm.

    Attributes:
        names: the targets.
        directions: dimensions of each target's subspace.
        width: dimensions of the residual stream.
        together: rank of all subspaces together, counting singular values above 0.1.
        overlap: mean squared cosine of the principal angles; 1 on the diagonal, 0 for orthogonal subspaces.
        chance: the same for random subspaces of these dimensions.
        smallest: the smallest principal angle, in degrees.

    Source: Bjorck and Golub 1973, principal angles.
    """

    names: tuple[str, ...]
    directions: tuple[int, ...]
    width: int
    together: int
    overlap: Float[Tensor, "targets targets"]
    chance: Float[Tensor, "targets targets"]
    smallest: Float[Tensor, "targets targets"]

    @property
    def between(self) -> tuple[float, float]:
        """The mean overlap of different targets, and of random subspaces; NaN for a single target."""
        different = ~torch.eye(len(self.names), dtype=torch.bool)
        return self.overlap[different].mean().item(), self.chance[different].mean().item()


@torch.no_grad()
def sharing(model: Transformer, task: Task, seed: int = 0) -> Sharing:
    """Compare the subspaces that the targets' logits read.

    Args:
        seed: seed of the random subspaces.
    """
    names, width = tuple(target.name for target in task.targets), model.W_U.shape[0]
    generator = torch.Generator().manual_seed(seed)
    used, random = [], []
    for name in names:
        weights = model.W_U[:, task.logits_of(name)].double()
        left, size, _ = torch.linalg.svd(weights - weights.mean(1, keepdim=True), full_matrices=False)
        energy = size.square().cumsum(0) / size.square().sum().clamp(min=1e-30)
        used.append(left[:, : int((energy < ENERGY).sum()) + 1])
        noise = torch.randn(width, used[-1].shape[1], generator=generator, dtype=torch.float64)
        random.append(torch.linalg.qr(noise).Q)
    cosines, by_chance = (
        [[torch.linalg.svdvals(a.T @ b).clamp(max=1) for b in of] for a in of] for of in (used, random)
    )
    return Sharing(
        names=names,
        directions=tuple(basis.shape[1] for basis in used),
        width=width,
        together=int((torch.linalg.svdvals(torch.cat(used, dim=1)) > 0.1).sum()),
        overlap=torch.tensor([[each.square().mean() for each in row] for row in cosines]),
        chance=torch.tensor([[each.square().mean() for each in row] for row in by_chance]),
        smallest=torch.tensor([[each.max().acos().rad2deg() for each in row] for row in cosines]),
    )
