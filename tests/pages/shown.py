"""What a visited page shows, where AppTest itself has no word for it."""

import json
from typing import Any

from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from miii.notebook.cells import Figure
from miii.notebook.source import source


def figures(at: AppTest) -> list[Figure]:
    """The cells with a figure, from top to bottom."""
    return [note for note in at.session_state["notes"] if isinstance(note, Figure)]


def steps_drawn(at: AppTest) -> set[int]:
    """The snapshots that the figures are drawn of."""
    return {figure.arguments["step"] for figure in figures(at) if "step" in figure.arguments}


def codes(at: AppTest) -> list[str]:
    """The code of every figure, as its popover shows it."""
    return [source(figure.make, figure.arguments) for figure in figures(at)]


def player(at: AppTest) -> dict[str, Any] | None:
    """Steps, step and phases of the slider below the page; None where there is none."""
    found = at.get("bidi_component")
    return json.loads(found[0].proto.json) if found else None


def stands_at(at: AppTest) -> int:
    """The step that the slider stands at."""
    shown = player(at)
    assert shown is not None
    return shown["step"]


def move(at: AppTest, to: int) -> AppTest:
    """The slider is moved."""
    at.session_state["step"] = to
    return at.run()


def drag(at: AppTest, to: int) -> AppTest:
    """The slider is moved, and says so as it does in a browser."""
    (slider,) = at.get("bidi_component")
    return _heard(at, WidgetState(id=slider.proto.id, json_value=json.dumps({"step": to})))


def click(at: AppTest, key: str, selection: str, **point: int) -> AppTest:
    """A point of a chart is chosen."""
    (chart,) = (chart for chart in at.get("vega_lite_chart") if chart.key == key)
    chosen = {"selection": {selection: [point] if point else []}}
    return _heard(at, WidgetState(id=chart.proto.id, string_value=json.dumps(chosen)))


def _heard(at: AppTest, state: WidgetState) -> AppTest:
    """The page runs again because of a widget that AppTest cannot move."""
    states = at._tree.get_widget_states()
    states.widgets.append(state)
    at._run(states)
    assert not at.exception
    return at
