"""The paper's goals, with measured values."""

from typing import Any

import pandas as pd

import miii
from miii import runs
from miii.analysis.modular import criteria
from miii.analysis.sieve import CROSSES, EXPLAINED, LEAST
from pages._parts.paper.parts import SEEDS, report, reports_of_seeds
from pages._tasks.residues.inside import SOLVED


def ledger() -> pd.DataFrame:
    """Return one goal per row, for the shipped runs that are present."""
    rows: list[dict[str, str]] = []

    def row(goal: str, measured: str, asked: str, reached: bool) -> None:
        rows.append({"goal": goal, "measured": measured, "bound": asked, "reached": "yes" if reached else "**no**"})

    if _here("add-113"):
        added = report("add-113")
        explained = added["logit_variance_explained"]
        row("addition modulo 113", added["verdict"], "modular addition", added["verdict"] == "modular addition")
        row(
            "its formula explains the logits' variance",
            f"{explained:.1%}",
            f"at least {criteria.GOAL:.0%}",
            explained >= criteria.GOAL,
        )
    if _here(*SEEDS):
        _primes(row)
    if _here("primes-10-assisted"):
        assisted = report("primes-10-assisted")
        row(
            "primes assisted: sieve depth",
            f"depth {assisted['sieve_depth']}",
            "beyond 3",
            assisted["sieve_depth"] > 3,
        )
    if _here("miu-24"):
        miu, last, sums = report("miu-24"), runs.shipped("miu-24").rows()[-1], "sums residues modulo 3"
        row(
            "MIU, training lengths",
            f"{last['accuracy_as_long']:.1%}",
            f"{0.99:.0%}",
            last["accuracy_as_long"] >= 0.99,
        )
        row("MIU, longer", f"{last['accuracy_longer']:.1%}", f"{0.99:.0%}", last["accuracy_longer"] >= 0.99)
        row("MIU, counts I's modulo 3", miu["verdict"], sums, miu["verdict"] == sums)
    if _here("residues-113"):
        found = report("residues-113")
        solved = sum(value >= SOLVED for value in found["accuracy"].values())
        every = len(found["accuracy"])
        row(f"all {every} residues at once", f"{solved} of {every}", f"{SOLVED:.1%} of each", solved == every)
        single = bool(found["heads_look_at_one_digit"])
        row("one digit per head", "yes" if single else "no", "yes", single)
    if _here("frames-10"):
        _frames(row)
    if _here("sparse/grid"):
        grid = miii.sparse.files.open(runs.homes()[1] / "sparse" / "grid")
        exact = miii.sparse.evaluation.sieve_recall(grid.config.middle, grid.config.end, (2, 3, 5)).composites
        here = grid.scores.test.composites
        row("sparse grid: beyond trial division", f"{here:.4%}", f"more than {exact:.4%}", here > exact)
    return pd.DataFrame(rows)


def _here(*names: str) -> bool:
    return all((runs.homes()[1] / name / "config.json").exists() for name in names)


def _primes(row: Any) -> None:
    deepest = max(each["sieve_depth"] for each in reports_of_seeds().values())
    for fresh, which in ((False, "tuned seeds"), (True, "fresh seeds")):
        found = reports_of_seeds(fresh)
        passed = sum("modulo 3" in each["verdict"] for each in found.values())
        row(f"primes: {which} sum residues", f"{passed} of {len(found)}", f"{len(found)}", passed == len(found))
        for field, goal, bound in (
            ("digit_variance_explained", "variance explained", EXPLAINED),
            ("interchange_accuracy", "interchange", CROSSES),
            ("steering_accuracy", "steering", CROSSES),
        ):
            least = min(each[field]["3"] for each in found.values())
            row(f"{goal}, worst of the {which}", f"{least:.1%}", f"at least {bound:.0%}", least >= bound)
    outside = report("primes-10")["generalization"]["3"]["outside"]
    row(
        "totals absent from training",
        f"AUC {outside['auc']:.3f}",
        f"lower end at least {LEAST}",
        outside["low"] >= LEAST,
    )
    row("sieves beyond 3, labels alone", f"depth {deepest}", "beyond 3", deepest > 3)


def _frames(row: Any) -> None:
    found = report("frames-10")
    first, held, context = found["rollout"][0]["integers"], found["held_out"], found["context"]
    row("frames: the next integer", f"{first:.1%}", f"{0.99:.0%}", first >= 0.99)
    row(
        "frames: beyond the last digit",
        f"AUC {held['auc_coprime']:.3f}",
        f"{context['labels_coprime']:.3f}, from earlier labels",
        held["auc_coprime"] >= context["labels_coprime"],
    )
