"""The address: the run and the step stand in it from the first paint on, and only another page is a step of Back.

What Python writes into the URL is an entry of the browser's history, unless the script has run that this module brings along:
so it is the script that writes the run at first.
"""

import json
from pathlib import Path
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

_SCRIPT = (Path(__file__).parent / "address.js").read_text()
KEY = "address"
BEGUN = "address_begun"  #: whether a browser has the script, as far as can be known
WRITTEN = "address_written"  #: what was written last, by name
LINK = "address_link"  #: where the address of the page is noted
STALE = (
    "address_stale"  #: the run of the first address, which the browser may repeat once though the script has changed it
)


def followed(name: str) -> str | None:
    """What the URL says of a name, where a link or a way back has changed it; None where it is as it was written."""
    asked = st.query_params.get(name)
    return None if asked in (written(name), st.session_state.get(STALE, {}).get(name)) else asked


def written(name: str) -> str | None:
    """What was put into the URL last."""
    return st.session_state.get(WRITTEN, {}).get(name)


def write(name: str, value: str | None) -> None:
    """Put a value into the URL, or take it out."""
    if value is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value
    st.session_state.setdefault(WRITTEN, {})[name] = value


def keep(run: str | None) -> None:
    """Put the run that every page shows into the URL, or leave that to the browser where a visit begins."""
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


def came_back() -> bool:
    """Whether the page runs because of Back or Forward, so that what the URL does not say is as it is at first."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def belongs_to_a_widget(name: str) -> bool:
    """Whether a widget of the page is bound to this name in the URL."""
    context = get_script_run_ctx()
    if context is None:
        return False
    with context.session_state.query_params() as params:
        return params.is_bound(name)


def later() -> list[str]:
    """A list whose last string is the address of the page once it stands; empty where there is no browser."""
    st.session_state[LINK] = [""]
    return st.session_state[LINK]


def end() -> None:
    """The page stands: note its address."""
    base = (st.context.url or "").partition("?")[0]
    said = {name: st.query_params.get_all(name) for name in st.query_params}
    run = written("run")  # which the browser itself writes at first
    known = {} if run is None else {"run": [run]}
    if base and LINK in st.session_state:
        st.session_state[LINK].append(f"{base}?{urlencode(said | known, doseq=True)}")
