"""What a page is made of, from top to bottom."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from miii.errors import LONGEST, shortened

if TYPE_CHECKING:
    import pandas as pd

    from miii.plots.style import Chart

JOINER: Final = "\u2060"  #: has no width and no meaning; it parts what Markdown would take for one word
#: What Markdown reads as more than itself: characters, the beginning of a line, and words that no backslash protects,
#: because they are looked for in the finished text (Streamlit's icons and colors, GitHub's bare links).
_SPECIAL = re.compile(
    r"""(?P<sign>[*`$<\[\]|~&]|(?<![^\W_])_|_(?![^\W_])|\A[-+\#>=]|(?<=\A\d)[.)]|(?<=\A\d\d)[.)])
    |(?P<slash>\\)
    |(?P<before>(?<=:)(?=[\w+/-])|(?<=www)(?=\.)|(?<=[\w.+-])(?=@))""",
    re.VERBOSE | re.IGNORECASE,
)


def escaped(value: object, most: int = LONGEST) -> str:
    """Return foreign text as Markdown that shows it as it is, on one line and at most ``most`` characters of it.

    Nothing in it becomes a link, an image, a formula, an icon or emphasis, on a page, in a notebook or in an article.
    """
    plain = shortened(str(value), most)
    line = "".join(char if char.isprintable() else " " for char in plain).strip()
    return _SPECIAL.sub(_protected, line)


def unescaped(markdown: str) -> str:
    """Return what ``escaped`` was given, for those who read no Markdown."""
    return re.sub(r"\\(.)", r"\1", markdown).replace(JOINER, "").replace("&#92;", "\\")


def _protected(found: re.Match[str]) -> str:
    if found["sign"]:
        return f"\\{found['sign']}"
    return "&#92;" if found["slash"] else JOINER  # Jupyter takes two backslashes and a bracket for a formula


@dataclass(frozen=True)
class Text:
    """Prose.

    Args:
        markdown: with formulas between dollar signs.

    Source: own design.
    """

    markdown: str


@dataclass(frozen=True)
class Figure:
    """A chart, or several that one computation gives, by the function that makes it.

    Args:
        make: a plain function of plain values, whose source is shown; see ``miii.notebook.source``.
        arguments: the values, each of which can be written down (``repr``).
        alt: what the chart shows, for those who cannot see it.
        see: what there is to see in it, as Markdown.

    Source: own design.
    """

    make: "Callable[..., Chart | tuple[Chart, ...]]"
    arguments: Mapping[str, Any]
    alt: str
    see: str = ""


@dataclass(frozen=True)
class Table:
    """Numbers as measured.

    Args:
        frame: whose index is not shown.

    Source: own design.
    """

    frame: "pd.DataFrame"
    title: str = ""


@dataclass(frozen=True)
class Page:
    """A page of the app, as it stood when it was exported.

    Args:
        cells: without the title.
        run: the name of the run that it shows; None where it shows no run in particular.
        step: of the snapshot that it shows.
        link: where the page itself is to be found.

    Source: own design.
    """

    title: str
    cells: tuple[Text | Figure | Table, ...]
    run: str | None = None
    step: int | None = None
    link: str = ""

    @classmethod
    def of(cls, title: str, notes: "Sequence[Text | Figure | Table]", run: str | None, link: str) -> "Page":
        """What a page said and showed, as a page of a run if any of its figures is of that one, and of their step.

        Args:
            notes: with the title, as a heading of the first order.
            run: the name of the run that was chosen.
        """
        cells = tuple(note for note in notes if not (isinstance(note, Text) and note.markdown.startswith("# ")))
        shown = [cell.arguments for cell in cells if isinstance(cell, Figure)]
        own = [arguments for arguments in shown if run is not None and arguments.get("name") == run]
        step = next((arguments["step"] for arguments in own if "step" in arguments), None)
        return cls(title, cells, run if own else None, step, link)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures alone, in their order."""
        return tuple(cell for cell in self.cells if isinstance(cell, Figure))
