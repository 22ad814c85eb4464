"""The Attention page's circuits, contributions and silenced heads: what it says is what the library finds."""

import json
import re
import shutil
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import miii
from miii import analysis, runs

ROOT = Path(__file__).parents[2]
KINDS = ["zero", "mean", "interchange"]


@pytest.fixture(scope="session")
def made(recorded_adder) -> Path:
    """A run whose last snapshot adds modulo 11, exactly, by the frequencies 2 and 3; the others are untrained."""
    return recorded_adder("adds", scale=10.0, act="square")


@pytest.fixture
def adds(made, home) -> runs.Run:
    return runs.open(shutil.copytree(made, home / "adds"))


@pytest.fixture(autouse=True)
def server(home, monkeypatch) -> None:
    """A server of one's own: no cached result of the test before."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)
    st.cache_resource.clear()
    st.cache_data.clear()


def visit(**query: object) -> AppTest:
    """Open the page as a link with these query parameters does."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.switch_page("pages/attention.py")
    for name, value in query.items():
        at.query_params[name] = str(value)
    return fine(at.run())


def fine(at: AppTest) -> AppTest:
    assert not at.exception
    assert not at.error
    return at


def specs(at: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in at.get("vega_lite_chart")]


def captions(at: AppTest) -> str:
    return "\n".join(caption.value for caption in at.caption)


def deep(home, small_config) -> runs.Run:
    return runs.record(home / "deep", miii.train(small_config(model={"n_layers": 2}, steps=5)))


def test_the_page_s_figures_in_their_order(adds):
    titles = [spec["title"] for spec in specs(visit(run="adds", head=1))]
    expected = [
        "Where each head looks",
        "Head 1: attention to a",
        "Head 1: attention to b",
        "Head 1: spectrum of attention to a",
        "Head 1: spectrum of attention to b",
        "Head 1: scores from the last position",
        "Head 1: scores by query and key token (QK)",
        "Head 1: what it writes (OV)",
        "Direct contributions to the answer",
    ]
    assert titles[:-1] == expected
    assert titles[-1].startswith("Loss with a part set to its mean")


def test_a_network_that_looks_evenly_has_no_rhythm_and_says_so(adds):
    at = visit(run="adds")
    assert captions(at).count("The weight is the same for all pairs") == 2
    assert "the same score to every token" in captions(at)
    assert "writes nothing to the logits directly" in captions(at)


def test_the_rhythm_is_the_library_s(adds):
    step = adds.steps[0]
    over = analysis.attention.over_inputs(adds.model(step), adds.task().tokens)
    rhythm = analysis.attention.rhythm(over)
    said = [caption.value for caption in visit(run="adds", step=step, head=1).caption if "deviates" in caption.value]
    assert len(said) == 2
    for key, words in enumerate(said):
        numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-\d+)?", words)]
        single = rhythm.single()[1, key]
        assert numbers[0] == pytest.approx(rhythm.deviation[1, key].item(), rel=0.05)
        assert numbers[1] == pytest.approx(100 * rhythm.of_a()[1, key].item(), abs=0.51)
        assert numbers[2] == pytest.approx(100 * rhythm.of_b()[1, key].item(), abs=0.51)
        strongest = single.sort(descending=True)
        assert [numbers[3] - 1, numbers[5] - 1] == strongest.indices[:2].tolist()
        assert [numbers[4], numbers[6]] == pytest.approx((100 * strongest.values[:2]).tolist(), abs=0.51)


@pytest.mark.parametrize("last", [True, False])
def test_who_writes_the_answer_is_the_library_s(adds, last):
    step = adds.steps[-1 if last else 0]
    task = adds.task()
    parts = analysis.direct.contributions(adds.model(step), task.tokens, task.labels)
    said = next(text.value for text in visit(run="adds", step=step).caption if "the correct answer is" in text.value)
    assert f"is {parts.total():.3g} above" in said
    assert f"write {parts.of('head'):.3g} of it directly, the MLP {parts.of('MLP'):.3g}" in said
    if last:
        assert parts.of("head") == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_silence_costs_is_the_library_s(adds, kind):
    at = visit(run="adds", kind=kind)
    found = analysis.ablation.heads(adds.model(), adds.task(), kind)
    said = next(text.value for text in at.caption if "the whole network's loss" in text.value)
    assert f"loss is {found.baseline_loss:.3g} nats, with 100.0% of the answers right" in said
    most, least = int(found.loss.argmax()), int(found.loss.argmin())
    for i, word in ((most, "the most"), (least, "the least")):
        assert f"without head {found.names[i]} it is {found.loss[i]:.3g} nats" in said
        assert f"{found.accuracy[i]:.1%} right ({word})" in said


def test_the_kind_of_silence_is_chosen_on_the_page(adds):
    at = visit(run="adds")
    titles = {specs(at)[-1]["title"]}
    for kind in ("zero", "interchange"):
        at.segmented_control(key="kind").set_value(kind).run()
        titles.add(specs(fine(at))[-1]["title"])
    assert len(titles) == 3


@pytest.mark.parametrize("value", ["median", ""])
def test_an_unknown_kind_in_the_address_gives_the_mean(adds, value):
    assert "set to its mean" in specs(visit(run="adds", kind=value))[-1]["title"]


@pytest.mark.parametrize("name", ["head", "layer"])
def test_an_empty_value_in_the_address_gives_the_first(home, small_config, name):
    deep(home, small_config)
    assert "Head 0: what it writes (OV)" in [spec["title"] for spec in specs(visit(run="deep", **{name: ""}))]


def test_a_network_of_one_head_has_no_most_and_least(home, small_config):
    runs.record(home / "one head", miii.train(small_config(model={"n_heads": 1}, steps=5)))
    said = captions(visit(run="one head"))
    assert "without head 0.0 it is" in said
    assert "(the most)" not in said


def test_a_deeper_layer_s_circuits_are_said_to_be_direct_paths(home, small_config):
    run = deep(home, small_config)
    at = visit(run="deep")
    assert "direct paths" not in "\n".join(text.value for text in at.markdown)
    at.segmented_control(key="layer").set_value(1).run()
    fine(at)
    assert "direct paths" in "\n".join(text.value for text in at.markdown)
    p = run.config.task.p
    scores = analysis.attention.qk(run.model(), 1, run.task().tokens[0, -1:])[0, 0, :2, :p]
    assert f"the scores deviate by {scores[0].std(correction=0):.2g};" in captions(at)
    shift = (scores[1] - scores[0]).mean()
    assert f"at position $b$ each is {shift.abs():.2g} {'lower' if shift < 0 else 'higher'} than at $a$" in captions(at)
    parts = analysis.direct.contributions(run.model(), run.task().tokens, run.task().labels)
    assert f"the MLPs {parts.of('MLP'):.3g}" in captions(at)
    silence = next(text.value for text in at.caption if "the whole network's loss" in text.value)
    assert re.search(r"without head [01]\.[01] it is .* \(the most\)", silence)


def test_every_snapshot_of_a_run_in_training_is_shown(adds):
    for step in adds.steps[1:-1]:
        assert len(specs(visit(run="adds", step=step))) == 10
