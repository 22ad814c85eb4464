"""The criteria of the verdict: bounds, measured values, and what falls short."""

from collections.abc import Sequence
from dataclasses import dataclass

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
NEAR = 2  #: a network that misses at most this many criteria is a near miss


@dataclass(frozen=True)
class Criterion:
    """One criterion of the verdict.

    Attributes:
        value: as measured; the operands in the sum for "one sum", otherwise a share from 0 to 1.
        bound: the least value that passes; for steering's baselines, the value to exceed.
    """

    name: str
    value: float
    bound: float
    passed: bool

    def __str__(self) -> str:
        """Return the criterion with value and bound, such as "steering (0.84 of 0.90)"."""
        digits = 2 if round(self.value, 2) != round(self.bound, 2) else 4
        return f"{self.name} ({self.value:.{digits}f} of {self.bound:.{digits}f})"


def weigh(
    *,
    multipliers: tuple[int, int] | None,
    variance_explained: float,
    readout_agreement: float,
    steering_accuracy: float,
    steering_minimum: float,
    steering_control: float,
    steering_chord: float,
    steering_random: float,
) -> tuple[Criterion, ...]:
    """Return the criteria of "modular addition", all of which must pass.

    - one sum: the formula's terms are waves in the same +-(alpha a + beta b) - c, with both operands in it;
    - variance explained: the formula against the network, on held-out pairs;
    - same answer: the waves of the sum at the key frequencies alone, read by a linear map, against the network, on
      held-out pairs;
    - steering, worst steering: rotating its planes by s shifts the answer by s, mean over s and for every s;
    - steering control: rotating the same number of other planes keeps the answer;
    - steering beyond the chord, beyond random planes: the rotation shifts more answers than moving along the line
      between two answers' means, and than rotating random planes.

    The formula's accuracy does not count: cos w(a + b - c) contains the answer.
    """
    operands = 0 if multipliers is None else sum(k != 0 for k in multipliers)
    least = (
        ("one sum", float(operands), 2.0),
        ("variance explained", variance_explained, VARIANCE_EXPLAINED),
        ("same answer", readout_agreement, ARGMAX_AGREEMENT),
        ("steering", steering_accuracy, STEERING_ACCURACY),
        ("worst steering", steering_minimum, STEERING_MINIMUM),
        ("steering control", steering_control, STEERING_CONTROL),
    )
    beyond = (
        ("steering beyond the chord", steering_accuracy, steering_chord),
        ("steering beyond random planes", steering_accuracy, steering_random),
    )
    return (
        *(Criterion(name, value, bound, value >= bound) for name, value, bound in least),
        *(Criterion(name, value, bound, value > bound) for name, value, bound in beyond),
    )


def decide(criteria: Sequence[Criterion], adds: str, train_accuracy: float | None, test_accuracy: float | None) -> str:
    """Return the verdict.

    ``adds`` if all criteria pass: "modular addition", or a name such as "modular addition of (3a, -b)".

    "memorized": otherwise, with at least 99% training accuracy and less than 95% test accuracy.

    "none": otherwise, such as a network that generalizes in another way, or has an unknown split.
    """
    if all(criterion.passed for criterion in criteria):
        return adds
    if train_accuracy is None or test_accuracy is None:
        return "none"
    return "memorized" if train_accuracy >= TRAINED and test_accuracy < NOT_GENERALIZED else "none"


def shortfall(criteria: Sequence[Criterion]) -> str:
    """Return what is missing, such as "all but steering (0.84 of 0.90)"; empty if nothing is."""
    failed = [str(criterion) for criterion in criteria if not criterion.passed]
    if not failed:
        return ""
    return f"all but {' and '.join(failed)}" if len(failed) <= NEAR else f"falls short on {', '.join(failed)}"
