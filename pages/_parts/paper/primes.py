"""Section 4.2 of the paper: networks that were asked for primes, and sum residues modulo 3."""

import math
from typing import Any

import pandas as pd
import streamlit as st

import miii
from miii import RunConfig, analysis, plots, runs
from miii.errors import join_names
from miii.plots.style import Chart
from pages._kit import write
from pages._kit.cell import cell, shared
from pages._parts.circuits.edges import named
from pages._parts.paper.parts import (
    SEEDS,
    TUNED,
    available,
    link,
    link_details,
    report,
    reports_of_seeds,
    stamp,
    table,
)


def sieving_of_the_primes() -> Chart:
    run = miii.runs.shipped("primes-10")
    return plots.sieving(run.metrics())


@shared
def plane_of(name: str) -> analysis.sieve.Plane:
    run = miii.runs.shipped(name, miii.Primes)
    model, task, config = run.model(), run.task(), run.task_config
    fitted, held_out = (analysis.sieve.sum_of_split(model, task, config, side) for side in (True, False))
    return analysis.sieve.plane(fitted, held_out, 3)


def plane_of_digits() -> Chart:
    return plots.digit_plane(plane_of("primes-10"), 10, size=126, columns=2)


def by_network() -> Chart:
    names = ["primes-10", *(f"seeds/primes-10-seed{seed}" for seed in range(1, 10))]
    reports = {f"seed {seed}": miii.runs.shipped(name).report or {} for seed, name in enumerate(names)}
    return plots.addition_by_network(reports, 3)


def read_by_circuits() -> tuple[Chart, ...]:
    found = (miii.runs.shipped("primes-10").report or {})["circuits"]
    titles = {"base": "Circuit 1: the last digit", "3": "Circuit 2: the sum modulo 3"}
    places = miii.numbers.place_names(10, 5)
    return tuple(plots.readers(found[asked]["edges"], places, title) for asked, title in titles.items())


def depth_of_sieve() -> Chart:
    names = ("primes-10", "primes-10-assisted")
    return plots.depth_by_network({name: miii.runs.shipped(name).report or {} for name in names})


QUESTIONS = {"base": "1: is the last digit 1, 3, 7 or 9?", "3": "2: do the digits add up to a multiple of 3?"}


def measures(reports: dict[str, dict[str, Any]], q: str = "3") -> pd.DataFrame:
    """Return the evidence for a sum of residues modulo q, one network per row, each measure before its control."""
    return pd.DataFrame(
        {
            "network": list(reports),
            "explained": [found["digit_variance_explained"][q] for found in reports.values()],
            "by chance": [found["digit_variance_chance"][q] for found in reports.values()],
            "interchange": [found["interchange_accuracy"][q] for found in reports.values()],
            "its control": [found["interchange_control"][q] for found in reports.values()],
            "steering": [found["steering_accuracy"][q] for found in reports.values()],
            "its control ": [found["steering_control"][q] for found in reports.values()],
            "probe": [found["probe_r2"]["trained"][q] for found in reports.values()],
            "untrained": [found["probe_r2"]["untrained"][q] for found in reports.values()],
            "passes": ["yes" if f"modulo {q}" in found["verdict"] else "no" for found in reports.values()],
        }
    )


def ends_of_edges(config: RunConfig) -> dict[str, tuple[str, str]]:
    """Return writer and reader of each edge in words, by its name."""
    model, n_ctx = config.model, config.task.sizes.n_ctx
    graph = analysis.circuits.Graph(model.n_layers, model.n_heads, n_ctx, model.causal)
    places = [f"position {i}" for i in range(n_ctx)]
    return {edge.name: (named(edge.source, places), named(edge.target, places, edge.which)) for edge in graph.edges}


def circuit_table(found: dict[str, dict[str, Any]], config: RunConfig, name: str) -> None:
    """Show each circuit's faithfulness and edges, by question."""
    frame = pd.DataFrame(
        {
            "question": list(found),
            "faithfulness": [each["faithfulness"] for each in found.values()],
            "without": [each["without"] for each in found.values()],
            "edges": [str(len(each["edges"])) for each in found.values()],
        }
    )
    table(
        frame,
        f"circuits-{name}",
    )
    with st.expander("Every edge", icon=":material/share:"):
        ends = ends_of_edges(config)
        edges = [
            (question.partition(":")[0], *ends[edge], worth)
            for question, each in found.items()
            for edge, worth in each["edges"].items()
        ]
        table(pd.DataFrame(edges, columns=["circuit", "from", "to", "effect in logits"]), f"edges-{name}")


def section() -> None:
    """Show the section."""
    write.subheader("4.2 Primes: sums of residues", anchor="primes")
    if not available(*SEEDS):
        return
    run, primes = runs.shipped("primes-10", miii.Primes), report("primes-10")
    result, task = run.result, run.task_config
    assert result is not None
    write.text(
        """
**It detects the factor 3 and no other.** Most integers are composite, so accuracy says little. Instead, how often do primes get more evidence than
composites with a given smallest prime factor?
"""
    )
    cell(
        sieving_of_the_primes,
        stamp=stamp("primes-10"),
        alt="AUC by smallest factor.",
        caption=f"Multiples of 3 are separated by step {result['grokked_at']}; 7, 11 and 13 stay at chance. The AUC on all held-out integers is "
        f"{primes['roc_auc']:.3f} (trial division by 2, 3 and 5: {primes['oracle_auc_and_base']['3']:.3f}"
        + _beside(primes)
        + ").",
    )
    plane, totals = plane_of("primes-10"), math.comb(task.width + 2, 2)
    inside, outside = (primes["generalization"]["3"][where] for where in ("inside", "outside"))
    reports = reports_of_seeds()
    frame = measures(reports)
    passes = [f"{(part['passes'] == 'yes').sum()} of {len(part)}" for part in (frame.iloc[:TUNED], frame.iloc[TUNED:])]
    left, right = st.columns([1, 1], gap="medium")
    with left:
        cell(
            plane_of_digits,
            stamp=stamp("primes-10"),
            width="content",
            alt="Digits in three clusters.",
            caption=f"Digits of each place in the two directions in which residues differ most ({plane.share:.0%} of the variance). The last place has "
            "only endings of primes.",
        )
    with right:
        write.text(
            f"""
**Ten digits, three clusters.** Attention is a mean, so each digit adds a vector to the total at `?`. In {write.figure(plane_of_digits)}, digits of
equal residue add nearly equal vectors; in a sum of the digits themselves, they would differ.

**The neurons look the total up.** {task.width} digits have only {totals} totals, one per count of the residues 0, 1 and 2, and a random split trains on
all of them. Move the sums to absent totals, and the AUC against multiples of 3 falls from {inside["auc"]:.3f} to {outside["auc"]:.2f} (95% interval
{outside["low"]:.2f} to {outside["high"]:.2f}).

**Other seeds.** Of the seeds below {TUNED}, which chose the recipe, {passes[0]} pass; of those trained once afterwards, {passes[1]}. On shuffled labels,
the probe's $R^2$ is {abs(primes["probe_r2"]["shuffled"]["3"]):.2f}.
"""
        )
        link_details("sieve", run="primes-10")
    cell(
        by_network,
        stamp=stamp("primes-10"),
        alt="Evidence by network.",
        caption="Orange: the bounds of chapter 3. Values on held-out integers.",
    )
    table(
        frame,
        "addition-modulo-3",
    )
    circuits(primes)
    depth(task.train_fraction)


def _beside(primes: dict[str, Any]) -> str:
    """Return the AUC of a table of counts and last digits on the same integers, in words."""
    table = primes.get("count_table")
    if not table or table["roc_auc"] is None:
        return ""
    return f"; a table of residue counts modulo {table['q']} and last digits, {table['cells']} cells: {table['roc_auc']:.3f}"


def circuits(primes: dict[str, Any]) -> None:
    """Show the draft's circuits and attention weights."""
    found = primes["circuits"]
    write.text(
        """
**Circuits 1 and 2** of the draft's three, found by corrupting edges in turn and scored on fresh pairs:
"""
    )
    config = runs.shipped("primes-10").config
    circuit_table({title: found[asked] for asked, title in QUESTIONS.items()}, config, "primes")
    write.text("**Attention weights 1 and 2.** One head serves both circuits:")
    cell(
        read_by_circuits,
        stamp=stamp("primes-10"),
        alt="Effects by place.",
        caption="Circuit 1 reads the last digit, mostly as a **key**, which draws attention; circuit 2 reads all digits as **values**, which add up.",
    )
    with st.container(horizontal=True):
        link("circuits", "The edges of the adder: Circuits", run="add-113")
        link_details("attention", run="primes-10")


def depth(fraction: float) -> None:
    """Show the sieve depth with and without residues as targets."""
    if not available("primes-10-assisted"):
        return
    alone, assisted = report("primes-10"), report("primes-10-assisted")
    asked = runs.shipped("primes-10-assisted", miii.Primes).task_config
    write.text(
        f"""
**Deeper only with help.** 3 is the easiest factor: all places weigh the same. From labels alone, none of our networks in base 10 gets further. With
residues modulo {join_names(list(map(str, asked.residues)))} as extra targets, a two-layer network does:
"""
    )
    cell(
        depth_of_sieve,
        stamp=stamp("primes-10-assisted"),
        alt="AUC by factor.",
        caption=f"Sieve depth is {alone['sieve_depth']} from labels alone and {assisted['sieve_depth']} assisted; AUC {alone['roc_auc']:.3f} and "
        f"{assisted['roc_auc']:.3f}. 95% intervals must start above the dashed line.",
    )
    outside, turns = assisted["generalization"]["3"]["outside"], assisted["lines"]
    kept = {q: each["residue_kept_by_a_turn"] for q, each in turns.items()}
    write.text(
        f"Verdict: *{assisted['verdict']}*. Each digit moves the sum along a line, by its residue. It does not add "
        f"digits: a whole turn along the line changes no residue, but changes the predicted one in "
        f"{1 - max(kept.values()):.0%} to {1 - min(kept.values()):.0%} of cases. On absent totals, the AUC against 3 is "
        f"{outside['auc']:.2f} (95% interval {outside['low']:.2f} to {outside['high']:.2f})."
    )
    by_base()
    with st.container(horizontal=True):
        link_details("sieve", run="primes-10-assisted")
        link("train", "Train your own: Train", task="primes")


def by_base() -> None:
    """Write which primes short runs see in other bases, from labels alone."""
    path = miii.runs.homes()[1] / "bases.jsonl"
    if not path.exists():
        return
    found = analysis.sieve.auc_by_base(analysis.sieve.load_runs(path))
    seen = found[found["seen"]]
    plain = found[found["order"] == 1]
    write.text(
        f"**Other bases.** Short runs from labels alone detect {len(seen)} of {len(found)} pairs of base and factor, and {int(plain['seen'].sum())} of "
        f"the {len(plain)} in which all places weigh the same."
    )
