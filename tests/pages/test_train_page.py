"""The page Train: a form for every option, the command and script that train the same, and what a run's curves say."""

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from shown import app, button, fill, fine, key_of, shown

import miii
from miii import RunConfig
from miii.expression import EXAMPLE
from miii.tasks import TASKS
from miii.tasks.primes import SIEVED
from miii.training import flat

KINDS = ("add", "primes", "residues", "miu", "frames")


# ---- the form ----


def test_every_option_has_a_widget_with_its_default_and_its_help(visit):
    for task in KINDS:
        at = visit("train", task=task)
        config = miii.recipe(task=RunConfig(task=TASKS[task]).task)
        options = {option.name: option.description for option in flat.options()}
        for part in (config.optimizer, config.task):  # an option of several tasks is described by the chosen one
            fields = type(part).model_fields
            options |= {name: field.description for name, field in fields.items() if field.description}
        for name, value in flat.values(config).items():
            if name not in (
                "task",
                "operation",
                "expression",
                "equals",
                "separate",
                "operator",
                "device",
                "threads",
            ):  # the task's, and the server's own
                widget = at.get_by_key(key_of(at, name))
                assert widget.value == (",".join(map(str, value)) if isinstance(value, tuple) else value)
                assert widget.help == f"{options[name]} · `{name}`"
                assert widget.label != name or name in ("seed", "steps")


def test_recipe_optimizer_task_and_range_bring_their_own_values(visit):
    at = visit("train", task="add")
    at.segmented_control(key="recipe").set_value("literature").run()
    for name, value in {"steps": 40_000, "lr": 1e-3, "schedule": "constant"}.items():
        assert at.get_by_key(key_of(at, name)).value == value
    at.get_by_key(key_of(at, "optimizer")).select("sgd").run()
    assert at.get_by_key(key_of(at, "momentum")).value == miii.SGD().momentum
    assert not [widget for widget in shown(at).widgets if str(widget.key).endswith("-beta1")]
    titles = {at.title[0].value}
    for task in KINDS[1:]:
        at.selectbox(key="task").select(task).run()
        titles |= set(shown(fine(at)).titles)
        assert "recipe" not in [control.key for control in at.segmented_control]  # there is only fast
        assert f"miii train {task}" in at.code[1].value
    assert len(titles) == 5
    at = visit("train", task="primes", range="text")
    assert [at.get_by_key(key_of(at, name)).value for name in ("low", "high")] == [1000, 9999]
    at.segmented_control(key="range").set_value("table 1").run()
    assert [at.get_by_key(key_of(at, name)).value for name in ("low", "high")] == [10_000, 99_999]


def test_an_operation_brings_its_own_size_share_and_steps(visit):
    at = visit("train", task="add")
    for task, size in {"div": (59, 0.7, 1000, 6e-3), "add": (113, 0.3, 400, 1.75e-2)}.items():
        at.selectbox(key="task").select(task).run()
        assert tuple(at.get_by_key(key_of(at, name)).value for name in ("p", "train_fraction", "steps", "lr")) == size
        assert f"miii train {task}" in at.code[1].value
        assert not {"--p", "--train-fraction", "--steps", "--lr"} & set(at.code[1].value.split())
    at.segmented_control(key="recipe").set_value("literature").run()
    assert at.get_by_key(key_of(at, "steps")).value == 40_000


@pytest.mark.parametrize("page", ["train", "data"])
def test_a_task_may_be_a_formula(visit, page):
    at = visit(page, task="expr", expression="3*a - b")
    box = at.text_input(key="expression")
    assert (box.value, list(at.error)) == ("3*a - b", [])
    for text in ("a +", "__import__('os')", "a - a", "a / b", ""):
        at = fine(box.set_value(text).run())
        assert [error.value.startswith("expression must ") for error in at.error] == [True]
        assert page == "data" or button(at, "Start").disabled
    at = fine(box.set_value("a*b + 1").run())
    assert not at.error
    if page == "train":
        assert "miii train expr --expression='a*b + 1'" in at.code[1].value
    else:
        assert r"\left(a b + 1\right) \bmod p" in at.latex[0].value
        assert at.dataframe[0].value["c"].tolist() == [(a * b + 1) % 113 for a in range(113) for b in range(113)]


BAD: dict[str, list[tuple[dict[str, Any], str]]] = {
    "add": [
        ({"n_heads": 3}, "n_heads must divide d_model"),
        ({"p": 212}, "p must be at most 211 in the app"),
        ({"train_fraction": 1.5}, "train_fraction must be"),
        ({"p": 2, "train_fraction": 0.1}, "train_fraction must leave at least one of the 4 pairs"),
        ({"batch_size": 5000}, "batch_size must be at most the 3830 training examples"),
        ({"lr": 0.0}, "lr must be greater than 0"),
    ],
    "primes": [
        ({"low": 50_000, "high": 40_000}, "low must be at most high"),
        ({"low": 10, "high": 100_000_000}, "low and high must hold 10 to 5,000,000 integers"),
        ({"residues": "3,4"}, "residues must be primes below 1000 (got 4)"),
        ({"residues": "3,x"}, "residues must be an integer (got 'x')"),
        ({"seconds": 0.0}, "seconds must be greater than 0"),
    ],
    "residues": [({"p": 258}, "p must be at least 3 and at most 257"), ({"masked": "4"}, "masked must hold")],
    "miu": [({"longest_test": 9}, "longest_test must be at least longest")],
    "expr": [({"p": 212}, "p must be at most 211 in the app")],
    "frames": [({"positions": "learned", "causal": False}, "causal must be true")],
}


@pytest.mark.parametrize("task", BAD)
def test_a_bad_value_in_the_form_is_one_sentence_and_nothing_can_be_started(home, visit, task):
    at = visit("train", task=task)
    for values, words in BAD[task]:
        before = {name: at.get_by_key(key_of(at, name)).value for name in values}
        at = fill(at, **values)
        assert [error.value.startswith(words) for error in at.error] == [True]
        assert button(at, "Start").disabled
        at = fill(at, **before)
        assert not at.error
        assert not button(at, "Start").disabled
    assert not list(home.iterdir())


def test_an_unknown_task_or_range_in_the_address_shows_the_page(visit):
    for value in ("nosuch", ""):
        visit("train", task=value)
        visit("train", task="primes", range=value)


# ---- the command and the script ----

CONFIGS = {
    "fast": miii.recipe("fast"),
    "literature": miii.recipe("literature"),
    "all else": RunConfig(
        task={"operation": "relabeled", "p": 7, "train_fraction": 0.5, "seed": 3},
        model={"n_layers": 2, "d_model": 8, "n_heads": 4, "d_mlp": 12, "act": "gelu", "biases": "all", "causal": False},
        optimizer=miii.Muon(lr=0.5, adamw_lr=0.25),
        batch_size=5,
        steps_after_grok=0,
        loss="stablemax",
    ),
    "sgd with adamw's learning rate": RunConfig(optimizer=miii.SGD(lr=miii.AdamW().lr)),
    "muon with adamw's decay": RunConfig(optimizer=miii.Muon(weight_decay=miii.AdamW().weight_decay)),
    "fast primes": miii.recipe(task=miii.Primes()),
    "other primes": miii.recipe(
        task=miii.Primes(low=10, high=999, base=12, leading_zeros=False, residues=(5, 7), tokens="place", seed=2),
        model=miii.ModelConfig(n_layers=2, biases="none"),
        optimizer=miii.AdamW(lr=0.002),
        batch_size=32,
        seconds=120,
        steps_after_grok=None,
    ),
    "primes with modular arithmetic's options": RunConfig(task=miii.Primes()),
    "masked residues": miii.recipe(task=miii.Residues(p=11, masked=(2, 5)), steps=50),
    "custom": miii.recipe(task={"operation": "expr", "expression": "-a*b + 3*(a % p)", "p": 59}, steps=50),
    "custom by the book": miii.recipe("literature", task={"operation": "expr", "expression": EXAMPLE, "seed": 1}),
    "miu without places": miii.recipe(task=miii.MIU(longest=9), model=miii.ModelConfig(positions="none"), steps=7),
}


def test_the_command_and_the_script_train_the_same_run(server, monkeypatch, tmp_path, capsys):
    from miii import cli

    form, asked = app("_parts.train.form"), []

    def train(config: RunConfig, stop: object) -> Iterator:
        asked.append(config)
        raise miii.InputError("that was all.")

    monkeypatch.setattr("miii.cli.training.train", train)
    for name, config in CONFIGS.items():
        program, *arguments = shlex.split(form.command(config))
        assert (program, cli.main([*arguments, "--out", str(tmp_path / "D")])) == ("miii", 2), name
        assert capsys.readouterr().err == "miii: that was all.\n"
    assert asked == list(CONFIGS.values())
    recorded: list[tuple[str, object]] = []
    monkeypatch.setattr("miii.runs.record", lambda folder, steps: recorded.append((folder, steps)))
    monkeypatch.setattr("miii.train", lambda config: config, raising=False)
    for config in CONFIGS.values():
        exec(form.code(config, "runs/mine"), {})
    assert recorded == [("runs/mine", config) for config in CONFIGS.values()]
    assert "config = miii.RunConfig()\n" in form.code(CONFIGS["fast"], "runs/mine")
    assert 'config = miii.recipe("literature")\n' in form.code(CONFIGS["literature"], "runs/mine")
    assert "config = miii.recipe(\n    task=miii.Primes(),\n)\n" in form.code(CONFIGS["fast primes"], "runs/mine")
    assert form.command(CONFIGS["fast primes"]) == "miii train primes"


# ---- what a run's curves say ----

CHARTS = {"primes": 4, "residues": 4, "digits": 4, "miu": 3, "short miu": 3, "frames": 4, "labels": 4}
#: Columns of the last evaluation that stand above the charts.
MEASURES = {
    "primes": ["auc", "auc_3"],
    "residues": ["train_accuracy", "test_accuracy", "accuracy_worst"],
    "digits": ["train_accuracy", "test_accuracy", "accuracy_worst"],
    "miu": ["train_accuracy", "accuracy_as_long", "accuracy_longer"],
    "short miu": ["train_accuracy", "accuracy_as_long"],
    "frames": ["digits", "integers", "auc", "auc_coprime"],
    "labels": ["auc", "auc_coprime"],
}


@pytest.mark.parametrize("name", CHARTS)
def test_what_counts_for_the_task_is_shown(zoo, see, name):
    row = zoo(name).rows()[-1]
    view = see("train", run=name)
    assert len(view.charts) == CHARTS[name]
    values = list(view.metrics.values())
    for column in MEASURES[name]:
        value = f"{row[column]:.3f}" if column.startswith("auc") else f"{row[column]:.1%}"
        assert value in values, column
    if name in ("residues", "digits"):
        trained = [row[f"accuracy_{q}"] for q in ((2, 3, 7) if name == "residues" else ("x0", "x1"))]
        assert f"{sum(trained) / len(trained):.1%}" in values
    assert values[-1] == "not reached"
    assert len(values) == len(MEASURES[name]) + 1 + (name in ("residues", "digits"))


def test_the_form_follows_a_chosen_run_and_another_task_is_not_mixed_with_it(visit):
    at = visit("train", run="primes")
    assert at.selectbox(key="task").value == "primes"
    at.selectbox(key="task").select("add").run()
    assert not shown(fine(at)).charts
    view = shown(fine(at.button(key="show_run").click().run()))
    assert (view.value("task"), bool(view.charts)) == ("primes", True)
    ways = [each.label for each in at.button if str(each.key).startswith("to-") and not each.label.startswith("Next")]
    assert ways == ["Follow an input", "Attention", "Sieve"]


def test_since_when_a_network_sieves(bring, visit):
    run = bring("primes")
    rows = run.rows()
    for row, areas in zip(rows, [(0.5, 0.999), (0.95, 0.98), SIEVED, (0.5, 0.5)], strict=False):
        row["auc"], row["auc_3"] = areas
    (run.folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert list(shown(visit("train", run="primes")).metrics.values())[-2:] == [
        str(rows[2]["step"]),
        f"{rows[2]['seconds']:.1f}",
    ]


@pytest.mark.parametrize(("name", "classes"), [("theirs", 2), ("theirs, split", 4)])
def test_a_network_from_elsewhere_is_scored_on_each_known_side(zoo, see, name, classes):
    row = zoo(name).rows()[0]
    view = see("train", run=name)
    columns = ("accuracy",) if classes == 2 else ("train_accuracy", "test_accuracy")
    assert [f"{row[column]:.1%}" for column in columns] == list(view.metrics.values())[: len(columns)]
    (chart,) = view.charts  # there is no training to draw
    (legend,) = (layer for layer in json.loads(chart.spec)["layer"] if "color" in layer["encoding"])
    assert len(legend["encoding"]["color"]["scale"]["domain"]) == classes
    assert "![x]" not in view.text


def test_quantities_of_one_name_have_one_value_on_every_page(see, zoo):
    for name in ("miu", "residues"):
        zoo(name)
    listed = see("runs", run="miu").table("run").set_index("run")["result"].str.strip()
    for run, label in (("miu", "Test, longer strings"), ("residues", "Mean accuracy over primes")):
        assert see("train", run=run).metrics[label] == see("sieve", run=run).metrics[label] == listed[run]
