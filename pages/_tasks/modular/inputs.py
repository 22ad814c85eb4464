"""Inputs that pages on modular arithmetic share."""

import streamlit as st

from miii.expression import CASES, EXAMPLE, LENGTH, MASKED
from pages._kit.inputs import TASK_WIDTH


def type_expression(default: str = EXAMPLE) -> str:
    """Return the typed formula of the task ``expr``."""
    return st.text_input(
        "Expression",
        default,
        max_chars=LENGTH,
        key="expression",
        bind="query-params",
        width=TASK_WIDTH,
        help=f"In a, b and p, where / multiplies by the inverse modulo p; such as {EXAMPLE}, {MASKED}, or {CASES}",
    )
