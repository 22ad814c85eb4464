"""The paper as a notebook."""

import streamlit as st

from miii import runs
from miii.errors import join_names
from miii.tasks import ModularAddition
from pages._kit import startup, write
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

COLUMN = 860  # pixels: longer lines are hard to read
CONTENTS = {
    "1 Question": "question",
    "2 Background": "background",
    "3 Method": "method",
    "4 Results": "results",
    "5 Discussion": "discussion",
    "6 Errata": "errata",
    "7 References": "references",
}
RESULTS = {
    "4.1 Addition": "addition",
    "4.2 Primes": "primes",
    "4.3 Strings": "miu",
    "4.4 Other numbers": "other",
    "4.5 What is not reached": "ledger",
    "5.2 Generalization": "generalization",
}


def abstract() -> str:
    """The claim in three sentences, whose numbers are read from the runs."""
    run, added, primes = runs.shipped("add-113", ModularAddition), report("add-113"), reports_of_seeds()
    config, result = run.task_config, run.result
    assert result is not None
    waves, passed = len(added["key_frequencies"]), sum("modulo 3" in each["verdict"] for each in primes.values())
    explained = min(each["digit_variance_explained"]["3"] for each in primes.values())
    deepest = max(each["sieve_depth"] for each in primes.values())
    unseen = report("primes-10")["generalization"]["3"]["outside"]["auc"]
    return (
        f"**Abstract.** A network of one layer that is shown {config.train_fraction:.0%} of the sums $a + b$ modulo {config.p} answers the others "
        f"too after {result['grokked_at']} steps, because it has put the numbers on {waves} circles, on which adding is turning: a "
        f"sum of {waves} cosines explains {added['logit_variance_explained']:.1%} of what it says, and whoever turns its circles "
        f"from outside makes it answer a chosen number more in {added['steering_accuracy']:.2%} of all cases.\n\n"
        f"Networks that see the digits of integers and are told one bit, prime or not, sum the digits' residues modulo 3: "
        f"in each of {len(primes)}, which differ in their seed alone, the residue explains at least "
        f"{explained:.1%} of what a digit adds, and {passed} of them pass every test of that sum. They look the total up: "
        f"moved to totals that training did not show, the evidence separates multiples of 3 with an AUC of {unseen:.2f}.\n\n"
        f"Told labels alone, none sees a factor beyond {deepest}; what else was tried and not reached is said where it was tried."
    )


with st.container(horizontal_alignment="center"), st.container(width=COLUMN):
    write.title("Asked for primes, it sums the digits' residues")
    write.caption(
        "The draft *Mechanistic Interpretability on Irreducible Unsigned-Integer Identifiers* by Noah Syrkis, carried out, in words of "
        "our own. Every number here is read from a network that came with miii, and below every figure are its code and its numbers."
    )
    if available("add-113", *SEEDS):
        with st.container(border=True):
            write.text(abstract())
    for names in (CONTENTS, RESULTS):
        write.text(" · ".join(f"[{name}](#{anchor})" for name, anchor in names.items()))
    write.caption(
        f"In five minutes: {join_names(['the abstract', 'chapter 1', 'the first figures of 4.1 and 4.2'])}. No machine learning is "
        "needed for them. Whoever wants definitions finds them in chapter 2, and the rules by which we judge in chapter 3."
    )
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
