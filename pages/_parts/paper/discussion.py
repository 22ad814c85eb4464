"""Chapter 5 of the paper: meaning, doubts, failures and open questions."""

from pathlib import Path

import streamlit as st

from pages._kit import write
from pages._parts.paper.parts import link

LOG = Path(__file__).parents[3] / "docs" / "LOG.md"


def log() -> str:
    """Return the log with smaller headings."""
    lines = LOG.read_text(encoding="utf-8").splitlines()[1:]
    return "\n".join(line.replace("## ", "##### ", 1) if line.startswith("## ") else line for line in lines)


def chapter() -> None:
    """Show the chapter."""
    write.header("5 Discussion", anchor="discussion")
    write.text(
        """
**What it means.** Less than the draft claims. No network discovers sieving from labels alone: beyond 3, places need different weights. Extra targets
take a network further, so capacity is not the limit.

**What to doubt.** The networks are small, the seeds few. We chose the bounds; networks just above and below differ little. A circuit depends on the
corruption that found it. A probe shows what can be read, not what is used.
"""
    )
    with st.expander(
        "Log: what was tried, and what failed", icon=":material/history:", on_change="rerun", key="log"
    ) as part:
        if part.open and LOG.exists():
            write.text(log())
    write.text(
        """
**What is open.** Does any network on primes add beyond its training totals? Can labels alone teach 7? What is in the adder's unexplained variance?
How does the MIU network count? Does any of this carry over to large models?
"""
    )
    with st.container(horizontal=True):
        link("train", "Train your own: Train")
        link("progress", "Watch a circuit form: Progress", run="add-113")
