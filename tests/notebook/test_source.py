"""The source of a cell's function, taken apart."""

from typing import Any

from wrapped import shared

import miii
from miii import analysis, plots
from miii.notebook.source import IMPORTS, parts, source
from miii.plots.style import Chart


@shared
def opened(name: str) -> miii.runs.Run:
    return miii.runs.open(name)


@shared
def norms(name: str, step: int) -> list[float]:
    return opened(name).model(step).W_E.norm(dim=1).tolist()


@shared
def countdown(n: int) -> int:
    return n and countdown(n - 1)


def spectrum(name: str, step: int) -> Chart:
    spectrum = analysis.fourier.embedding_spectrum(opened(name).model(step))
    # a comment that says return stays
    return plots.spectrum(spectrum)


def longest(name: str, step: int) -> float:
    return max(norms(name, step)) + len(opened(name).steps) + countdown(3)


def both(name: str, step: int) -> tuple[Chart, ...]:
    return spectrum(name, step), spectrum(name, step)


def test_a_cell_has_its_arguments_above_its_body_and_what_it_shares_apart():
    cell = parts(spectrum, {"name": "it's", "step": 3})
    assert cell.given == 'name = "it\'s"\nstep = 3'
    assert cell.body.splitlines() == [
        "spectrum = analysis.fourier.embedding_spectrum(opened(name).model(step))",
        "# a comment that says return stays",
        "plots.spectrum(spectrum)",
    ]
    assert cell.helpers == (("opened", "def opened(name: str) -> miii.runs.Run:\n    return miii.runs.open(name)"),)
    helpers = parts(longest, {}).helpers
    names = [name for name, _ in helpers]
    assert sorted(names) == ["countdown", "norms", "opened"]  # each once
    assert names.index("opened") < names.index("norms")  # which calls it
    assert "shared" not in str(helpers)
    assert [parts(make, {}).several for make in (both, spectrum, longest)] == [True, False, False]


def test_a_source_runs_by_itself(small_run):
    arguments = {"name": str(small_run.folder), "step": small_run.steps[-1]}
    code = source(longest, arguments)
    assert code.startswith(IMPORTS)
    above, _, last = code.rpartition("\n")
    space: dict[str, Any] = {}
    exec(above, space)
    assert eval(last, space) == longest(**arguments)
