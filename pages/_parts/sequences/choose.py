"""The choice of a sequence, and its kinds, on the pages Sequences and Follow an input."""

import streamlit as st

import miii
from miii import analysis, plots
from miii.errors import InputError
from miii.plots.style import Chart
from miii.tasks.sequences.kinds import KINDS, SHORTEST
from miii.tasks.sequences.named import named
from miii.tasks.sequences.typed import DIGITS, FEWEST, MOST, parse
from pages._kit import write
from pages._kit.cell import cell

FIRST = "Fibonacci numbers"


def confidences(name: str, step: int, terms: str) -> Chart:
    run, read = miii.runs.open(name), analysis.kinds.parse(terms).terms
    config = analysis.kinds.check(run.config.task)
    found = analysis.kinds.of_terms(run.model(step), config, read)
    return plots.kind_confidences(found, sorted(analysis.kinds.known_kinds(read)))


def show_kinds(name: str, step: int, terms: str) -> None:
    """Show the confidence of each kind of a sequence."""
    short = len(parse(terms).terms) < SHORTEST
    cell(
        confidences,
        name=name,
        step=step,
        terms=terms,
        caption="Colored: kinds known to hold." + f" Fewer than {SHORTEST} terms decide none." * short,
    )


def sequence() -> str:
    """Show the choice of a named sequence and the box for another one; return its text, or stop."""
    names = list(named())
    chosen = st.selectbox(
        "Named sequence",
        names,
        index=names.index(FIRST),
        key="named",
        bind="query-params",
        width=320,
        help="Outside the training grammar",
    )
    text = st.text_area(
        "Or type one",
        key="terms",
        height=80,
        placeholder="1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 144",
        help=f"{FEWEST} to {MOST} integers, up to {DIGITS:,} digits; or an OEIS b-file",
    )
    if not text.strip():
        return ", ".join(map(str, named()[chosen or FIRST].terms))
    try:
        read = parse(text)
    except InputError as error:
        write.error(error)
        write.stop()
    if read.given > MOST:
        write.info(f"{read.given:,} terms were given; the first {MOST} are used.")
    return read.text


def kind() -> str:
    """Show the choice of a kind."""
    found = st.selectbox(
        "Kind",
        list(KINDS),
        list(KINDS).index("recurrence"),
        key="kind",
        bind="query-params",
        width=200,
    )
    return found or next(iter(KINDS))
