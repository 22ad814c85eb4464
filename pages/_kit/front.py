"""Run app.py first, on a cold server too."""

import runpy
from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager


def door() -> None:
    """Go in by app.py. Every page calls this first.

    Where there is a folder named pages, the first visitor of a cold server who follows a link to ``/name`` gets
    ``pages/name.py`` alone, without app.py and so without navigation and run picker. (One level down, the scripts would
    not be run alone, but that visitor would be told that there is no such page.) From then on this does nothing.
    """
    if PagesManager.uses_pages_directory:
        runpy.run_path(str(Path(__file__).parents[2] / "app.py"), run_name="__main__")
        st.stop()
