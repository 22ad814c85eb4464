"""Modular arithmetic in the app."""

from miii import ModularAddition
from miii.errors import InputError
from miii.expression import EXAMPLE, parse
from pages._server.settings import LIMIT
from pages._tasks.modular import attention, data, follow, pairs
from pages._tasks.modular.inputs import type_expression
from pages._tasks.view import Measure, Picture, Preset, Row, Story, TaskView, share

STORY = Story(
    "Watch a network learn to add",
    r"""
A small transformer is shown a part of all sums $a + b \bmod p$ and asked for the rest. First it **memorizes**: it gets the
pairs that it is shown right, and the others wrong. Then it **groks**: it finds a way to add, and the pairs it has never seen
fall into place. Press Start.
""",
)

OWN_FORMULA = Story(
    "Watch a network learn a formula of yours",
    r"""
A small transformer is shown the values of a formula at a part of all pairs $(a, b)$, modulo $p$, and asked for the rest. It
**groks** some formulas and only learns others by heart, and the share of the pairs decides which: modulo 59 (seed 0), half of them are
enough for $a + b$, while $3a - b + 7$ is learned by heart from half, and grokked from 0.7. Type one, and press Start.
""",
)


def expression(name: str) -> Preset:
    """Show the formula input of the task ``expr``."""
    return Preset(changes={"expression": type_expression()}) if name == "expr" else Preset()


def check(task: ModularAddition) -> None:
    """Check the size of the grid, and that a formula has a value at every pair.

    Raises:
        InputError: p is too large for the app; also see ``Expression.table``.
    """
    if task.p > LIMIT:
        raise InputError(f"p must be at most {LIMIT} in the app; the command line goes to 1024 (got {task.p}).")
    if task.expression is not None:
        parse(task.expression).table(task.p)


def measures(task: ModularAddition, row: Row) -> list[Measure]:
    """Return the accuracy of both splits."""
    return [
        Measure("Training accuracy", share(row.get("train_accuracy"))),
        Measure("Test accuracy", share(row.get("test_accuracy")), "On pairs it has never been shown"),
    ]


VIEW = TaskView(
    about="calculates with pairs of numbers modulo p",
    home="fourier",
    more=("neurons", "formula", "circuits", "progress"),
    story=STORY,
    stories={"expr": OWN_FORMULA},
    main=("p", "train_fraction", "seed", "steps"),
    hidden=("operation", "expression", "equals", "separate"),
    preset=expression,
    required={"expr": {"expression": EXAMPLE}},
    check=check,
    criterion="99 % test accuracy",
    measures=measures,
    picture=Picture(pairs.show, pairs.live),
    data=data.page,
    follow=follow.page,
    attention=attention.show,
)
