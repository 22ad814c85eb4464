"""The input of a table, shared by the pages Train and Data."""

import streamlit as st

from miii import Table
from miii.tasks.table import EXAMPLE, LENGTH

TYPED = "typed_table"  #: the text, kept between pages
OPERANDS = ("element_a", "element_b")  #: keys of the operands, by name: the first, the second

HELP = "Row a, column b: the answer; blank or -: left out; with * in the first cell, the first row and column are names"


def choose_operands(task: Table, a: int, b: int) -> None:
    """Select a pair by row and column."""
    st.session_state.update(zip(OPERANDS, (task.cells.rows[a], task.cells.columns[b]), strict=True))


def type_table() -> str:
    """Return the text of a table: of an uploaded file if there is one, otherwise as typed."""
    with st.container():
        typed = st.text_area(
            "Table", st.session_state.get(TYPED, EXAMPLE), max_chars=LENGTH, key="table", height=140, help=HELP
        )
        file = st.file_uploader("Or a CSV file", type=["csv", "tsv", "txt"], key="table_file")
    text = typed if file is None else file.getvalue()[: 4 * LENGTH].decode(errors="replace")
    st.session_state[TYPED] = typed
    return text
