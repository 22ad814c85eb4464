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


def circuit_table(found: dict[str, dict[str, Any]], name: str) -> None:
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
        faithfulness="Share of the logit difference that the circuit alone recovers",
        without="The same for all other edges, with the circuit corrupted",
        edges="The fewest that are faithful",
    )
    with st.expander("Every edge", icon=":material/share:"):
        edges = [(question, edge, worth) for question, each in found.items() for edge, worth in each["edges"].items()]
        table(pd.DataFrame(edges, columns=["question", "edge", "effect in logits"]), f"edges-{name}")


def section() -> None:
    """Show the section."""
    write.subheader("4.2 Primes: residues, summed", anchor="primes")
    if not available(*SEEDS):
        return
    run, primes = runs.shipped("primes-10", miii.Primes), report("primes-10")
    result, task = run.result, run.task_config
    assert result is not None
    write.text(
        """
The network has one layer and one head; it reads five digits and answers with one bit. Always answering *composite* is mostly correct,
so accuracy says little. Instead, for each factor, we ask
whether primes get more evidence than the composites whose smallest prime factor it is:
"""
    )
    cell(
        sieving_of_the_primes,
        stamp=stamp("primes-10"),
        alt="Area under the ROC curve over the steps: of all, and against the composites of each smallest factor 3, 7, 11, 13.",
        caption=f"By step {result['grokked_at']} it separates primes from multiples of 3; at 7, 11 and 13 it stays at chance. "
        f"ROC AUC on all held-out integers: {primes['roc_auc']:.3f}; trial division by 2, 3 and 5 has {primes['oracle_auc_and_base']['3']:.3f}"
        + _beside(primes)
        + ".",
    )
    write.text(
        """
**Does it sum residues?** Attention is a mean, so each digit contributes a vector to the total at `?`. A network that sums residues gives digits of equal
residue equal vectors; one that sums the digits themselves keeps them apart.
"""
    )
    plane = plane_of("primes-10")
    left, right = st.columns([1, 1], gap="medium", vertical_alignment="center")
    with left:
        cell(
            plane_of_digits,
            stamp=stamp("primes-10"),
            width="content",
            alt="For each place, one dot per digit, colored by its residue modulo 3: three clusters.",
        )
    with right:
        write.text(
            f"""
**Ten digits, three clusters.** In {write.figure(plane_of_digits)}, each square is a place and each dot a digit's mean contribution, in the two directions in
which residues differ most ({plane.share:.0%} of the variance). 1, 4 and 7 contribute nearly the same vector; so do 2, 5 and 8, and 3, 6 and 9. The last place has only 1, 3, 7
and 9: other last digits already rule primes out.
"""
        )
        link_details("sieve", run="primes-10")
    reports = reports_of_seeds()
    frame = measures(reports)
    passes = [f"{(part['passes'] == 'yes').sum()} of {len(part)}" for part in (frame.iloc[:TUNED], frame.iloc[TUNED:])]
    write.text(
        f"**Other seeds.** {len(frame)} seeds, on held-out integers. Seeds below {TUNED} were used to choose the recipe; the others were trained once, afterwards."
    )
    cell(
        by_network,
        stamp=stamp("primes-10"),
        alt="Explained, interchange and steering of each network as dots, with their controls and the bounds of the rule.",
        caption=f"Bounds: explained at least {EXPLAINED:.0%}, interchange and steering at least {CROSSES:.0%}, controls at most {KEEPS:.0%}. "
        f"**{passes[0]}** tuned and **{passes[1]}** fresh seeds pass.",
    )
    table(
        frame,
        "addition-modulo-3",
        explained="Share of the variance of digits' contributions that residues explain",
        interchange="Share of predictions that flip with another number's coordinates in the residue plane",
        steering="Share of predictions that flip with another residue's contribution for one digit",
        probe="Best held-out R² of a linear probe for cos and sin of 2πn/3 at any site",
        untrained="The same probe on the untrained network",
    )
    failed = list(frame[frame["passes"] == "no"]["network"])
    write.text(
        f"The best linear probe reads the residue with $R^2$ from {frame['probe'].min():.2f} to {frame['probe'].max():.2f}; on shuffled labels, "
        f"{abs(primes['probe_r2']['shuffled']['3']):.2f}. "
        + (
            f"{join_names(failed).capitalize()} {'misses' if len(failed) == 1 else 'miss'} a bound."
            if failed
            else "All pass."
        )
    )
    totals = math.comb(task.width + 2, 2)
    inside, outside = (primes["generalization"]["3"][where] for where in ("inside", "outside"))
    write.text(
        f"**A table of totals.** The neurons look the sum up. {task.width} digits have only {totals} totals, one per count of the residues 0, 1 and "
        f"2, and a random split trains on all of them. Moved to unseen counts, the sums separate multiples of 3 with an AUC of {outside['auc']:.2f} "
        f"(95% interval {outside['low']:.2f} to {outside['high']:.2f}); on seen counts, {inside['auc']:.3f}."
    )
    circuits(primes)
    depth(task.train_fraction)


def _beside(primes: dict[str, Any]) -> str:
    """Return the AUC of a table of counts and last digits on the same integers, in words."""
    table = primes.get("count_table")
    if not table or table["roc_auc"] is None:
        return ""
    return (
        f", a table of the digits' counts modulo {table['q']} and the last digit ({table['cells']} cells, from training labels) "
        f"{table['roc_auc']:.3f}"
    )


def circuits(primes: dict[str, Any]) -> None:
    """Show the draft's circuits and attention weights."""
    found = primes["circuits"]
    write.text(
        """
**Circuits 1 and 2.** The draft promises three circuits. Each is found on held-out pairs of integers that differ in one question only: corrupt every edge in turn, and
keep the most important ones until they recover nine tenths of the logit difference. Faithfulness is measured on fresh examples:
"""
    )
    circuit_table({title: found[asked] for asked, title in QUESTIONS.items()}, "primes")
    write.text(
        """
**Attention weights 1 and 2.** Both circuits share head, neurons and output. They differ in what they read:
"""
    )
    cell(
        read_by_circuits,
        stamp=stamp("primes-10"),
        alt="Effects of the edges from each digit to the head, as key and as value.",
        caption="Circuit 1 reads the last digit, mostly as a **key**: how much attention it draws. Circuit 2 reads all digits as **values**: what they add to "
        "the sum. One head does both.",
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
**How deep?** 3 is the easiest factor, since all places have the same weight. From labels alone, in base 10, no network of ours gets further (the log in chapter 5 lists
the attempts). With the residues modulo {join_names(list(map(str, asked.residues)))} as extra targets, a two-layer network does:
"""
    )
    cell(
        depth_of_sieve,
        stamp=stamp("primes-10-assisted"),
        alt="AUC of primes against composites of each smallest factor, for the network on labels alone and the assisted one.",
        caption=f"Sieve depth: {alone['sieve_depth']} from labels alone, {assisted['sieve_depth']} assisted; ROC AUC {alone['roc_auc']:.3f} and "
        f"{assisted['roc_auc']:.3f}. Lines end at the lower bound of the 95% interval; dashed: the bound it must reach.",
    )
    outside, turns = assisted["generalization"]["3"]["outside"], assisted["lines"]
    kept = {q: each["residue_kept_by_a_turn"] for q, each in turns.items()}
    write.text(
        f"Its verdict: *{assisted['verdict']}*. It does not add digits: a whole turn along a line, which changes no residue, changes the predicted one in "
        f"{1 - max(kept.values()):.0%} to {1 - min(kept.values()):.0%} of cases, and on totals absent from training, the AUC against 3 is {outside['auc']:.2f} (95% interval "
        f"{outside['low']:.2f} to {outside['high']:.2f})."
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
    counts = join_names([f"{q} in {len(bases)} bases" for q, bases in seen.groupby("q")])
    write.text(
        f"**Other bases.** In short runs over {found['base'].nunique()} bases, labels alone reveal {len(seen)} of {len(found)} pairs of base and factor: "
        f"{counts or 'none'}. Where the base is 1 modulo the factor, all digits count alike: there it is {int(plain['seen'].sum())} of {len(plain)}. "
        "The page Sieve has the map, and tests a rule for it."
    )
