"""The next term on the page Sequences: residues of a network, combined by Chinese remaindering, and baselines."""

from typing import Any

import pandas as pd
import streamlit as st

import miii
from miii import analysis, plots, runs
from miii.analysis.sequences.continuation import KINDS, Continuation
from miii.plots.style import Chart
from miii.runs import Run
from miii.tasks import Sequences
from miii.tasks.sequences.guesses import BITS
from miii.tasks.sequences.typed import spelled
from pages._kit import write
from pages._kit.cell import cell, shared
from pages._kit.inputs import integer

DIGITS_SOLVED = 60  # digits of a term up to which its shortest recurrence is computed: its fractions grow
LARGEST_BITS = 2 * BITS  # beyond these, all sizes are one class
CONTINUED = "continued"  # session key: the sequence that "Terms given" is of
QUICK = 20  # sequences of each kind that the page measures; the report of a shipped run has more


@shared
def continued(name: str, step: int, terms: str, given: int) -> analysis.continuation.Continuation:
    run, read = miii.runs.open(name), analysis.kinds.parse(terms).terms
    config = analysis.continuation.check(run.config.task)
    return analysis.continuation.predict(run.model(step), config, read[:given])


def residues(name: str, step: int, terms: str, given: int) -> Chart:
    read = analysis.kinds.parse(terms).terms
    return plots.next_residues(continued(name, step, terms, given), read[given] if given < len(read) else None)


def network_for_next(run: Run, step: int) -> tuple[Run, int] | None:
    """Return the run if it continues sequences, else another one that does, with a step."""
    if isinstance(run.config.task, Sequences) and run.config.task.target == "continuation":
        return run, step
    others = (each for each in runs.every() if isinstance(each.config.task, Sequences))
    found = next((each for each in others if each.config.task.target == "continuation" and each.steps), None)  # type: ignore[union-attr]
    return None if found is None else (found, found.steps[-1])


def next_term(run: Run, step: int, terms: str, read: tuple[int, ...]) -> None:
    """Show the next term by a network and by the shortest linear recurrence, beside the truth where it is known."""
    write.header("The next term", anchor="next")
    known = len(read) - 1 if len(read) > 24 else len(read)
    if st.session_state.setdefault(CONTINUED, terms) != terms:
        st.session_state[CONTINUED], st.session_state["given"] = terms, min(24, known)
    given = integer(
        "Terms given",
        2,
        len(read),
        min(24, known),
        "given",
    ) or min(24, known)
    true = read[given] if given < len(read) else None
    chosen = network_for_next(run, step)
    if chosen is not None:
        by_network(chosen[0], chosen[1], terms, given, true)
    by_recurrence(read[:given], true)
    if chosen is not None:
        accuracy(*chosen)


def by_network(run: Run, step: int, terms: str, given: int, true: int | None) -> None:
    """Show what a network predicts modulo 2, 3, .., and how the residues combine."""
    found = continued(run.name, step, terms, given)
    answer = "**no term**" if found.term is None else f"**{spelled(found.term)}**"
    truth = "" if true is None else f" The true term is {spelled(true)}."
    write.text(
        f"{run.name} predicts {answer}.{truth} It reads simple rules' predictions (repetitions, differences, fitted coefficients) and how often each "
        f"was right, and outputs the next term's residues and size, {spelled(found.smallest)} to {spelled(found.largest)} "
        f"(confidence {found.probability:.0%}). The **Chinese remainder theorem** combines the most confident residues."
    )
    if max(abs(term).bit_length() for term in analysis.kinds.parse(terms).terms[:given]) >= LARGEST_BITS:
        write.text(f"With terms of {LARGEST_BITS} or more bits, residues may be right; the answer cannot be.")
    cell(
        residues,
        name=run.name,
        step=step,
        terms=terms,
        given=given,
        caption=failed(found, true),
    )
    rows = [
        {
            "modulus": each.modulus,
            "residue": each.residue,
            "confidence": f"{each.probability:.1%}",
            "rule attended to": each.rule,
            "combined": each.used,
            "agrees": each.agrees,
        }
        | ({} if true is None else {"true residue": true % each.modulus})
        for each in found.residues
    ]
    with st.expander("Chinese remainder table"):
        write.table(pd.DataFrame(rows), name="remainders")


def failed(found: Continuation, true: int | None) -> str:
    """Return which residues failed, or how many moduli were combined."""
    combined = f"{sum(each.used for each in found.residues)} moduli are combined, with least common multiple {spelled(found.product)}."
    if true is None:
        return combined
    wrong = [str(each.modulus) for each in found.residues if true % each.modulus != each.residue]
    if not wrong:
        return f"{combined} All residues are correct."
    return f"{combined} Wrong residues: modulo {', '.join(wrong)}."


def by_recurrence(read: tuple[int, ...], true: int | None) -> None:
    """Show the next term by the shortest linear recurrence, without a network."""
    if max(len(f"{abs(term):x}") for term in read) > DIGITS_SOLVED:
        write.text("These terms are too large for a search of recurrences.")
        return
    found = analysis.recurrences.shortest(read)
    if found.tested < 1:
        write.text(
            f"**No linear recurrence** (Berlekamp–Massey): the shortest, of order {len(found.coefficients)}, uses up all {len(read)} terms."
        )
        return
    rule = " ".join(
        f"{'+' if c > 0 else '−'} {'' if abs(c) == 1 else f'{abs(c)} '}x[n−{i}]"
        for i, c in enumerate(found.coefficients, 1)
        if c
    )
    following = spelled(int(found.following)) if found.following.denominator == 1 else str(found.following)
    verdict = "" if true is None else " (correct)" if found.following == true else " (wrong)"
    write.text(
        f"The shortest linear recurrence (Berlekamp–Massey, no network) gives **{following}**{verdict}: "
        f"x[n] = {rule.removeprefix('+ ') or '0'}. It predicts {found.tested} further terms."
    )


@shared
def exact(name: str, step: int, each: int) -> list[dict[str, Any]]:
    run = miii.runs.open(name)
    if (report := run.report_at(step)) is not None:
        return list(report["exact"])
    config = analysis.continuation.check(run.config.task)
    return [
        {str(k): v for k, v in row.items()}
        for row in analysis.continuation.exact(run.model(step), config, each).to_dict("records")
    ]


def accuracy(run: Run, step: int) -> None:
    """Show the share of exact next terms, by kind of rule and on the named sequences."""
    reported = run.report_at(step)
    if reported is None and not st.toggle(
        "Measure next terms", key="measure_next", bind="query-params", help="About ten seconds"
    ):
        return
    rows = exact(run.name, step, QUICK)
    four = {row["rule"]: row["network"] for row in rows if row["rule"] in KINDS}
    write.subheader("How often is the next term exact?")
    write.text(
        f"On held-out families, {run.name} is exact for "
        + ", ".join(f"{share:.0%} of {rule} rules" for rule, share in four.items())
        + "."
    )
    shares = {
        name: st.column_config.NumberColumn(format="percent") for name in rows[0] if name not in ("rule", "sequences")
    }
    write.table(pd.DataFrame(rows), name="exact", column_config=shares)
    write.caption("“longest run” has no network: at each modulus, the rule right for most terms in a row.")
    if reported is not None:
        named = reported["named"]
        write.text(
            f"On the {len(named)} named sequences, the term after {run.config.task.longest} is exact for "  # type: ignore[union-attr]
            f"{reported['named_correct']:.0%}; Berlekamp–Massey has {reported['named_recurrence']:.0%}."
        )
        with st.expander(f"All {len(named)} named sequences, next terms"):
            write.table(pd.DataFrame(named), name="named_next")
