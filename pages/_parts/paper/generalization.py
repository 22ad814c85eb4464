"""Section 5.1 of the paper: how far the networks carry, and how many examples they need."""

import pandas as pd

import miii
from miii import analysis, plots, runs
from miii.analysis.sieve import LEAST
from miii.errors import join_names
from miii.plots.style import Chart
from pages._kit import write
from pages._kit.cell import cell
from pages._parts.paper.parts import link, short_table

TRIALS = "experience.jsonl"
NAMES = {
    "random": "random integers",
    "residue": "whole residue classes modulo 97",
    "range": "a range (the upper half)",
    "longer": "longer integers (six digits)",
    "withheld": "withheld residue counts 1-2-2",
    "shuffled": "shuffled labels",
}


def what_training_left_out() -> Chart:
    trials = analysis.experience.load(miii.runs.homes()[1] / "experience.jsonl")
    bands = analysis.experience.bands(trials, "splits")
    labels = {"like_3": "like training", "beyond_3": "left out", "untrained_beyond_3": "left out, untrained"}
    return plots.transfer(bands, labels, "AUC of primes against multiples of 3")


def experience_of_the_adders() -> Chart:
    trials = analysis.experience.load(miii.runs.homes()[1] / "experience.jsonl")
    labels = {"train": "training", "test": "held out", "chance": "chance"}
    bands = analysis.experience.bands(trials, "addition")
    return plots.learning_curve(bands, labels, "Addition modulo 59", "accuracy")


def experience_of_the_primes() -> Chart:
    trials = analysis.experience.load(miii.runs.homes()[1] / "experience.jsonl")
    labels = {"beyond_3": "against multiples of 3", "beyond": "against all", "untrained_beyond_3": "untrained"}
    bands = analysis.experience.bands(trials, "primes")
    return plots.learning_curve(bands, labels, "Primes of five digits", "held-out AUC")


def splits(trials: tuple[analysis.experience.Trial, ...]) -> pd.DataFrame:
    """What each split left out, and the medians over the seeds."""
    bands = analysis.experience.bands(trials, "splits")
    found = {(row["name"], row["measure"]): row for row in bands.to_dict("records")}
    return pd.DataFrame(
        [
            {
                "left out": NAMES[name],
                "AUC, 3, like training": f"{found[name, 'like_3']['median']:.3f}",
                "AUC, 3, left out": f"{found[name, 'beyond_3']['median']:.3f}",
                "AUC, left out": f"{found[name, 'beyond']['median']:.3f}",
                "seeds": str(found[name, "beyond"]["seeds"]),
            }
            for name in NAMES
            if (name, "beyond") in found
        ]
    )


def carried(trials: tuple[analysis.experience.Trial, ...]) -> str:
    """Say which splits carry over, by the bound of a seen factor."""
    bands = analysis.experience.bands(trials, "splits")
    median = bands[bands["measure"] == "beyond_3"].set_index("name")["median"]
    tested = [name for name in NAMES if name in median.index and name != "shuffled"]
    good, bad = ([NAMES[name] for name in tested if (median[name] >= LEAST) == kind] for kind in (True, False))
    said = [f"Networks generalize (AUC at least {LEAST}) to {join_names(good)}"] if good else []
    return ", ".join([*said, *([f"but not to {join_names(bad)}"] if bad else [])]) + "."


def activations(trials: tuple[analysis.experience.Trial, ...]) -> str:
    """Held-out accuracy by activation, in words."""
    found = analysis.experience.bands(trials, "activations")
    rows = found[found["measure"] == "test"].sort_values("median", ascending=False)
    return "; ".join(f"{row['name']} {row['median']:.1%}" for row in rows.to_dict("records"))


def section() -> None:
    """Show splits, learning curves and activations."""
    place = runs.homes()[1] / TRIALS
    write.subheader("5.1 Generalization", anchor="generalization")
    if not place.exists():
        write.info(f"{TRIALS} is missing from the shipped runs.")
        return
    trials, changed = analysis.experience.load(place), place.stat().st_mtime
    write.text("Random held-out integers may be too easy, so we leave out whole groups:")
    cell(
        what_training_left_out,
        stamp=changed,
        alt="AUC by split.",
        caption=f"{carried(trials)} Points: medians; lines: ranges over seeds.",
    )
    short_table(splits(trials), "splits", hide_index=True)
    write.text("**Experience.** A program learns if it improves with experience (Mitchell):")
    cell(
        experience_of_the_adders,
        stamp=changed,
        alt="Accuracy by pairs.",
        caption="Every adder memorizes its pairs; with enough, it generalizes.",
    )
    cell(
        experience_of_the_primes,
        stamp=changed,
        alt="AUC by integers.",
        caption="More integers help most against multiples of 3. Bands: range over seeds.",
    )
    write.text(
        f"**Activations.** The draft has sigmoid and ReLU. Median test accuracy of addition modulo 59: "
        f"{activations(trials)}."
    )
    link("train", "Train with other splits: Train", task="primes")
