"""Interventions on the sum, and the verdict, for the page Sieve: for primes and MIU."""

import math

import streamlit as st

import miii
from miii import analysis, plots
from miii.analysis.sieve import CROSSES, EXPLAINED, KEEPS, LEAST, Crossing, Interval
from miii.errors import join_names
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
    """Show interchange and steering."""
    write.header("Does the network use the sum?", anchor="change")
    others = [p for p in seen if p != q]
    digits = q in seen and bool(others)
    write.text(
        f"""
**Interchange** swaps in another example's coordinates in the {max(1, q - 1)} direction{"s" if q > 2 else ""} that separate{"" if q > 2 else "s"}
residues modulo {q}; **steering** adds the difference of two {"digits" if digits else "residues"}' contributions. An example **crosses** if its
evidence (difference of logits) passes the midpoint of the classes' medians. Controls: changes within a class, and interchanging everything
*but* these directions.
"""
        + (f"Multiples of {join_names(list(map(str, others)))} are left out." if others else "")
    )
    with st.spinner("Intervening …", show_time=True):
        addition = added(run.name, step, q, seen)
    if run.config.model.n_layers > 1:
        write.table(
            [
                {
                    "block": layer,
                    "interchange": finite(each.accuracy),
                    "same class": finite(each.control),
                    "everything else": finite(each.rest),
                }
                for layer, each in enumerate(addition.by_block)
            ],
            width="content",
            column_config={
                name: st.column_config.NumberColumn(format="percent")
                for name in ("interchange", "same class", "everything else")
            },
            name="interchange-by-block",
        )
        write.caption(
            f"Most training examples cross after interchange in block {addition.layer}; what follows is measured there, on test examples."
        )
    swapped = addition.interchange
    change = "steering"
    if swapped is None:
        write.caption(f"No interchange for {q}: with one residue for each digit, it would succeed in any network.")
    else:
        change = st.segmented_control(
            "Change",
            list(CHANGES),
            default="interchange",
            format_func=CHANGES.__getitem__,
            required=True,
            key="change",
            bind="query-params",
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
            caption=f"Dashed: the midpoint. Changed: the {percent(crossing.before)} of {things} on its correct side.",
        )
    else:
        write.caption(f"Too few {things} lie on the correct side of the midpoint.")
    cell(
        crossings,
        name=run.name,
        step=step,
        q=q,
        seen=seen,
        caption=f"Modulo {q}, "
        + (
            ""
            if swapped is None
            else f"{percent(swapped.accuracy)} cross after interchange (control {percent(swapped.control)}; all else "
            f"{percent(swapped.rest)}; {swapped.pairs:,} {things}), "
        )
        + f"{percent(addition.steering.accuracy)} cross after steering (control {percent(addition.steering.control)}; "
        f"{addition.steering.pairs:,} {things}).",
    )


def totals(run: Run, step: int, q: int, seen: tuple[int, ...]) -> None:
    """Show whether the network adds or looks totals up."""
    write.header("Addition, or a lookup table of totals?", anchor="totals")
    found = added(run.name, step, q, seen).generalization
    assert found is not None
    trained = int(found.lattice.trained.sum())
    write.text(
        f"""
A sum of residues depends only on how many digits have each residue. We move sums of test integers to the {trained} such **count vectors**
modulo {q} in training, and to others.
"""
    )
    cell(
        lattice,
        name=run.name,
        step=step,
        q=q,
        seen=seen,
        caption=f"AUC against multiples of {q}: {span(found.lattice.inside)} at counts in training, "
        f"{span(found.lattice.outside)} outside. "
        + (
            f"On real integers with withheld counts: {span(found.withheld)}."
            if found.withheld
            else f"Adding requires {LEAST} on both."
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


def verdict(
    run: Run,
    step: int,
    moduli: tuple[int, ...],
    seen: tuple[int, ...],
    q: int,
    lines: tuple[analysis.sieve.Lines, ...] = (),
) -> None:
    """Show the verdict and the rule behind it."""
    write.header("The verdict", anchor="verdict")
    every = len(moduli) == 1 or st.toggle(
        "Measure all moduli",
        key="all",
        bind="query-params",
    )
    with st.spinner("Measuring …", show_time=True):
        found = tuple(added(run.name, step, p, seen) for p in (moduli if every else (q,)))
    said = analysis.sieve.verdict(found, lines)
    if any(each.adds for each in found) or any(each.adds for each in lines):
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
    for each in found:
        if each.decided and not each.adds:
            write.text(f"Modulo {each.q} it falls short on {'; '.join(condition.text for condition in each.missed)}.")
    write.table(
        [
            {
                "q": each.q,
                "sums residues": each.adds,
                "generalizes": each.generalizes,
                "explained": finite(each.variance_explained),
                "by chance": finite(each.explained.chance),
                "interchange": each.interchange and finite(each.interchange.accuracy),
                "interchange control": each.interchange and finite(each.interchange.control),
                "everything else": each.interchange and finite(each.interchange.rest),
                "steering": finite(each.steering.accuracy),
                "steering control": finite(each.steering.control),
            }
            for each in found
        ],
        width="content",
        column_config={
            name: st.column_config.NumberColumn(label, format="percent")
            for name, label in {
                "explained": "explained",
                "by chance": "by chance",
                "interchange": "interchange",
                "interchange control": "control",
                "everything else": "all else",
                "steering": "steering",
                "steering control": "control",
            }.items()
        },
        name="addition-by-modulus",
    )
    write.caption(
        f"**Sums residues**: residues explain at least {EXPLAINED:.0%} of the variance, at least {CROSSES:.0%} cross after interchange (if q is below the "
        f"base) and steering, at most {KEEPS:.0%} in each control. **Adds digits**: also generalizes to sums outside training; otherwise it "
        "looks totals up." + (" **On lines**: see [below](#lines)." if any(each.adds for each in lines) else "")
    )


def percent(share: float, digits: int = 1) -> str:
    """Write a share; a dash for NaN."""
    return "–" if math.isnan(share) else f"{share:.{digits}%}"
