"""Fourier, Neurons, Circuits, Progress and Formula: what they show is what the library finds, or why they cannot."""

import json

import pytest
from shown import app, click, fine, move, shown
from zoo import phased

from miii import analysis, plots, runs
from miii.analysis.modular.phases import Phase, phase_at
from miii.notebook import network

# ---- Fourier ----


def test_fourier_shows_the_key_frequencies_of_each_step(zoo, see):
    run = zoo("adds")
    found = {}
    for step in (run.steps[0], run.steps[-1]):
        view = see("fourier", run="adds", step=step)
        keys = analysis.keys.of_model(run.model(step), run.task()).frequencies
        circles = [title for title in view.drawn if title.startswith("k = ")]
        assert circles == [f"k = {k}" for k in keys] or not keys  # without a key frequency, others are drawn
        assert ", ".join(map(str, keys)) in view.text
        found[step] = keys
    assert found[run.steps[-1]] == (2, 3) != found[run.steps[0]]
    asked = see("fourier", run="adds", k=5)
    assert [title for title in asked.drawn if title.startswith("k = ")] == ["k = 2", "k = 3", "k = 5"]


def test_why_there_is_no_key_frequency_is_the_reason_that_decided(zoo, see):
    run = zoo("untrained")
    choice = analysis.keys.of_model(run.model(), run.task())
    assert choice.frequencies == ()
    for page in ("fourier", "progress", "formula"):
        assert choice.why_none in see(page, run="untrained").text


# ---- Neurons ----


def test_a_tile_of_the_wall_opens_its_neuron(zoo, visit):
    at = visit("neurons", run="adding", order="angle")
    wall = shown(at).charts[0]
    assert wall.title == "Every neuron over all pairs"
    for point in ({"neuron": 5}, {"row": 0}):  # the second is a gap, without a neuron
        click(at, wall.key, "neuron", **point)
        assert at.number_input(key="neuron").value == 5


@pytest.mark.parametrize("index", [0, -1])
def test_neurons_counts_what_the_library_counts(zoo, see, index):
    run = zoo("adding")
    step = run.steps[index]
    found = analysis.neurons.describe(run.model(step), run.task())
    view = see("neurons", run="adding", step=step)
    assert list(view.metrics.values()) == [
        str(int(found.alive.sum())),
        str(found.dead),
        f"{found.single_frequency:.0%}",
        f"{found.alignment[found.alive].mean():.3f}",
    ]
    assert all(f"{len(members)} at k = {k}" in view.captions for k, members in found.clusters().items())
    assert {k: len(members) for k, members in found.clusters().items()} == ({2: 3, 3: 3} if index else {})


def test_neurons_offers_the_purest_neuron_of_the_chosen_frequency(zoo, visit, see):
    run = zoo("adding")
    found = analysis.neurons.describe(run.model(), run.task())
    at = visit("neurons", run="adding")
    for frequency, members in found.clusters().items():
        at.selectbox(key="frequency").select(str(frequency)).run()
        view = shown(fine(at))
        neuron = int(view.value("neuron"))
        assert found.share[neuron] == found.share[members].max()
        for number in (
            f"**{neuron}**",
            f"**{frequency}**",
            f"{found.share[neuron]:.1%}",
            f"{found.phase_out[neuron]:.2f}",
        ):
            assert number in view.text
        assert view.text == see("neurons", run="adding", frequency=frequency).text  # a link shows the same
    move(at, run.steps[0])
    assert shown(at).value("frequency") == "any"


@pytest.mark.parametrize("kind", ["mean", "interchange"])
def test_neurons_silences_the_clusters_in_the_chosen_way(zoo, see, kind):
    run = zoo("adding")
    clusters = analysis.neurons.describe(run.model(), run.task()).clusters()
    names = [f"k = {k}" for k in clusters]
    wanted = analysis.ablation.neurons(run.model(), run.task(), kind, groups=list(clusters.values()), names=names)
    view = see("neurons", run="adding", silenced=kind)
    title = plots.ablation(wanted).to_dict()["title"]
    (chart,) = (chart for chart in view.charts if chart.title == title)
    (rows,) = (rows for rows in chart.rows() if "loss" in rows)
    assert rows["loss"].tolist() == pytest.approx(wanted.loss.tolist())


def test_a_network_of_zeros_has_nothing_to_show(see):
    view = see("neurons", run="zeros")
    assert list(view.metrics.values()) == ["0", "6", "0%", "–"]
    assert see("formula", run="zeros").errors == []
    assert "**0**" in see("formula", run="zeros").text


def test_a_sum_of_multiples_and_a_subtraction_are_written_as_such(see):
    assert "$c = 3a - b$" in see("neurons", run="multiples").text
    for page in ("formula", "neurons"):
        assert "3a - b$" not in see(page, run="adds 13").text
        assert "a - b" in see(page, run="subtracts").text.replace("−", "-")


def test_products_and_multiples_are_drawn_in_the_order_in_which_they_add(zoo, see):
    for name, first, m, written in (
        ("mul", "log a", 10, "log c"),
        ("div", "log a", 10, "log c"),
        ("multiples", "3a", 11, "c"),
    ):
        run = zoo(name)
        order, multipliers = analysis.keys.of_model(run.model(), run.task()).aligned(
            run.task(), run.config.task.multipliers
        )
        found = analysis.neurons.describe(run.model(), run.task(), multipliers, order)
        view = see("neurons", run=name)
        assert not view.errors
        assert f"**{first}**" in view.text
        assert list(view.metrics.values())[:2] == [str(int(found.alive.sum())), str(found.dead)]
        grids = [rows["rows"][0] for chart in view.charts for rows in chart.rows() if {"cells", "rows"} <= set(rows)]
        assert m in grids
        assert (order.names[0], order.answer) == (first, written)
        fourier = see("fourier", run=name)
        assert not fourier.errors
        assert ("where $n$ is **log a**" in fourier.text) == (m == 10)


# ---- Circuits ----


@pytest.mark.parametrize("method", ["exact", "acdc"])
def test_circuits_shows_what_the_method_finds(zoo, visit, see, method):
    run = zoo("adds")
    found = analysis.circuits.find(run.model(), run.task(), method)
    view = see("circuits", run="adds", method=method)
    enough = found.enough
    assert next(widget.value for widget in view.widgets if widget.kind == "slider") == enough
    assert f"**{found.faithfulness.f[enough]:.3f}**" in view.captions
    named = app("_parts.circuits.edges").named
    assert view.tables[0]["to"].tolist() == [named(edge.target, "ab=", edge.which) for edge in found.edges]
    assert named(analysis.circuits.Node("head", 0, 0, 1), "ab=", "k") == "head 0.1, key, at a"
    assert view.tables[0]["score"].tolist() == list(found.scores)
    if method == "acdc":
        at = visit("circuits", run="adds", method=method)
        at.slider[0].set_value(3).run()
        assert any(title.startswith(f"The 3 most important of 21 edges ({method})") for title in shown(at).drawn)


def test_circuits_compares_the_methods(zoo, see):
    run = zoo("adds")
    found = {m: analysis.circuits.find(run.model(), run.task(), m) for m in analysis.circuits.METHODS}
    view = see("circuits", run="adds", cheap="eap")
    table = view.table("CPR").set_index("method")
    for method, circuit in found.items():
        agreement = analysis.circuits.agreement(circuit, found["exact"])
        wanted = [circuit.faithfulness.cpr, circuit.faithfulness.cmd, agreement.spearman, agreement.auroc_active]
        assert table.loc[method, ["CPR", "CMD", "Spearman", "AUROC, active"]].tolist() == wanted
    assert "Score of each edge, eap over exact" in view.drawn


def test_circuits_patches_activations_and_paths(zoo, see):
    run = zoo("adds")
    sweep = analysis.patching.sweep(run.model(), run.task())
    whole = plots.frame(plots.patching(sweep, ["a", "b", "="]))
    view = see("circuits", run="adds", receiver="MLP 0")
    assert f"{sweep.clean:.3g}" in view.captions
    assert "Recovered on the path to 0.mlp_pre" in view.drawn
    assert whole["value"].tolist() == pytest.approx(view.numbers("patching")["value"].tolist())
    by_head = see("circuits", run="adds", **{"by-head": "true"})
    assert len(by_head.numbers("patching")) == sum(patch.head is not None for patch in sweep.patches)


def test_what_another_run_does_not_have_is_let_go(zoo, visit):
    zoo("second")
    for page, kind, key, value, fallback in (
        ("circuits", "selectbox", "receiver", "head 0.1, key", "logits"),
        ("neurons", "number_input", "neuron", "5", 0),
        ("attention", "segmented_control", "head", "1", 0),
    ):
        at = visit(page, run="adds", **{key: value})
        assert str(getattr(at, kind)(key=key).value) == value
        at.selectbox(key="run").select("second").run()
        fine(at)
        assert getattr(at, kind)(key=key).value == fallback


# ---- Progress ----


def test_progress_draws_the_trajectory(zoo, see):
    run = zoo("adds")
    frame = analysis.trajectory.measure_all(((s, run.model(s)) for s in run.steps), run.task(), (2, 3)).frame()
    wanted = plots.progress(frame, analysis.phases.mark(run.metrics()))
    view = see("progress", run="adds")
    assert "2, 3" in view.text
    assert view.drawn == [chart.title for chart in wanted]
    assert all(chart.alt.startswith(chart.title) for chart in view.charts)
    (figure,) = view.figures
    for made, chart in zip(figure.make(**figure.arguments), wanted, strict=True):
        assert plots.frame(made).equals(plots.frame(chart))


def test_slider_and_progress_agree_on_the_phase_of_every_snapshot(bring, visit):
    like = runs.shipped("add-113")
    brought = bring("adding")
    run = phased(brought, like, brought.folder.parent / "phased")
    view = shown(visit("progress", run="phased"))
    outline = analysis.phases.outline(like.config.task, like.metrics(), (like.result or {})["grokked_at"])
    phases = tuple(Phase(*phase.values()) for phase in view.player["phases"])
    assert phases == outline
    marks = next(rows for rows in view.charts[0].rows() if "phase" in rows)  # the strip
    begun = dict(zip(marks["phase"], marks["at"], strict=True))
    for step in run.steps:
        drawn = max((name for name in begun if begun[name] <= max(step, 0.7)), key=begun.__getitem__)
        assert phase_at(phases, step) == drawn, step
    assert len({phase_at(phases, step) for step in run.steps}) > 2


# ---- Formula ----


def test_formula_is_fitted_compared_and_steered_as_in_the_library(zoo, visit):
    run = zoo("adds")
    task, (before, step) = run.task(), (run.steps[1], run.steps[-1])
    at = visit("formula", run="adds")
    at.select_slider(key=f"other-adds-{step}").set_value(before).run()
    view = shown(fine(at))
    formula = analysis.formula.fit(analysis.grid.logits(run.model(), task), task.labels, (2, 3)).formula
    lines = view.formulas[0].partition(r"\end{aligned}")[0].split(r"\\")
    assert len(lines) == len(formula.terms) == 2
    assert all(line.strip(" &+").endswith(term) for line, term in zip(lines, formula.latex_terms(), strict=True))
    for at_step in (before, step):
        logits = analysis.grid.logits(run.model(at_step), task)
        fit = analysis.formula.fit(logits, task.labels, (2, 3))
        right = (logits.argmax(1) == task.labels).double().mean().item()
        wanted = [right, fit.accuracy, fit.variance_explained, fit.argmax_agreement]
        assert view.table("measure")[f"step {at_step}"].tolist() == pytest.approx(wanted)
        assert f"{fit.kl:.3g}" in view.captions
    steered = analysis.steering.steer(run.model(), task, (2, 3))
    (rows,) = (rows for chart in view.charts for rows in chart.rows() if "turned" in rows and "share" in rows)
    of_planes, control = (rows[rows["turned"] == name]["share"].tolist() for name in rows["turned"].unique())
    assert (of_planes, control) == (steered.accuracy.tolist(), steered.control_accuracy.tolist())
    assert f"{steered.mean:.2%}" in view.captions
    assert f"{steered.minimum:.2%}" in view.captions
    at.toggle(key="turn").set_value(True).run()
    (live,) = (part for part in at.get("bidi_component") if part.proto.component_name == "miii_network")
    assert json.loads(live.proto.json) == network.of_run(run, step)
    first = visit("formula", run="adds", step=run.steps[0])
    assert not [slider for slider in first.select_slider if (slider.key or "").startswith("other")]


VERDICTS = {
    "adds 13": "modular addition",
    "subtracts": "modular addition",
    "memorized": "memorized",
    "untrained": "none",
    "even": "none",
    "zeros": "none",
    "div": "none",
}


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_is_the_library_s(zoo, see, name):
    run = zoo(name)
    report = analysis.verdict.analyze(run.model(), run.task())
    view = see("formula", run=name)
    (verdict,) = (text for kind in ("success", "warning", "info") for text in view.prose[kind])
    assert verdict.replace("−", "-").lower().startswith(f"**{report.verdict}**")
    assert report.verdict[:8] == VERDICTS[name][:8]
    rows = view.table("measured")
    assert rows["measured"].tolist() == [criterion.value for criterion in report.criteria]
    assert rows["bound"].tolist() == [criterion.bound for criterion in report.criteria]
    assert (rows["result"] == "pass").all() == report.adds
    assert f"proves {report.certified:.1%} of all pairs correct" in view.text
    assert report.reason in view.text


def test_a_page_that_cannot_show_a_run_gives_the_library_s_reason(see, visit, zoo):
    for run, page, word in (
        *(("seven", page, "(got 7)") for page in ("neurons", "progress", "formula", "circuits")),
        *(("large", page, "(got 223)") for page in ("neurons", "attention", "try")),
        *(("broken", page, "finite") for page in ("try", "attention", "fourier", "circuits", "progress")),
    ):
        view = see(page, run=run)
        (info,) = view.infos
        assert word in info, (run, page)
        assert (view.charts == []) == (page != "circuits" or run == "broken")
        assert not view.errors
