"""Every page on a run of somebody else's weights: it says what is known, and that the rest is not."""

import json
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import miii
from miii import runs

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "pages").glob("*.py"))
PAGES = [path.stem for path in SCRIPTS]


@pytest.fixture
def imported(home, adder):
    """Makes a run of a network that adds modulo 11 but for the pairs with a = 3, which were never trained here."""

    def make(train_fraction: float | None) -> runs.Run:
        model = adder(11, (2, 3), n_heads=2).requires_grad_(False)
        model.W_E[3] = 0
        config = miii.RunConfig(task={"p": 11, "train_fraction": train_fraction}, model=model.config.model_dump())
        return runs.adopt(home / "theirs", config, model, format="transformer-lens", file="![x](y).pt")

    return make


def answers_chart(at: AppTest) -> dict:
    specs = [json.loads(chart.proto.spec) for chart in at.get("vega_lite_chart")]
    assert [spec["title"] for spec in specs] == ["Right and wrong answers"]  # there is no training to draw
    (legend,) = (layer for layer in specs[0]["layer"] if "color" in layer["encoding"])
    return legend


@pytest.mark.parametrize(
    "page",
    [
        page
        for page in PAGES
        if page not in ("train", "data", "sieve", "frames", "paper", "sparse", "symbolic", "compare", "runs")
    ],
)
def test_every_page_shows_it(imported, visit, texts, page):
    imported(0.4)  # test_every_run has one whose split is unknown
    at = visit(page, run="theirs")
    assert not at.error
    assert at.get("vega_lite_chart")
    assert at.selectbox(key="run").value == "theirs"
    assert not re.search(r"\bnan\b", texts(at) + " ".join(metric.value for metric in at.metric))


def test_train_says_how_well_it_does_on_all_pairs_where_the_split_is_unknown(imported, visit, texts):
    row = imported(None).rows()[0]
    assert 0.5 < row["accuracy"] < 1
    at = visit("train", run="theirs")
    assert [metric.label for metric in at.metric] == ["Accuracy on all pairs", "Loss on all pairs"]
    assert at.metric[0].value == f"{row['accuracy']:.1%}"
    assert "The split is unknown" in texts(at)
    assert "Imported" in texts(at)
    assert not at.progress
    assert answers_chart(at)["encoding"]["color"]["scale"]["domain"] == ["right", "wrong"]


def test_train_says_how_well_it_does_on_both_sides_where_the_split_is_known(imported, visit, texts):
    row = imported(0.4).rows()[0]
    at = visit("train", run="theirs")
    assert [metric.label for metric in at.metric] == ["Training accuracy", "Test accuracy"]
    assert [metric.value for metric in at.metric] == [f"{row[f'{side}_accuracy']:.1%}" for side in ("train", "test")]
    assert "The split is unknown" not in texts(at)
    assert not at.progress
    assert "test, wrong" in answers_chart(at)["encoding"]["color"]["scale"]["domain"]


def test_attention_does_not_say_in_which_split_a_pair_is_where_that_is_unknown(imported, visit, texts):
    imported(None)
    said = texts(visit("attention", run="theirs"))
    assert "Which pairs trained it is unknown." in said
    assert "This pair is in the" not in said


def test_attention_says_in_which_split_a_pair_is_where_that_is_known(imported, visit, texts):
    run = imported(0.4)
    side = "train" if run.task().train_mask[5 * 11 + 8] else "test"
    assert f"This pair is in the {side} split." in texts(visit("attention", run="theirs"))


def test_nothing_of_the_file_s_name_is_read_as_markup(imported, visit, texts):
    imported(None)
    assert "![x]" not in texts(visit("train", run="theirs"))
