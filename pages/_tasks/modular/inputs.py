"""Inputs that pages on modular arithmetic share."""

import streamlit as st

from miii.expression import CASES, EXAMPLE, LENGTH, MASKED
from pages._kit.inputs import TASK_WIDTH


def type_expression(default: str = EXAMPLE) -> str:
    """The formula of a task of one's own, as text."""
    return st.text_input(
        "Expression",
        default,
        max_chars=LENGTH,
        key="expression",
        bind="query-params",
        width=TASK_WIDTH,
        help="What c is, modulo p: a formula in a, b and p with + - * / **, parentheses, and % p if you like. A division is by "
        f"the inverse modulo p; where leaves pairs out, if and else choose. For example {EXAMPLE}, {MASKED}, or {CASES}",
    )
