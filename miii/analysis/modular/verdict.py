"""Does this network perform modular addition? Decided by measurement."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from miii import metrics
from miii.analysis.modular import formula, fourier, grid, neurons, progress, steering
from miii.expression import in_words
from miii.model.transformer import Transformer
from miii.tasks import Task

Verdict = Literal["modular addition", "memorised", "none"]

#: What a formula of waves in alpha a + beta b - c must reach for the verdict "modular addition".
VARIANCE_EXPLAINED = 0.8
ARGMAX_AGREEMENT = 0.99
STEERING_ACCURACY = 0.9
STEERING_MINIMUM = 0.85
STEERING_CONTROL = 0.95
#: For "memorised": right answers on the training pairs, and at most so many on the others.
TRAINED = 0.99
NOT_GENERALISED = 0.95


@dataclass(frozen=True)
class Report:
    """One network, taken apart. Losses and KL in nats; shares from 0 to 1. The verdict's rule is at ``decide``.

    Attributes:
        accuracy, loss: of the network on all p^2 pairs; also by split, None where it is unknown.
        frequency_power: of each key frequency, its share of the embedding's power.
        logit_variance_explained, argmax_agreement, kl: of the formula against the network, on pairs that it was not
            fitted to.
        formula_accuracy, formula_loss: of the formula run in place of the network on all pairs.
        computes: "a + b", "a - b" or the like: what the formula's terms are waves of; None where they disagree.
        constant_share: share of the logits' sum of squares that depends on the answer alone.
        neuron_phase_alignment: mean over the live neurons; says nothing where ``computes`` is not +-a +-b.
        steering_control: mean over s of the share of pairs still answered right when other planes are turned.

    Source: own design; see the analyses for theirs.
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
    distance_irrelevance: float
    circularity: float
    steering_accuracy: float
    steering_minimum: float
    steering_control: float

    def to_json(self) -> dict[str, Any]:
        """Plain values, frequencies as text where they are keys."""
        values = asdict(self)
        return values | {
            "key_frequencies": list(self.key_frequencies),
            "frequency_power": {str(k): value for k, value in self.frequency_power.items()},
            "excluded_loss_alone": {str(k): value for k, value in self.excluded_loss_alone.items()},
        }


def analyze(model: Transformer, task: Task) -> Report:
    """Take a network apart, and decide.

    Raises:
        InputError: the task is not made of all pairs of Z_p, or p is below 11.
    """
    p = grid.modulus(task)
    keys = fourier.model_key_frequencies(model, p)
    logits = grid.logits(model, task)
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
        gradient_symmetricity=progress.gradient_symmetricity(model, task),
        distance_irrelevance=progress.distance_irrelevance(logits, task.labels),
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
    """The rule of the verdict.

    "modular addition": the formula's terms are waves in +-a +-b - c; on held-out pairs it explains at least 80 % of the
    logits' variance and agrees with the network's answer on 99 %; turning its planes by s makes the network answer s
    more on 90 % of all pairs in the mean over s, and on 85 % for every s; and turning as many other planes leaves 95 %
    as they were. Subtraction is the addition of -b.

    "memorised": not that, but at least 99 % of the training pairs are right and less than 95 % of the others.

    "none": neither. So is a network that generalises in a way that these formulas do not describe, and one of which
    the split is unknown.

    Source: own design. The formula's own accuracy has no part in it: cos w(a + b - c) contains the answer.
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
    return "memorised" if train_accuracy >= TRAINED and test_accuracy < NOT_GENERALISED else "none"
