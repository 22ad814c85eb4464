"""Section 4.2 of the paper: networks that were asked for primes, and sum residues modulo 3."""

import math
from typing import Any

import pandas as pd
import streamlit as st

import miii
from miii import analysis, plots, runs
from miii.analysis.sieve import CROSSES, EXPLAINED, KEEPS
from miii.errors import join_names
from miii.plots.style import Chart
from pages._kit import write
from pages._kit.cell import cell, shared
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
    """The evidence for a sum of residues modulo q, a row a network, each measure before its control."""
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


def circuit_table(found: dict[str, dict[str, Any]], name: str) -> None:
    """How faithful circuits are, by the question that each answers, and their edges."""
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
        faithfulness="What the circuit alone brings back of the difference that the question makes",
        without="What all other edges bring back when the circuit is corrupted",
        edges="The fewest that are faithful enough",
    )
    with st.expander("Every edge", icon=":material/share:"):
        edges = [(question, edge, worth) for question, each in found.items() for edge, worth in each["edges"].items()]
        table(pd.DataFrame(edges, columns=["question", "edge", "worth in logits"]), f"edges-{name}")


def section() -> None:
    """Everything about them."""
    write.subheader("4.2 Primes: residues, summed", anchor="primes")
    if not available(*SEEDS):
        return
    run, primes = runs.shipped("primes-10", miii.Primes), report("primes-10")
    result, task = run.result, run.task_config
    assert result is not None
    write.text(
        """
One layer, one head, five digits, one bit. Accuracy says nothing of primes, since whoever always says *composite* is mostly right. So we ask for each
factor whether primes get more evidence than the composites of which it is the smallest factor:
"""
    )
    cell(
        sieving_of_the_primes,
        stamp=stamp("primes-10"),
        alt="Area under the ROC curve over the steps: of all, and against the composites of each smallest factor 3, 7, 11, 13.",
        caption=f"By step {result['grokked_at']} it tells primes from multiples of 3, in one rise from a coin's 0.5; at 7, 11 and 13 it goes on guessing. "
        f"On all held-out integers: ROC AUC {primes['roc_auc']:.3f}, where trial division by 2, 3 and 5 has {primes['oracle_auc_and_base']['3']:.3f}"
        + _beside(primes)
        + ".",
    )
    write.text(
        """
**Does it sum residues, or know the multiples of 3 in some other way?** Attention is a mean, so each digit adds something of its own to the total at `?`. If what is added
up is residues, digits with the same residue must add the same, 1 like 4 and 7. A network that added integers, and looked the sum up afterwards, would tell
them apart.
"""
    )
    plane = plane_of("primes-10")
    left, right = st.columns([1, 1], gap="medium", vertical_alignment="center")
    with left:
        cell(
            plane_of_digits,
            stamp=stamp("primes-10"),
            width="content",
            alt="For each place a dot a digit, colored by its residue modulo 3: three heaps a place.",
        )
    with right:
        write.text(
            f"""
**Ten digits, three heaps.** Each square is a place, from the ten thousands to the units. Each dot is a digit, and where it lies is what it adds to the total
on average, seen in the two directions in which residues differ most; {plane.share:.0%} of the variance of these means lies in them.

1, 4 and 7 add the same thing; so do 2, 5 and 8; so do 3, 6 and 9. And the heaps lie alike in the first four squares: a residue means the same wherever its digit stands. Of the
units only 1, 3, 7 and 9 are drawn, for all other integers are ruled out by their last digit.
"""
        )
        link_details("sieve", run="primes-10")
    reports = reports_of_seeds()
    frame = measures(reports)
    passes = [f"{(part['passes'] == 'yes').sum()} of {len(part)}" for part in (frame.iloc[:TUNED], frame.iloc[TUNED:])]
    write.text(
        f"**Other seeds.** {len(frame)} networks that differ only in their seed, on held-out integers. Seeds below {TUNED} chose the recipe; the "
        "others were trained once, after it was chosen."
    )
    cell(
        by_network,
        stamp=stamp("primes-10"),
        alt="Explained, interchange and steering of each network as dots, with their controls and the bounds of the rule.",
        caption=f"The rule: explained at least {EXPLAINED:.0%}, both crossings at least {CROSSES:.0%}, both controls at most {KEEPS:.0%}. **{passes[0]}** tuned and **{passes[1]}** fresh seeds pass.",
    )
    table(
        frame,
        "addition-modulo-3",
        explained="The share of the variance of what digits add that their residues explain",
        interchange="Given another number's place in the plane of residues: the share that changes its mind",
        steering="Given what another residue of one digit would add: the share that changes its mind",
        probe="The best held-out R² with which cos and sin of 2πn/3 can be read off linearly, anywhere in the network",
        untrained="The same probe on the network before training",
    )
    failed = list(frame[frame["passes"] == "no"]["network"])
    write.text(
        f"The best probe reads the residue with $R^2$ from {frame['probe'].min():.2f} to {frame['probe'].max():.2f}; before training, and on shuffled labels "
        f"({abs(primes['probe_r2']['shuffled']['3']):.2f}), with none. "
        + (
            f"{join_names(failed).capitalize()} {'misses' if len(failed) == 1 else 'miss'} a bound."
            if failed
            else "All of them pass."
        )
    )
    totals = math.comb(task.width + 2, 2)
    inside, outside = (primes["generalization"]["3"][where] for where in ("inside", "outside"))
    write.text(
        f"**A table of totals.** The sum is real, but the neurons look it up. {task.width} digits have only {totals} totals, one for each count of "
        "the residues 0, 1 and 2, and a random split shows all of them in training. Moved to counts that training did not show, the sums of test "
        f"integers separate multiples of 3 with an AUC of {outside['auc']:.2f} (95% interval {outside['low']:.2f} to {outside['high']:.2f}); inside, with "
        f"{inside['auc']:.3f}. A network that adds would be right on both."
    )
    circuits(primes)
    depth(task.train_fraction)


def _beside(primes: dict[str, Any]) -> str:
    """The baseline: what a table of counts and last digits reaches on the same integers."""
    table = primes.get("count_table")
    if not table or table["roc_auc"] is None:
        return ""
    return (
        f" and a table of the digits' counts modulo {table['q']} and the last digit ({table['cells']} cells, from training labels) "
        f"{table['roc_auc']:.3f}"
    )


def circuits(primes: dict[str, Any]) -> None:
    """The draft's circuits and attention weights."""
    found = primes["circuits"]
    write.text(
        """
**Circuits 1 and 2.** The draft promises three circuits. Each is found on held-out examples that differ in one question only: every edge is corrupted by itself, and the
best are taken until they bring back nine tenths of the difference that the question makes. What they are worth is measured on other examples:
"""
    )
    circuit_table({title: found[asked] for asked, title in QUESTIONS.items()}, "primes")
    write.text(
        """
**Attention weights 1 and 2.** Both circuits have the same head, the same neurons and the same output. They differ in what they read, and how:
"""
    )
    cell(
        read_by_circuits,
        stamp=stamp("primes-10"),
        alt="What the edges from each digit to the head are worth, as key and as value.",
        caption="The first reads the last digit, mostly as a **key**: how much attention it draws. The second reads all digits as **values**: what they add to the sum. So one head "
        "does two things: it points, and it adds.",
    )
    with st.container(horizontal=True):
        link("circuits", "See the edges of the adder: Circuits", run="add-113")
        link_details("attention", run="primes-10")


def depth(fraction: float) -> None:
    """How far they sieve."""
    if not available("primes-10-assisted"):
        return
    alone, assisted = report("primes-10"), report("primes-10-assisted")
    asked = runs.shipped("primes-10-assisted", miii.Primes).task_config
    write.text(
        f"""
**How deep?** 3 is the easiest: all places weigh the same. With labels alone, in base 10, we saw no network go further; what was tried is in the log of chapter 5. If it is also told the residues modulo {join_names(list(map(str, asked.residues)))}, a network of two layers goes further, so more can be held than labels taught:
"""
    )
    cell(
        depth_of_sieve,
        stamp=stamp("primes-10-assisted"),
        alt="AUC of primes against composites of each smallest factor, for the network on labels alone and the assisted one.",
        caption=f"Depth of sieve: {alone['sieve_depth']} by labels alone, {assisted['sieve_depth']} assisted; ROC AUC {alone['roc_auc']:.3f} and {assisted['roc_auc']:.3f}. A line drops from each dot to the lower bound of its 95 % interval; dashed is what it must reach.",
    )
    with st.container(horizontal=True):
        link_details("sieve", run="primes-10-assisted")
        link("train", "Train one of your own: Train", task="primes")
