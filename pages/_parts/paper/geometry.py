"""Parts of sections 4.1 and 4.2 of the paper: symmetry, linear regions and information, each with its control."""

from typing import Any

import streamlit as st

import miii
from miii import analysis, plots, runs
from miii.plots.style import Chart
from miii.tasks import Primes
from pages._kit import write
from pages._kit.cell import cell, shared
from pages._parts.paper.parts import available, report, short_table, stamp


def rotations_of_the_adder(every: int) -> Chart:
    run = miii.runs.shipped("add-113")
    networks = [(step, run.model(step)) for step in sorted({*run.steps[::every], run.steps[-1]})]
    return plots.equivariance(analysis.equivariance.over_training(networks, run.task()))


def regions_of_the_adder() -> Chart:
    run = miii.runs.shipped("add-113")
    found = {
        name: analysis.regions.of_circles(run.model(step), run.task())[0]
        for name, step in (("trained", run.steps[-1]), ("untrained", 0))
    }
    return plots.circle_regions(found, (run.report or {})["key_frequencies"])


@shared
def plane_at(name: str, step: int) -> analysis.regions.Window:
    run = miii.runs.shipped(name, miii.Primes)
    model, task = run.model(step), run.task()
    fitted, held_out = (analysis.sieve.sum_of_split(model, task, run.task_config, side) for side in (True, False))
    return analysis.regions.of_residue_plane(model, fitted, held_out)


def regions_of_the_primes() -> tuple[Chart, ...]:
    run = miii.runs.shipped("primes-10")
    return tuple(
        plots.plane_regions(plane_at("primes-10", step), f"The plane of residues, {name}")
        for name, step in (("trained", run.steps[-1]), ("untrained", 0))
    )


@shared
def bits_at(name: str, step: int) -> analysis.information.Bits:
    run = miii.runs.shipped(name, miii.Primes)
    return analysis.information.by_site(run.model(step), run.task(), run.task_config)


def bits_of_the_primes() -> Chart:
    run = miii.runs.shipped("primes-10")
    steps = {"trained": run.steps[-1], "untrained": 0}
    return plots.information({name: bits_at("primes-10", step) for name, step in steps.items()})


def addition() -> None:
    """Symmetry and linear regions of the adder."""
    if not available("add-113"):
        return
    with _on_request("Does a shift act as a rotation?", "rotations") as part:
        if part.open:
            cell(
                rotations_of_the_adder,
                every=4,
                stamp=stamp("add-113"),
                alt="Held-out R² by step.",
                caption="How well one rotation, fitted on some pairs, predicts the others' activations after a shift of one operand. Controls: "
                "a random permutation, and step 0.",
            )
    with _on_request("Where the neurons bend", "bends") as part:
        if part.open:
            keys = report("add-113")["key_frequencies"]
            cell(
                regions_of_the_adder,
                stamp=stamp("add-113"),
                alt="Pieces by circle.",
                caption=f"The {len(keys)} circles in use (dashed) have the most linear pieces, those of twice their frequency fewer, the others almost "
                "none. Untrained, all are alike. Means over *b*.",
            )


def primes() -> None:
    """Linear regions and information of the network on primes."""
    if not available("primes-10"):
        return
    with _on_request("The plane of residues, cut into pieces", "plane") as part:
        if part.open:
            steps = (runs.shipped("primes-10").steps[-1], 0)
            trained, untrained = (plane_at("primes-10", step) for step in steps)
            cell(
                regions_of_the_primes,
                stamp=stamp("primes-10"),
                width="content",
                alt="Evidence by residue.",
                caption=f"Evidence dips at multiples of 3, but only at totals that occur (points). {trained.neurons} neurons, which switch at the lines, "
                f"cut the plane into {trained.regions:,} linear pieces ({untrained.regions:,} untrained).",
            )
    with _on_request("Where is the information?", "bits") as part:
        if part.open:
            information()


def information() -> None:
    """Bits about n mod 3 and about prime."""
    run = runs.shipped("primes-10", Primes)
    exact = analysis.information.exact(run.task_config)
    write.text(
        "Exact **mutual information**: four digits say almost nothing about $n$ mod 3; the last digit says most about *prime*."
    )
    short_table(exact.rename(columns={"of": "of at most"}).round(4), "bits-exact", hide_index=True)
    found = bits_at("primes-10", run.steps[-1])
    table, linear = (found.at("0.resid_mid", reader) for reader in ("totals", "residue"))
    cell(
        bits_of_the_primes,
        stamp=stamp("primes-10"),
        alt="Bits by site.",
        caption=f"Before the neurons, the nearest mean of *totals* gives {table:.3f} of {found.entropy['n mod 3']:.3f} bits about $n$ mod 3, that of "
        f"*residues* {linear:.3f}: lower bounds. Gray ticks: shuffled labels; dashed: entropy.",
    )


def _on_request(label: str, key: str) -> Any:
    """Make a part whose figures are computed when it is opened."""
    return st.expander(label, icon=":material/science:", on_change="rerun", key=key)
