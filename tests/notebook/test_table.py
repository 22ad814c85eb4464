"""A table of numbers as Markdown."""

import pandas as pd
from markdown_it import MarkdownIt

from miii.notebook.cells import Table
from miii.notebook.table import NOTE, ROWS, markdown


def test_a_table_stands_below_its_title_and_is_one_to_a_reader_of_markdown():
    frame = pd.DataFrame({"measure": ["a|b", "two\nlines"], "value": [0.123456, 226687.6], "n": [3, 4]}, index=[7, 2])
    written = markdown(Table(frame, "What was measured"))
    assert written.split("\n") == [
        "**What was measured**",
        "",
        "| measure | value | n |",
        "| --- | --- | --- |",
        "| a\\|b | 0.1235 | 3 |",
        "| two lines | 226,688 | 4 |",
        "",
        f"*{NOTE}*",
    ]
    html = MarkdownIt("commonmark").enable("table").render(written)
    assert "<td>a|b</td>\n<td>0.1235</td>" in html


def test_a_table_of_prose_keeps_its_markdown():
    written = markdown(Table(pd.DataFrame({"claim": ["**no**, $a|b$"], "n": [3]}), prose=True))
    assert written.splitlines() == ["| claim | n |", "| --- | --- |", "| **no**, $a\\|b$ | 3 |"]


def test_a_missing_value_is_a_dash_and_a_long_table_is_cut():
    frame = pd.DataFrame({"grokked at": [None, 3], "share": [float("nan"), 1e-7], "adds": [True, None]})
    assert markdown(Table(frame)).splitlines()[2:4] == ["| – | – | True |", "| 3 | 1e-07 | – |"]
    rows = [f"| {i} |" for i in range(ROWS)]
    whole, cut = (markdown(Table(pd.DataFrame({"n": range(n)}))).splitlines() for n in (ROWS, 1234))
    assert whole == ["| n |", "| --- |", *rows, "", f"*{NOTE}*"]
    assert cut[:-1] == whole[:-1]
    assert cut[-1].startswith(f"*{NOTE} ")
    assert "1,234" in cut[-1]
