"""The page Attention: what it says of every kind of run is what the library finds."""

import re

import pytest
import torch
from shown import Shown, fine, shown

from miii import analysis


def caption(view: Shown, word: str) -> str:
    return next(text for text in view.prose["caption"] if word in text)


def test_the_answer_to_the_chosen_pair_is_the_network_s(zoo, visit):
    run = zoo("adding")
    task = run.task()
    for step in (0, 30):
        answers = run.model(step)(task.tokens)[:, -1].argmax(-1).tolist()
        at = visit("attention", run="adding", step=step)
        for a, b in ((3, 9), (10, 0), (7, 7)):
            at.number_input(key="a").set_value(a)
            at.number_input(key="b").set_value(b).run()
            view = shown(fine(at))
            said = next(text for text in view.prose["markdown"] if f"({a}, {b})" in text)
            answer, truth = answers[a * 11 + b], (a + b) % 11
            assert f"**{answer}**" in said
            assert ("correct" in said) == (answer == truth)
            assert ("train" if task.train_mask[a * 11 + b] else "test") in said


def test_the_figures_of_a_pair(see):
    view = see("attention", run="adds", head=1)
    assert len(set(view.drawn)) == 10
    assert sum(title.startswith("Head 1: ") for title in view.drawn) == 7
    # this network attends uniformly to "a", "b" and "=", by construction
    assert view.tables[0][["to a", "to b", "to ="]].to_numpy() == pytest.approx(1 / 3)


def test_the_rhythm_is_the_library_s(zoo, see):
    run = zoo("adds")
    step = run.steps[0]
    periodicity = analysis.attention.periodicity(analysis.attention.over_inputs(run.model(step), run.task().tokens))
    said = [
        text
        for text in see("attention", run="adds", step=step, head=1).prose["caption"]
        if "Standard deviation" in text and "variance depends" in text
    ]
    assert len(said) == 2
    for key, words in enumerate(said):
        numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-\d+)?", words)]
        strongest = periodicity.single()[1, key].sort(descending=True)
        assert numbers[0] == pytest.approx(periodicity.deviation[1, key].item(), rel=0.05)
        assert numbers[1] == pytest.approx(100 * periodicity.of_a()[1, key].item(), abs=0.51)
        assert numbers[2] == pytest.approx(100 * periodicity.of_b()[1, key].item(), abs=0.51)
        assert [numbers[3] - 1, numbers[5] - 1] == strongest.indices[:2].tolist()
        assert [numbers[4], numbers[6]] == pytest.approx((100 * strongest.values[:2]).tolist(), abs=0.51)


@pytest.mark.parametrize("index", [0, -1])
def test_contributions_are_the_library_s(zoo, see, index):
    run = zoo("adds")
    step, task = run.steps[index], run.task()
    parts = analysis.direct.contributions(run.model(step), task.tokens, task.labels)
    said = caption(see("attention", run="adds", step=step), "from the MLP").replace("−", "-")
    for number in (parts.total(), parts.of("head"), parts.of("MLP")):
        assert f"{number:.3g}" in said
    assert index == 0 or parts.of("head") == 0


@pytest.mark.parametrize("kind", ["zero", "interchange"])
def test_what_a_silent_head_costs_is_the_library_s(zoo, see, kind):
    run = zoo("adds")
    found = analysis.ablation.heads(run.model(), run.task(), kind)
    view = see("attention", run="adds", kind=kind)
    said = caption(view, "without head")
    assert f"{found.baseline_loss:.3g}" in said
    for i in (int(found.loss.argmax()), int(found.loss.argmin())):
        assert f"head {found.names[i]}" in said
        assert f"{found.loss[i]:.3g}" in said
        assert f"{found.accuracy[i]:.1%}" in said
    assert view.drawn[-1].startswith("Loss with a part set to its mean") == (kind == "mean")


def test_a_deeper_layer_can_be_chosen(zoo, see):
    run = zoo("two layers")
    views = [see("attention", run="two layers", layer=layer) for layer in (0, 1)]
    for layer, view in enumerate(views):
        means = analysis.attention.over_inputs(run.model(), run.task().tokens, layer).mean()
        assert view.tables[0][["to a", "to b", "to ="]].to_numpy() == pytest.approx(means.numpy(), abs=1e-6)
    p, view = run.config.task.p, views[1]
    scores = analysis.attention.qk(run.model(), 1, run.task().tokens[0, -1:])[0, 0, :2, :p]
    assert f"{scores[0].std(correction=0):.2g}" in view.captions
    assert f"{(scores[1] - scores[0]).mean().abs():.2g}" in view.captions
    parts = analysis.direct.contributions(run.model(), run.task().tokens, run.task().labels)
    assert f"{parts.of('MLP'):.3g}" in view.captions.replace("−", "-")
    assert re.search(r"head [01]\.[01],", caption(view, "without head"))
    alone = see("attention", run="side by side")  # one head: none costs the most
    assert caption(alone, "without head 0.0").count("without head") == 1


@pytest.mark.parametrize(("name", "asked", "example"), [("primes", 500, None), ("residues", 17, 17)])
def test_one_example_of_another_task_and_the_mean(zoo, see, name, asked, example):
    run = zoo(name)
    task = run.task()
    if example is None:  # the task has no even numbers: the next one is taken
        example = int((task.facts["n"] == asked + 1).nonzero())
    view = see("attention", run=name, n=asked)
    assert view.drawn == ["Attention pattern by head"]
    assert view.figures[0].arguments["example"] == example
    with torch.no_grad():
        logits = run.model()(task.tokens[example][None])[0, -1, task.logits_of(task.name)]
    words = ("no", "yes") if name == "primes" else tuple(map(str, range(len(logits))))
    tokens = " ".join(task.token_names[token] for token in task.tokens[example])
    said = next(text for text in view.prose["markdown"] if f"`{tokens}`" in text)
    assert re.findall(r"\*\*(\w+)\*\*", said)[:2] == [words[int(task.labels[example])], words[int(logits.argmax())]]
    assert ("train" if task.train_mask[example] else "test") in said
    means = analysis.attention.over_inputs(run.model(), task.tokens).mean()
    assert view.tables[0].drop(columns="head").to_numpy() == pytest.approx(means.numpy(), abs=1e-6)


def test_long_strings_are_a_table_and_their_mean_one_of_letters(zoo, see):
    run = zoo("miu")
    task, model = run.task(), run.model()
    view = see("attention", run="miu", example=7)
    table, means = view.tables[0], view.tables[1].drop(columns="head")
    assert table["token"].tolist() == [task.token_names[token] for token in task.tokens[7]]
    weights = analysis.attention.pattern(model, task.tokens[7])[:, -1]
    assert table[["head 0", "head 1"]].to_numpy() == pytest.approx(weights.T.numpy(), abs=1e-6)
    assert means.columns.tolist() == [f"to {letter}" for letter in task.token_names]
    assert means.sum(axis=1).tolist() == pytest.approx([1, 1])
    over = analysis.attention.over_inputs(model, task.tokens).weight
    assert means["to M"].tolist() == pytest.approx(over[:, 0].mean(-1).tolist())  # M stands first, and nowhere else


def test_frames_name_whatever_token_comes_out(zoo, see):
    for name, example in (("frames", 3), ("labels", 40)):
        run = zoo(name)
        task = run.task()
        view = see("attention", run=name, example=example)
        with torch.no_grad():
            token = int(run.model()(task.tokens[example][None])[0, -1].argmax())
        said = next(text for text in view.prose["markdown"] if "prime?" in text)
        truth = ("no", "yes")[int(task.labels[example])]
        assert f"**{truth}**" in said
        assert f"{('no', 'yes')[token] if token < 2 else task.token_names[token]}**" in said


def test_the_split_of_a_pair_is_named_where_it_is_known(zoo, see):
    unknown, known = see("attention", run="theirs").text, see("attention", run="theirs, split").text
    side = "training" if zoo("theirs, split").task().train_mask[5 * 11 + 8] else "test"
    assert f"({side} split)" in known
    assert "training split unknown" in unknown
