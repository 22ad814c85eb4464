"""The page Sparse grid: its numbers are those of the shipped results, and an integer's place is the library's."""

import json
import re

import pytest

from miii import runs, sparse
from miii.sparse.judge import Judged

HOME = runs.homes()[1] / "sparse"


@pytest.fixture
def shipped() -> tuple[Judged, Judged]:
    return sparse.files.report(HOME / "grid"), sparse.files.report(HOME / "primes-210")


def test_the_figures_are_those_of_the_results_and_of_trial_division(visit, texts, shipped):
    at = visit("sparse")
    grid, digits = shipped
    frame = at.dataframe[0].value
    found = {row.judge: row for row in frame.itertuples(index=False)}
    config = sparse.files.open(HOME / "grid").config
    exact = {
        q: sparse.judge.sieve_recall(config.middle, config.end, primes)
        for q, primes in {5: (2, 3, 5), 7: (2, 3, 5, 7), 13: (2, 3, 5, 7, 11, 13)}.items()
    }
    expected = {
        "network on the sparse grid": (grid.test, grid.sieve_depth),
        "transformer on digits in base 210": (digits.test, digits.sieve_depth),
    } | {f"trial division by the primes up to {q}": (recall, q) for q, recall in exact.items()}
    assert found.keys() == expected.keys()
    for name, (recall, depth) in expected.items():
        assert found[name][1:] == (recall.primes, recall.composites, depth)
    said = texts(at)
    for value in (exact[5].composites, grid.test.composites, grid.test.primes, digits.test.composites):
        assert f"{value:.3%}" in said
    assert not re.search(r"\b(nan|inf|None)\b", said)


def test_the_charts_show_both_networks_beside_trial_division(visit, shipped):
    at = visit("sparse")
    charts = at.get("vega_lite_chart")
    assert all(chart.proto.alt for chart in charts)
    assert [json.loads(chart.proto.spec)["title"] for chart in charts] == [
        "Composites called composite",
        "Primes against composites, by smallest factor",
    ]


@pytest.mark.parametrize(
    ("s", "cell", "patch", "entry", "residues", "says", "truth"),
    [
        (1_234_567, "(54, 130, 67)", "(10, 26, 13)", "102 of 125", "1, 1, 2", "prime", "its smallest factor is 127"),
        (2_000_003, "(88, 133, 53)", "(17, 26, 10)", "93 of 125", "1, 2, 3", "prime", "**prime**"),
        (1_000_005, "(44, 66, 105)", "(8, 13, 21)", "105 of 125", "1, 0, 0", "composite", "its smallest factor is 3"),
        (0, "(0, 0, 0)", "(0, 0, 0)", "0 of 125", "0, 0, 0", "composite", "neither prime nor composite"),
    ],
)
def test_an_integer_has_its_place(visit, texts, s, cell, patch, entry, residues, says, truth):
    at = visit("sparse", n=s)
    assert {metric.label: metric.value for metric in at.metric} == {
        "Cell": cell,
        "Patch": patch,
        "Kernel entry": entry,
        "s mod 2, 3, 5": residues,
        "Network": says,
    }
    assert truth in texts(at)


@pytest.mark.parametrize("s", [-1, 3_375_000])
def test_an_integer_beyond_the_grid_is_one_sentence(visit, s):
    at = visit("sparse", n=s)
    assert [error.value for error in at.error] == [f"s must be from 0 to 3,374,999, the grid's last cell (got {s})."]


def test_a_server_without_the_networks_says_so(visit, monkeypatch, tmp_path):
    monkeypatch.setattr("miii.runs.homes", lambda: (tmp_path, tmp_path))
    at = visit("sparse")
    assert at.info[0].value == "The networks that came with miii are not here."
    assert not at.dataframe
