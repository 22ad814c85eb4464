"""The input of a table, shared by the pages Train and Data."""

import streamlit as st

from miii.tasks.table import EXAMPLE, LENGTH

TYPED = "typed_table"  #: the text, kept between pages

HELP = (
    "Rows of comma-separated labels: the answer to a and b in row a and column b. A blank cell or - leaves the pair out. If the first cell is "
    "blank or *, the first row and column name the operands."
)


def type_table() -> str:
    """Return the text of a table: of an uploaded file if there is one, otherwise as typed."""
    with st.container():
        typed = st.text_area(
            "Table", st.session_state.get(TYPED, EXAMPLE), max_chars=LENGTH, key="table", height=140, help=HELP
        )
        file = st.file_uploader("Or a CSV file", type=["csv", "tsv", "txt"], key="table_file", help=HELP)
    text = typed if file is None else file.getvalue()[: 4 * LENGTH].decode(errors="replace")
    st.session_state[TYPED] = typed
    return text
