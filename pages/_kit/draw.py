"""Draw a chart on a page: computed once, sent repeatedly, with selectable points."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import pandas as pd
import pyarrow as pa
import streamlit as st

from miii.plots.style import CANVAS, Chart, wrapped

Width = Literal["stretch", "content"]
CONFIG = {"legend": {"orient": "top", "labelLimit": 320}, "axisY": {"labelFlush": False}}
PHONE = 350  #: width of a chart on a phone, in pixels
LETTER, SYMBOL, AXIS = 6.5, 26, 100  #: pixels of a label's letter, a legend's symbol, an axis
Chosen = Callable[[dict[str, Any]], None]
Pick: TypeAlias = tuple[str, Chosen] | Mapping[str, Chosen]


@dataclass(frozen=True)
class Drawing:
    """A chart as Streamlit sends it: a specification and its named data.

    The names are stable, so the browser updates a chart with new values in place.
    """

    spec: str
    data: Mapping[str, bytes]  # Arrow's stream format, sent unchanged by Streamlit


def drawing(chart: Chart) -> Drawing:
    """Return a chart ready for the browser. Skip Altair's slow validation, which the tests cover."""
    spec = chart.to_dict(validate=False)
    datasets = spec.pop("datasets", {})
    names = {old: f"data-{i}" for i, old in enumerate(datasets)}

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            if value.keys() == {"name"} and value["name"] in names:
                return {"name": names[value["name"]]}
            return {key: renamed(below) for key, below in value.items()}
        return [renamed(below) for below in value] if isinstance(value, list) else value

    _fit(spec)
    spec |= {"usermeta": CANVAS}  # a canvas redraws at once; a page of SVG takes half a second
    return Drawing(json.dumps(renamed(spec)), {names[old]: _arrow(rows) for old, rows in datasets.items()})


def _fit(spec: dict[str, Any]) -> None:
    """Wrap a long title, and stack a long legend, where the chart is too narrow for it; put legends above plots."""
    spec["config"] = {**spec.get("config", {}), **CONFIG}
    title = spec.get("title")
    fixed = spec.get("autosize", {}).get("type") == "pad"  # such a chart may be narrower than its place
    if isinstance(title, str):
        spec["title"] = wrapped(title, "windowSize()[0] - 32" if fixed else "containerSize()[0]")
    for color in () if fixed else _legends(spec):
        names = [str(name) for name in color["scale"]["domain"]]
        widths = [LETTER * len(name) + SYMBOL for name in names]
        columns = color["legend"].get("columns", 0)
        across = (min(columns, len(names)) * max(widths) if columns else sum(widths)) + AXIS
        if across > PHONE:
            narrow = f"containerSize()[0] < {across}"
            fitting = f"max(1, floor((containerSize()[0] - {AXIS}) / {max(widths)}))"
            color["legend"]["columns"] = {"expr": f"{narrow} ? {fitting} : {columns}"}


def _legends(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the encodings in a specification that have a legend of listed names."""
    if isinstance(value, dict):
        if isinstance(value.get("legend"), dict) and isinstance(value.get("scale", {}).get("domain"), list):
            yield value
        for below in value.values():
            yield from _legends(below)
    elif isinstance(value, list):
        for below in value:
            yield from _legends(below)


def _arrow(rows: list[dict[str, Any]]) -> bytes:
    table = pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)
    file = pa.BufferOutputStream()
    with pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    return bytes(file.getvalue())


def draw(
    what: Chart | Drawing,
    *,
    alt: str,
    key: str,
    width: Width = "stretch",
    pick: Pick | None = None,
) -> None:
    """Show a chart.

    Args:
        alt: what it shows, for screen readers.
        pick: the name of a selection, and a callback for the selected point or rectangle, called before the page
            reruns; or several, of which the first selected one is called. Provide a widget that does the same, for
            keyboard users.
    """
    made = what if isinstance(what, Drawing) else drawing(what)
    spec = json.loads(made.spec) | {"datasets": dict(made.data)}
    if pick is None:
        st.vega_lite_chart(spec, width=width, alt=alt, key=key)
        return
    picks = pick if isinstance(pick, Mapping) else dict([pick])

    def heard() -> None:
        for name, chosen in picks.items():
            found = st.session_state[key].selection.get(name)
            if found:
                return chosen(found[0] if isinstance(found, list) else dict(found))

    st.vega_lite_chart(spec, width=width, alt=alt, key=key, on_select=heard, selection_mode=list(picks))
