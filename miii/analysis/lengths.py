"""How far a network's answers to the MIU puzzle reach beyond the strings that it was trained on."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from miii.model import fast
from miii.model.transformer import Transformer
from miii.tasks import MIU, Task
from miii.tasks.miu import tape
from miii.training.evaluation import evaluated

if TYPE_CHECKING:
    import pandas as pd

STRINGS = 400  #: asked of each length


def by_length(model: Transformer, config: MIU, seed: int = 1) -> "pd.DataFrame":
    """Accuracy on fresh strings of every length up to the tape's, whose letters are drawn as by fair coins.

    A string of L letters has about L / 2 I's, and two thirds of the strings are theorems; ``balanced`` is the mean of
    the accuracies on theorems and on others.

    Returns:
        One row a string: ``length``, ``I`` (how many), ``theorem``, ``right``, and ``longer`` than any in training.

    Source: own design; the puzzle is Hofstadter's (1979).
    """
    import pandas as pd

    generator = np.random.default_rng([config.seed, seed])
    length = np.repeat(np.arange(1, config.longest_test + 1), STRINGS)
    count = generator.binomial(length, 0.5)
    tokens = torch.from_numpy(tape(length, count, config.longest_test, generator))
    said = fast.answers(model, tokens).argmax(1)
    theorem = count % 3 != 0
    return pd.DataFrame(
        {
            "length": length,
            "I": count,
            "theorem": theorem,
            "right": (said == 1).numpy() == theorem,
            "longer": length > config.longest,
        }
    )


def held_out(model: Transformer, task: Task) -> dict[str, float]:
    """Return the accuracies of training's own evaluations: ``accuracy_as_long``, and ``accuracy_longer`` if any is.

    Of the test strings that every evaluation asks; longer ones are longer than any in training.
    """
    rows = evaluated(task)
    rows = rows[~task.train_mask[rows]]
    return MIU.scores(task, fast.answers(model, task.tokens[rows]).numpy(), rows.numpy())


def balanced(strings: "pd.DataFrame") -> float:
    """The mean of the accuracies on theorems and on strings that are none. Source: balanced accuracy, by definition."""
    return float(strings.groupby("theorem")["right"].mean().mean())
