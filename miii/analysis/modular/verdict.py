"""The verdict: does a network perform modular addition, of its operands or of functions of them?"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from miii import metrics
from miii.analysis.modular import certificate, criteria, fourier, grid, keys, neurons, progress, steering
from miii.analysis.modular.criteria import Criterion
from miii.model.transformer import Transformer
from miii.tasks import Task


@dataclass(frozen=True)
class Report:
    """The verdict on a network, with all measures. Losses and KL in nats; shares from 0 to 1. See ``criteria``.

    Accuracies and ``loss`` are of all pairs; the rest is measured under the relabelling, on the pairs that have labels.

    Attributes:
        verdict: "modular addition", "modular addition of (3a, -b)", "multiplication as addition of logarithms to base
            3" or the like; "memorized" or "none".
        reason: why the verdict is not an addition; empty if it is one.
        criteria: every criterion, with value, bound, and whether it passed.
        computes: "a + b", "a - b", "log a + log b" or the like, from the formula's terms; None if they disagree.
        relabelling: what is added in place of a and b, such as ("log a", "log b"); None if a and b are.
        left_out: pairs without labels, such as those with a factor 0 if logarithms are added.
        accuracy, loss: the network on all pairs; by split, None if it is unknown.
        coherence: see ``keys.Waves``, for each key frequency.
        frequency_power: each key frequency's share of the embedding's power.
        logit_variance_explained, argmax_agreement, kl: the formula against the network, on held-out pairs.
        readout_agreement: see ``formula.Fit``.
        constant_share: share of the logits' sum of squares that depends on the answer alone.
        formula_accuracy, formula_loss: the formula on all pairs.
        certified: share of all pairs proven correct, at most ``accuracy``; ``certificate_tightness`` is their ratio.
        neurons_single_frequency, neuron_phase_alignment, dead_neurons: None if the relabelling is not one-to-one.
        neuron_phase_alignment: mean over live neurons; meaningless unless ``computes`` is +-a +-b.
        gradient_symmetricity: mean over random triples; ``gradient_symmetricity_error`` is its standard error. Both and
            ``distance_irrelevance`` are None if a pair is missing.
        steering_control: mean over s of the accuracy with other planes rotated.
        steering_chord, steering_random: baselines of ``steering_accuracy``; see ``steering.Steering``.
    """

    verdict: str
    reason: str
    criteria: tuple[Criterion, ...]
    computes: str | None
    relabelling: tuple[str, str] | None
    left_out: int
    accuracy: float
    loss: float
    train_accuracy: float | None
    test_accuracy: float | None
    key_frequencies: tuple[int, ...]
    coherence: dict[int, float]
    frequency_power: dict[int, float]
    gini_embedding: float
    gini_neuron_logit: float
    effective_rank_embedding: float
    effective_rank_neuron_logit: float
    logit_variance_explained: float
    argmax_agreement: float
    readout_agreement: float
    kl: float
    constant_share: float
    formula_accuracy: float
    formula_loss: float
    certified: float
    certificate_tightness: float
    restricted_loss: float
    excluded_loss: float
    excluded_loss_alone: dict[int, float]
    excluded_loss_split: Literal["train", "all"]
    squared_weights: float
    neurons_single_frequency: float | None
    neuron_phase_alignment: float | None
    dead_neurons: int | None
    gradient_symmetricity: float | None
    gradient_symmetricity_error: float | None
    distance_irrelevance: float | None
    circularity: float
    steering_accuracy: float
    steering_minimum: float
    steering_control: float
    steering_chord: float
    steering_random: float

    @property
    def adds(self) -> bool:
        """Whether all criteria of modular addition pass."""
        return all(criterion.passed for criterion in self.criteria)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with frequencies as text if they are keys."""
        values = asdict(self)
        return values | {
            "criteria": [asdict(criterion) for criterion in self.criteria],
            "relabelling": None if self.relabelling is None else list(self.relabelling),
            "key_frequencies": list(self.key_frequencies),
            "coherence": {str(k): value for k, value in self.coherence.items()},
            "frequency_power": {str(k): value for k, value in self.frequency_power.items()},
            "excluded_loss_alone": {str(k): value for k, value in self.excluded_loss_alone.items()},
        }


def analyze(model: Transformer, task: Task, frequencies: Sequence[int] | None = None) -> Report:
    """Measure a network and return the verdict.

    Args:
        frequencies: the key frequencies, in place of those that ``keys`` finds.

    Raises:
        InputError: the task does not have pairs of Z_p, p is below 11, or a frequency is out of range.
    """
    grid.least_p(task)
    once = grid.known(model, task)
    raw, whole = once.raw, once.centered
    choice = keys.choose(whole, task, frequencies)
    found_keys, relabelled, known = choice.frequencies, choice.relabelling, task.split_known
    labels, operands = relabelled.labels(task.labels), (relabelled.u, relabelled.v)
    logits, train = relabelled.logits(whole), task.train_mask
    fit = choice.fit(whole, task)
    found = fit.formula.multipliers
    multipliers = found or (1, 1)
    steered = steering.steer(model, task, found_keys, multipliers, relabelled=relabelled, known=once)
    summed = relabelled.sum(multipliers)
    losses = progress.losses(logits, labels, train[relabelled.rows], found_keys, combined=summed)
    proof = certificate.certify(logits, labels, fit.formula, operands, others=relabelled.others(whole))
    of_neurons = neurons.describe(model, task, multipliers, relabelled, once.inputs) if relabelled.full else None
    right = metrics.correct(whole, task.labels).double()
    W_E = fourier.relabelled_embedding(model, task, relabelled)
    W_L = fourier.relabelled_neuron_logit(model, relabelled)
    power = fourier.spectrum(W_E).power
    squares = logits.square().mean(0).sum()
    train_accuracy = right[train].mean().item() if known else None
    test_accuracy = right[~train].mean().item() if known else None
    control, accuracy = steered.control_accuracy.mean().item(), right.mean().item()
    certified = proof.certified * len(relabelled.rows) / len(right)
    complete = grid.complete(task)
    symmetricity = progress.gradient_symmetricity(model, task) if complete else None
    weighed = criteria.weigh(
        multipliers=found,
        variance_explained=fit.variance_explained,
        readout_agreement=fit.readout_agreement,
        steering_accuracy=steered.mean,
        steering_minimum=steered.minimum,
        steering_control=control,
        steering_chord=steered.chord_accuracy,
        steering_random=steered.random_accuracy,
    )
    reason = criteria.shortfall(weighed)
    if reason:
        reasons = (choice.inseparable, f"no key frequency: {choice.why_none}" if choice.why_none else reason)
        reason = "; ".join(filter(None, reasons))
    return Report(
        verdict=criteria.decide(weighed, relabelled.name(multipliers), train_accuracy, test_accuracy),
        reason=reason,
        criteria=weighed,
        computes=relabelled.words(found) if found else None,
        relabelling=None if relabelled.natural else relabelled.names,
        left_out=relabelled.left_out,
        accuracy=accuracy,
        loss=metrics.cross_entropy(whole, task.labels).mean().item(),
        train_accuracy=train_accuracy,
        test_accuracy=test_accuracy,
        key_frequencies=found_keys,
        coherence={k: choice.waves.coherence[k - 1].item() for k in found_keys},
        frequency_power={k: power[k - 1].item() for k in found_keys},
        gini_embedding=progress.gini(progress.component_norms(W_E)),
        gini_neuron_logit=progress.gini(progress.component_norms(W_L)),
        effective_rank_embedding=progress.effective_rank(W_E),
        effective_rank_neuron_logit=progress.effective_rank(W_L),
        logit_variance_explained=fit.variance_explained,
        argmax_agreement=fit.argmax_agreement,
        readout_agreement=fit.readout_agreement,
        kl=fit.kl,
        constant_share=(logits.mean(0).square().sum() / squares).item() if squares > 0 else 0.0,
        formula_accuracy=fit.accuracy,
        formula_loss=fit.loss,
        certified=certified,
        certificate_tightness=certified / accuracy if accuracy else 1.0,
        restricted_loss=losses.restricted,
        excluded_loss=losses.excluded,
        excluded_loss_alone=losses.excluded_alone,
        excluded_loss_split="train" if known else "all",
        squared_weights=progress.squared_weights(model),
        neurons_single_frequency=of_neurons.single_frequency if of_neurons else None,
        neuron_phase_alignment=of_neurons.mean_alignment if of_neurons else None,
        dead_neurons=of_neurons.dead if of_neurons else None,
        gradient_symmetricity=symmetricity.value if symmetricity else None,
        gradient_symmetricity_error=symmetricity.error if symmetricity else None,
        distance_irrelevance=progress.distance_irrelevance(raw, task.labels) if complete else None,
        circularity=progress.circularity(W_E),
        steering_accuracy=steered.mean,
        steering_minimum=steered.minimum,
        steering_control=control,
        steering_chord=steered.chord_accuracy,
        steering_random=steered.random_accuracy,
    )
