"""The one registry of background jobs of this server, shared by all sessions, pages and tabs."""

import streamlit as st
import torch

from miii.jobs import Jobs


@st.cache_resource(show_spinner=False, on_release=Jobs.close)
def registry() -> Jobs:
    """The server's jobs: one trains at a time, the rest wait."""
    return Jobs(workers=1)


@st.cache_resource(show_spinner=False)
def prepare() -> None:
    """Once a server: one torch thread, because two beside a busy interpreter are many times slower than one."""
    torch.set_num_threads(1)
