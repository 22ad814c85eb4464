"""The commands that look inside print the library's results as JSON and as lines."""

import json
import math
import re
import shutil

import pytest
import torch
from cli_checks import strict_json
from safetensors.torch import save_file

import miii
from miii import reports, runs
from miii.analysis.causal import circuits
from miii.analysis.modular import grid, phases, trajectory, verdict
from miii.analysis.modular.formula import Formula, Term
from miii.analysis.oracles import planted
from miii.cli.printing import print_values
from miii.training import flat

KEYS = (2, 5, 9)
ANALYZE = {
    *("run", "step", "verdict", "accuracy", "loss", "key_frequencies", "frequency_power", "gini_embedding"),
    *("gini_neuron_logit", "logit_variance_explained", "argmax_agreement", "kl", "restricted_loss", "excluded_loss"),
    *("excluded_loss_split", "neurons_single_frequency", "dead_neurons", "gradient_symmetricity"),
    *("distance_irrelevance", "circularity", "steering_accuracy", "steering_minimum", "formula_accuracy"),
}
FORMULA = {
    *("run", "step", "key_frequencies", "sympy", "latex", "accuracy", "loss", "variance_explained"),
    *("argmax_agreement", "kl", "relabelling"),
}
CIRCUIT = {"run", "step", "method", "edges", "cpr", "cmd", "faithfulness"}
LOOKING = ("analyze", "progress", "formula", "circuit")


def network(operation="add", p=23, keys=KEYS) -> miii.Transformer:
    beta = -1 if operation == "sub" else 1
    terms = tuple(Term(k, beta * k, k, 10.0 - i, 0.0) for i, k in enumerate(keys))
    return planted.from_formula(Formula(p, terms), act="relu", hinges=2, n_heads=4, dtype=torch.float32)


@pytest.fixture
def create_run(home):
    """Make a run of a network, by name."""

    def make(name: str, model: miii.Transformer, **task: object) -> runs.Run:
        config = miii.RunConfig(task={"p": model.W_U.shape[1], **task}, model=model.config)
        return runs.create_run(home / name, config, model, format="hand")

    return make


@pytest.fixture
def planted_run(create_run) -> runs.Run:
    return create_run("planted", network())


@pytest.fixture(scope="module")
def trained(small_config, tmp_path_factory) -> runs.Run:
    """A run with several snapshots that has learned little."""
    config = small_config(task={"p": 11, "train_fraction": 0.5}, steps=12, snapshots=4)
    return runs.record(tmp_path_factory.mktemp("trained") / "eleven", miii.train(config))


def lines_of(out: str) -> dict[str, str]:
    return dict(line.split(None, 1) for line in out.splitlines())


# ---- analyze ----


def test_analyze_prints_the_report(command, command_json, planted_run, here, tree):
    before = tree(here)
    result = command_json("analyze", "planted")
    report = verdict.analyze(planted_run.model(), planted_run.task()).to_json()
    assert result == {"run": "planted", "step": 0} | report
    assert result.keys() >= ANALYZE
    assert (result["verdict"], result["key_frequencies"], result["accuracy"]) == ("modular addition", list(KEYS), 1)
    assert result["frequency_power"].keys() == {"2", "5", "9"}
    assert (result["steering_accuracy"], result["steering_minimum"]) == (1, 1)
    assert result["excluded_loss_split"] == "train"
    code, out, _ = command("analyze", "planted")
    values, _, table = out.partition("\n\n")
    lines = lines_of(values)
    assert (code, lines.keys()) == (0, result.keys() - {"criteria", "reason"})
    rows = [line.rsplit(None, 3) for line in table.splitlines()[1:]]
    assert [(name, passed) for name, _, _, passed in rows] == [(row["name"], "pass") for row in result["criteria"]]
    assert (lines["verdict"], lines["key_frequencies"]) == ("modular addition", "2, 5, 9")
    assert re.fullmatch(r"2: [\d.]+, 5: [\d.]+, 9: [\d.]+", lines["frequency_power"])
    assert float(lines["loss"]) == pytest.approx(result["loss"], rel=1e-5)
    assert tree(here) == before


def test_analyze_takes_other_splits_steps_and_operations(command_json, create_run, trained):
    create_run("foreign", network(), train_fraction=None)
    result = command_json("analyze", "foreign", "--save")
    assert {"run": "foreign", **runs.open("foreign").report} == result
    assert result["train_accuracy"] is result["test_accuracy"] is None
    assert (result["excluded_loss_split"], result["verdict"]) == ("all", "modular addition")
    create_run("minus", network("sub"), operation="sub")
    result = command_json("analyze", "minus")
    assert (result["verdict"], result["computes"], result["accuracy"]) == ("modular addition", "a - b", 1)
    create_run("other", network(), operation="mul")
    result = command_json("analyze", "other")
    assert (result["verdict"], result["computes"]) == ("modular addition", "a + b")
    assert result["accuracy"] < 0.2
    first, last = command_json("analyze", trained.folder, "--step", 0), command_json("analyze", trained.folder)
    assert (first["step"], last["step"]) == (0, 12)
    assert first["loss"] != last["loss"]
    assert first["verdict"] == "none"


def test_no_key_frequency_comes_with_the_reason(command, command_json, create_run):
    config = miii.ModelConfig(d_model=16, n_heads=2, d_mlp=20)
    run = create_run("untrained", miii.Transformer(config, 24, 23, 3, seed=0).requires_grad_(False))
    result = command_json("formula", "untrained")
    assert (result["sympy"], result["latex"], result["key_frequencies"]) == ("0", "0", [])
    assert result["loss"] == pytest.approx(math.log(23))
    why = miii.analysis.keys.of_model(run.model(), run.task()).why_none
    assert lines_of(command("formula", "untrained")[1])["key_frequencies"] == f"none: {why}"
    lines = lines_of(command("analyze", "untrained")[1].partition("\n\n")[0])
    assert (lines["key_frequencies"], lines["verdict"]) == ("none", f"none: no key frequency: {why}")


def test_frequencies_replace_those_found(command_json, command, planted_run, refused):
    assert command_json("analyze", "planted", "--frequencies", "9,2")["key_frequencies"] == [2, 9]
    assert command_json("formula", "planted", "--frequencies", "5")["latex"].count("cos") == 1
    assert command_json("progress", "planted", "--frequencies", "7")["key_frequencies"] == [7]
    assert "none: falls short on" in command("analyze", "planted", "--frequencies", "2,5")[1].splitlines()[2]
    for text, words in [("3,12", "frequencies must be in 1 .. 11 (got 12)"), ("3;5", "such as 3,7,12 (got '3;5')")]:
        assert words in refused("analyze", "planted", "--frequencies", text)


# ---- progress ----


def test_progress_prints_every_snapshot_and_the_phases(command, command_json, trained):
    result = command_json("progress", trained.folder)
    assert result.keys() == {"run", "key_frequencies", "phases", "snapshots"}
    found = miii.analysis.keys.of_model(trained.model(), trained.task()).frequencies
    models = ((step, trained.model(step)) for step in trained.steps)
    frame = trajectory.measure_all(models, trained.task(), found).frame()
    marked = phases.mark(trained.metrics())
    assert result["key_frequencies"] == list(found)
    assert [row["step"] for row in result["snapshots"]] == trained.steps
    assert result["snapshots"] == frame.to_dict("records")
    assert [(p["name"], p["start"], p["end"]) for p in result["phases"]] == [(p.name, p.start, p.end) for p in marked]
    code, out, _ = command("progress", trained.folder)
    header, *rows = out.splitlines()
    assert code == 0
    assert header.split()[:3] == ["step", "loss", "accuracy"]
    assert [row.split()[0] for row in rows[: len(trained.steps)]] == [str(step) for step in trained.steps]
    assert [row.split(":")[0] for row in rows[len(trained.steps) :]] == [phase.name for phase in marked]


def test_progress_keeps_small_losses_and_unknown_splits(command, command_json, create_run):
    model = network()
    model.W_U *= 3
    run = create_run("sure", model, train_fraction=None)
    expected = trajectory.measure(model, run.task(), KEYS).loss
    assert 0 < expected < 1e-8
    result = command_json("progress", "sure")
    assert result["phases"] == []
    (row,) = result["snapshots"]
    assert (row["loss"], row["test_loss"], row["accuracy"]) == (expected, None, 1)
    lines = command("progress", "sure")[1].splitlines()
    assert lines[1].split()[3:7] == ["-"] * 4
    assert len(lines) == 2


# ---- formula, circuit ----


def test_formula_prints_the_formula_and_its_fit(command, command_json, planted_run):
    result = command_json("formula", "planted")
    assert result.keys() == FORMULA
    task = planted_run.task()
    logits = grid.logits(planted_run.model(), task)
    fit = miii.analysis.keys.choose(logits, task).fit(logits, task)
    assert (result["sympy"], result["latex"]) == (str(fit.formula.sympy()), fit.formula.latex())
    for name in ("accuracy", "loss", "variance_explained", "argmax_agreement", "kl"):
        assert result[name] == getattr(fit, name)
    assert result["accuracy"] == result["argmax_agreement"] == 1
    assert result["variance_explained"] > 0.99
    assert result["latex"].count("(a + b - c)") == 3
    lines = lines_of(command("formula", "planted")[1])
    assert lines.keys() == result.keys()
    assert (lines["sympy"], lines["latex"]) == (result["sympy"], result["latex"])


def test_formula_of_a_product_is_over_logarithms(command_json, create_run):
    create_run("mul", network(), operation="mul")  # a network that adds has its own sum
    assert command_json("formula", "mul")["relabelling"] is None
    config = miii.ModelConfig(d_model=16, n_heads=2, d_mlp=20)
    create_run("untrained", miii.Transformer(config, 24, 23, 3, seed=0).requires_grad_(False), operation="mul")
    result = command_json("formula", "untrained", "--frequencies", "11")
    assert (result["relabelling"], result["latex"].count("{22}")) == (["log a", "log b"], 1)


def test_circuit_prints_every_edge_and_the_faithfulness(command, command_json, create_run):
    run = create_run("planted", network(p=11, keys=(2, 3)))
    model, task = run.model(), run.task()
    exact = circuits.find(model, task, "exact", examples=4)
    for method in ("exact", "eap-ig"):
        result = command_json("circuit", "planted", "--method", method, "--examples", 4)
        found = exact if method == "exact" else circuits.find(model, task, method, examples=4)
        assert result.keys() >= CIRCUIT
        expected = {"run": "planted", "step": 0} | found.to_json()
        if method != "exact":
            compared = circuits.agreement(found, exact).to_json()
            expected |= {name: compared[name] for name in ("spearman", "auroc", "spearman_active", "auroc_active")}
        assert result == json.loads(json.dumps(expected))
        assert all(edge.keys() >= {"source", "target", "score"} for edge in result["edges"])
        assert result["faithfulness"][-1]["f"] == pytest.approx(1)
    code, out, _ = command("circuit", "planted", "--method", "eap", "--examples", 4)
    found = circuits.find(model, task, "eap", examples=4)
    edges = [line for line in out.splitlines() if " -> " in line]
    assert (code, len(edges)) == (0, len(found.edges))
    assert edges[0].split() == [f"{found.scores[0]:.5g}", found.edges[0].source.name, "->", found.edges[0].reader]
    assert "cpr" in out
    assert out.splitlines()[-1].startswith("faithfulness")


def test_even_and_composite_moduli_are_accepted(command_json, create_run):
    for i, (p, keys) in enumerate(((12, (1, 6)), (12, (2, 3, 5)), (14, (3, 7)), (15, (1, 3, 5)))):
        create_run(f"run-{i}", network(p=p, keys=keys))
        for name in ("analyze", "formula", LOOKING[i]):
            examples = ("--examples", 8) if name == "circuit" else ()
            result = command_json(name, f"run-{i}", *examples)
            assert name == "circuit" or result["key_frequencies"] == list(keys)


COMMANDS_OF = {
    "modular": [*LOOKING, "compare"],
    "primes": ["residues", "circuit", "compare"],
    "residues": ["residues", "circuit"],
    "miu": ["residues", "circuit"],
    "frames": ["rollout", "circuit"],
}
SMALLEST = {
    "modular": {"p": 11, "train_fraction": 0.5},
    "primes": {"kind": "primes", "low": 10, "high": 99},
    "residues": {"kind": "residues", "p": 5},
    "miu": {"kind": "miu", "longest": 3, "longest_test": 4, "n": 100},
    "frames": {"kind": "frames", "low": 2, "high": 40, "frames": 2, "largest_step": 1},
}


def test_weights_that_are_not_finite_are_refused(refused, small_config, home):
    for kind, commands in COMMANDS_OF.items():
        run = runs.record(home / kind, miii.train(small_config(task=SMALLEST[kind], steps=1)))
        for value in (torch.nan, torch.inf, 1e38):
            weights = {name: torch.full_like(weight, value) for name, weight in run.weights(0).items()}
            save_file(weights, run.folder / "snapshots" / "1.safetensors")
            for name in commands:
                if value != 1e38:
                    text = refused(name, kind)
                    assert kind in text
                    assert "its weights at step 1 are not finite" in text
                elif name not in ("circuit", "rollout"):  # these compute in float64, where nothing overflows
                    assert "must give finite" in refused(name, kind)


def test_values_are_printed_shortly(capsys):
    print_values({"a": None, "b": 0.123456789, "c": [], "d": {}, "e": {"k": None, "l": [1, 2.5]}, "f": True})
    lines = lines_of(capsys.readouterr().out)
    assert lines == {"a": "-", "b": "0.123457", "c": "-", "d": "-", "e": "k: -, l: 1, 2.5", "f": "True"}


# ---- compare ----


def test_compare_prints_a_row_per_run_or_architecture(home, command, command_json):
    base = miii.RunConfig(
        task={"p": 11, "train_fraction": 0.5}, model={"d_model": 8, "n_heads": 2, "d_mlp": 8}, steps=2, threads=1
    )
    for name, changes in (("a", {}), ("b", {"block": "pre-norm"}), ("c", {"p": 13})):
        runs.record(home / name, miii.train(flat.change(base, changes)))
    rows = command_json("compare", "a", "b")
    size = "d_model 8, n_heads 2, d_mlp 8"
    assert [row["architecture"] for row in rows] == [f"plain, {size}", f"pre-norm, {size}"]
    measured = reports.measure(runs.open("b"))
    assert rows[1]["parameters"] == measured.parameters
    assert rows[1]["explained"] == measured.measures["explained"]
    assert rows[0]["grokked_at"] is None
    rows = command_json("compare", "a", "b", "--summary")
    assert [(row["architecture"].partition(",")[0], row["seeds"]) for row in rows] == [("plain", 1), ("pre-norm", 1)]
    code, out, _ = command("compare", "a")
    assert (code, "plain" in out) == (0, True)
    code, out, err = command("compare", "a", "c")
    assert (code, out) == (2, "")
    assert "equal terms" in err


# ---- rollout ----


@pytest.fixture(scope="module")
def recorded(small_config, tmp_path_factory):
    """Runs on frames, on labels alone and on pairs."""
    place = tmp_path_factory.mktemp("recorded")
    task = miii.Frames(low=100, high=399, frames=3, largest_step=3).model_dump()
    shape = {"d_model": 8, "n_heads": 2, "d_mlp": 8, "positions": "frames"}
    for name, kind in (("frames", task), ("labels", task | {"predict": "label"})):
        runs.record(place / name, miii.train(small_config(task=kind, model=shape, steps=4)))
    runs.record(place / "pairs", miii.train(small_config(steps=4)))
    return place


@pytest.fixture
def frames_home(recorded, home):
    """The recorded runs by name."""
    shutil.copytree(recorded, home, dirs_exist_ok=True)
    return home


def test_rollout_prints_and_saves_the_report(frames_home, command, here):
    code, out, err = command("rollout", "frames", "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    found = json.loads(json.dumps(reports.report_rollout(runs.open("frames"))))
    assert strict_json(out) == found
    assert not (frames_home / "frames" / "report.json").exists()
    code, out, _ = command("rollout", "frames", "--save")
    printed = [line.split()[1] for line in out.splitlines() if line.startswith("integers ")]
    assert code == 0
    assert printed == [f"{row['integers']:.6g}" for name in ("rollout", "untrained") for row in found[name]]
    run = runs.open("frames")
    assert {"run": "frames", **run.report} == found
    shipped = runs.ship(run, here / "shipped", snapshots=1)
    assert (shipped.report, shipped.steps) == (run.report, run.steps[-1:])


def test_rollout_takes_a_step_and_a_length(frames_home, command_json):
    found = command_json("rollout", "frames", "--step", 0, "--ahead", 5)
    assert found["step"] == 0
    assert [row["ahead"] for row in found["rollout"]] == [1, 2, 3, 4, 5]
    for name in ("integers", "digits", "label_accuracy"):  # step 0 is the untrained network
        assert [row[name] for row in found["rollout"]] == [row[name] for row in found["untrained"]]


def test_rollout_and_the_other_commands_refuse_other_tasks(frames_home, command, refused):
    for line, words in {
        "pairs": ["run must be on", "frames", "modular"],
        "labels": ["predict must be everything"],
        "frames --ahead 0": ["ahead must be at least 1", "0"],
        "frames --ahead 5000": ["ahead must leave a held-out sequence", "5000"],
        "frames --step 77": ["step must be one of the snapshots", "77"],
        "frames --step 0 --save": ["save keeps the report of the last snapshot"],
        "nosuch": ["run must be one of", "'nosuch'"],
    }.items():
        text = refused("rollout", *line.split())
        assert all(word in text for word in words), text
    for name in ("analyze", "progress", "formula", "residues"):
        code, out, err = command(name, "frames")
        assert (code, out) == (2, "")
        assert "frames" in err.splitlines()[-1]  # after a bar, perhaps
