"""What a figure gives away: nothing is made before its popover is open, and then all of it is the figure's own."""

import io
import json
from xml.etree import ElementTree

import pandas as pd
import pytest
from shown import codes, figures

from miii import plots

KINDS = ["csv", "png", "svg", "html"]


def test_a_closed_figure_has_nothing_made(adding, visit):
    at = visit("fourier", run="adding")
    assert len(at.get("popover")) == len(figures(at))
    assert not at.code
    assert not [button for button in at.get("download_button") if button.key.startswith("download-")]


def test_an_open_figure_gives_its_code_its_numbers_and_itself(adding, visit, gives):
    at = visit("fourier", run="adding")
    at.session_state["take-embedding_spectrum"] = True
    at.run()
    assert [code.value for code in at.code] == codes(at)[:1]
    figure = figures(at)[0]
    assert figure.make.__name__ == "embedding_spectrum"
    csv, png, svg, html = (gives(at, f"download-embedding_spectrum.{kind}") for kind in KINDS)
    wanted = plots.frame(figure.make(**figure.arguments))
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(csv)), wanted, check_dtype=False)
    assert png.startswith(b"\x89PNG")
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert json.dumps(figure.make(**figure.arguments).title) in html


@pytest.mark.parametrize("part", [1, 2])
def test_of_several_charts_each_gives_its_own(adding, visit, gives, part):
    at = visit("progress", run="adding")
    (figure,) = figures(at)
    name = next(key for key in at.session_state.to_dict() if key.startswith("take-progress")).removeprefix("take-")
    at.session_state[f"take-{name}"] = True
    at.run()
    charts = figure.make(**figure.arguments)
    assert {str(chart.title) for chart in charts} <= {caption.value for caption in at.caption}
    csv = pd.read_csv(io.StringIO(gives(at, f"download-{name}-{part}.csv")))
    wanted = plots.frame(charts[part - 1]).reset_index(drop=True)
    pd.testing.assert_frame_equal(csv, wanted, check_dtype=False)


def test_a_table_gives_its_numbers(adding, visit, gives):
    at = visit("attention", run="adding")
    csv = pd.read_csv(io.StringIO(gives(at, "download-heads.csv")))
    pd.testing.assert_frame_equal(csv, at.dataframe[0].value, check_dtype=False)
