"""What a visited page shows, as a plain value, and how a reader moves what AppTest cannot."""

import ast
import importlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from miii import plots
from miii.notebook.cells import Figure, Table, Text
from miii.notebook.source import source

ROOT = Path(__file__).parents[2]
PAGES = [path.stem for path in sorted((ROOT / "pages").glob("*.py"))]
PROSE = ("markdown", "caption", "info", "success", "error", "warning")


def app(module: str) -> Any:
    """Import a module of the app: the only place where tests of pages do."""
    return importlib.import_module(f"pages.{module}")


@dataclass(frozen=True)
class Drawn:
    """A chart as it is sent: its title, specification, description, and the rows behind it, by name."""

    key: str
    title: str
    spec: str
    alt: str
    data: dict[str, bytes]

    def rows(self) -> list[pd.DataFrame]:
        """Return the tables that the chart is drawn of."""
        return [pa.ipc.open_stream(data).read_pandas() for data in self.data.values()]


@dataclass(frozen=True)
class Widget:
    """A control: its kind, label, help, key and value."""

    kind: str
    label: str
    help: str
    key: str | None
    value: Any = None


@dataclass(frozen=True)
class Shown:
    """All that a page shows, from top to bottom."""

    titles: list[str]
    headers: list[str]
    prose: dict[str, list[str]]  #: by the kind of element
    metrics: dict[str, str]
    tables: list[pd.DataFrame]
    charts: list[Drawn]
    codes: list[str]
    formulas: list[str]
    widgets: list[Widget]
    notes: list[Text | Figure | Table]
    player: dict[str, Any] | None  #: steps, step and phases of the slider

    @property
    def text(self) -> str:
        """All prose."""
        return "\n".join(text for texts in self.prose.values() for text in texts)

    @property
    def captions(self) -> str:
        return "\n".join(self.prose["caption"])

    @property
    def errors(self) -> list[str]:
        return self.prose["error"]

    @property
    def infos(self) -> list[str]:
        return self.prose["info"]

    @property
    def drawn(self) -> list[str]:
        """The titles of the charts."""
        return [chart.title for chart in self.charts]

    @property
    def figures(self) -> list[Figure]:
        return [note for note in self.notes if isinstance(note, Figure)]

    @property
    def sources(self) -> list[str]:
        """The code of each figure, as its popover shows it."""
        return [source(figure.make, figure.arguments) for figure in self.figures]

    def numbers(self, make: str) -> pd.DataFrame:
        """Return the rows of the figure that this function makes."""
        figure = next(figure for figure in self.figures if figure.make.__name__ == make)
        made = figure.make(**figure.arguments)
        return plots.frame(made[0] if isinstance(made, tuple) else made)

    def table(self, column: str) -> pd.DataFrame:
        """Return the first table with this column."""
        return next(table for table in self.tables if column in table)

    def value(self, key: str) -> Any:
        """Return the value of a control."""
        return next(widget.value for widget in self.widgets if widget.key == key)


def shown(at: AppTest) -> Shown:
    """Read a page."""
    widgets = [Widget(*_widget(element)) for element in at if _asks(element)]
    found = at.get("bidi_component")
    return Shown(
        titles=[title.value for title in at.title],
        headers=[header.value for header in at.header],
        prose={kind: [element.value for element in at.get(kind)] for kind in PROSE},
        metrics={metric.label: metric.value for metric in at.metric},
        tables=[table.value for table in at.dataframe],
        charts=[_drawn(chart) for chart in at.get("vega_lite_chart")],
        codes=[code.value for code in at.code],
        formulas=[latex.value for latex in at.latex],
        widgets=widgets,
        notes=list(at.session_state["notes"]) if "notes" in at.session_state else [],
        player=json.loads(found[0].proto.json) if found else None,
    )


def _proto(element: Any) -> Any:
    proto = getattr(element, "proto", None)
    return proto.popover if element.type == "popover" else proto


def _asks(element: Any) -> bool:
    """Whether it is a control."""
    proto = _proto(element)
    return proto is not None and {"id", "help", "label"} <= {field.name for field in proto.DESCRIPTOR.fields}


def _widget(element: Any) -> tuple[str, str, str, str | None, Any]:
    proto = _proto(element)
    key = getattr(element, "key", None)
    return element.type, proto.label, proto.help, key, getattr(element, "value", None)


def _drawn(chart: Any) -> Drawn:
    proto = chart.proto
    sent = {dataset.name: bytes(dataset.data.data) for dataset in proto.datasets}
    return Drawn(chart.key, title_of(json.loads(proto.spec)), proto.spec, proto.alt, sent)


def title_of(spec: dict[str, Any]) -> str:
    """The title of a chart's specification, in one line."""
    title = spec.get("title", "")
    if isinstance(title, str):
        return title
    line: str = ast.literal_eval(title["text"]["expr"].rpartition(" : ")[2])  # wrapped where it is narrow
    return line


def run_cell(code: str) -> Any:
    """Run a cell as a notebook does: in an empty namespace, its value that of the last line."""
    tree = ast.parse(code)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr), "a cell must end with its chart"
    space: dict[str, Any] = {}
    exec(compile(tree, "cell", "exec"), space)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), space)


def button(at: AppTest, label: str, key: str | None = None) -> Any:
    """Find a button by its words."""
    return next(each for each in at.button if each.label == label and key in (None, each.key))


def press(at: AppTest, label: str, key: str | None = None) -> AppTest:
    """Press a button that is not disabled."""
    found = button(at, label, key)
    assert not found.disabled
    return fine(found.click().run())


def fine(at: AppTest) -> AppTest:
    """Check that no trace is shown, and one title."""
    assert not at.exception
    assert len(at.title) == 1
    return at


def choose(at: AppTest, name: str) -> AppTest:
    """Choose a run of the table on the page Runs."""
    at.selectbox(key="chosen").set_value(name).run()
    return at


def upload(at: AppTest, key: str, *files: tuple[str, bytes]) -> AppTest:
    """Put files into an uploader."""
    found = [(name, data, "application/octet-stream") for name, data in files]
    at.file_uploader(key=key).set_value(found if key.startswith(("folder", "weights")) else found[0]).run()
    return at


def add(at: AppTest, kind: str, *files: tuple[str, bytes], turn: int = 0) -> AppTest:
    """Upload a zip file, a folder or weights on the page Runs, and press the button."""
    return press(upload(at, f"{kind}-{turn}", *files), "Import", f"add-{kind}")


def key_of(at: AppTest, option: str) -> str:
    """Find the key of an option's widget on the page Train, whatever the recipe or optimizer that it belongs to."""
    (key,) = {w.key for w in shown(at).widgets if re.fullmatch(rf"form-.*-{option}", str(w.key))}
    return key


def fill(at: AppTest, **values: Any) -> AppTest:
    """Fill in the form on the page Train."""
    for option, value in values.items():
        at.get_by_key(key_of(at, option)).set_value(value)
    return fine(at.run())


def move(at: AppTest, to: int) -> AppTest:
    """Move the slider of steps."""
    at.session_state["step"] = to
    return fine(at.run())


def drag(at: AppTest, to: int) -> AppTest:
    """Move the slider of steps, and let it report that as it does in a browser."""
    (slider,) = at.get("bidi_component")
    return _report(at, WidgetState(id=slider.proto.id, json_value=json.dumps({"step": to})))


def click(at: AppTest, key: str, selection: str, **point: int) -> AppTest:
    """Click a point of a chart, or beside all points."""
    (chart,) = (chart for chart in at.get("vega_lite_chart") if chart.key == key)
    chosen = {"selection": {selection: [point] if point else []}}
    return _report(at, WidgetState(id=chart.proto.id, string_value=json.dumps(chosen)))


def _report(at: AppTest, state: WidgetState) -> AppTest:
    states = at._tree.get_widget_states()
    states.widgets.append(state)
    at._run(states)
    return fine(at)
