"""Every page on runs of every kind: it is sound, and what is shown is what ran."""

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import altair as alt
import pytest
import torch
from shown import PAGES, ROOT, Shown, app, fine, run_cell, shown

import miii
from miii import runs
from miii.notebook.cells import Figure, Text

MODULAR = ("train", "try", "attention", "fourier", "neurons", "circuits", "progress", "formula")
ANY = ("train", "try", "attention", "sieve")
EVERYTHING = {"apart": "true", "all": "true", "count": "true", "probes": "true"}
#: Which pages are opened on a run: those that may have something else to show of it than of other runs.
SWEEP: dict[str, tuple[str, ...]] = {
    "adding": tuple(PAGES),
    "untrained": ("fourier", "neurons", "formula", "progress"),
    "seven": MODULAR,
    "two": ("attention", "fourier"),
    "mul": ("formula", "neurons", "train"),
    "div": (*MODULAR, "train"),
    "custom": ("formula", "try", "train"),
    "multiples": ("formula", "neurons"),
    "even": ("fourier", "neurons", "formula"),
    "two layers": ("attention", "neurons", "try"),
    "normed": ("neurons", "try", "formula"),
    "side by side": ("neurons", "attention", "try"),
    "recurrent": ("attention", "try", "circuits"),
    "memorized": ("formula", "progress"),
    "adds 13": ("formula", "neurons", "try"),
    "subtracts": ("formula", "neurons"),
    "zeros": MODULAR,
    "theirs": MODULAR[:4],
    "theirs, split": MODULAR[:4],
    "primes": (*ANY, "fourier", "circuits", "data"),
    "deep primes": ANY[:3],
    "sieves": ANY,
    "residues": (*ANY, "neurons"),
    "digits": ANY,
    "group": ("train", "attention", "fourier", "try", "data"),
    "rectangle": ("train", "fourier", "try"),
    "gcd": ("train", "attention", "sieve", "try"),
    "miu": (*ANY, "formula", "frames"),
    "short miu": ("train",),
    "frames": (*ANY, "progress", "frames"),
    "labels": ("train", "attention", "frames"),
    "places": ("frames",),
    "sequences": ("train", "attention", "data", "sequences", "try"),
    "continues": ("train", "attention", "sequences", "try"),
    "unmasks": ("attention", "sequences", "try"),
}
#: The runs whose pages are opened by day; the others are variants of these.
BY_DAY = (
    "adding",
    "primes",
    "sieves",
    "residues",
    "gcd",
    "miu",
    "frames",
    "sequences",
)
SIEVABLE = ("sieves", "primes", "residues", "digits", "miu")
#: Pages that say in a box why they draw nothing of a run.
REFUSED = {
    *(("seven", page) for page in ("neurons", "progress", "formula")),
    *(("adding", page) for page in ("sieve", "frames")),
    ("rectangle", "fourier"),
    *(("primes", page) for page in ("fourier", "circuits")),
    *(("frames", page) for page in ("try", "sieve", "progress")),
    *(("miu", page) for page in ("formula", "frames")),
    ("residues", "neurons"),
    ("adding", "sequences"),
}
#: Pages that draw nothing, and refuse nothing.
EMPTY = {
    ("adding", "runs"),
    ("sequences", "data"),
    ("unmasks", "sequences"),
    *((run, "attention") for run in ("recurrent", "miu", "frames", "labels")),
}
DATA = {
    "add": {"p": 7},
    "expr": {"p": 7, "expression": "3*a - b"},
    "primes": {"preset": "other", "low": 100, "high": 400, "side": 51, "reach": 100},
    "residues": {"digit_base": 11},
    "group": {"group": "S3"},
    "table": {},
    "gcd": {"base": 6, "operands": "log"},
    "miu": {"strings": 200, "longest": 6, "longest_test": 8},
    "frames": {"low": 100, "high": 399, "frames": 3, "largest_step": 3},
    "sequences": {"sequences": 300},
}


def visits(run: str) -> Iterator[tuple[str, dict[str, object]]]:
    for page in SWEEP[run]:
        yield page, {"run": run} | (EVERYTHING if page == "sieve" and run in SIEVABLE else {})


def tasks() -> Iterator[tuple[str, dict[str, object]]]:
    """The links to pages that show a task, and no run."""
    yield "symbolic", {"run": "formula", "expression": "3*a - b", "p": 11}
    for task, query in DATA.items():
        yield "data", {"task": task} | query
        yield "train", {"task": task}


def check(see: Shown, where: tuple[str, str], refused: bool = False) -> None:
    """Check what holds of every page."""
    assert not see.errors, where
    prose = see.text + " ".join(see.metrics.values())
    assert not re.search(r"\b(nan|inf|None)\b", prose.replace("**None**", "")), where
    assert not any(text.lstrip().startswith("# ") for text in see.prose["markdown"]), (where, "a second title")
    assert see.notes[0] == Text(f"# {see.titles[0]}"), where
    for chart in see.charts:
        spec = json.loads(chart.spec)
        assert chart.alt, where
        assert set(named(spec)) == set(chart.data), where
        assert "datasets" not in spec, where
        assert spec["usermeta"]["embedOptions"]["renderer"] == "canvas"
        json.dumps(spec, allow_nan=False)
    for widget in see.widgets:
        assert widget.label, (where, widget)
    files = [widget.key for widget in see.widgets if widget.kind == "download_button" and widget.key]
    assert len(files) == len(set(files)), where
    assert not refused or (see.infos and not see.charts), where


def named(value: object) -> list[str]:
    """The data that a specification asks for by name."""
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value["data"]["name"]] if isinstance(value, dict) and isinstance(value.get("data"), dict) else []
    return own + [name for each in below for name in named(each)]


@pytest.mark.parametrize("run", [pytest.param(run, marks=() if run in BY_DAY else pytest.mark.slow) for run in SWEEP])
def test_every_page_of_a_run_is_sound(see, zoo, run):
    for page, query in visits(run):
        found = see(page, **query)
        check(found, (page, run), (run, page) in REFUSED)
        assert bool(found.charts) == ((run, page) not in REFUSED | EMPTY), (page, run)
        if page not in ("paper", "symbolic", "sparse", "compare"):
            assert found.value("run") == run
            assert page in ("data", "runs") or found.prose["warning"] == [] or (run, page) == ("memorized", "formula")


def test_a_page_that_does_not_fit_offers_a_run_and_a_page(zoo, visit, monkeypatch):
    """Both lead to a figure; every other page leads on to one that fits."""
    monkeypatch.setattr(app("_tasks.checks"), "OFFERED", (zoo("adding").name,))  # instead of a large shipped run
    page, run = "try", "frames"
    at = visit(page, run=run)
    assert len(at.info) == 1
    ways = [each for each in at.button if each.key == "open_fitting" or each.key.startswith("to-")]
    assert len(ways) == 2
    here = shown(fine(ways[0].click().run()))
    assert here.charts
    assert here.value("run") == "adding"
    there = shown(fine(next(b for b in visit(page, run=run).button if b.key.startswith("to-")).click().run()))
    assert there.charts
    assert there.value("run") == run
    ways = [each.label for each in visit("try", run="sieves").button if each.label.startswith("Next")]
    assert ways == ["Next: Attention"]


def test_every_task_has_its_data_and_its_form(see):
    for page, query in tasks():
        found = see(page, **query)
        check(found, (page, str(query)))
        assert page == "symbolic" or found.value("task") == query["task"]
        assert page == "train" or found.charts or found.tables


def test_the_navigation_lists_every_page(server):
    assert sorted(app("_kit.headless").pages()) == PAGES
    assert set(SWEEP["adding"]) == set(PAGES)


def test_a_page_is_the_same_after_the_others(visit, see):
    at = visit("train", run="adding")
    pages = ("attention", "data", "fourier", "neurons", "try")
    for page in (*pages, *reversed(pages), "train"):
        assert shown(fine(at.switch_page(f"pages/{page}.py").run())).text == see(page, run="adding").text


@pytest.mark.slow
def test_the_smallest_tasks_are_shown(visit, bring, home):
    small = {
        "two digits": {"kind": "primes", "low": 10, "high": 99},
        "one digit": {"kind": "primes", "low": 2, "high": 96, "base": 97},
        "few": {"kind": "primes", "low": 2, "high": 11},
        "residues": {"kind": "residues", "p": 6},
        "strings": {"kind": "miu", "longest": 3, "longest_test": 3, "n": 100},
    }
    for name, task in small.items():
        config = miii.RunConfig(task=task, model={"n_heads": 1, "d_model": 8, "d_mlp": 12})
        for filled in (False, True) if name in ("few", "strings") else (False,):
            model = miii.Transformer.of(config.model, config.task.build(), seed=0)
            with torch.no_grad():
                for weight in model.parameters():
                    weight.mul_(filled)  # at first all answers are alike
            run = runs.create_run(home / f"{name} {filled}", config, model, format="planted").name
            for page, query in (("sieve", EVERYTHING), ("try", {})):
                check(shown(visit(page, run=run, **query)), (page, run))


# ---- cells ----


def cells(see: Callable[..., Shown]) -> dict[str, tuple[Figure, Shown]]:
    """The first figure that each function makes, and the page where it is shown."""
    found: dict[str, tuple[Figure, Shown]] = {}
    for page, query in [*(visit for run in BY_DAY for visit in visits(run)), *tasks()]:
        view = see(page, **query)
        for figure in view.figures:
            found.setdefault(figure.make.__name__, (figure, view))
    return found


def spec_of(chart: Any) -> dict[str, Any]:
    """A chart's specification without what Streamlit adds: sizes, blanks for missing titles, names of views."""
    text = re.sub(r'"(view|param)_\w+"', r'"\1"', chart.spec)
    spec = json.loads(re.sub(r'"title": ?" "', '"title": null', text))
    return {key: value for key, value in spec.items() if key != "autosize"}


def called() -> set[str]:
    """The names of all functions that the app hands to ``cell``."""
    names = set()
    for path in (ROOT / "pages").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "cell":
                names.add(getattr(node.args[0], "id", getattr(node.args[0], "attr", "")))
    return names - {"", "make"}  # the name of an argument


@pytest.mark.parametrize("apart", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_the_code_of_every_cell_runs_by_itself_and_draws_the_chart_that_is_shown(see, apart):
    """By day of every fourth cell."""
    cell, drawing = app("_kit.cell"), app("_kit.draw").drawing
    found = cells(see)
    assert len(called()) > 40
    on_request = {f"{name}_of_the_adder" for name in ("steering", "rotations", "regions")}  # see test_paper_page
    on_request |= {"regions_of_the_primes", "bits_of_the_primes", "residues_or_size", "learning_of", "decoded"}
    on_request |= {"learning_at", "representations", "digit_steps"}  # of a map of grokking, a group, several factors
    assert called() - set(found) <= on_request
    for figure, view in [*found.values()][::apart]:
        make = figure.make
        code = cell.source(make, figure.arguments)
        assert "streamlit" not in code
        made = run_cell(code)
        sent = [(spec_of(chart), list(chart.data.values())) for chart in view.charts]
        for chart in map(drawing, made if isinstance(made, tuple) else (made,)):
            assert (spec_of(chart), list(chart.data.values())) in sent, (make.__name__, view.titles)
        written = inspect.getsource(make)
        begin = ast.parse(written).body[0].body[0].lineno - 1  # type: ignore[attr-defined]  # below the signature
        body = [line.strip().removeprefix("return ") for line in written.splitlines()[begin:]]
        assert [line.strip() for line in code.splitlines()[-len(body) :]] == body


def test_a_narrow_chart_wraps_its_title_and_stacks_its_legend():
    names, title = ["memorization", "circuit formation", "afterwards"], "The share of pairs whose answer shifts by s"
    legend = alt.Color("phase:N", scale=alt.Scale(domain=names), legend=alt.Legend(columns=3))
    chart = alt.Chart(alt.UrlData("x")).mark_bar().encode(color=legend)
    spec = json.loads(app("_kit.draw").drawing(chart.properties(title=title)).spec)
    wide = 3 * (6.5 * len(names[1]) + 26) + 100
    columns = f"max(1, floor((containerSize()[0] - 100) / {6.5 * len(names[1]) + 26}))"
    assert spec["encoding"]["color"]["legend"]["columns"] == {"expr": f"containerSize()[0] < {wide} ? {columns} : 3"}
    lines = ["The share of pairs whose answer shifts", "by s"]
    assert spec["title"] == {"text": {"expr": f"containerSize()[0] < {7.5 * 43} ? {lines} : '{title}'"}, "limit": 0}
    short = alt.Color("phase:N", scale=alt.Scale(domain=names[:2]), legend=alt.Legend())
    spec = json.loads(app("_kit.draw").drawing(chart.encode(color=short).properties(title="Share")).spec)
    assert (spec["title"], spec["encoding"]["color"]["legend"]) == ("Share", {})
