"""The parts of the page Sieve that change the sum and come to a verdict: of primes and of MIU."""

import math

import streamlit as st

import miii
from miii import analysis, plots
from miii.analysis.sieve import CROSSES, EXPLAINED, KEEPS, LEAST, Crossing, Interval
from miii.plots.style import Chart
from miii.runs import Run
from miii.runs.read import finite
from pages._kit import write
from pages._kit.cell import cell, shared

CHANGES = {"interchange": "Interchange", "steering": "Steering"}


@shared
def added(name: str, step: int, q: int, seen: tuple[int, ...]) -> analysis.sieve.Addition:
    run = miii.runs.open(name)
    config = analysis.sieve.check(run.config.task)
    return analysis.sieve.measure_addition(run.model(step), run.task(), config, (q,), seen)[0]


def evidence_moves(name: str, step: int, q: int, seen: tuple[int, ...], change: str) -> Chart:
    addition = added(name, step, q, seen)
    crossing = addition.interchange if change == "interchange" else addition.steering
    assert crossing is not None
    return plots.evidence_moves(crossing, change.capitalize())


def crossings(name: str, step: int, q: int, seen: tuple[int, ...]) -> Chart:
    addition = added(name, step, q, seen)
    changes = {"interchange": addition.interchange, "steering": addition.steering}
    return plots.crossings({name: crossing for name, crossing in changes.items() if crossing is not None})


def lattice(name: str, step: int, q: int, seen: tuple[int, ...]) -> Chart:
    found = added(name, step, q, seen).generalization
    assert found is not None
    return plots.lattice(found.lattice)


def section(run: Run, step: int, q: int, seen: tuple[int, ...], things: str = "integers") -> None:
    """Interchange and steering."""
    write.header("Does it use the sum?", anchor="change")
    others = [p for p in seen if p != q]
    write.text(
        f"""
What can be seen inside need not be used. So change the sum, and nothing else, and see whether the network changes its
mind. **Interchange** gives an example another one's place in the {max(1, q - 1)} direction{"s" if q > 2 else ""} in
which residues modulo {q} differ, and leaves the rest as it is. **Steering** turns the residue: it adds what a digit of
another residue would have added. The control changes as much, but keeps what the example is; another one interchanges
all but these directions. Who **crosses** has evidence on the other side of the midpoint between the two classes' medians.
"""
        + (
            f"Left out are {things} divisible by {' or '.join(map(str, others))}; partners agree modulo these."
            if others
            else ""
        )
    )
    with st.spinner("Changing the sum …", show_time=True):
        addition = added(run.name, step, q, seen)
    if run.config.model.n_layers > 1:
        write.caption(
            f"Block {addition.layer} of 0 to {run.config.model.n_layers - 1} makes this sum: its interchange flips the most predictions."
        )
    swapped = addition.interchange
    change = "steering"
    if swapped is None:
        write.caption(
            f"{q} is at least the base: each digit has a residue of its own, so its directions hold all of the sum, and interchange "
            "would succeed in any network. It is left out."
        )
    else:
        change = st.segmented_control(
            "Change",
            list(CHANGES),
            default="interchange",
            format_func=CHANGES.__getitem__,
            required=True,
            key="change",
            bind="query-params",
            help="Which of the two is drawn; the bars below show both",
        )
    crossing: Crossing = addition.steering if swapped is None or change == "steering" else swapped
    if crossing.moves:
        cell(
            evidence_moves,
            name=run.name,
            step=step,
            q=q,
            seen=seen,
            change=change or "interchange",
            width="content",
            alt=f"Distributions of the evidence before and after the change, modulo {q}.",
            caption=f"The dashed line is the midpoint. Changed are the {things} that stood on their own side of it before: "
            f"{percent(crossing.before)} of all.",
        )
    else:
        write.caption(f"There are too few {things} on either side of the midpoint to be changed.")
    cell(
        crossings,
        name=run.name,
        step=step,
        q=q,
        seen=seen,
        alt="Bars of interchange and of steering, each beside its controls.",
        caption=f"Modulo {q}, "
        + (
            ""
            if swapped is None
            else f"{percent(swapped.accuracy)} cross after an interchange (control {percent(swapped.control)}; all but the residues' "
            f"directions: {percent(swapped.rest)}; {swapped.pairs:,} {things}), and "
        )
        + f"{percent(addition.steering.accuracy)} after steering (control {percent(addition.steering.control)}; "
        f"{addition.steering.pairs:,} {things}). Asked for are at least {CROSSES:.0%}, and at most {KEEPS:.0%} in the controls.",
    )


def totals(run: Run, step: int, q: int, seen: tuple[int, ...]) -> None:
    """Whether the network adds or looks totals up."""
    write.header("Addition, or a table of totals?", anchor="totals")
    found = added(run.name, step, q, seen).generalization
    assert found is not None
    trained = int(found.lattice.trained.sum())
    write.text(
        f"""
If the sum has one vector per residue, it depends only on how many digits contribute each residue modulo {q}. Training
shows {trained} such **count vectors**, few enough to learn one answer for each. A network that adds is also right at counts
that training did not show. Each point is a count vector: the sums of test integers, moved there along mean contributions.
"""
    )
    cell(
        lattice,
        name=run.name,
        step=step,
        q=q,
        seen=seen,
        alt=f"Evidence at count vectors modulo {q}, in training and beyond.",
        caption=f"AUC of other integers against multiples of {q}: {span(found.lattice.inside)} at counts in training, "
        f"{span(found.lattice.outside)} elsewhere. "
        + (
            f"Real integers with the withheld counts: {span(found.withheld)}."
            if found.withheld
            else f"A network that adds has at least {LEAST} on both."
        ),
    )
    if found.by_counts:
        write.table(
            [{"withheld counts": counts, "AUC": finite(value)} for counts, value in found.by_counts.items()],
            width="content",
            name="withheld-counts",
        )


def span(interval: Interval) -> str:
    """An AUC with its 95% interval; a dash where multiples or others are missing."""
    if math.isnan(interval.auc):
        return "–"
    return f"{interval.auc:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def verdict(run: Run, step: int, moduli: tuple[int, ...], seen: tuple[int, ...], q: int) -> None:
    """The rule, and what it gives."""
    write.header("The verdict", anchor="verdict")
    write.text(
        f"""
The rule: a network **sums residues modulo q** if the residue explains at least {EXPLAINED:.0%} of the variance of what
digits add, at least {CROSSES:.0%} cross after interchange (where q is below the base) and after steering, and at most
{KEEPS:.0%} in each control. All must hold, on held-out examples. It **adds digits** if it is also right about sums that training did not
show; otherwise it looks the total up.
"""
    )
    every = len(moduli) == 1 or st.toggle(
        "Measure all moduli",
        key="all",
        bind="query-params",
        help=f"{', '.join(map(str, moduli))}, in place of {q} alone",
    )
    with st.spinner("Measuring …", show_time=True):
        found = tuple(added(run.name, step, p, seen) for p in (moduli if every else (q,)))
    said = analysis.sieve.verdict(found)
    if any(each.adds for each in found):
        write.box("success", f"At step {step} the network **{said}**.", "verified")
    elif every:
        write.box("info", f"At step {step} the network **{said}**.", "help")
    elif found[0].decided:
        write.box("info", f"At step {step} the network **does not sum residues modulo {q}** by this rule.", "help")
    else:
        write.box(
            "info",
            f"At step {step} there are **too few examples to tell** whether it sums residues modulo {q}.",
            "help",
        )
    write.table(
        [
            {
                "q": each.q,
                "explained": finite(each.variance_explained),
                "by chance": finite(each.explained.chance),
                "interchange": each.interchange and finite(each.interchange.accuracy),
                "its control": each.interchange and finite(each.interchange.control),
                "all else": each.interchange and finite(each.interchange.rest),
                "steering": finite(each.steering.accuracy),
                "control of steering": finite(each.steering.control),
                "sums residues": each.adds,
                "generalizes": each.generalizes,
            }
            for each in found
        ],
        width="content",
        column_config={
            name: st.column_config.NumberColumn(format="percent")
            for name in (
                "explained",
                "by chance",
                "interchange",
                "its control",
                "all else",
                "steering",
                "control of steering",
            )
        },
        name="addition-by-modulus",
    )


def percent(share: float, digits: int = 1) -> str:
    """A share in words; a dash where there was too little to measure."""
    return "–" if math.isnan(share) else f"{share:.{digits}%}"
