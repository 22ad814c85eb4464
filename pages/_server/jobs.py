"""The server's registry of background jobs, shared by all sessions, pages and tabs."""

import streamlit as st
import torch

from miii import platform, runs
from miii.jobs import Job, Jobs
from pages._server import settings


@st.cache_resource(show_spinner=False, on_release=Jobs.close)
def registry() -> Jobs:
    """Return the server's jobs: one trains at a time, the rest wait."""
    return Jobs(workers=1)


@st.cache_resource(show_spinner=False)
def prepare() -> None:
    """Prepare the server once.

    Set the run folder, clean up after killed processes, and limit heaps. Use one torch thread: two are much slower next
    to a busy interpreter.
    """
    settings.prepare()
    runs.remove_unfinished()
    platform.limit_arenas()
    torch.set_num_threads(1)


def waiting() -> list[Job]:
    """Return the jobs that train or wait."""
    return [job for job in registry().all() if not job.ended]
