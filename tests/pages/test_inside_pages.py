"""The pages Neurons, Circuits, Progress and Formula: what they say and draw is what the library finds."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from shown import codes, move
from streamlit.testing.v1 import AppTest

import miii
from miii import analysis, plots, runs


@pytest.fixture(scope="session")
def made(recorded_adder) -> Path:
    """A run whose last snapshot adds modulo 11, exactly, by the frequencies 2 and 3; the others are untrained."""
    return recorded_adder("adds", scale=3.0, act="square", snapshots=4)


@pytest.fixture
def adds(made, home) -> runs.Run:
    return runs.open(shutil.copytree(made, home / "adds"))


@pytest.fixture
def pure(adds, home) -> runs.Run:
    """The same run, but its last neurons are bent by ReLU: each keeps to one frequency, as a square one does not."""
    run = runs.open(shutil.copytree(adds.folder, home / "pure"))
    config = json.loads((run.folder / "config.json").read_text())
    config["model"]["act"] = "relu"
    (run.folder / "config.json").write_text(json.dumps(config))
    return runs.open(run.folder)


@pytest.fixture
def other(home, small_config) -> runs.Run:
    """A smaller run: one head, fewer neurons, none of a single frequency."""
    shape = {"n_heads": 1, "d_mlp": 4}
    return runs.record(home / "other", miii.train(small_config(task={"p": 11}, model=shape, steps=5, snapshots=2)))


def charts(at: AppTest) -> dict[str, dict]:
    """The specifications on a page by their titles, in order."""
    specs = [json.loads(chart.proto.spec) for chart in at.get("vega_lite_chart")]
    return {spec["title"]: spec for spec in specs}


def data(at: AppTest, n: int) -> Any:
    """The rows behind the n-th chart of a page, as its code gives them."""
    tree: dict[str, Any] = {}
    code, _, last = codes(at)[n].rpartition("\n")
    exec(code, tree)
    return plots.frame(eval(last, tree))


def captions(at: AppTest) -> str:
    return "\n".join(caption.value for caption in at.caption)


def markdown(at: AppTest) -> str:
    return "\n".join(text.value for text in at.markdown)


# ---- Neurons ----


@pytest.mark.parametrize("last", [True, False])
def test_neurons_says_what_the_neurons_are(pure, visit, last):
    step = pure.steps[-1 if last else 0]
    found = analysis.neurons.describe(pure.model(step), pure.task())
    at = visit("neurons", run="pure", step=step)
    assert [metric.value for metric in at.metric] == [
        str(int(found.alive.sum())),
        str(found.dead),
        f"{found.single_frequency:.0%}",
        f"{found.alignment[found.alive].mean():.3f}",
    ]
    listed = ", ".join(f"{len(members)} at k = {k}" for k, members in found.clusters().items()) or "none"
    assert f"Neurons of a single frequency: {listed}." in captions(at)
    assert ("no phases to compare" in captions(at)) == (not found.clusters())
    if last:
        assert listed == "3 at k = 2, 3 at k = 3"


def test_neurons_offers_the_purest_neuron_of_the_chosen_frequency(pure, visit):
    found = analysis.neurons.describe(pure.model(), pure.task())
    at = visit("neurons", run="pure")
    for frequency, members in found.clusters().items():
        at.selectbox(key="frequency").select(str(frequency)).run()
        assert not at.exception
        purest = int(members[found.share[members].argmax()])
        neuron = int(at.number_input(key="neuron").value)
        assert found.share[neuron] == found.share[purest]
        assert f"Neuron **{neuron}**: frequency **{frequency}** with {found.share[neuron]:.1%}" in markdown(at)
        assert f"$\\varphi_c$ = {found.phase_out[neuron]:.2f}" in markdown(at)
        assert f"What neuron {neuron} writes" in charts(at)


def test_neurons_silences_the_clusters_in_the_chosen_way(pure, visit):
    found = analysis.neurons.describe(pure.model(), pure.task()).clusters()
    groups, names = list(found.values()), [f"k = {k}" for k in found]
    at = visit("neurons", run="pure")
    for kind in ("mean", "zero", "interchange"):
        at.segmented_control(key="silenced").set_value(kind).run()
        assert not at.exception
        wanted = analysis.ablation.neurons(pure.model(), pure.task(), kind, groups=groups, names=names)
        assert plots.ablation(wanted).to_dict()["title"] in charts(at)
        assert data(at, 3)["loss"].tolist() == pytest.approx(wanted.loss.tolist())


def test_a_frequency_that_another_step_does_not_have_is_let_go(pure, visit):
    at = visit("neurons", run="pure", frequency="2")
    assert at.selectbox(key="frequency").value == "2"
    move(at, pure.steps[0])
    assert not at.exception
    assert at.selectbox(key="frequency").value == "any"


def test_a_neuron_that_another_run_does_not_have_is_let_go(adds, other, visit):
    at = visit("neurons", run="adds")
    at.number_input(key="neuron").set_value(5).run()
    assert "Neuron **5**" in markdown(at)
    at.selectbox(key="run").select("other").run()
    assert not at.exception
    assert int(at.number_input(key="neuron").value) < 4


# ---- Circuits ----


@pytest.mark.parametrize("method", analysis.circuits.METHODS)
def test_circuits_shows_what_the_method_finds(adds, visit, method):
    found = analysis.circuits.find(adds.model(), adds.task(), method)
    at = visit("circuits", run="adds", method=method)
    assert at.segmented_control(key="method").value == method
    enough = found.faithfulness.smallest(0.95)
    assert at.slider[0].value == enough
    assert f"faithfulness is **{found.faithfulness.f[enough]:.3f}**" in captions(at)
    table = at.dataframe[0].value
    assert table["to"].tolist() == [edge.reader for edge in found.edges]
    assert table["score"].tolist() == list(found.scores)
    assert ("in nats" in captions(at)) == (method == "acdc")
    at.slider[0].set_value(3).run()
    assert any(title.startswith(f"The 3 most important of 21 edges ({method})") for title in charts(at))


def test_circuits_compares_the_methods(adds, visit):
    model, task = adds.model(), adds.task()
    found = {method: analysis.circuits.find(model, task, method) for method in analysis.circuits.METHODS}
    at = visit("circuits", run="adds", cheap="eap")
    table = at.dataframe[1].value.set_index("method")
    for method, circuit in found.items():
        agreement = analysis.circuits.agreement(circuit, found["exact"])
        assert table.loc[method, "CPR"] == circuit.faithfulness.cpr
        assert table.loc[method, "CMD"] == circuit.faithfulness.cmd
        assert table.loc[method, "Spearman"] == agreement.spearman
        assert table.loc[method, "AUROC, heard"] == agreement.auroc_heard
    assert "Score of each edge, eap over exact" in charts(at)


def test_circuits_patches_activations_and_paths(adds, visit):
    sweep = analysis.patching.sweep(adds.model(), adds.task())
    at = visit("circuits", run="adds", receiver="MLP 0")
    assert f"is {sweep.clean:.3g} above the corrupted run's" in captions(at)
    assert "Carried over on the path to 0.mlp_pre" in charts(at)
    whole = plots.frame(plots.patching(sweep, ["a", "b", "="]))
    assert data(at, 3)["value"].tolist() == pytest.approx(whole["value"].tolist())
    at.toggle(key="by-head").set_value(True).run()
    assert not at.exception
    assert len(data(at, 3)) == sum(patch.head is not None for patch in sweep.patches)


def test_a_receiver_that_another_run_does_not_have_is_let_go(adds, other, visit):
    at = visit("circuits", run="adds", receiver="head 0.1, key")
    assert at.selectbox(key="receiver").value == "head 0.1, key"
    at.selectbox(key="run").select("other").run()
    assert not at.exception
    assert at.selectbox(key="receiver").value == "logits"


# ---- Progress ----


def test_progress_draws_the_trajectory(adds, visit):
    models = ((step, adds.model(step)) for step in adds.steps)
    frame = analysis.trajectory.measure_all(models, adds.task(), (2, 3)).frame()
    at = visit("progress", run="adds")
    assert "**Key frequencies, taken from the last snapshot: 2, 3.**" in markdown(at)
    shown = at.get("vega_lite_chart")
    wanted = plots.progress(frame, analysis.phases.mark(adds.metrics()))
    assert [json.loads(chart.proto.spec)["title"] for chart in shown] == [chart.title for chart in wanted]
    assert all(chart.proto.alt.startswith(f"{made.title}. ") for chart, made in zip(shown, wanted, strict=True))
    tree: dict[str, Any] = {}
    code, _, last = codes(at)[0].rpartition("\n")
    exec(code, tree)
    for chart, made in zip(eval(last, tree), wanted, strict=True):
        assert plots.frame(chart).equals(plots.frame(made))


# ---- Formula ----


def test_formula_is_written_one_term_a_line(adds, visit):
    logits = analysis.grid.logits(adds.model(), adds.task())
    formula = analysis.formula.fit(logits, adds.task().labels, (2, 3)).formula
    text = visit("formula", run="adds").latex[0].value
    lines = text.partition(r"\end{aligned}")[0].split(r"\\")
    assert len(lines) == len(formula.terms) == 2
    for line, term in zip(lines, formula.latex_terms(), strict=True):
        assert line.strip(" &+").endswith(term)


def test_formula_is_compared_with_an_earlier_snapshot(adds, visit):
    before, step = adds.steps[1], adds.steps[-1]
    at = visit("formula", run="adds")
    at.select_slider(key=f"other-adds-{step}").set_value(before).run()
    assert not at.exception
    task, table = adds.task(), at.dataframe[1].value
    for at_step in (before, step):
        logits = analysis.grid.logits(adds.model(at_step), task)
        fit = analysis.formula.fit(logits, task.labels, (2, 3))
        right = (logits.argmax(1) == task.labels).double().mean().item()
        wanted = [right, fit.accuracy, fit.variance_explained, fit.argmax_agreement]
        assert table[f"step {at_step}"].tolist() == pytest.approx(wanted)
        assert f"{fit.kl:.3g} nats at step {at_step}" in captions(at)
        shares = analysis.decomposition.shares(logits, (2, 3))
        rows = data(at, 1)
        assert rows[rows["network"] == f"step {at_step}"]["share"].tolist() == pytest.approx(list(shares.values()))


def test_formula_steers_by_what_it_fitted(adds, visit):
    steered = analysis.steering.steer(adds.model(), adds.task(), (2, 3))
    at = visit("formula", run="adds")
    rows = data(at, 2)
    of_planes, control = (rows[rows["turned"] == name]["share"].tolist() for name in rows["turned"].unique())
    assert of_planes == steered.accuracy.tolist()
    assert control == steered.control_accuracy.tolist()
    assert f"Mean over s: {steered.mean:.2%} of all pairs, at worst {steered.minimum:.2%}." in captions(at)


def test_formula_of_a_first_snapshot_has_nothing_to_compare_with(adds, visit):
    at = visit("formula", run="adds", step=adds.steps[0])
    assert "There is no earlier snapshot to compare with." in captions(at)
    assert "What the logits are made of" in charts(at)


# ---- addresses ----


@pytest.mark.parametrize(
    ("page", "kind", "key", "fallback"),
    [
        ("fourier", "selectbox", "site", "logits"),
        ("circuits", "segmented_control", "method", "exact"),
        ("circuits", "segmented_control", "cheap", "eap-ig"),
        ("circuits", "selectbox", "receiver", "logits"),
        ("neurons", "segmented_control", "silenced", "mean"),
        ("neurons", "selectbox", "frequency", "any"),
        ("attention", "segmented_control", "head", 0),
    ],
)
def test_a_value_in_the_address_that_there_is_not_falls_back(pure, visit, page, kind, key, fallback):
    for value in ("", "nosuch", "99"):
        at = visit(page, run="pure", **{key: value})
        assert not at.error
        assert getattr(at, kind)(key=key).value in (fallback, None if value == "" else fallback)
        assert at.get("vega_lite_chart")


def test_a_toggle_in_the_address_that_is_neither_on_nor_off_is_off(adds, visit):
    assert not visit("circuits", run="adds", **{"by-head": "perhaps"}).toggle(key="by-head").value
    assert visit("circuits", run="adds", **{"by-head": "true"}).toggle(key="by-head").value


@pytest.mark.parametrize("page", ["fourier", "neurons"])
def test_a_choice_is_the_same_wherever_it_is_made(pure, visit, page):
    key, value = {"fourier": ("site", "0.mlp_post"), "neurons": ("frequency", "3")}[page]
    linked = visit(page, run="pure", **{key: value})
    clicked = visit(page, run="pure")
    clicked.selectbox(key=key).select(value).run()
    assert captions(linked) == captions(clicked)
    assert codes(linked) == codes(clicked)
