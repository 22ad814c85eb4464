"""Every widget of every page has a name, and says what it is for."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What opens the pages so that every widget that they may have is seen.
VISITS = [
    *(("train", {"task": task}) for task in ("add", "expr", "primes", "residues", "miu", "frames")),
    *(("data", {"task": task}) for task in ("add", "expr", "primes", "residues", "miu", "frames")),
    *((page, {}) for page in ("paper", "try", "runs", "symbolic", "sparse", "compare")),
    *((page, {}) for page in ("attention", "fourier", "neurons", "circuits", "progress", "formula")),
    *(("sieve", {"run": run}) for run in ("primes-10", "residues-113", "miu-24")),
    *(("attention", {"run": run}) for run in ("primes-10", "residues-113", "miu-24", "frames-10")),
    *(("try", {"run": run}) for run in ("primes-10", "residues-113", "miu-24")),
    ("frames", {"run": "frames-10"}),
    ("compare", {"comparison": "runs of yours"}),
]


def test_every_page_is_visited():
    assert {page for page, _ in VISITS} == {path.stem for path in (ROOT / "pages").glob("*.py")}


@pytest.mark.parametrize(("page", "query"), VISITS, ids=str)
def test_every_widget_says_what_it_is_for(adding, visit, page, query):
    at = visit(page, **{"run": "adding"} | query)
    assert not at.error
    seen = 0
    for element in at:
        proto = getattr(element, "proto", None)
        proto = proto.popover if element.type == "popover" else proto
        fields = set() if proto is None else {field.name for field in proto.DESCRIPTOR.fields}
        if {"id", "help", "label"} <= fields:
            seen += 1
            assert proto.label, f"a {element.type} without a label"
            assert proto.help, f"{proto.label} does not say what it is for"
    assert seen >= 4  # run, the one beside it, notebook and article


WIDGETS = {
    *("button", "download_button", "link_button", "popover", "pills", "segmented_control", "toggle", "checkbox"),
    *("number_input", "selectbox", "multiselect", "slider", "select_slider", "text_input", "text_area", "radio"),
    *("file_uploader", "feedback", "date_input", "color_picker", "form_submit_button", "menu_button"),
}


@pytest.mark.parametrize("path", sorted((ROOT / "pages").rglob("*.py")), ids=lambda path: path.stem)
def test_every_call_of_a_widget_has_a_help(path):
    """Also those that no visit sees."""
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) in ("st", "st.sidebar")
            and node.func.attr in WIDGETS
        ):
            given = {keyword.arg for keyword in node.keywords}
            assert given & {"help", None}, f"line {node.lineno}: {node.func.attr}"
