"""Text of an address or a file is shown as text: nothing in it becomes a link, an image, a formula or an icon."""

import ast
import re
from collections.abc import Iterator

import nbformat
import pytest
from shown import PAGES, ROOT
from streamlit.testing.v1 import AppTest

from miii import runs

SOURCES = [ROOT / "app.py", *sorted((ROOT / "pages").rglob("*.py"))]
MODULE = ROOT / "pages" / "_kit" / "write.py"
#: In the name of a folder, too, so without a slash; it begins with what only it has.
EVIL = "Zq![x](www.evil.test) [Sign in](mailto:a@evil.test) :red[b] :material_home: $c$ `d` *e* <i> | ~~f~~"
RAW = re.compile(
    r"Zq!\[|(?<!\\)\]\(|www\.evil|mailto:a|a@evil|:red|:material_home|(?<!\\)\$c|(?<!\\)`d|(?<!\\)\*e|(?<!\\)<i|(?<!\\)~~f",
    re.IGNORECASE,
)
MARKDOWN = {"body", "label", "help", "text"}  # fields of what Streamlit sends that it shows as Markdown
PLAIN = {"code", "html", "arrow_data_frame", "vega_lite_chart", "text_input", "bidi_component"}
LONG = EVIL + "y" * 60_000  # too long to be repeated


def markdown(at: AppTest) -> Iterator[str]:
    """Everything that a page has sent that the browser takes for Markdown."""

    def below(message: object) -> Iterator[str]:
        for field, value in message.ListFields():
            if field.type == field.TYPE_STRING and isinstance(value, str) and field.name in MARKDOWN:
                yield value
            elif field.type == field.TYPE_MESSAGE and hasattr(value, "ListFields"):
                yield from below(value)

    def walk(block: object) -> Iterator[str]:
        for node in block.children.values():
            proto = getattr(node, "proto", None)
            if hasattr(proto, "ListFields") and node.type not in PLAIN:
                yield from below(proto)
            if hasattr(node, "children"):
                yield from walk(node)

    yield from walk(at._tree)


def echoes(at: AppTest) -> list[str]:
    """Where a page, or its exported files, repeats the foreign text; it must be escaped and short there."""
    notes = at.session_state["notes"]
    prose = [*markdown(at), *(getattr(note, "markdown", getattr(note, "see", "")) for note in notes)]
    found = [text for text in prose if "zq" in text.lower()]
    for text in found:
        assert not RAW.search(text), text
    assert max(map(len, found), default=0) < 5_000
    return found


def keys() -> list[str]:
    """The names that an address may have: of every widget, and of what is read by hand."""
    words = {
        node.value
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and re.fullmatch(r"[a-z][\w-]{0,20}", str(node.value))
    }
    assert {"run", "beside", "step", "search", "task", "expression", "preset", "sample", "n", "string"} <= words
    return sorted(words - {"key"})  # that one is a secret, and leaves the address at once


def test_one_module_alone_opens_a_box_of_text():
    """Errors are plain text: no page shows one as Markdown."""
    boxes = {"st.error", "st.warning", "st.info", "st.success", "st.exception"}
    for path in SOURCES:
        if path != MODULE:
            nodes = ast.walk(ast.parse(path.read_text()))
            called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}
            methods = {name for name in called if re.search(r"\.(error|warning|info|success)$", name)}
            assert not called & boxes, path
            assert all(name.startswith("write.") for name in methods), path


#: Every fifth page by day, all by night.
SOME = pytest.mark.parametrize("pages", [PAGES[::5], pytest.param(PAGES, marks=pytest.mark.slow)], ids=len)


@SOME
def test_an_address_is_shown_as_it_is_on_every_page(bring, visit, pages):
    bring("adding")
    long = dict.fromkeys(("run", "step", "search", "task", "expression"), LONG)
    query = dict.fromkeys(keys(), EVIL) | long | {"q": "3"}
    for page in pages:
        at = visit(page, **query)
        assert any("Zq" in warning.value for warning in at.warning), page
        assert echoes(at), page
    assert echoes(visit("runs", search=EVIL))
    assert any("is not a theorem" in text for text in echoes(visit("data", task="miu", string="[Zq](www.a.test)")))


@SOME
def test_a_run_with_an_evil_name_is_shown_as_it_is_and_exported(bring, visit, gives, pages):
    bring("adding")
    bring("adding", EVIL)
    assert EVIL in {run.name for run in runs.every()}
    for page in dict.fromkeys([*pages, "fourier"]):
        at = visit(page, run="adding", beside=EVIL) if page in ("fourier", "attention") else visit(page, run=EVIL)
        found = echoes(at)
        assert found or page not in ("fourier", "attention", "train", "sieve", "frames"), page
        if page in ("fourier", "train"):
            for cell in nbformat.reads(gives(at, "share-Notebook"), 4).cells:
                prose = re.sub("`Zq[^`]*`", "", cell.source) if "Zq" in cell.source else ""  # code is shown as it is
                assert cell.cell_type == "code" or not RAW.search(prose), prose
            article = re.sub(
                r"<script>\(\(\) =>.*?</script>", "", gives(at, "share-Article"), flags=re.DOTALL
            )  # Vega's own
            assert not [tag for tag in ("<img", 'href="www', 'href="mailto') if tag in article]


def test_the_formula_that_an_error_recommends_can_be_copied(see):
    (error,) = see("symbolic", expression="a *").errors
    assert "(a\\*b + 3\\*a) % p" in error
