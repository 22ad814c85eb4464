"""The step slider: it plays the training, marks its phases, and updates every figure.

Streamlit's own sliders delay each move by 0.2 s, and cannot mark phases.
"""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from miii.analysis.modular.phases import Phase

_HERE = Path(__file__).parent
_PLAYER = st.components.v2.component(
    "miii_player",
    html=(_HERE / "player.html").read_text(),
    css=(_HERE / "player.css").read_text(),
    js=(_HERE / "player.js").read_text(),
)
KEY = "player"


def player(steps: Sequence[int], step: int, phases: Sequence[Phase]) -> None:
    """Show the slider at ``step``; a move sets ``st.session_state["step"]`` before the page reruns."""
    marks = [{"name": phase.name, "from": phase.start, "to": phase.end} for phase in phases]
    _PLAYER(
        key=KEY,
        data={"steps": list(steps), "step": step, "phases": marks},
        on_step_change=_moved,
    )


def _moved() -> None:
    st.session_state["step"] = int(st.session_state[KEY]["step"])
