"""Keep the run and the step in the URL from the first paint; only page changes create history entries.

A parameter written by Python creates a browser history entry until this module's script has run. So the script writes
the first run.
"""

import json
import time
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

_SCRIPT = (Path(__file__).parent / "address.js").read_text()
KEY = "address"
SCRIPT_LOADED = "address_begun"  #: whether the browser is known to have the script
WRITTEN = "address_written"  #: the last written values, by name
RECENT = "address_recent"  #: when which value was written on which page, by name and value
LAG = 10  #: seconds; a rerun may carry an address that the browser has not updated yet, while a slider is dragged
LINK = "address_link"  #: the list that receives the page's address
STALE = "address_stale"  #: the run of the first address; the browser may resend it once after the script changed it


def requested(name: str) -> str | None:
    """Return a URL parameter changed by a link or Back; None if unchanged since last written."""
    asked = st.query_params.get(name)
    if asked in (last_written(name), st.session_state.get(STALE, {}).get(name)):
        return None
    return None if asked is not None and not is_history_navigation() and _is_late(name, asked) else asked


def _is_late(name: str, asked: str) -> bool:
    """Return whether this page wrote the value a moment ago and has written another since."""
    page, when = st.session_state.get(RECENT, {}).get((name, asked), (None, 0.0))
    return page == _page() and time.monotonic() - when < LAG


def _page() -> str | None:
    context = get_script_run_ctx()
    return None if context is None else context.page_script_hash


def last_written(name: str) -> str | None:
    """Return the last value written to the URL."""
    return st.session_state.get(WRITTEN, {}).get(name)


def write(name: str, value: str | None, dragged: bool = False) -> None:
    """Write a value to the URL, or remove it; one that is dragged may change faster than the browser's address."""
    if value is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value
    before = last_written(name)
    if dragged and before is not None and before != value:  # the browser may still send it
        st.session_state.setdefault(RECENT, {})[name, before] = (_page(), time.monotonic())
    st.session_state.setdefault(WRITTEN, {})[name] = value


def keep_run(run: str | None) -> None:
    """Write the chosen run to the URL; at the start of a visit, the browser's script does."""
    if SCRIPT_LOADED in st.session_state:
        st.session_state.pop(STALE, None)
        write("run", run)
    else:
        st.session_state[SCRIPT_LOADED] = True
        st.session_state[STALE] = {"run": st.query_params.get("run")}
        st.session_state[WRITTEN] = {"run": run}
    name_json = json.dumps(run).replace("<", "\\u003c")  # otherwise a name could end the script
    with st.container(key=KEY):
        st.html(f"<script>({_SCRIPT})({name_json})</script>", unsafe_allow_javascript=True)


def is_history_navigation() -> bool:
    """Return whether Back or Forward opened the page; missing URL parameters then mean their defaults."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def belongs_to_a_widget(name: str) -> bool:
    """Return whether a widget of the page is bound to this parameter."""
    context = get_script_run_ctx()
    if context is None:
        return False
    with context.session_state.query_params() as params:
        return params.is_bound(name)


def keep(*names: str) -> None:
    """Write the values of text fields to the URL where Streamlit has not.

    A click on a chart may rerun the page twice. The second run carries the address from before the first, which takes
    back what the first has written.
    """
    context = get_script_run_ctx()
    if context is None:
        return
    with context.session_state.query_params() as params:
        for name in names:
            value = st.session_state.get(name)
            if value and params.is_bound(name) and (st.query_params.get(name), last_written(name)) != (value, value):
                params.set_corrected_value(name, str(value), "string_value")
            st.session_state.setdefault(WRITTEN, {})[name] = value or None


def final_link() -> list[str]:
    """Return a list that receives the finished page's address as its last string; none without a browser."""
    st.session_state[LINK] = [""]
    return st.session_state[LINK]


def end() -> None:
    """Store the address of the finished page."""
    base = (st.context.url or "").partition("?")[0]
    params = {name: st.query_params.get_all(name) for name in st.query_params}
    run = last_written("run")  # the browser writes it first
    known = {} if run is None else {"run": [run]}
    if base and LINK in st.session_state:
        st.session_state[LINK].append(f"{base}?{urlencode(params | known, doseq=True)}")
