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
**What it means.** Less than the draft claims. Trained on *prime* or *not*, most of our networks sum digit residues modulo 3, look the total up, and
fail on totals absent from training. No network discovers sieving: the next primes need a weight for each place, which labels alone taught none of
them. With residues as extra targets, a two-layer network sieves further, so capacity is not the limit.

**What to doubt.** The networks are small, and the seeds few. The bounds of "sums residues" are our choice, and networks just above and just below
them differ little. A circuit depends on the corruption used to find it. A linear probe shows what can be read, not what the network uses; so steering
and interchange decide.

**What failed.** Among others: steering by the planes' own inverse; key frequencies by a threshold; four heads on primes, which sometimes give digits
of equal residue different vectors; 7 from labels alone; labels of frames beyond the last digit.
"""
    )
    with st.expander(
        "The log: everything tried, with figures", icon=":material/history:", on_change="rerun", key="log"
    ) as part:
        if part.open and LOG.exists():
            write.text(log())
    write.text(
        """
**What is open.** Does any network on primes add beyond its training totals? Can labels alone teach 7, and in which base or order of examples? What
does the unexplained part of the adder's logits do? Does the MIU network count modulo 3 by a mechanism that our measures miss? Does any of this carry
over to large models?
"""
    )
    with st.container(horizontal=True):
        link("train", "Train your own: Train")
        link("progress", "Watch a circuit form: Progress", run="add-113")
