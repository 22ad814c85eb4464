"""The network in the browser, as in an exported article: turn its planes and see one answer move, without a rerun."""

import streamlit as st

from miii import runs
from miii.notebook import network

_SHOW = """
const shown = new WeakMap();
export default function ({ parentElement, data }) {
  if (shown.get(parentElement) === data.weights) return; // a rerun of the page; another step has other weights
  shown.set(parentElement, data.weights);
  showNetwork(parentElement.querySelector(".network"), data);
}
"""
_LIVE = st.components.v2.component(
    "miii_network", html='<div class="network"></div>', css=network.STYLE, js=network.SCRIPT + _SHOW
)


def show(name: str, step: int, stamp: float) -> None:
    """Show fields for a and b, and a slider for the turn; a note if the script cannot run the network.

    Args:
        stamp: changes when the run is rewritten under the same name.
    """
    values = _values(name, step, stamp)
    if values is None:
        st.caption("Browsers run plain blocks with attention only.")
    else:
        _LIVE(key="live-network", data=values)


@st.cache_data(max_entries=16, show_spinner=False)
def _values(name: str, step: int, stamp: float) -> dict | None:
    return network.of_run(runs.open(name), step)
