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
    with _on_request("A shift is a rotation", "rotations") as part:
        if part.open:
            cell(
                rotations_of_the_adder,
                every=4,
                stamp=stamp("add-113"),
                alt="Held-out R² of the best rotation by step and site, for shifts and for random permutations.",
                caption="Shift one operand: does one rotation, the same for all pairs, move the activations along? The rotation is fitted on some pairs "
                "and tested on others. Control: a random permutation in place of the shift, and step 0.",
            )
    with _on_request("The neurons bend along the circles", "bends") as part:
        if part.open:
            keys = report("add-113")["key_frequencies"]
            cell(
                regions_of_the_adder,
                stamp=stamp("add-113"),
                alt="Linear regions around the circle of each frequency, trained and untrained.",
                caption=f"The network is linear wherever its neurons keep their signs. Around the {len(keys)} circles that it uses (dashed) it has many "
                "pieces, around the others almost none; untrained, all are alike. Counted exactly, mean over *b*.",
            )


def primes() -> None:
    """Linear regions and information of the network on primes."""
    if not available("primes-10"):
        return
    with _on_request("A table in pieces: the plane of residues", "plane") as part:
        if part.open:
            steps = (runs.shipped("primes-10").steps[-1], 0)
            trained, untrained = (plane_at("primes-10", step) for step in steps)
            cell(
                regions_of_the_primes,
                stamp=stamp("primes-10"),
                width="content",
                alt="Evidence on the plane of residues with the lines along which neurons bend, and the totals of integers.",
                caption=f"Colors: evidence. Lines: where neurons bend. Points: the totals of integers. The {trained.neurons} neurons that bend here cut the plane into {trained.regions:,} linear "
                f"pieces ({untrained.regions:,} untrained). The evidence dips at the multiples of 3 among the totals, and does not go on outside.",
            )
    with _on_request("How many bits stand where", "bits") as part:
        if part.open:
            information()


def information() -> None:
    """Bits about n mod 3 and about prime."""
    run = runs.shipped("primes-10", Primes)
    exact = analysis.information.exact(run.task_config)
    write.text(
        "**Exact**, over all integers of the range: any one digit says nothing of $n$ mod 3, all but one next to nothing; the last digit says most about *prime*."
    )
    short_table(exact.rename(columns={"of": "of at most"}).round(4), "bits-exact", hide_index=True)
    found = bits_at("primes-10", run.steps[-1])
    table, linear = (found.at("0.resid_mid", reader) for reader in ("totals", "residue"))
    cell(
        bits_of_the_primes,
        stamp=stamp("primes-10"),
        alt="Bits about n mod 3 and about prime by site, trained and untrained, with a shuffled control.",
        caption=f"At `?`, before the neurons, a reader that knows the mean of each *total* finds {table:.3f} of {found.entropy['n mod 3']:.3f} bits about $n$ mod 3; one that knows the mean of each *residue*, "
        f"{linear:.3f}. A lower bound: the nearest mean is a function of the activation. Gray ticks: truth shuffled; dashed: all there is.",
    )


def _on_request(label: str, key: str) -> Any:
    """Make a part whose figures are computed when it is opened."""
    return st.expander(label, icon=":material/science:", on_change="rerun", key=key)
