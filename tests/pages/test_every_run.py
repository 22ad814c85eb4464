"""Every page on runs of every kind: it is drawn, shows numbers where numbers belong, and says why where it cannot."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from streamlit.testing.v1 import AppTest

import miii
from miii import analysis, runs
from miii.analysis.modular.formula import Formula, Term
from miii.analysis.oracles import planted

PAGES = ["train", "try", "attention", "fourier", "neurons", "circuits", "progress", "formula"]
GROUP = ["neurons", "progress", "formula"]  # which need the frequencies of Z_p for everything they show
TINY = {"n_heads": 1, "d_model": 8, "d_mlp": 12}
TRAINED: dict[str, dict[str, Any]] = {
    "untrained": {"task": {"p": 11}, "steps": 1},
    "seven": {"task": {"p": 7}, "model": TINY},
    "mul": {"task": {"p": 11, "operation": "mul"}, "model": TINY},
    "quadratic": {"task": {"p": 11, "operation": "quadratic"}, "model": TINY},
    "relabelled": {"task": {"p": 11, "operation": "relabelled"}, "model": TINY},
    "custom": {"task": {"p": 11, "operation": "expr", "expression": "(a*b + 3*a) % p"}, "model": TINY},
    "multiples": {"task": {"p": 11, "operation": "expr", "expression": "3*a - b + 7"}, "model": TINY},
    "even": {"task": {"p": 12}, "model": TINY},
    "two layers": {"task": {"p": 11}, "model": {**TINY, "n_layers": 2, "biases": "all", "act": "gelu"}},
    "normed": {"task": {"p": 11}, "model": {**TINY, "n_layers": 2, "block": "pre-norm"}},
    "side by side": {"task": {"p": 11}, "model": {**TINY, "block": "sas-p"}},
    "recurrent": {"task": {"p": 11}, "model": {**TINY, "mixer": "gru"}},
    "memorised": {
        "task": {"p": 11, "operation": "shuffled", "train_fraction": 0.4},
        "model": {"n_heads": 1, "d_model": 32, "d_mlp": 64},
        "optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.0},
        "steps": 150,
        "snapshots": 2,
    },
}


def waves(p: int, frequencies: tuple[int, ...], beta: int = 1) -> Formula:
    return Formula(p, tuple(Term(k, beta * k, k, 10.0 - i, 0.0) for i, k in enumerate(frequencies)))


def nothing(p: int) -> miii.Transformer:
    """A network of zeros: all neurons dead, all answers alike."""
    model = miii.Transformer(miii.ModelConfig(d_model=8, n_heads=2, d_mlp=6), p + 1, p, 3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    return model


@pytest.fixture(scope="session")
def zoo(small_config, tmp_path_factory) -> Path:
    """A home of runs, each of another kind. Shared: never write into it."""
    home = tmp_path_factory.mktemp("zoo")
    for name, changes in TRAINED.items():
        runs.record(home / name, miii.train(small_config(**{"steps": 12, "snapshots": 3} | changes)))
    made = {
        "adds": (planted.from_formula(waves(13, (2, 5)), dtype=torch.float32), {"p": 13, "train_fraction": 0.5}),
        "subtracts": (planted.from_formula(waves(13, (1, 6), -1), dtype=torch.float32), {"p": 13, "operation": "sub"}),
        "adds hours": (planted.from_formula(waves(12, (1, 6)), dtype=torch.float32), {"p": 12}),
        "zeros": (nothing(11), {"p": 11, "train_fraction": None}),
    }
    for name, (model, task) in made.items():
        config = miii.RunConfig(task=task, model=model.config.model_dump())
        runs.adopt(home / name, config, model, format="planted")
    return home


@pytest.fixture
def run(zoo, monkeypatch) -> Callable[[str], runs.Run]:
    monkeypatch.setenv("MIII_RUNS", str(zoo))
    return runs.open


VERDICTS = {
    "adds": "**Modular addition**: at step 0 the network computes $c = a + b$ modulo 13 on circles.",
    "subtracts": "**Modular addition**: at step 0 the network computes $c = a - b$ modulo 13 on circles.",
    "adds hours": "**Modular addition**: at step 0 the network computes $c = a + b$ modulo 12 on circles.",
    "memorised": "**Memorised**: at step 150 the network answers 100.0% of its training pairs right, and",
    "untrained": "**None**: at step 1 not all of the evidence for modular addition, in this order of the tokens,",
    "relabelled": "**None**: at step 12 not all",
    "zeros": "**None**: at step 0 not all",
}

#: One of each kind that a page may have to say something else of.
RUNS = [
    "untrained",
    "seven",
    "mul",
    "custom",
    "multiples",
    "even",
    "two layers",
    "normed",
    "side by side",
    "recurrent",
    "memorised",
    "adds",
    "subtracts",
    "zeros",
]


def sound(at: AppTest, page: str, name: str) -> None:
    """What holds for every page: no complaint, numbers where numbers belong, charts that a browser can read."""
    assert not at.error, page
    assert not at.warning or (page == "formula" and name == "memorised")
    assert at.selectbox(key="run").value == name
    numbers = "\n".join(element.value for kind in (at.markdown, at.caption, at.info, at.metric) for element in kind)
    assert not re.search(r"\b(nan|inf|None)\b", numbers.replace("**None**", "")), page
    for chart in at.get("vega_lite_chart"):
        assert chart.proto.alt
        json.dumps(json.loads(chart.proto.spec), allow_nan=False)


@pytest.mark.parametrize("name", RUNS)
def test_every_page_shows_it(run, visit, name):
    shown = run(name)
    for page in PAGES:
        if page == "formula" and name in VERDICTS:  # looked at below
            continue
        at = visit(page, run=name)
        sound(at, page, name)
        refused = page in GROUP and shown.config.task.p < 11
        unanswerable = page == "formula" and name in ("mul", "custom")
        unanswerable |= page == "attention" and name == "recurrent"  # which has no pattern
        assert bool(at.get("vega_lite_chart")) != (refused or unanswerable), page


@pytest.mark.parametrize("page", GROUP)
def test_a_p_too_small_for_frequencies_is_one_sentence(run, visit, page):
    run("seven")
    at = visit(page, run="seven")
    assert [info.value for info in at.info] == [
        "seven cannot be shown here: p must be at least 11 to tell its frequencies apart (got 7)."
    ]


def test_circuits_of_a_small_p_are_shown_but_for_the_frequencies(run, visit):
    run("seven")
    at = visit("circuits", run="seven")
    assert len(at.get("vega_lite_chart")) == 5
    assert "p must be at least 11" in at.info[0].value


def test_there_is_no_formula_of_an_expression_that_is_no_sum(run, visit):
    run("custom")
    at = visit("formula", run="custom")
    assert [info.value for info in at.info] == [
        "There is no formula to ask for: expression must be a sum of multiples of a and of b in Z_p to have a formula, "
        "such as 3\\*a - b (got '(a\\*b + 3\\*a) % p')."
    ]


@pytest.mark.parametrize("page", ["formula", "neurons"])
def test_a_sum_of_multiples_is_spoken_of_as_one(run, visit, texts, page):
    run("multiples")
    assert "The task is $3a - b$, a sum of multiples" in texts(visit(page, run="multiples"))
    run("adds")
    assert "a sum of multiples" not in texts(visit(page, run="adds"))


@pytest.mark.parametrize("name", ["mul", "quadratic"])
def test_there_is_no_formula_of_another_operation(run, visit, name):
    run(name)
    at = visit("formula", run=name)
    assert len(at.info) == 1
    assert at.info[0].value.startswith("There is no formula to ask for: operation must be one of add, sub,")
    assert not at.dataframe


@pytest.mark.parametrize("page", ["neurons", "attention", "try"])
def test_a_p_too_large_for_the_app_is_one_sentence(home, visit, page):
    config = miii.RunConfig(task={"p": 223, "train_fraction": 0.5}, model=TINY)
    model = miii.Transformer(config.model, 224, 223, 3, seed=0)
    runs.adopt(home / "large", config, model, format="planted")
    at = visit(page, run="large")
    assert [info.value for info in at.info] == [
        "large cannot be shown here: p must be at most 211 in the app (got 223)."
    ]


@pytest.mark.parametrize("page", ["try", "attention", "fourier", "circuits", "progress"])
def test_a_network_that_fell_apart_is_one_sentence(home, visit, page):
    model = nothing(11)
    with torch.no_grad():
        model.W_U.fill_(torch.nan)
    config = miii.RunConfig(task={"p": 11, "train_fraction": 0.5}, model=model.config.model_dump())
    runs.adopt(home / "broken", config, model, format="planted")
    at = visit(page, run="broken")
    said = [box.value for box in (*at.info, *at.error)]
    assert len(said) == 1
    assert "finite" in said[0]
    assert not at.get("vega_lite_chart")


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_is_the_library_s(run, visit, texts, name):
    shown = run(name)
    report = analysis.verdict.analyze(shown.model(), shown.task())
    at = visit("formula", run=name)
    sound(at, "formula", name)
    assert at.get("vega_lite_chart")
    verdicts = [box.value for box in (*at.success, *at.warning, *at.info)]
    assert len(verdicts) == 1
    assert verdicts[0].startswith(VERDICTS[name])
    assert verdicts[0].lower().startswith(f"**{report.verdict}**")
    measured = at.dataframe[0].value["measured"].tolist()
    assert measured[:3] == [report.logit_variance_explained, report.argmax_agreement, report.steering_accuracy]
    assert measured[-1] == report.steering_control
    assert (measured >= at.dataframe[0].value["asked for"]).all() == (report.verdict == "modular addition")
    assert json.loads(at.json[0].value)["verdict"] == report.verdict
    assert ("memory cannot be told" in texts(at)) == (name == "zeros")


def test_a_subtraction_is_spoken_of_as_one(run, visit, texts):
    run("subtracts")
    assert r"$\cos w_k(a - b)$" in texts(visit("formula", run="subtracts"))
    assert "it pulls at $c = a - b$" in texts(visit("neurons", run="subtracts"))


def test_a_network_of_zeros_is_said_to_do_nothing(run, visit, texts):
    run("zeros")
    at = visit("neurons", run="zeros")
    assert [metric.value for metric in at.metric] == ["0", "6", "0%", "–"]
    assert "Neuron **0** is dead" in texts(at)
    assert "no cluster of neurons" in texts(at)
    assert "it does not vary" in texts(visit("fourier", run="zeros"))
    assert "no curve" in texts(visit("circuits", run="zeros"))
    assert "The last snapshot has no key frequency." in texts(visit("progress", run="zeros"))
    said = texts(visit("formula", run="zeros"))
    assert "the formula is **0**" in said
    assert "nothing to turn" in said


@pytest.mark.parametrize("name", ["adds", "two layers"])
def test_neurons_says_which_block_s_they_are_where_there_are_several(run, visit, texts, name):
    run(name)
    assert ("last block, 1" in texts(visit("neurons", run=name))) == (name == "two layers")


def test_progress_says_that_no_phase_is_marked_where_the_split_is_unknown(run, visit, texts):
    run("zeros")
    assert "no phases are marked" in texts(visit("progress", run="zeros"))
    assert "no phases are marked" not in texts(visit("progress", run="adds"))


# ---- small tasks, and what is said and given away of any ----

SMALL = {
    "two digits": {"kind": "primes", "low": 10, "high": 99},
    "one digit": {"kind": "primes", "low": 2, "high": 96, "base": 97},
    "few": {"kind": "primes", "low": 2, "high": 11},
    "residues": {"kind": "residues", "p": 6},
    "strings": {"kind": "miu", "longest": 3, "longest_test": 3, "n": 100},
}
EVERYTHING = {"apart": "true", "all": "true", "count": "true", "probes": "true"}


@pytest.mark.parametrize("name", SMALL)
def test_the_smallest_tasks_are_shown(home, visit, name):
    config = miii.RunConfig(task=SMALL[name], model=TINY)
    for filled in (False, True):
        model = miii.Transformer.of(config.model, config.task.build(), seed=0)
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(filled)  # at first all answers are alike
        run = runs.adopt(home / f"{name} {filled}", config, model, format="planted").name
        for page, query in (("sieve", EVERYTHING), ("try", {}), ("attention", {}), ("train", {})):
            sound(visit(page, run=run, **query), page, run)


def test_why_there_is_no_key_frequency_is_the_reason_that_decided(run, visit, texts):
    shown = run("untrained")
    choice = analysis.fourier.model_choice(shown.model())
    assert (choice.frequencies, choice.gap > 1, choice.height < analysis.fourier.FLOOR) == ((), True, True)
    for page in ("fourier", "progress", "formula"):
        said = texts(visit(page, run="untrained"))
        assert f"{choice.height:.3g} times the median power" in said
        assert "clear" not in said
    assert analysis.fourier.model_choice(run("adds").model()).why_none == ""


#: Tables by the name of their file: columns that tell what each holds.
TABLES = {
    ("sieve", "primes-10"): {
        "residue-share-by-place": "10⁰",
        "digits-and-residues": "10⁰",
        "addition-by-modulus": "q",
    },
    ("formula", "add-113"): {"verdict-evidence": "evidence", "network-and-formula": "measure"},
    ("attention", "add-113"): {"heads": "head"},
    ("attention", "miu-24"): {"attention-of-one-input": "token", "mean-attention-by-token": "head"},
    ("attention", "primes-10"): {"mean-attention-by-position": "head"},
    ("try", "residues-113"): {"answers-of-one-number": "asked"},
    ("data", "primes"): {"first-integers": "spf", "table-1": "0", "table-1-row": "0", "integer-as-tokens": "token"},
    ("data", "frames"): {"sequence-as-tokens": "frame"},
}


def test_a_table_is_downloaded_under_the_name_of_what_it_holds(visit, gives):
    held: dict[str, list[str]] = {}
    for (page, of), wanted in TABLES.items():
        at = visit(page, **{"task" if page == "data" else "run": of})
        keys = [button.key for button in at.get("download_button") if button.key]
        assert len(set(keys)) == len(keys)
        charts = {figure.make.__name__ for figure in at.session_state["notes"] if hasattr(figure, "make")}
        tables = [key.removeprefix("download-").removesuffix(".csv") for key in keys if key.endswith(".csv")]
        assert not charts & set(tables)
        for name, column in wanted.items():
            columns = list(pd.read_csv(io.StringIO(gives(at, f"download-{name}.csv"))).columns)
            assert column in columns, (name, columns)
            assert held.setdefault(name, columns) == columns
        assert set(wanted) <= set(tables)


def test_quantities_of_one_name_have_one_value_on_every_page(visit):
    def metrics(page, run):
        return {metric.label: metric.value for metric in visit(page, run=run).metric}

    listed = visit("runs").dataframe[0].value.set_index("run")
    strings, residues = (metrics("train", name) for name in ("miu-24", "residues-113"))
    sieve = metrics("sieve", "miu-24")
    for label in ("Test, as long", "Test, longer"):
        assert sieve[label] == strings[label]
    assert (listed.loc["miu-24", "of"], f"{listed.loc['miu-24', 'accuracy']:.1%}") == (
        "longer strings",
        strings["Test, longer"],
    )
    assert listed.loc["residues-113", "of"] == "mean over primes"
    mean = f"{listed.loc['residues-113', 'accuracy']:.1%}"
    assert mean == residues["Mean over primes"] == metrics("sieve", "residues-113")["Mean over primes"] == "93.7%"
    assert residues["All residues right"] == "12.4%"
