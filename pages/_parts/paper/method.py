"""Chapter 3 of the paper: data, networks, training, controls and criteria, all read from the runs and the library."""

import pandas as pd

from miii import RunConfig, runs
from miii.analysis import multitask, sieve
from miii.analysis.modular import criteria as bounds
from miii.analysis.sieve import CROSSES, EXPLAINED, KEEPS
from miii.tasks.primes import SIEVED
from miii.tasks.task import GROKKED
from pages._kit import write
from pages._parts.paper.parts import link, short_table
from pages._tasks.residues.inside import ASKED

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
        "of it for training": f"{config.task.train_fraction or 0:.0%}",
        "layers": str(model.n_layers),
        "heads": str(model.n_heads),
        "d_model": str(model.d_model),
        "neurons": f"{model.d_mlp:,}",
        "positions": model.positions,
        "optimizer": optimizer.name,
        "learning rate": f"{optimizer.lr:g}",
        "weight decay": f"{optimizer.weight_decay:g}",
        "batch": "all" if config.batch_size is None else f"{config.batch_size:,}",
        "steps": f"{config.steps:,}",
    }


def recipes() -> pd.DataFrame:
    """Every run of the paper, a column each."""
    columns: dict[str, dict[str, str]] = {}
    for name, asked in RUNS.items():
        if (runs.homes()[1] / name / "config.json").exists():
            run = runs.shipped(name)
            seconds = run.result["seconds"] if run.result else 0.0
            columns[name] = {"asked": asked} | recipe(run.config) | {"minutes of training": f"{seconds / 60:.1f}"}
    return pd.DataFrame(columns)


def criteria() -> pd.DataFrame:
    """What is said, from when on, and how it is measured."""
    rows = [
        ("has grokked", f"held-out accuracy ≥ {GROKKED:.0%}", "first evaluation that reaches it"),
        (
            "modular addition",
            f"explained ≥ {bounds.VARIANCE_EXPLAINED:.0%}, same answer ≥ {bounds.ARGMAX_AGREEMENT:.0%}, steering ≥ "
            f"{bounds.STEERING_ACCURACY:.0%} (worst ≥ {bounds.STEERING_MINIMUM:.0%}), control kept ≥ {bounds.STEERING_CONTROL:.0%}",
            "formula on pairs that it was not fitted to; steering on all pairs",
        ),
        (
            "memorized",
            f"training ≥ {bounds.TRAINED:.0%}, others < {bounds.NOT_GENERALIZED:.0%}",
            "and not modular addition",
        ),
        (
            "sieves by 3",
            f"AUC ≥ {SIEVED[0]:.2f}, against multiples of 3 ≥ {SIEVED[1]:.2f}",
            "on validation, while it trains",
        ),
        ("sees a factor", f"lower end of the AUC's 95 % interval ≥ {sieve.LEAST}", "held-out, bootstrap"),
        (
            "sums residues modulo q",
            f"explained ≥ {EXPLAINED:.0%}, interchange and steering ≥ {CROSSES:.0%}, their controls ≤ {KEEPS:.0%}; no interchange where q is at least the base",
            "held-out",
        ),
        (
            "circuit",
            f"{sieve.FAITHFUL:.0%} of the difference that the question makes",
            "fewest best edges, ranked by exact patching where they are few, else by EAP-IG; scored on other examples",
        ),
        ("task solved", f"≥ {ASKED:.1%} of the held-out numbers", "all residues at once"),
        ("head looks at one digit", f"≥ {multitask.ONE_DIGIT:.0%} of what it gives to digits", "mean over all numbers"),
        ("cleanup is over", f"held-out accuracy ≥ {GROKKED:.0%}", "phases of training"),
    ]
    return pd.DataFrame(rows, columns=["we say", "if", "measured"])


def chapter() -> None:
    """How everything was measured."""
    write.header("3 Method", anchor="method")
    write.text(
        """
**Data.** An integer is a sequence of digit tokens and a last token `?`, where the answer is read; a pair is *a*, *b* and `=`. Integers are split at
random; a tenth of the training side of primes says when to stop and trains nothing. Addition, residues, frames and MIU have no such validation set: the
test split chose their recipes, so their test figures flatter them. The draft's Table 1 has the integers from 10,000 to 99,999 that end in 1, 3, 7
or 9; we take all of them, because who looks at the last digit alone should be seen to do so.
"""
    )
    link("data", "See the data, and Table 1: Data", task="primes")
    write.text(
        """
**Networks and training.** Transformers with ReLU and without norms. Every run came with miii, and its whole recipe is in its `config.json`:
"""
    )
    short_table(recipes().rename_axis("setting"), "recipes")
    write.text(
        """
**Controls.** Each measure has one of its own: the same network before training, the same network on shuffled labels, digits renamed at random, as many other
planes, an input of the same kind, trial division by the same primes. Networks with hand-set weights, of which the truth is known, test the measures
themselves.

**Criteria.** The same for all networks, and read here from the library that applies them:
"""
    )
    short_table(criteria(), "criteria", hide_index=True)
