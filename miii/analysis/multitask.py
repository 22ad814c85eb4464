"""All residues at once: how well each is answered, which frequencies the neurons hold, and what each head looks at."""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from miii.analysis.modular.fourier import basis, frequency_of
from miii.errors import InputError
from miii.model import fast
from miii.model.tap import capture, sites
from miii.model.transformer import Transformer
from miii.runs import Run
from miii.tasks import Residues, Task
from miii.training.evaluation import evaluated

CHUNK = 1024  #: numbers run at a time
DEVIATIONS = 2.0  #: a frequency is active from so many standard deviations above the mean power
ONE_DIGIT = 0.9  #: share of a head's attention to the digits from which it looks at one of them alone


def check(config: object) -> Residues:
    """The config of the task, if it is all residues at once.

    Raises:
        InputError: it is another task's.
    """
    if not isinstance(config, Residues):
        raise InputError(f"task must be residues for this analysis (got {getattr(config, 'name', config)}).")
    return config


def accuracies(model: Transformer, task: Task) -> dict[str, float]:
    """Share of held-out numbers whose largest logit is right, by target: of those that every evaluation asks.

    Source: Syrkis 2024's preprint.
    """
    rows = evaluated(task)
    rows = rows[~task.train_mask[rows]]
    logits = fast.answers(model, task.tokens[rows])
    return {
        target.name: (logits[:, task.logits_of(target.name)].argmax(1) == target.labels[rows]).double().mean().item()
        for target in task.targets
    }


def over_targets(accuracy: Mapping[str, float], config: Residues) -> tuple[float, str]:
    """Return the mean accuracy over the targets that are trained, and the name of the worst of them."""
    trained = {name: accuracy[name] for name in config.trained}
    return statistics.fmean(trained.values()), min(trained, key=trained.__getitem__)


@torch.no_grad()
def frequency_power(model: Transformer, task: Task, p: int) -> Float[Tensor, " frequency"]:
    """The neurons' power at k = 1 .. p // 2 along either digit, over all p^2 numbers: the mean of their shares.

    A neuron that is silent everywhere has no share.

    Source: Syrkis 2024's preprint; the Fourier basis is Nanda et al.'s (arXiv 2301.05217), section 4.
    """
    last = len(model.blocks) - 1
    sites = {f"{last}.mlp_post"}
    seen = [capture(model, chunk, sites)[f"{last}.mlp_post"][:, -1] for chunk in task.tokens.split(CHUNK)]
    neurons = torch.cat(seen).double().view(p, p, -1)  # x1, x0, neuron
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
    """Which frequencies are active at each step: power above mean + 2 standard deviations, by two rules.

    Attributes:
        within: the mean and deviation are those of the step's own frequencies; at most a fifth of them can be active.
        overall: the mean and deviation are those of all steps and frequencies together.

    Source: Syrkis 2024's preprint states the first; its code, and the counts that it reports, are the second's.
    """

    steps: tuple[int, ...]
    power: Float[Tensor, "steps frequency"]
    within: Bool[Tensor, "steps frequency"]
    overall: Bool[Tensor, "steps frequency"]

    def counts(self, marks: Bool[Tensor, "steps frequency"]) -> dict[str, int]:
        """How many are active at each step, by one of the rules."""
        return {str(step): int(count) for step, count in zip(self.steps, marks.sum(1), strict=True)}


def active(steps: Iterable[int], power: Float[Tensor, "steps frequency"]) -> Active:
    """Mark the active frequencies by both rules.

    Source: Syrkis 2024's preprint.
    """
    within = power > power.mean(1, keepdim=True) + DEVIATIONS * power.std(1, correction=0, keepdim=True)
    overall = power > power.mean() + DEVIATIONS * power.std(correction=0)
    return Active(tuple(steps), power, within, overall)


@dataclass(frozen=True)
class Head:
    """How a head of the last block divides its attention, where the answer is read: the mean over all numbers.

    Attributes:
        to: share that goes to x0, to x1, and to the answer's own position.
        deviation: standard deviation of the first over the numbers.

    Source: Syrkis 2024's preprint.
    """

    head: int
    to: tuple[float, float, float]
    deviation: float

    @property
    def one_digit(self) -> bool:
        """Whether at least 90 % of what goes to the digits goes to one of them."""
        digits = self.to[0] + self.to[1]
        return max(self.to[:2]) >= ONE_DIGIT * digits


@torch.no_grad()
def heads(model: Transformer, task: Task) -> tuple[Head, ...]:
    """Where each head of the last block looks; none where positions exchange information by something else.

    Source: Syrkis 2024's preprint, which finds one digit a head.
    """
    if "pattern" not in sites(model.config):
        return ()
    name = f"{len(model.blocks) - 1}.pattern"
    pattern = torch.cat([capture(model, chunk, {name})[name][:, :, -1] for chunk in task.tokens.split(CHUNK)]).double()
    mean, deviation = pattern.mean(0), pattern[:, :, 0].std(0, correction=0)
    return tuple(Head(h, tuple(mean[h].tolist()), deviation[h].item()) for h in range(mean.shape[0]))


def over_training(run: Run) -> Active:
    """The active frequencies of every snapshot.

    A shipped run has few of its snapshots left; of the others its report still has the power.

    Raises:
        InputError: the run's task is another.

    Source: Syrkis 2024's preprint.
    """
    config, task = check(run.config.task), run.task()
    known = {} if run.report is None else _power(run.report)
    power = known | {step: frequency_power(run.model(step), task, config.p) for step in run.steps}
    return _active_of(power)


def reported(report: dict[str, Any]) -> Active:
    """The active frequencies of every snapshot that a report tells of. Source: as ``over_training``."""
    return _active_of(_power(report))


def _power(report: dict[str, Any]) -> dict[int, Tensor]:
    told = report.get("frequency_power", {})
    return {int(step): torch.tensor(values, dtype=torch.float64) for step, values in told.items()}


def _active_of(power: dict[int, Tensor]) -> Active:
    steps = sorted(power)
    return active(steps, torch.stack([power[step] for step in steps]))


def report(run: Run, step: int | None = None) -> dict[str, Any]:
    """What ``miii residues RUN --json`` prints of a run on all residues; ``frequency_power`` is that of each snapshot.

    Raises:
        InputError: the run's task is another, or it has no such step.
    """
    config = check(run.config.task)
    task, model = run.task(), run.model(step)
    shown = run.steps[-1] if step is None else step
    right, looking, training = accuracies(model, task), heads(model, task), over_training(run)
    mean, worst = over_targets(right, config)
    now = training.within[training.steps.index(shown)]
    return {
        "run": run.name,
        "step": shown,
        "accuracy": right,
        "accuracy_mean": mean,
        "accuracy_worst": right[worst],
        "active_frequencies": (now.nonzero()[:, 0] + 1).tolist(),
        "active_within": training.counts(training.within),
        "active_overall": training.counts(training.overall),
        "frequency_power": {str(s): power.tolist() for s, power in zip(training.steps, training.power, strict=True)},
        "heads": [list(head.to) for head in looking],
        "heads_look_at_one_digit": all(head.one_digit for head in looking),
    }
