"""Chapter 3 of the paper: data, networks, training, controls and criteria, all read from the runs and the library."""

import pandas as pd

from miii import RunConfig, runs
from miii.analysis import sieve
from miii.analysis.modular import criteria as bounds
from miii.analysis.sieve import CROSSES, EXPLAINED, KEEPS
from miii.tasks.primes import SIEVED
from miii.tasks.task import GROKKED
from pages._kit import write
from pages._parts.paper.parts import link, short_table

#: The runs of the paper, and what each was asked for.
RUNS = {
    "add-113": "a + b modulo 113",
    "primes-10": "is it prime? five digits",
    "primes-10-shuffled": "the same, labels shuffled",
    "primes-10-assisted": "prime? and n mod 3, 7, 11, 13",
    "miu-24": "can the string be derived?",
    "residues-113": "n modulo 29 primes at once",
    "frames-10": "the next integer and its label",
}


def recipe(config: RunConfig) -> dict[str, str]:
    """A run's network and training."""
    model, optimizer = config.model, config.optimizer
    return {
        "training share": f"{config.task.train_fraction or 0:.0%}",
        "layers": str(model.n_layers),
        "heads": str(model.n_heads),
        "width": str(model.d_model),
        "neurons": f"{model.d_mlp:,}",
        "positions": model.positions,
        "optimizer": optimizer.name,
        "learning rate": f"{optimizer.lr:g}",
        "weight decay": f"{optimizer.weight_decay:.3g}",
        "batch": "all" if config.batch_size is None else f"{config.batch_size:,}",
        "steps": f"{config.steps:,}",
    }


def recipes() -> pd.DataFrame:
    """Return the recipes of the paper's runs, one per column."""
    columns: dict[str, dict[str, str]] = {}
    for name, asked in RUNS.items():
        if (runs.homes()[1] / name / "config.json").exists():
            run = runs.shipped(name)
            seconds = run.result["seconds"] if run.result else 0.0
            columns[name] = {"task": asked} | recipe(run.config) | {"training minutes": f"{seconds / 60:.1f}"}
    return pd.DataFrame(columns)


def criteria() -> pd.DataFrame:
    """Return the terms, their bounds and how they are measured."""
    rows = [
        ("has grokked", f"test accuracy ≥ {GROKKED:.0%}", "first evaluation"),
        (
            "modular addition",
            f"explained ≥ {bounds.VARIANCE_EXPLAINED:.0%}, agreement ≥ {bounds.ARGMAX_AGREEMENT:.0%}, steering ≥ "
            f"{bounds.STEERING_ACCURACY:.0%} (worst ≥ {bounds.STEERING_MINIMUM:.0%}), control kept ≥ {bounds.STEERING_CONTROL:.0%}",
            "formula: pairs outside the fit; steering: all pairs",
        ),
        (
            "sieves by 3",
            f"AUC ≥ {SIEVED[0]:.2f}, against multiples of 3 ≥ {SIEVED[1]:.2f}",
            "validation set",
        ),
        ("sees a factor", f"lower end of the AUC's 95% interval ≥ {sieve.LEAST}", "held-out, bootstrap"),
        (
            "sums residues modulo q",
            f"explained ≥ {EXPLAINED:.0%}, interchange (if q < base) and steering ≥ {CROSSES:.0%}, controls ≤ {KEEPS:.0%}",
            "held-out",
        ),
        (
            "adds digits modulo q",
            "the same, and sees q on totals absent from training (else: looks the total up)",
            "sums moved, or withheld totals",
        ),
        (
            "circuit",
            f"{sieve.FAITHFUL:.0%} of the logit difference",
            "fewest edges, by patching (large graphs: EAP-IG)",
        ),
    ]
    return pd.DataFrame(rows, columns=["term", "condition", "measured"])


def chapter() -> None:
    """Show the chapter."""
    write.header("3 Method", anchor="method")
    write.text(
        """
**Data.** An integer is its digits and a final `?`; a pair is *a*, *b*, `=`. Splits are random. Except for primes, the test split chose the recipe, so
test figures are optimistic. Unlike the draft, we keep integers that end in an even digit or 5.
"""
    )
    link("data", "The data, and Table 1: Data", task="primes")
    write.text("**Networks.** Transformers with ReLU and without norms:")
    short_table(recipes().rename_axis("setting"), "recipes")
    write.text(
        """
**Criteria.** The same bounds hold for all networks. Every measure has a control, such as an untrained network, shuffled labels or rotations of other
planes:
"""
    )
    short_table(criteria(), "criteria", hide_index=True)
