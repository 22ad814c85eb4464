"""The verdict: does a network perform modular addition?"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from miii import metrics
from miii.analysis.modular import formula, fourier, grid, neurons, progress, steering
from miii.expression import in_words
from miii.model.transformer import Transformer
from miii.tasks import Task

Verdict = Literal["modular addition", "memorized", "none"]

#: Bounds of the verdict "modular addition", for a formula of waves in alpha a + beta b - c.
VARIANCE_EXPLAINED = 0.8
ARGMAX_AGREEMENT = 0.99
STEERING_ACCURACY = 0.9
STEERING_MINIMUM = 0.85
STEERING_CONTROL = 0.95
#: The goal for the variance explained, as in Nanda et al. 2023, section 4; the verdict asks for less.
GOAL = 0.95
#: Bounds of the verdict "memorized": at least this training accuracy, and less than this test accuracy.
TRAINED = 0.99
NOT_GENERALIZED = 0.95


@dataclass(frozen=True)
class Report:
    """The verdict on a network, with all measures. Losses and KL in nats; shares from 0 to 1. See ``decide``.

    Attributes:
        computes: "a + b", "a - b" or the like, from the formula's terms; None if they disagree.
        accuracy, loss: the network on all p^2 pairs; by split, None if it is unknown.
        frequency_power: each key frequency's share of the embedding's power.
        logit_variance_explained, argmax_agreement, kl: the formula against the network, on held-out pairs.
        constant_share: share of the logits' sum of squares that depends on the answer alone.
        formula_accuracy, formula_loss: the formula on all pairs.
        neuron_phase_alignment: mean over live neurons; meaningless unless ``computes`` is +-a +-b.
        gradient_symmetricity, gradient_symmetricity_error: mean over random triples, and its standard error.
        steering_control: mean over s of the accuracy with other planes rotated.
    """

    verdict: Verdict
    computes: str | None
    accuracy: float
    loss: float
    train_accuracy: float | None
    test_accuracy: float | None
    key_frequencies: tuple[int, ...]
    frequency_power: dict[int, float]
    gini_embedding: float
    gini_neuron_logit: float
    effective_rank_embedding: float
    effective_rank_neuron_logit: float
    logit_variance_explained: float
    argmax_agreement: float
    kl: float
    constant_share: float
    formula_accuracy: float
    formula_loss: float
    restricted_loss: float
    excluded_loss: float
    excluded_loss_alone: dict[int, float]
    excluded_loss_split: Literal["train", "all"]
    squared_weights: float
    neurons_single_frequency: float
    neuron_phase_alignment: float
    dead_neurons: int
    gradient_symmetricity: float
    gradient_symmetricity_error: float
    distance_irrelevance: float
    circularity: float
    steering_accuracy: float
    steering_minimum: float
    steering_control: float

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with frequencies as text if they are keys."""
        values = asdict(self)
        return values | {
            "key_frequencies": list(self.key_frequencies),
            "frequency_power": {str(k): value for k, value in self.frequency_power.items()},
            "excluded_loss_alone": {str(k): value for k, value in self.excluded_loss_alone.items()},
        }


def analyze(model: Transformer, task: Task) -> Report:
    """Measure a network and return the verdict.

    Raises:
        InputError: the task does not have all pairs of Z_p, or p is below 11.
    """
    p = grid.modulus(task)
    keys = fourier.model_key_frequencies(model, p)
    raw = grid.raw_logits(model, task)
    logits, symmetricity = grid.center(raw), progress.gradient_symmetricity(model, task)
    fit = formula.fit(logits, task.labels, keys)
    found = fit.formula.multipliers
    multipliers = found or (1, 1)
    steered = steering.steer(model, task, keys, multipliers)
    losses = progress.losses(logits, task.labels, task.train_mask, keys, multipliers)
    of_neurons = neurons.describe(model, task, multipliers)
    right = metrics.correct(logits, task.labels).double()
    known, train = task.split_known, task.train_mask
    W_E, W_L = fourier.operand_embedding(model, p), fourier.neuron_logit(model).T
    power = fourier.spectrum(W_E).power
    squares = logits.square().mean(0).sum()
    aligned = of_neurons.alignment[of_neurons.alive]
    train_accuracy = right[train].mean().item() if known else None
    test_accuracy = right[~train].mean().item() if known else None
    control = steered.control_accuracy.mean().item()
    return Report(
        verdict=decide(
            fit.variance_explained,
            fit.argmax_agreement,
            steered.mean,
            steered.minimum,
            control,
            found,
            train_accuracy,
            test_accuracy,
        ),
        computes=in_words(*found) if found else None,
        accuracy=right.mean().item(),
        loss=losses.full,
        train_accuracy=train_accuracy,
        test_accuracy=test_accuracy,
        key_frequencies=keys,
        frequency_power={k: power[k - 1].item() for k in keys},
        gini_embedding=progress.gini(progress.component_norms(W_E)),
        gini_neuron_logit=progress.gini(progress.component_norms(W_L)),
        effective_rank_embedding=progress.effective_rank(W_E),
        effective_rank_neuron_logit=progress.effective_rank(W_L),
        logit_variance_explained=fit.variance_explained,
        argmax_agreement=fit.argmax_agreement,
        kl=fit.kl,
        constant_share=(logits.mean(0).square().sum() / squares).item() if squares > 0 else 0.0,
        formula_accuracy=fit.accuracy,
        formula_loss=fit.loss,
        restricted_loss=losses.restricted,
        excluded_loss=losses.excluded,
        excluded_loss_alone=losses.excluded_alone,
        excluded_loss_split="train" if known else "all",
        squared_weights=progress.squared_weights(model),
        neurons_single_frequency=of_neurons.single_frequency,
        neuron_phase_alignment=aligned.mean().item() if len(aligned) else 0.0,
        dead_neurons=of_neurons.dead,
        gradient_symmetricity=symmetricity.value,
        gradient_symmetricity_error=symmetricity.error,
        distance_irrelevance=progress.distance_irrelevance(raw, task.labels),
        circularity=progress.circularity(W_E),
        steering_accuracy=steered.mean,
        steering_minimum=steered.minimum,
        steering_control=control,
    )


def decide(
    variance_explained: float,
    argmax_agreement: float,
    steering_accuracy: float,
    steering_minimum: float,
    steering_control: float,
    multipliers: tuple[int, int] | None,
    train_accuracy: float | None,
    test_accuracy: float | None,
) -> Verdict:
    """Return the verdict.

    "modular addition": the formula's terms are waves in +-a +-b - c. On held-out pairs the formula explains at least
    80% of the logits' variance and agrees with the network's answer on 99%. Rotating its planes by s shifts the answer
    by s on 90% of all pairs on average, and on 85% for every s. Rotating the same number of other planes keeps 95% of
    the answers. Subtraction is the addition of -b.

    "memorized": otherwise, with at least 99% training accuracy and less than 95% test accuracy.

    "none": otherwise, such as a network that generalizes in another way, or has an unknown split.

    The formula's accuracy does not count: cos w(a + b - c) contains the answer.
    """
    evidence = (
        variance_explained >= VARIANCE_EXPLAINED
        and argmax_agreement >= ARGMAX_AGREEMENT
        and steering_accuracy >= STEERING_ACCURACY
        and steering_minimum >= STEERING_MINIMUM
        and steering_control >= STEERING_CONTROL
    )
    if evidence and multipliers is not None and {abs(m) for m in multipliers} == {1}:
        return "modular addition"
    if train_accuracy is None or test_accuracy is None:
        return "none"
    return "memorized" if train_accuracy >= TRAINED and test_accuracy < NOT_GENERALIZED else "none"
