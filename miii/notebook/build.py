"""Build a Jupyter notebook that recomputes the figures of pages from the run's name."""

import ast
import symtable
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from miii.notebook import table
from miii.notebook.cells import Figure, Page, Text, escaped
from miii.notebook.source import IMPORTS, assigned, parts

PYTHON = {
    "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "language_info": {"name": "python"},
}
#: The first code cell. Its theme widens full-width charts, which are 300 pixels wide by default.
SETUP = f"""from functools import cache

import altair as alt

{IMPORTS}


@alt.theme.register("wide", enable=True)
def wide() -> alt.theme.ThemeConfig:
    return {{"config": {{"view": {{"continuousWidth": 640}}}}}}"""
INSTALL = """\
To run it, install miii (`pip install -e .` in a checkout of https://github.com/syrkis/miii) and run all cells."""
WHERE = """\
Runs are looked up by name in `runs/` beside the notebook or in `MIII_RUNS`, then among the shipped runs."""
OTHERS = "Change the name or step in the next cell to see another run; the text stays as exported."


def notebook(pages: Sequence[Page]) -> nbformat.NotebookNode:
    """Return a notebook (nbformat 4.5) of pages, not yet run, with reproducible bytes.

    Args:
        pages: one or more, about the same run.
    """
    first = next((page for page in pages if page.run is not None), pages[0])
    known = {name: value for name, value in (("name", first.run), ("step", first.step)) if value is not None}
    written = [_opening(pages, first), new_code_cell("\n\n\n".join(part for part in (SETUP, assigned(known)) if part))]
    held = {name: assigned({name: value}) for name, value in known.items()}
    for page in pages:
        if len(pages) > 1:
            written.append(new_markdown_cell(_heading(page)))
        for cell in page.cells:
            if isinstance(cell, Figure):
                code, held = _code(cell, held)
                written.append(new_code_cell(code, metadata={"alt": cell.alt}))
                written += [new_markdown_cell(cell.caption)] if cell.caption else []
            else:
                written.append(
                    new_markdown_cell(cell.markdown.strip() if isinstance(cell, Text) else table.markdown(cell))
                )
    for i, cell in enumerate(written):
        cell["id"] = f"cell-{i}"  # nbformat's IDs are random
    return new_notebook(cells=written, metadata=PYTHON)


def _opening(pages: Sequence[Page], first: Page) -> nbformat.NotebookNode:
    heading = _heading(pages[0]) if len(pages) == 1 else f"# {escaped(first.run or 'miii')}"
    shows = (
        ""
        if first.run is None
        else f"Run `{first.run.replace('`', ' ')}`" + ("" if first.step is None else f", step {first.step}")
    )
    how = [INSTALL]
    how += [WHERE] if any("name" in figure.arguments for page in pages for figure in page.figures) else []
    how += [OTHERS] if shows else []
    return new_markdown_cell("\n\n".join(part for part in (heading, shows and f"{shows}.", "\n".join(how)) if part))


def _heading(page: Page) -> str:
    link = quote(page.link, safe="%/:?&=+#")  # a bracket or space would end the link
    return f"# {page.title}" + (f"\n\n[This page in the app]({link})" if link else "")


def _code(figure: Figure, held: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return a figure's cell and the names defined after it, given those defined before (name: line)."""
    cell = parts(figure.make, figure.arguments)
    helpers = {name: f"@cache\n{code}" for name, code in cell.helpers}
    given = {name: assigned({name: value}) for name, value in figure.arguments.items()}
    new = [code for name, code in helpers.items() if held.get(name) != code]
    new.append("\n".join(line for name, line in given.items() if held.get(name) != line))
    body = _each_shown(cell.body) if cell.several else cell.body
    after = {**held, **helpers, **given}
    for name in _bound(body):
        after.pop(name, None)
    return "\n\n".join(part for part in (*new, body) if part), after


def _each_shown(body: str) -> str:
    """Return code that displays every chart of a tuple, which Jupyter would show as text."""
    value = ast.get_source_segment(body, ast.parse(body).body[-1]) or ""
    above, _, comment = body.rpartition(value)
    return f"{above}display(*({value})){comment}"


def _bound(code: str) -> list[str]:
    """Return the names that a cell assigns."""
    symbols = symtable.symtable(code, "cell", "exec").get_symbols()
    return [symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()]
