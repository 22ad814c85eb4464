"""The one registry of background jobs of this server, shared by all sessions, pages and tabs."""

import streamlit as st
import torch

from miii import platform, runs
from miii.jobs import Job, Jobs
from pages._server import settings


@st.cache_resource(show_spinner=False, on_release=Jobs.close)
def registry() -> Jobs:
    """The server's jobs: one trains at a time, the rest wait."""
    return Jobs(workers=1)


@st.cache_resource(show_spinner=False)
def prepare() -> None:
    """Once a server: where runs are written, without what killed processes left there; few heaps; one torch thread, for two beside a busy interpreter are much slower."""
    settings.prepare()
    runs.tidy()
    platform.limit_arenas()
    torch.set_num_threads(1)


def waiting() -> list[Job]:
    """The jobs that train or wait for their turn."""
    return [job for job in registry().all() if not job.over]
