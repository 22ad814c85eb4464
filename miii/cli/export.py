"""The command ``export``: pages of the app as a file."""

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from miii import runs
from miii.cli.printing import RunName, Step, defaulted
from miii.errors import InputError
from miii.notebook.cells import Page
from miii.runs.atomic import write_atomically

APP = Path(__file__).parents[2]  #: the pages are next to the package
ENDING = {"notebook": ".ipynb", "html": ".html"}


@dataclass(frozen=True)
class Export:
    """Write the app's pages about a run as a Jupyter notebook or an HTML page."""

    run: RunName
    to: Annotated[Literal["notebook", "html"], tyro.conf.arg(help="the kind of file")]
    out: Annotated[Path, tyro.conf.arg(help="the file to write, ending in .ipynb or .html")]
    page: Annotated[
        str | None,
        defaulted("one page, such as fourier [all that show the run]", "NAME"),
    ] = None
    step: Step = None


def run_export(args: Export) -> int:
    """Export and print the file's name; print a line per page on stderr.

    Raises:
        InputError: an option is invalid, there is nothing to show, or the file exists or cannot be written.
    """
    out = args.out
    if out.suffix.lower() != ENDING[args.to]:
        raise InputError(f"out must end in {ENDING[args.to]} (got {str(out)!r}).")
    if os.path.lexists(out) or not out.parent.is_dir():  # before any work
        raise InputError(f"out must be a file that does not exist yet, in a folder that does (got {str(out)!r}).")
    with contextlib.suppress(FileNotFoundError):
        out.lstat()  # raises OSError if the name is too long
    run = runs.open(args.run)
    if run.folder.resolve() not in [listed.folder.resolve() for listed in runs.every()]:
        raise InputError(f"run must be one that `miii runs` lists, by name (got {args.run!r}).")
    run.weights(args.step)
    pages = list(_pages(run.name, args.step, args.page))
    if not pages:
        raise InputError(f"run must have a page with a figure (no page shows one for {run.name}).")
    text = _written(pages, args.to)
    try:
        write_atomically(out, lambda beside: beside.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{out} could not be written: {error.strerror or error}.") from None
    print(out)
    return 0


def _pages(run: str, step: int | None, wanted: str | None) -> Iterator[Page]:
    """Yield the requested page, or every page with a figure of the run."""
    app = _app()
    names = app.pages()
    if wanted not in (None, *names):
        raise InputError(f"page must be one of {', '.join(names)} (got {wanted!r}).")
    for name in names if wanted is None else [wanted]:
        begun = time.perf_counter()
        try:
            page: Page = app.record(name, run, step)
        except InputError as error:
            if wanted is not None:
                raise InputError(f"{name} has nothing to export for {run}: {error}") from None
            continue
        if wanted is not None or page.run is not None:
            many = "1 figure" if len(page.figures) == 1 else f"{len(page.figures)} figures"
            print(f"{name}: {many}, {time.perf_counter() - begun:.1f} s", file=sys.stderr)
            yield page


def _app() -> Any:
    """Import the app by its path."""
    if not (APP / "pages" / "_kit" / "headless.py").exists():
        raise InputError("export needs the app's pages: run it in a checkout of https://github.com/syrkis/miii.")
    sys.path.insert(0, str(APP))
    return importlib.import_module("pages._kit.headless")


def _written(pages: list[Page], to: str) -> str:
    if to == "html":
        from miii.notebook.html import html

        return html(pages)
    import nbformat

    from miii.notebook.build import notebook

    return nbformat.writes(notebook(pages)) + "\n"
