"""How far a network for primes sieves, beside trial division and a table of counts: the first part of the page Sieve."""

import math

import streamlit as st

import miii
from miii import analysis, plots
from miii.analysis.sieve import LEAST
from miii.plots.style import Chart
from miii.runs import Run
from miii.runs.read import finite
from pages._kit import write
from pages._kit.cell import cell, shared
from pages._parts.sieve.interventions import percent


@shared
def measured_depth(name: str, step: int) -> analysis.sieve.Depth:
    run = miii.runs.open(name, miii.Primes)
    config = run.task_config
    return analysis.sieve.depth(run.model(step), run.task(), config)


@shared
def counted(name: str) -> analysis.sieve.Table | None:
    run = miii.runs.open(name, miii.Primes)
    return analysis.sieve.count_table(run.task(), run.task_config)


@shared
def lengths(name: str, step: int) -> dict[int, dict[int, float]]:
    run = miii.runs.open(name, miii.Primes)
    return analysis.sieve.auc_by_length(run.model(step), run.task(), run.task_config)


def sieve_depth(name: str, step: int) -> tuple[Chart, Chart]:
    depth = measured_depth(name, step)
    return plots.sieve_depth(depth), plots.sieve_oracles(depth)


def depth_of_sieve(run: Run, step: int, depth: analysis.sieve.Depth) -> None:
    """Which smallest factors it sees."""
    write.header("How far does it sieve?", anchor="depth")
    write.text(
        f"""
Take the composites whose **smallest** prime factor is $q$, and the primes: are the primes given more evidence? The area under
the ROC curve (AUC) is the chance that they are; 0.5 is a guess. A network that tries all primes up to $q$ has an AUC of 1 for each
of them. The **sieve depth** is the largest $q$ up to which the AUC is at least {LEAST}, at the lower end of its 95 % interval.
"""
    )
    threshold = (
        f"Recall at {depth.threshold:.2f}, the threshold of best F1 on training integers; F1 is {depth.f1:.3f} there"
    )
    with st.container(horizontal=True):
        write.metric(
            "Sieve depth", depth.sieve_depth, border=True, help="1: not even the first factor is told from primes"
        )
        write.metric(
            "ROC AUC",
            "–" if math.isnan(depth.roc_auc) else f"{depth.roc_auc:.3f}",
            border=True,
            help="Of primes against all composites",
        )
        write.metric(
            "Average precision", f"{depth.average_precision:.3f}", border=True, help="Area under precision and recall"
        )
        write.metric("Primes found", f"{depth.recall_primes:.1%}", border=True, help=threshold)
        write.metric("Composites found", percent(depth.recall_composites), border=True, help=threshold)
    table = counted(run.name)
    if table is not None:
        write.caption(
            f"A table of the digits' counts modulo {table.q} and the last digit, {table.cells} cells filled from the training labels, has ROC AUC "
            f"{'–' if math.isnan(table.roc_auc) else f'{table.roc_auc:.3f}'} on the same integers."
        )
    seen = [factor for factor in depth.factors if factor.low >= LEAST]
    first = next((factor for factor in depth.factors if factor.low < LEAST), None)
    passed = f"Told from primes: {', '.join(str(f.q) for f in seen)}." if seen else "No factor is told from primes."
    failed = f" The first that is not: {first.q}, with an AUC of {first.auc:.3f}." if first else ""
    cell(
        sieve_depth,
        name=run.name,
        step=step,
        alt="AUC of primes against the composites of each smallest prime factor, beside trial division.",
    )
    write.caption(
        f"{passed}{failed} Measured on {depth.primes:,} primes and {depth.composites:,} composites that it never trained on. "
        f"Accuracy says nothing here: always answering “composite” is right "
        f"{depth.composites / (depth.primes + depth.composites):.1%} of the time. Right: trial division by all primes up to q, and also by those that divide the base, "
        "on the same integers. The intervals are over integers, for this one network; they do not cover other seeds."
    )
    by_length(run, step)


def by_length(run: Run, step: int) -> None:
    """The AUC against each factor for integers of each number of digits."""
    found = lengths(run.name, step)
    if len(found) < 2:
        return
    factors = sorted({q for aucs in found.values() for q in aucs})
    write.table(
        [
            {"digits": digits} | {str(q): finite(aucs.get(q, math.nan)) for q in factors}
            for digits, aucs in found.items()
        ],
        width="content",
        column_config={str(q): st.column_config.NumberColumn(format="%.3f") for q in factors},
        name="auc-by-length",
    )
    write.caption(
        "AUC of primes against the composites of each smallest factor, for integers of each length. Most integers have the most digits, "
        "so the figures above say little about shorter ones. A dash: fewer than 20 composites."
    )
