"""The parts of a page: text, figures and tables."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from miii.errors import LONGEST, shortened

if TYPE_CHECKING:
    import pandas as pd

    from miii.plots.style import Chart

JOINER: Final = "\u2060"  #: a zero-width joiner that splits what Markdown would read as one word
#: What Markdown interprets: characters, starts of lines, and words that a backslash does not protect (Streamlit's icons
#: and colors, GitHub's bare links).
_SPECIAL = re.compile(
    r"""(?P<sign>[*`$<\[\]|~&]|(?<![^\W_])_|_(?![^\W_])|\A[-+\#>=]|(?<=\A\d)[.)]|(?<=\A\d\d)[.)])
    |(?P<slash>\\)
    |(?P<before>(?<=:)(?=[\w+/-])|(?<=www)(?=\.)|(?<=[\w.+-])(?=@))""",
    re.VERBOSE | re.IGNORECASE,
)


def escaped(value: object, length: int = LONGEST) -> str:
    """Return untrusted text as Markdown that shows it literally, on one line, at most ``length`` characters.

    Nothing in it becomes a link, image, formula, icon or emphasis, on a page, in a notebook or in an article.
    """
    plain = shortened(str(value), length)
    line = "".join(char if char.isprintable() else " " for char in plain).strip()
    return _SPECIAL.sub(_protected, line)


def unescaped(markdown: str) -> str:
    """Undo ``escaped``."""
    return re.sub(r"\\(.)", r"\1", markdown).replace(JOINER, "").replace("&#92;", "\\")


def _protected(found: re.Match[str]) -> str:
    if found["sign"]:
        return f"\\{found['sign']}"
    return "&#92;" if found["slash"] else JOINER  # Jupyter reads two backslashes and a bracket as a formula


@dataclass(frozen=True)
class Text:
    """Prose.

    Args:
        markdown: Markdown, with formulas between dollar signs.
    """

    markdown: str


@dataclass(frozen=True)
class Figure:
    """A chart, or several from one computation, and the function that makes it.

    Args:
        make: a plain function of plain values; its source is shown, see ``miii.notebook.source``.
        arguments: its arguments; each ``repr`` must be valid code.
        alt: text alternative of the chart.
        caption: caption, as Markdown.
    """

    make: "Callable[..., Chart | tuple[Chart, ...]]"
    arguments: Mapping[str, Any]
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """A table of measured numbers.

    Args:
        frame: shown without its index.
        prose: its text is Markdown, and not measured alone; without it, text is shown literally.
    """

    frame: "pd.DataFrame"
    title: str = ""
    prose: bool = False


@dataclass(frozen=True)
class Page:
    """A page of the app at the time of its export.

    Args:
        cells: without the title.
        run: name of the run; None for a page without a run.
        step: of the snapshot.
        link: address of the page.
    """

    title: str
    cells: tuple[Text | Figure | Table, ...]
    run: str | None = None
    step: int | None = None
    link: str = ""

    @classmethod
    def of(cls, title: str, notes: "Sequence[Text | Figure | Table]", run: str | None, link: str) -> "Page":
        """Return a page from its notes; it belongs to ``run`` if any figure does.

        Args:
            notes: text and figures, with the title as a top-level heading.
            run: name of the chosen run.
        """
        cells = tuple(note for note in notes if not (isinstance(note, Text) and note.markdown.startswith("# ")))
        shown = [cell.arguments for cell in cells if isinstance(cell, Figure)]
        own = [arguments for arguments in shown if run is not None and arguments.get("name") == run]
        step = next((arguments["step"] for arguments in own if "step" in arguments), None)
        return cls(title, cells, run if own else None, step, link)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Return the figures in order."""
        return tuple(cell for cell in self.cells if isinstance(cell, Figure))
