"""The URL has the run and the step from the first paint on, and only another page is an entry of the history.

A parameter that Python writes is an entry of the browser's history unless this module's script has run, so the script
writes the run at first.
"""

import json
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

_SCRIPT = (Path(__file__).parent / "address.js").read_text()
KEY = "address"
BEGUN = "address_begun"  #: whether the browser has the script, as far as is known
WRITTEN = "address_written"  #: the values written last, by name
LINK = "address_link"  #: the list that receives the address of the page
STALE = (
    "address_stale"  #: the run of the first address, which the browser may repeat once though the script has changed it
)


def requested(name: str) -> str | None:
    """Return a parameter of the URL that a link or Back has changed; None if it is as it was written."""
    asked = st.query_params.get(name)
    return None if asked in (last_written(name), st.session_state.get(STALE, {}).get(name)) else asked


def last_written(name: str) -> str | None:
    """Return the value that was written into the URL last."""
    return st.session_state.get(WRITTEN, {}).get(name)


def write(name: str, value: str | None) -> None:
    """Write a value into the URL, or remove it."""
    if value is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value
    st.session_state.setdefault(WRITTEN, {})[name] = value


def keep_run(run: str | None) -> None:
    """Write the chosen run into the URL; at the start of a visit the browser's script does."""
    if BEGUN in st.session_state:
        st.session_state.pop(STALE, None)
        write("run", run)
    else:
        st.session_state[BEGUN] = True
        st.session_state[STALE] = {"run": st.query_params.get("run")}
        st.session_state[WRITTEN] = {"run": run}
    told = json.dumps(run).replace("<", "\\u003c")  # or a name could end the script
    with st.container(key=KEY):
        st.html(f"<script>({_SCRIPT})({told})</script>", unsafe_allow_javascript=True)


def is_history_navigation() -> bool:
    """Return whether Back or Forward opened the page; then parameters that the URL lacks have their defaults."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def belongs_to_a_widget(name: str) -> bool:
    """Return whether a widget of the page is bound to this parameter."""
    context = get_script_run_ctx()
    if context is None:
        return False
    with context.session_state.query_params() as params:
        return params.is_bound(name)


def final_link() -> list[str]:
    """Return a list that gets the address of the finished page as its last string; none without a browser."""
    st.session_state[LINK] = [""]
    return st.session_state[LINK]


def end() -> None:
    """Store the address of the finished page."""
    base = (st.context.url or "").partition("?")[0]
    said = {name: st.query_params.get_all(name) for name in st.query_params}
    run = last_written("run")  # which the browser itself writes at first
    known = {} if run is None else {"run": [run]}
    if base and LINK in st.session_state:
        st.session_state[LINK].append(f"{base}?{urlencode(said | known, doseq=True)}")
