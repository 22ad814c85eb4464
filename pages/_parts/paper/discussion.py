"""Chapter 5 of the paper: what it means, what to doubt, what failed, and what is open."""

from pathlib import Path

import streamlit as st

from pages._kit import write
from pages._parts.paper.parts import link

LOG = Path(__file__).parents[3] / "docs" / "LOG.md"


def log() -> str:
    """What was tried, its headings small enough for a part of a page."""
    lines = LOG.read_text(encoding="utf-8").splitlines()[1:]
    return "\n".join(line.replace("## ", "##### ", 1) if line.startswith("## ") else line for line in lines)


def chapter() -> None:
    """In words alone; the numbers are in chapter 4."""
    write.header("5 Discussion", anchor="discussion")
    write.text(
        """
**What it means.** What is shown is less than the draft claims. A transformer that is only told *prime* or *not* sums the residues of digits: modulo 3, in base 10,
where each digit weighs the same wherever it stands. It looks the total up, and is wrong about totals that training did not show. It does not discover sieving. The next primes need another weight for each place, bring less, and are beyond what labels alone taught any network
of ours. What a network can *hold* and what it *finds* are different things: told residues as well, a network with one layer more sieves on.

**What to doubt.** The networks are small, and few; the seeds are five. "Sums residues" means a rule with bounds that we set: a network just below one of them does so hardly less than one just above. The measures
of digits look at the last attention only, so of two layers they say little. A circuit is the circuit of a question, and of the corruption that it was found with. That a linear map can be read off does not
mean that it is used, which is why steering and interchange, not probes, decide.

**What failed.** Among much else: steering by the planes' own inverse in place of regression; key frequencies by a threshold; four heads on primes, which sometimes add the other way round a circle, so that equal
residues add unlike vectors; every attempt on 7 by labels alone; all residues at once beyond a plateau that neither width, schedule nor dropout of neurons moves; labels of frames beyond the last digit.
"""
    )
    with st.expander(
        "The log: everything that was tried, with its numbers", icon=":material/history:", on_change="rerun", key="log"
    ) as part:
        if part.open and LOG.exists():
            write.text(log())
    write.text(
        """
**What is open.** Whether any network on primes adds beyond the totals it was trained on. Whether labels alone can teach 7, and in which base or order of examples. What the plateau of all residues is made of. What the rest of the adder's logits does. Whether the MIU network counts
modulo 3 by a mechanism that our measures miss. And whether any of it says something of large models, where nobody knows the answer beforehand. The quickest way to help is to train one and take it apart.
"""
    )
    with st.container(horizontal=True):
        link("train", "Train one: Train")
        link("progress", "Watch a circuit form: Progress", run="add-113")
