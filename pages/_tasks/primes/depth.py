"""How far a network for primes sieves, beside trial division and a table of counts, for the page Sieve."""

import math

import streamlit as st

import miii
from miii import analysis, plots
from miii.analysis.sieve import LEAST
from miii.errors import join_names
from miii.plots.style import Chart
from miii.runs import Run
from miii.runs.read import finite
from pages._kit import write
from pages._kit.cell import cell, shared
from pages._parts.sieve.interventions import percent
from pages._tasks.view import logit

EVIDENCE = "Logit of prime minus logit of composite"


def from_threshold(threshold: float) -> str:
    """Explain a prediction."""
    return f"Prime from {logit(threshold)} up, the threshold of the best F1 (balance of precision and recall) on training integers"


@shared
def measured_depth(name: str, step: int) -> analysis.sieve.Depth:
    run = miii.runs.open(name, miii.Primes)
    reported = analysis.sieve.reported_depth(run.report, step)
    if reported is not None:
        return reported
    return analysis.sieve.depth(run.model(step), run.task(), run.task_config)


@shared
def baselines(name: str, step: int) -> tuple[analysis.sieve.Table | None, dict[int, dict[int, float]]]:
    run = miii.runs.open(name, miii.Primes)
    reported = analysis.sieve.reported_baselines(run.report, step)
    if reported is not None:
        return reported
    task, config = run.task(), run.task_config
    return analysis.sieve.count_table(task, config), analysis.sieve.auc_by_length(run.model(step), task, config)


def sieve_depth(name: str, step: int) -> tuple[Chart, Chart]:
    depth = measured_depth(name, step)
    return plots.sieve_depth(depth), plots.sieve_oracles(depth)


def depth_of_sieve(run: Run, step: int, depth: analysis.sieve.Depth) -> None:
    """Show which smallest factors the network separates from primes."""
    write.header("How far does it sieve?", anchor="depth")
    seen = [factor for factor in depth.factors if factor.low >= LEAST]
    first = next((factor for factor in depth.factors if factor.low < LEAST), None)
    passed = (
        f"It separates primes from **multiples of {join_names([str(f.q) for f in seen])}**"
        if seen
        else "It separates primes from multiples of **no prime** beyond the base's"
    )
    failed = f"; the first prime it misses is {first.q} (AUC {first.auc:.3f})" if first else ""
    write.text(
        f"{passed}{failed}. The AUC is the probability that a prime scores above a composite with **smallest** prime factor $q$; 0.5 is chance. "
        f"The **sieve depth** is the largest $q$ up to which every AUC is at least {LEAST}, at the lower end of its 95% interval."
    )
    threshold = f"Recall at {logit(depth.threshold)}, the best F1 threshold on training integers ({depth.f1:.3f})"
    with st.container(horizontal=True):
        write.metric(
            "Sieve depth",
            depth.sieve_depth,
            border=True,
            help="1 if none is separated",
        )
        write.metric(
            "ROC AUC",
            "–" if math.isnan(depth.roc_auc) else f"{depth.roc_auc:.3f}",
            border=True,
            help="Primes against all composites",
        )
        write.metric(
            "Average precision",
            f"{depth.average_precision:.3f}",
            border=True,
        )
        write.metric("Primes found", f"{depth.recall_primes:.1%}", border=True, help=threshold)
        write.metric("Composites found", percent(depth.recall_composites), border=True, help=threshold)
    table, lengths = baselines(run.name, step)
    if table is not None:
        write.caption(
            f"Baseline: a table of residue counts modulo {table.q} and the last digit ({table.cells} cells, filled from training labels) has "
            f"ROC AUC {'–' if math.isnan(table.roc_auc) else f'{table.roc_auc:.3f}'}."
        )
    cell(
        sieve_depth,
        name=run.name,
        step=step,
    )
    write.caption(
        f"{depth.primes:,} held-out primes, {depth.composites:,} held-out composites; always answering “composite” scores "
        f"{depth.composites / (depth.primes + depth.composites):.1%}. Intervals are over integers, not seeds."
    )
    by_length(lengths)


def by_length(found: dict[int, dict[int, float]]) -> None:
    """Show the AUC against each factor by number of digits."""
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
    write.caption("AUC by smallest factor and number of digits; dash: fewer than 20 composites.")
