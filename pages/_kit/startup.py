"""Run app.py first, even on a cold server."""

import runpy
from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager


def run_app_first() -> None:
    """Run app.py if it has not run yet; every page calls this first.

    With a folder named pages, the first visitor of a cold server who opens ``/name`` gets ``pages/name.py`` alone,
    without the navigation and run picker of app.py. (With scripts one level down, that visitor would see "page not
    found".) Later calls do nothing.
    """
    if PagesManager.uses_pages_directory:
        runpy.run_path(str(Path(__file__).parents[2] / "app.py"), run_name="__main__")
        st.stop()
