"""Which primes can be seen? Small runs in many bases, and a rule that predicts them, for the page Sieve."""

import pandas as pd
import streamlit as st

import miii
from miii import analysis, plots
from miii.analysis.sieve import BASES, RULE, SEEN, UNUSED
from miii.errors import InputError, join_names
from miii.plots.style import Chart
from pages._kit import write
from pages._kit.cell import cell, shared

RUNS = "bases.jsonl"


@shared
def base_table() -> "pd.DataFrame":
    found = analysis.sieve.load_runs(miii.runs.homes()[1] / "bases.jsonl")
    return analysis.sieve.auc_by_base(found)


def auc_by_base() -> Chart:
    return plots.auc_by_base(base_table())


def score_by_base() -> Chart:
    table, unused = base_table(), analysis.sieve.UNUSED
    traits = analysis.sieve.RULES[analysis.sieve.RULE]
    rule = analysis.sieve.fit_rule(table[~table["base"].isin(unused)], traits)
    return plots.score_by_base(table, rule.score(table), unused)


@st.cache_data(max_entries=2, show_spinner=False)
def measured(stamp: int) -> "tuple[int, int, pd.DataFrame | str]":
    """Return the number of runs, their steps, and the comparison of rules, or why they cannot be compared.

    Args:
        stamp: the time of the file of runs.
    """
    found = analysis.sieve.load_runs(miii.runs.homes()[1] / RUNS)
    try:
        compared: pd.DataFrame | str = analysis.sieve.compare_rules(base_table(), UNUSED)
    except InputError as error:
        compared = str(error)
    return len(found), int(found[0]["steps"]), compared


def section() -> None:
    """Show the map, and what the rule predicts for bases that it was not fitted on."""
    write.header("Which primes can be seen?", anchor="bases")
    stamp = (miii.runs.homes()[1] / RUNS).stat().st_mtime_ns
    with st.spinner("Reading …", show_time=True):
        table = base_table()
        count, steps, rules = measured(stamp)
    write.text(
        f"{count} short runs ({steps} steps, labels alone) in {table['base'].nunique()} of {len(BASES)} bases. A factor is **seen** from an AUC of "
        f"{SEEN}: above chance, not a finished sieve."
    )
    cell(
        auc_by_base,
        stamp=stamp,
        caption=f"{summary(table)} Factors of the base have no cell.",
    )
    write.text(
        "Two numbers may predict which before training: the **gain**, or mutual information of the label and $q \\mid n$, and the **correlation** "
        "of $q \\mid n$ with the best ReLU of a sum of waves over the digits."
    )
    if isinstance(rules, str):
        write.info(f"The rule cannot be tested: {rules}")
        return
    by_rule = rules.set_index("rule")
    best, controls = by_rule.loc[RULE], by_rule.loc[["order alone", "q alone", "shuffled labels"], "auc"]
    held_out = table[table["base"].isin(UNUSED)]
    cell(
        score_by_base,
        stamp=stamp,
        caption=f"On {held_out['base'].nunique()} bases not used for fitting, with {int(held_out['seen'].sum())} seen primes, {RULE} reach an AUC of "
        f"{best['auc']:.3f}; the best control, {controls.idxmax()}, {controls.max():.3f}"
        + ("." if best["auc"] > controls.max() else ": **the rule is no better**."),
    )
    write.table(
        rules.to_dict("records"),
        width="content",
        column_config={
            "rule": st.column_config.TextColumn(width="medium"),
            "auc": st.column_config.NumberColumn("AUC", format="%.3f"),
            "accuracy": st.column_config.NumberColumn(format="percent"),
            "rank": st.column_config.NumberColumn("rank correlation", format="%.2f"),
        },
        name="rules-by-traits",
    )
    write.caption(
        "Logistic regressions, tested on unused bases. Order: of the base modulo q. Always “not seen” scores "
        f"{float((~held_out['seen']).mean()):.1%}."
    )


def summary(table: pd.DataFrame) -> str:
    """Return which primes are seen in how many bases, in one or two sentences."""
    seen = table[table["seen"]]
    if seen.empty:
        return "No factor is seen."
    counts = [f"{q} in {len(rows)} of {int((table['q'] == q).sum())} bases" for q, rows in seen.groupby("q")]
    plain = int((seen["order"] == 1).sum())
    return f"Seen: {join_names(counts)}. In {plain} of these {len(seen)} cases the base is 1 modulo q."
