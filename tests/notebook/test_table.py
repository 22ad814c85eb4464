"""A table of numbers as Markdown."""

import pandas as pd
from markdown_it import MarkdownIt

from miii.notebook.cells import Table
from miii.notebook.table import NOTE, ROWS, markdown


def test_a_table_stands_below_its_title_and_says_what_it_is():
    frame = pd.DataFrame({"measure": ["a|b", "two\nlines"], "value": [0.123456, float("nan")], "n": [3, 4]})
    assert markdown(Table(frame, "What was measured")).split("\n") == [
        "**What was measured**",
        "",
        "| measure | value | n |",
        "| --- | --- | --- |",
        "| a\\|b | 0.1235 | 3 |",
        "| two lines | – | 4 |",
        "",
        f"*{NOTE}*",
    ]


def test_names_of_rows_are_a_column():
    frame = pd.DataFrame({"right": [0.5, None]}, index=pd.Index([2, 3], name="q"))
    assert markdown(Table(frame)).startswith("| q | right |\n| --- | --- |\n| 2 | 0.5 |\n| 3 | – |\n\n*")
    assert markdown(Table(pd.DataFrame({"right": [True]}, index=["add"]))).startswith("|  | right |\n")


def test_of_a_long_table_the_first_rows_stand_there():
    rows = [f"| {i} |" for i in range(ROWS)]
    whole, cut = (markdown(Table(pd.DataFrame({"n": range(n)}))).splitlines() for n in (ROWS, 1234))
    assert whole == ["| n |", "| --- |", *rows, "", f"*{NOTE}*"]
    assert cut == ["| n |", "| --- |", *rows, "", f"*{NOTE} The first {ROWS} of 1,234 rows.*"]


def test_it_is_a_table_to_a_reader_of_markdown():
    frame = pd.DataFrame({"measure": ["a|b"], "value": [1.0]})
    html = MarkdownIt("commonmark").enable("table").render(markdown(Table(frame)))
    assert "<td>a|b</td>\n<td>1</td>" in html
