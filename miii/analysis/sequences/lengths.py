"""Accuracy on the MIU puzzle by string length, including strings longer than any in training."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from miii.analysis.activations import last_logits
from miii.model.transformer import Transformer
from miii.tasks import MIU, Task
from miii.tasks.miu import tape
from miii.training.evaluation import evaluated

if TYPE_CHECKING:
    import pandas as pd

STRINGS = 400  #: strings per length


def by_length(model: Transformer, config: MIU, seed: int = 1) -> "pd.DataFrame":
    """Test a network on fresh strings of every length that fits the tape, with letters drawn uniformly at random.

    A string of L letters has about L / 2 I's, and two thirds of the strings are theorems.

    Returns:
        One row per string: ``length``, ``I`` (number of I's), ``theorem``, ``right``, ``longer`` than any in training.

    Source: the puzzle: Hofstadter 1979.
    """
    import pandas as pd

    generator = np.random.default_rng([config.seed, seed])
    length = np.repeat(np.arange(1, config.longest_test + 1), STRINGS)
    count = generator.binomial(length, 0.5)
    tokens = torch.from_numpy(tape(length, count, config.longest_test, generator))
    predicted = last_logits(model, tokens).argmax(1)
    theorem = count % 3 != 0
    return pd.DataFrame(
        {
            "length": length,
            "I": count,
            "theorem": theorem,
            "right": (predicted == 1).numpy() == theorem,
            "longer": length > config.longest,
        }
    )


def held_out(model: Transformer, task: Task) -> dict[str, float]:
    """Return the task's scores on the test strings that training evaluates.

    ``accuracy_as_long`` is on strings of training lengths, ``accuracy_longer`` on longer ones, if any.
    """
    rows = evaluated(task)
    rows = rows[~task.train_mask[rows]]
    return MIU.scores(task, last_logits(model, task.tokens[rows]).numpy(), rows.numpy())


def balanced(strings: "pd.DataFrame") -> float:
    """Return the balanced accuracy: the mean of the accuracies on theorems and on other strings."""
    return float(strings.groupby("theorem")["right"].mean().mean())
