"""The paper as a notebook."""

import streamlit as st

from miii import runs
from miii.tasks import ModularAddition
from pages._kit import lecture, startup, write
from pages._parts.paper import addition as paper_addition
from pages._parts.paper import background as paper_background
from pages._parts.paper import discussion as paper_discussion
from pages._parts.paper import errata as paper_errata
from pages._parts.paper import generalization as paper_generalization
from pages._parts.paper import geometry as paper_geometry
from pages._parts.paper import method as paper_method
from pages._parts.paper import more as paper_more
from pages._parts.paper import primes as paper_primes
from pages._parts.paper import question as paper_question
from pages._parts.paper import references as paper_references
from pages._parts.paper import strings as paper_strings
from pages._parts.paper.parts import SEEDS, available, report, reports_of_seeds

startup.run_app_first()

COLUMN, LECTURE_COLUMN = 860, 1180  # pixels: longer lines are hard to read; the lecture view has larger type
CONTENTS = {
    "1 Question": "question",
    "2 Background": "background",
    "3 Method": "method",
    "4 Results": "results",
    "4.1 Addition": "addition",
    "4.2 Primes": "primes",
    "4.3 Strings": "miu",
    "4.4 Others": "other",
    "4.5 Missed": "ledger",
    "5 Discussion": "discussion",
    "5.1 Generalization": "generalization",
    "6 Errata": "errata",
    "7 References": "references",
}


def abstract() -> str:
    """Return the claims, with numbers from the runs."""
    run, added, primes = runs.shipped("add-113", ModularAddition), report("add-113"), reports_of_seeds()
    config, result = run.task_config, run.result
    assert result is not None
    waves, passed = len(added["key_frequencies"]), sum("modulo 3" in each["verdict"] for each in primes.values())
    explained = min(each["digit_variance_explained"]["3"] for each in primes.values())
    deepest = max(each["sieve_depth"] for each in primes.values())
    unseen = report("primes-10")["generalization"]["3"]["outside"]["auc"]
    return (
        f"**Abstract.** A one-layer transformer trained on {config.train_fraction:.0%} of the sums $a + b$ modulo {config.p} gets nearly all "
        f"others right after {result['grokked_at']} steps. It places the numbers on {waves} circles and adds by rotation: cosines of {waves} "
        f"frequencies explain {added['logit_variance_explained']:.1%} of the variance of its logits (answer scores). Rotate the circles, and the "
        f"answer shifts by exactly the chosen amount on {added['steering_accuracy']:.2%} of inputs.\n\n"
        f"Of {len(primes)} transformers trained to recognize primes by their digits, {passed} pass every test for summing the digits' residues "
        f"(remainders) modulo 3; in all of them, residues explain at least {explained:.1%} of the digits' contributions. They look the total up: "
        f"on totals absent from training, the first one's AUC (the chance that a prime outscores a multiple of 3) is {unseen:.2f}, near chance. "
        f"From labels alone, none gets past the factor {deepest}."
    )


with (
    st.container(horizontal_alignment="center"),
    st.container(width=LECTURE_COLUMN if lecture.shown() else COLUMN),
):
    write.number_figures()
    write.title("Asked for primes, it sums the digits' residues")
    write.caption(
        "Noah Syrkis's draft *Mechanistic Interpretability on Irreducible Unsigned-Integer Identifiers*, implemented, tested and rewritten."
    )
    if available("add-113", *SEEDS):
        with st.container(border=True):
            write.text(abstract())
    with st.container(key="contents"):
        write.text(" · ".join(f"[{name}](#{anchor})" for name, anchor in CONTENTS.items()))
    paper_question.chapter()
    paper_background.chapter()
    paper_method.chapter()
    write.header("4 Results", anchor="results")
    paper_addition.section()
    paper_geometry.addition()
    paper_primes.section()
    paper_geometry.primes()
    paper_strings.section()
    paper_more.section()
    paper_discussion.chapter()
    paper_generalization.section()
    paper_errata.chapter()
    paper_references.chapter()
