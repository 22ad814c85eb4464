"""The commands that look inside, and those on files of weights: the promised JSON, and one sentence for bad input."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import miii
from miii import cli, runs
from miii.analysis import compare
from miii.analysis.causal import circuits
from miii.analysis.modular import formula, fourier, grid, phases, trajectory, verdict
from miii.analysis.modular.formula import Formula, Term
from miii.analysis.oracles import planted

KEYS = (2, 5, 9)
ANALYZE = {
    *("run", "step", "verdict", "accuracy", "loss", "key_frequencies", "frequency_power", "gini_embedding"),
    *("gini_neuron_logit", "logit_variance_explained", "argmax_agreement", "kl", "restricted_loss", "excluded_loss"),
    *("excluded_loss_split", "neurons_single_frequency", "dead_neurons", "gradient_symmetricity"),
    *("distance_irrelevance", "circularity", "steering_accuracy", "steering_minimum", "formula_accuracy"),
}
FORMULA = {
    *("run", "step", "key_frequencies", "sympy", "latex", "accuracy", "loss", "variance_explained"),
    *("argmax_agreement", "kl"),
}
CIRCUIT = {"run", "step", "method", "edges", "cpr", "cmd", "faithfulness"}
LOOKING = ("analyze", "progress", "formula", "circuit")


@pytest.fixture(autouse=True)
def here(home, tmp_path, monkeypatch) -> Path:
    """Each test in an empty folder of its own, with ``runs`` in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def miii_says(capsys):
    """Run the command in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as left:  # tyro's own way out
            code = left.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def says_json(miii_says):
    """The one JSON object that a command prints, by the standard that has no NaN."""

    def run(*arguments: object):
        code, out, err = miii_says(*arguments, "--json")
        assert (code, err) == (0, "")
        assert out.count("\n") == 1

        def refuse(name: str):
            raise AssertionError(f"{name} is not JSON")

        return json.loads(out, parse_constant=refuse)

    return run


@pytest.fixture
def sentence(miii_says, here, tree) -> Callable[..., None]:
    """That a command says one sentence with these words, and that nothing has changed on disk."""

    def check(words: list[str], *arguments: object) -> None:
        before = tree(here)
        code, out, err = miii_says(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("miii: ")
        assert err.endswith(".\n")
        assert err.count("\n") == 1
        assert all(word in err for word in words), err
        assert tree(here) == before

    return check


def network(operation="add", p=23, keys=KEYS) -> miii.Transformer:
    beta = -1 if operation == "sub" else 1
    terms = tuple(Term(k, beta * k, k, 10.0 - i, 0.0) for i, k in enumerate(keys))
    return planted.from_formula(Formula(p, terms), act="relu", hinges=2, n_heads=4, dtype=torch.float32)


@pytest.fixture
def adopt(home):
    """A run of a network, by name."""

    def make(name: str, model: miii.Transformer, **task: object) -> runs.Run:
        config = miii.RunConfig(task={"p": model.W_U.shape[1], **task}, model=model.config)
        return runs.adopt(home / name, config, model, format="hand")

    return make


@pytest.fixture
def planted_run(adopt) -> runs.Run:
    return adopt("planted", network())


@pytest.fixture(scope="module")
def trained(small_config, tmp_path_factory) -> runs.Run:
    """A run with several snapshots that has hardly learned anything."""
    config = small_config(task={"p": 11, "train_fraction": 0.5}, steps=12, snapshots=4)
    return runs.record(tmp_path_factory.mktemp("trained") / "eleven", miii.train(config))


# ---- analyze ----


def test_analyze_prints_the_report(says_json, planted_run):
    said = says_json("analyze", "planted")
    report = verdict.analyze(planted_run.model(), planted_run.task()).to_json()
    assert said == {"run": "planted", "step": 0} | report
    assert said.keys() >= ANALYZE
    assert (said["verdict"], said["key_frequencies"], said["accuracy"]) == ("modular addition", list(KEYS), 1)
    assert said["frequency_power"].keys() == {"2", "5", "9"}
    assert (said["steering_accuracy"], said["steering_minimum"]) == (1, 1)
    assert said["excluded_loss_split"] == "train"


def test_analyze_of_an_unknown_split_has_null_for_its_sides(says_json, adopt):
    adopt("foreign", network(), train_fraction=None)
    said = says_json("analyze", "foreign")
    assert said["train_accuracy"] is said["test_accuracy"] is None
    assert (said["excluded_loss_split"], said["verdict"]) == ("all", "modular addition")


def test_analyze_of_a_difference(says_json, adopt):
    adopt("minus", network("sub"), operation="sub")
    said = says_json("analyze", "minus")
    assert (said["verdict"], said["computes"], said["accuracy"]) == ("modular addition", "a - b", 1)


def test_analyze_takes_the_step_it_is_given(says_json, trained):
    first, last = says_json("analyze", trained.folder, "--step", 0), says_json("analyze", trained.folder)
    assert (first["step"], last["step"]) == (0, 12)
    assert first["loss"] != last["loss"]
    assert first["verdict"] == "none"


def test_analyze_without_json_lists_the_same(miii_says, says_json, planted_run):
    code, out, _ = miii_says("analyze", "planted")
    said = says_json("analyze", "planted")
    lines = dict(line.split(None, 1) for line in out.splitlines())
    assert (code, lines.keys()) == (0, said.keys())
    assert lines["verdict"] == "modular addition"
    assert lines["key_frequencies"] == "2, 5, 9"
    assert re.fullmatch(r"2: [\d.]+, 5: [\d.]+, 9: [\d.]+", lines["frequency_power"])
    assert float(lines["loss"]) == pytest.approx(said["loss"], rel=1e-5)


# ---- progress ----


def test_progress_prints_every_snapshot_and_the_phases(says_json, trained):
    said = says_json("progress", trained.folder)
    assert said.keys() == {"run", "key_frequencies", "phases", "snapshots"}
    keys = fourier.model_key_frequencies(trained.model())
    models = ((step, trained.model(step)) for step in trained.steps)
    frame = trajectory.measure_all(models, trained.task(), keys).frame()
    assert said["key_frequencies"] == list(keys)
    assert [row["step"] for row in said["snapshots"]] == trained.steps
    assert said["snapshots"] == frame.to_dict("records")
    assert [(p["name"], p["start"], p["end"]) for p in said["phases"]] == [
        (phase.name, phase.start, phase.end) for phase in phases.mark(trained.metrics())
    ]


def test_progress_keeps_the_digits_of_small_losses(says_json, adopt):
    model = network()
    model.W_U *= 3
    run = adopt("sure", model)
    expected = trajectory.measure(model, run.task(), KEYS).loss
    assert 0 < expected < 1e-8
    assert says_json("progress", "sure")["snapshots"][0]["loss"] == expected


def test_progress_of_an_unknown_split_has_null_and_no_phases(says_json, adopt):
    adopt("foreign", network(), train_fraction=None)
    said = says_json("progress", "foreign")
    assert said["phases"] == []
    assert said["snapshots"][0]["test_loss"] is None
    assert said["snapshots"][0]["accuracy"] == 1


def test_progress_without_json_is_a_table_and_the_phases(miii_says, adopt, trained):
    code, out, _ = miii_says("progress", trained.folder)
    header, *rows = out.splitlines()
    assert code == 0
    assert header.split()[:3] == ["step", "loss", "accuracy"]
    assert [row.split()[0] for row in rows[: len(trained.steps)]] == [str(step) for step in trained.steps]
    assert [row.split(":")[0] for row in rows[len(trained.steps) :]] == [
        phase.name for phase in phases.mark(trained.metrics())
    ]
    adopt("foreign", network(), train_fraction=None)
    _, out, _ = miii_says("progress", "foreign")
    assert out.splitlines()[1].split()[3:7] == ["-"] * 4
    assert len(out.splitlines()) == 2


# ---- formula ----


def test_formula_prints_the_formula_and_how_it_does(says_json, planted_run):
    said = says_json("formula", "planted")
    assert said.keys() == FORMULA
    task = planted_run.task()
    fit = formula.fit(grid.logits(planted_run.model(), task), task.labels, KEYS)
    assert (said["sympy"], said["latex"]) == (str(fit.formula.sympy()), fit.formula.latex())
    for name in ("accuracy", "loss", "variance_explained", "argmax_agreement", "kl"):
        assert said[name] == getattr(fit, name)
    assert said["accuracy"] == said["argmax_agreement"] == 1
    assert said["variance_explained"] > 0.99
    assert said["latex"].count("(a + b - c)") == 3


def test_formula_of_a_network_without_structure_is_zero(says_json, adopt):
    config = miii.ModelConfig(d_model=16, n_heads=2, d_mlp=20)
    adopt("untrained", miii.Transformer(config, 24, 23, 3, seed=0).requires_grad_(False))
    said = says_json("formula", "untrained")
    assert (said["sympy"], said["latex"], said["key_frequencies"]) == ("0", "0", [])
    assert said["loss"] == pytest.approx(math.log(23))


def test_formula_without_json_lists_the_same(miii_says, says_json, planted_run):
    _, out, _ = miii_says("formula", "planted")
    lines = dict(line.split(None, 1) for line in out.splitlines())
    said = says_json("formula", "planted")
    assert lines.keys() == said.keys()
    assert (lines["sympy"], lines["latex"]) == (said["sympy"], said["latex"])


# ---- circuit ----


@pytest.mark.parametrize("method", ["exact", "acdc", "eap", "eap-ig"])
def test_circuit_prints_every_edge_and_how_faithful_the_best_are(says_json, planted_run, method):
    said = says_json("circuit", "planted", "--method", method, "--examples", 8)
    found = circuits.find(planted_run.model(), planted_run.task(), method, examples=8)
    assert said.keys() >= CIRCUIT
    expected = {"run": "planted", "step": 0} | found.to_json()
    if method != "exact":
        exact = circuits.find(planted_run.model(), planted_run.task(), "exact", examples=8)
        compared = circuits.agreement(found, exact).to_json()
        expected |= {name: compared[name] for name in ("spearman", "auroc", "spearman_heard", "auroc_heard")}
    assert said == json.loads(json.dumps(expected))
    assert [edge["score"] for edge in said["edges"]] == list(found.scores)
    assert all(edge.keys() >= {"source", "target", "score"} for edge in said["edges"])
    assert said["faithfulness"][-1]["f"] == pytest.approx(1)


def test_circuit_without_json_lists_the_edges(miii_says, planted_run):
    code, out, _ = miii_says("circuit", "planted", "--method", "eap", "--examples", 8)
    found = circuits.find(planted_run.model(), planted_run.task(), "eap", examples=8)
    assert code == 0
    edges = [line for line in out.splitlines() if " -> " in line]
    assert len(edges) == len(found.edges)
    assert edges[0].split() == [f"{found.scores[0]:.5g}", found.edges[0].source.name, "->", found.edges[0].reader]
    assert "cpr" in out
    assert out.splitlines()[-1].startswith("faithfulness")


# ---- import, export-weights ----


def test_what_is_exported_can_be_imported_and_is_the_same(miii_says, says_json, planted_run, same):
    code, out, err = miii_says("export-weights", "planted", "--out", "w.safetensors")
    assert (code, out, err) == (0, "w.safetensors\n", "")
    code, out, err = miii_says("import", "w.safetensors", "--task", "add", "--p", 23, "--out", "again")
    assert (code, out) == (0, f"{Path('again').absolute()}\n")
    assert "as add-23: 100.0%" in err
    assert "warning" not in err
    again = runs.open(Path("again").absolute())
    assert same(
        {name: value for name, value in again.weights().items() if name in planted_run.weights()},
        planted_run.weights(),
    )
    assert again.config.task == miii.ModularAddition(p=23, train_fraction=None)
    assert again.config.model.act == "relu"
    assert says_json("analyze", "again")["verdict"] == "modular addition"


def test_import_says_what_it_left_out_and_takes_every_option(miii_says, planted_run):
    miii_says("export-weights", "planted", "--out", "w.safetensors")
    save_file(load_file("w.safetensors") | {"probe.W": torch.zeros(3)}, "more.safetensors")
    options = ("--task", "sub", "--p", 23, "--act", "gelu", "--train-fraction", 0.25, "--seed", 4)
    code, out, err = miii_says(
        "import", "more.safetensors", *options, "--format", "transformer-lens", "--out", "D", "--json"
    )
    assert code == 0
    assert "probe.W" in err
    assert "warning" in err
    told = json.loads(out)
    assert (told["task"], told["likelier"], told["left_out"]) == ("sub-23", "add", ["probe.W"])
    assert told["accuracy"] == told["accuracies"]["sub"] < 0.1 < 0.9 < told["accuracies"]["add"]
    assert f"{told['accuracies']['add']:.1%} as add" in told["warning"]
    config = runs.open(Path("D").absolute()).config
    assert config.task == miii.ModularAddition(operation="sub", p=23, train_fraction=0.25, seed=4)
    assert config.model.act == "gelu"


def test_export_takes_the_step_it_is_given(miii_says, trained):
    assert miii_says("export-weights", trained.folder, "--out", "first.safetensors", "--step", 0)[0] == 0
    assert torch.equal(load_file("first.safetensors")["embed.W_E"], trained.weights(0)["W_E"])


class Evil:
    """What a pickle can do."""

    def __reduce__(self):
        return (Path.touch, (Path("touched"),))


def test_a_file_with_anything_but_tensors_is_refused(sentence, here):
    torch.save({"embed.W_E": Evil()}, "evil.pt")
    sentence(["evil.pt must hold tensors and nothing else"], "import", "evil.pt", "--p", 11, "--out", "D")
    assert not (here / "touched").exists()


def test_a_checkpoint_of_another_shape_is_refused(sentence, miii_says, planted_run):
    miii_says("export-weights", "planted", "--out", "w.safetensors")
    sentence(["W_E", "113"], "import", "w.safetensors", "--out", "D")  # the modulus is 113 unless given


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--task divide", ["task must be one of add, sub", "'divide'"]),
        ("--act tanh", ["act must be one of 'relu', 'gelu', 'square' or 'tailored'", "'tanh'"]),
        ("--train-fraction 2", ["train_fraction must be", "less than 1", "2"]),
        ("--train-fraction some", ["train_fraction must be", "'some'"]),
        ("--p 1", ["p must be", "at least 2"]),
    ],
)
def test_a_bad_option_of_import_is_refused(sentence, miii_says, planted_run, flags, words):
    miii_says("export-weights", "planted", "--out", "w.safetensors")
    sentence(words, "import", "w.safetensors", "--p", 23, *flags.split(), "--out", "D")


def test_what_exists_is_not_written_over(sentence, here, planted_run):
    (here / "w.safetensors").write_text("mine")
    sentence(["out must be a file that does not exist yet"], "export-weights", "planted", "--out", "w.safetensors")
    sentence(["out must end in .safetensors"], "export-weights", "planted", "--out", "w.pt")


# ---- bad input ----


@pytest.mark.parametrize("command", [*LOOKING, "export-weights"])
def test_a_run_that_is_not_there_is_one_sentence(sentence, planted_run, command):
    out = ("--out", "w.safetensors") if command == "export-weights" else ()
    sentence(["run must be one of ", "planted", "(got 'mine')"], command, "mine", *out)


@pytest.mark.parametrize("command", ["analyze", "formula", "circuit", "export-weights"])
def test_a_step_that_is_no_snapshot_is_one_sentence(sentence, planted_run, command):
    out = ("--out", "w.safetensors") if command == "export-weights" else ()
    sentence(["step must be one of the snapshots of planted: 0", "(got 3)"], command, "planted", "--step", 3, *out)


@pytest.mark.parametrize("command", ["analyze", "progress", "formula"])
def test_a_modulus_too_small_to_tell_frequencies_apart_is_one_sentence(sentence, small_run, command):
    sentence(["p must be at least 11 to tell its frequencies apart (got 7)"], command, small_run.folder)


@pytest.mark.parametrize("operation", ["mul", "quadratic"])
def test_a_task_that_is_no_sum_has_no_formula(sentence, adopt, operation):
    adopt("other", network(), operation=operation)
    sentence(["operation must be one of add, sub, shuffled, relabelled", repr(operation)], "formula", "other")


def test_a_task_that_is_no_sum_can_be_analyzed(says_json, adopt):
    adopt("other", network(), operation="mul")
    said = says_json("analyze", "other")
    assert (said["verdict"], said["computes"]) == ("modular addition", "a + b")
    assert said["accuracy"] < 0.2


LOOKS = {
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


@pytest.mark.parametrize("kind", LOOKS)
def test_weights_that_are_not_finite_are_one_sentence_for_every_command(sentence, small_config, home, kind):
    run = runs.record(home / "apart", miii.train(small_config(task=SMALLEST[kind], steps=1)))
    for value in (torch.nan, torch.inf, 1e38):
        weights = {name: torch.full_like(weight, value) for name, weight in run.weights(0).items()}
        save_file(weights, run.folder / "snapshots" / "1.safetensors")
        for command in LOOKS[kind]:
            if value != 1e38:
                sentence(["apart", "its weights at step 1 are not finite"], command, "apart")
            elif command not in ("circuit", "rollout"):  # which compute in float64, where nothing overflows
                sentence(["must give finite"], command, "apart")


@pytest.mark.parametrize(("p", "keys"), [(12, (1, 6)), (12, (2, 3, 5)), (14, (3, 7)), (15, (1, 3, 5))])
@pytest.mark.parametrize("command", LOOKING)
def test_even_and_composite_moduli_are_not_refused(says_json, adopt, p, keys, command):
    adopt("even", network(p=p, keys=keys))
    examples = ("--examples", 8) if command == "circuit" else ()
    said = says_json(command, "even", *examples)
    if command != "circuit":
        assert said["key_frequencies"] == list(keys)


def test_an_unknown_method_is_one_sentence(sentence, planted_run):
    sentence(["method must be one of exact, acdc, eap, eap-ig", "'magic'"], "circuit", "planted", "--method", "magic")


@pytest.mark.parametrize(
    "arguments",
    [["analyze"], ["analyze", "planted", "--steps", "3"], ["formula", "planted", "--step", "x"], ["import"]],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(miii_says, planted_run, arguments):
    code, out, err = miii_says(*arguments)
    assert (code, out) == (2, "")
    assert err


@pytest.mark.parametrize("command", LOOKING)
def test_looking_changes_nothing(miii_says, planted_run, here, tree, command):
    before = tree(here)
    examples = ("--examples", 8) if command == "circuit" else ()
    assert miii_says(command, "planted", *examples)[0] == 0
    assert tree(here) == before


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_says_what_a_command_does_and_no_more(miii_says, command):
    for arguments in ([command, "--help"], ["--help"]):
        code, out, _ = miii_says(*arguments)
        text = " ".join(out.replace("│", " ").split())
        assert code == 0
        first = cli.COMMANDS[command][0].__doc__.splitlines()[0]
        assert (first if arguments[0] == command else first[:30]) in text
        assert "Source" not in out


def test_values_are_printed_shortly(capsys):
    from miii.cli.printing import print_values

    print_values({"a": None, "b": 0.123456789, "c": [], "d": {}, "e": {"k": None, "l": [1, 2.5]}, "f": True})
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert lines == {"a": "-", "b": "0.123457", "c": "-", "d": "-", "e": "k: -, l: 1, 2.5", "f": "True"}


def test_no_run_yet_says_how_to_make_one(capsys):
    from miii.cli.printing import print_runs

    print_runs([], as_json=False)
    assert "miii train add" in capsys.readouterr().out


# ---- compare ----


@pytest.fixture
def two_runs(home):
    """Two networks on the same task, split and budget, and one on another."""
    for name, changes in (("a", {}), ("b", {"block": "pre-norm"}), ("c", {"p": 13})):
        base = miii.RunConfig(
            task={"p": 11, "train_fraction": 0.5}, model={"d_model": 8, "n_heads": 2, "d_mlp": 8}, steps=2, threads=1
        )
        runs.record(home / name, miii.train(miii.flat.change(base, changes)))
    return home


def test_compare_prints_a_row_a_run(two_runs, miii_says):
    code, out, _ = miii_says("compare", "a", "b", "--json")
    assert code == 0
    rows = json.loads(out)
    size = "d_model 8, n_heads 2, d_mlp 8"
    assert [row["architecture"] for row in rows] == [f"plain, {size}", f"pre-norm, {size}"]
    measured = compare.measured(runs.open("b"))
    assert rows[1]["parameters"] == measured.parameters
    assert rows[1]["explained"] == measured.measures["explained"]
    assert rows[0]["grokked_at"] is None


def test_compare_prints_a_row_an_architecture(two_runs, miii_says):
    code, out, _ = miii_says("compare", "a", "b", "--summary", "--json")
    assert code == 0
    told = [(row["architecture"].partition(",")[0], row["seeds"]) for row in json.loads(out)]
    assert told == [("plain", 1), ("pre-norm", 1)]
    code, out, _ = miii_says("compare", "a")
    assert code == 0
    assert "plain" in out


def test_compare_refuses_other_terms_before_it_measures(two_runs, miii_says):
    code, out, err = miii_says("compare", "a", "c")
    assert (code, out) == (2, "")
    assert "equal terms" in err
