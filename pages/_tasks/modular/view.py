"""Modular arithmetic in the app."""

import streamlit as st

from miii import ModularAddition
from miii.errors import InputError
from miii.expression import EXAMPLE, parse
from miii.tasks.modular import EASIER, SLOWER
from pages._server.settings import LIMIT
from pages._tasks.modular import attention, data, follow, pairs
from pages._tasks.modular.inputs import type_expression
from pages._tasks.view import Measure, Picture, Preset, Row, Story, TaskView, share

STORY = Story(
    "Watch a network learn to add",
    r"""
A small transformer trains on some sums $a + b \bmod p$ (the remainder of $a + b$ divided by $p$) and is tested on the rest. It
**memorizes**, then **groks**: test accuracy jumps.
""",
)

OWN_FORMULA = Story(
    "Watch a network learn your own formula",
    r"""
A small transformer trains on some values of a formula in $(a, b)$ modulo $p$ and is tested on the rest. It **groks** some formulas and
only memorizes others; a larger training share helps.
""",
)


#: What these defaults gave, seed by seed: docs/LOG.md, "Key frequencies, certificate and import".
MEASURED = {
    "sub": "Seeds 0 to 4 grok by step 200.",
    "mul": "Seeds 0 to 4 grok by step 120.",
    "div": "Seeds 0 to 4 grok by step 200.",
    "quadratic": "Seeds 0 to 4 memorize: 64% to 75% test accuracy.",
    "expr": "Seeds 0 to 4 of `a*b + 3*a` and of `3*a - b` grok by step 240; `a**3 + a*b**2` and `a / b if b % 2 else a - b` memorize.",
}


def preset(name: str) -> Preset:
    """Show the formula input of the task ``expr``, and what the defaults of harder operations do not promise."""
    changes = {"expression": type_expression()} if name == "expr" else {}
    if easier := EASIER.get(name):
        st.caption(
            f"Harder than addition, so the defaults are p = {easier['p']}, {easier['train_fraction']:.0%} of the pairs and {SLOWER['steps']:,} "
            f"steps{' and b has tokens of its own' * easier['separate']}. {MEASURED[name]}"
        )
    return Preset(changes=changes)


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
        Measure("Test accuracy", share(row.get("test_accuracy")), "On held-out pairs"),
    ]


VIEW = TaskView(
    about="learns modular arithmetic",
    home="fourier",
    more=("neurons", "formula", "circuits", "progress"),
    story=STORY,
    stories={"expr": OWN_FORMULA},
    main=("p", "train_fraction", "seed", "steps"),
    hidden=("operation", "expression", "equals", "separate", "operator"),
    preset=preset,
    required={"expr": {"expression": EXAMPLE}},
    check=check,
    criterion="99% test accuracy",
    measures=measures,
    picture=Picture(pairs.show, pairs.live),
    data=data.page,
    follow=follow.page,
    attention=attention.show,
)
