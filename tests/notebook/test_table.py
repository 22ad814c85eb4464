"""A table of numbers as Markdown."""

import pandas as pd
from markdown_it import MarkdownIt

from miii.notebook.cells import Table
from miii.notebook.table import NOTE, ROWS, markdown


def test_a_table_stands_below_its_title_and_says_what_it_is():
    frame = pd.DataFrame({"measure": ["a|b", "two\nlines"], "value": [0.123456, 226687.6], "n": [3, 4]}, index=[7, 2])
    assert markdown(Table(frame, "What was measured")).split("\n") == [
        "**What was measured**",
        "",
        "| measure | value | n |",
        "| --- | --- | --- |",
        "| a\\|b | 0.1235 | 3 |",
        "| two lines | 226,688 | 4 |",
        "",
        f"*{NOTE}*",
    ]


def test_what_is_not_there_is_a_dash():
    frame = pd.DataFrame({"grokked at": [None, 3], "share": [float("nan"), 1e-7], "adds": [True, None]})
    assert markdown(Table(frame)).splitlines()[2:4] == ["| – | – | True |", "| 3 | 1e-07 | – |"]


def test_of_a_long_table_the_first_rows_stand_there():
    rows = [f"| {i} |" for i in range(ROWS)]
    whole, cut = (markdown(Table(pd.DataFrame({"n": range(n)}))).splitlines() for n in (ROWS, 1234))
    assert whole == ["| n |", "| --- |", *rows, "", f"*{NOTE}*"]
    assert cut == ["| n |", "| --- |", *rows, "", f"*{NOTE} The first {ROWS} of 1,234 rows.*"]


def test_it_is_a_table_to_a_reader_of_markdown():
    frame = pd.DataFrame({"measure": ["a|b"], "value": [1.0]})
    html = MarkdownIt("commonmark").enable("table").render(markdown(Table(frame)))
    assert "<td>a|b</td>\n<td>1</td>" in html
