"""Run ``analyze`` on grokked networks and on controls, several seeds each."""

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.table import Result, Row, log, seeds_of

if TYPE_CHECKING:
    from miii import RunConfig

CONTROL_SEEDS = 5

#: Changes to the recipe ``fast``, by control. No control may get the verdict modular addition.
CONTROLS: dict[str, dict[str, Any]] = {
    "untrained": {"steps": 1},
    "shuffled labels, without weight decay": {
        "operation": "shuffled", "weight_decay": 0, "lr": 1e-3, "schedule": "constant", "steps": 600,
    },
    "10 % for training, without weight decay": {
        "train_fraction": 0.1, "weight_decay": 0, "lr": 1e-3, "schedule": "constant",
    },
    "98 % for training, without weight decay": {"train_fraction": 0.98, "weight_decay": 0},
    "relabeled": {"operation": "relabeled"},
}  # fmt: skip

#: The verdict that a network has earned by operation, as its beginning.
EARNED = {
    "add": "modular addition",
    "sub": "modular addition",  # of a and -b: ``computes`` names the signs
    "mul": "multiplication as addition of logarithms",
    "div": "division as subtraction of logarithms",
}
CONTROL_OPERATIONS = ("shuffled", "relabeled")
#: Formulas of the task expr.
FORMULAS = ("a*b + 3*a", "3*a - b", "a**3 + a*b**2", "a / b if b % 2 else a - b")


def operations(seeds: int) -> Result:
    """Train every operation by its default recipe; report when it groks, and the verdict.

    A network that groks must get the verdict that it has earned; a control must not get an addition.
    """
    from miii.tasks import TASKS
    from miii.training import flat

    names = [name for name, fields in TASKS.items() if fields["kind"] == "modular" and name != "expr"]
    tasks: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in names}
    tasks |= {formula: ("expr", {"expression": formula}) for formula in FORMULAS}
    rows, raw = [], {}
    for name, (task, changes) in tasks.items():
        configs = [flat.build_config("fast", task, changes | {"seed": seed}) for seed in range(seeds)]
        found = raw[name] = [_one(name, config) for config in configs]
        verdicts = [each["verdict"] for each in found]
        earned, control = EARNED.get(name, ""), name in CONTROL_OPERATIONS
        right = all(each["verdict"].startswith(earned) for each in found if each["grokked_at"])
        met = right if earned else not any("addition" in each for each in verdicts) if control else None
        grokked = ", ".join(str(each["grokked_at"] or "never") for each in found)
        counts = "; ".join(f"{each} ({verdicts.count(each)} of {seeds})" for each in sorted(set(verdicts)))
        goal = f"{earned}, if it groks" if earned else "no addition" if control else ""
        used = flat.values(configs[0])
        size = f"mod {used['p']}, {used['train_fraction']:.0%} for training, {used['steps']} steps"
        rows.append(Row(f"{name} {size}", f"grokked at {grokked}; {counts}", goal, met))
    return Result(rows, raw)


def run(sets: Sequence[range]) -> Result:
    """Train and analyze the default recipe's seeds, the first set also with a balanced split."""
    usual = [[_one("default recipe", _changed({"seed": seed})) for seed in seeds] for seeds in sets]
    balanced = [_one("balanced split", _changed({"seed": seed, "balanced": True})) for seed in sets[0]]
    goals = [row for seeds, reports in zip(sets, usual, strict=True) for row in _goals(reports, seeds_of(seeds))]
    rows = [*goals, *_beside(usual[0], balanced, seeds_of(sets[0]))]
    return Result(rows, {"usual": usual, "balanced": balanced})


def controls(seeds: int = CONTROL_SEEDS) -> Result:
    """Train and analyze the controls."""
    found = {
        name: [_one(name, _changed(changes | {"seed": seed})) for seed in range(seeds)]
        for name, changes in CONTROLS.items()
    }
    return Result(_controls(found), {"controls": found})


def _changed(changes: dict[str, Any]) -> "RunConfig":
    """Return the recipe of addition with options changed by name."""
    import miii
    from miii.training import flat

    return flat.change(miii.recipe(), changes)


def _one(name: str, config: "RunConfig") -> dict[str, Any]:
    """Train one network and analyze its last weights (its first for "untrained")."""
    import miii
    from miii.analysis.modular import decomposition, grid, verdict

    task = config.task.build()
    model = miii.Transformer.of(config.model, task)
    for step in miii.train(config):
        if step.weights is not None:
            model.load_state_dict(step.weights)
        if name == "untrained":
            break
    report = verdict.analyze(model.requires_grad_(False), task).to_json()
    log(
        f"verdict: {name}, seed {config.task.seed}: {report['verdict']}; train {report['train_accuracy']:.3f}, "
        f"test {report['test_accuracy']:.3f}, R^2 {report['logit_variance_explained']:.3f}, "
        f"agreement {report['argmax_agreement']:.4f}, steering {report['steering_accuracy']:.4f} "
        f"(minimum {report['steering_minimum']:.4f}, control {report['steering_control']:.4f})"
    )
    logits = grid.logits(model, task)
    complete = len(logits) == task.d_vocab_out**2  # not of a quotient, which has no pairs with b = 0
    shares = decomposition.shares(logits, report["key_frequencies"]) if complete else {}
    return {"seed": config.task.seed, "grokked_at": step.grokked_at, "shares": shares} | report


def _goals(reports: list[dict[str, Any]], which: str) -> list[Row]:
    from miii.analysis.modular import criteria

    n = len(reports)
    rows = [
        Row(
            f"verdict: default recipe, {which}: modular addition",
            f"{sum(report['verdict'] == 'modular addition' for report in reports)} of {n}",
            f"{n} of {n}",
            all(report["verdict"] == "modular addition" for report in reports),
        )
    ]
    for name, goal, digits in (
        ("logit_variance_explained", criteria.GOAL, 3),
        ("argmax_agreement", 0.999, 4),
        ("steering_accuracy", 0.99, 4),
        ("steering_minimum", 0.95, 4),
    ):
        values = [report[name] for report in reports]
        enough = sum(value >= goal for value in values)
        spread = f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"
        rows.append(
            Row(
                f"verdict, {which}: {name}, median (range)",
                f"{spread}; {enough} of {n} reach the goal",
                f">= {goal}",
                enough == n,
            )
        )
    below = sum(report["restricted_loss"] <= report["loss"] for report in reports)
    rows.append(
        Row(f"verdict, {which}: restricted loss at most the network's", f"{below} of {n}", f"{n} of {n}", below == n)
    )
    return rows


def _beside(grokked: list[dict[str, Any]], balanced: list[dict[str, Any]], which: str) -> list[Row]:
    """Decompose the logits outside the formula, for random and balanced splits."""
    rows = []
    for name, reports in (("default recipe", grokked), ("balanced split", balanced)):
        for kind in reports[0]["shares"]:
            values = [report["shares"][kind] for report in reports]
            text = f"{statistics.median(values):.1%} ({min(values):.1%} to {max(values):.1%})"
            rows.append(Row(f"verdict: {name}, {which}: variance in “{kind}”, median (range)", text))
    return rows


def _controls(found: dict[str, list[dict[str, Any]]]) -> list[Row]:
    rows = []
    for name, reports in found.items():
        claimed = sum(report["verdict"] == "modular addition" for report in reports)
        r2 = [report["logit_variance_explained"] for report in reports]
        steered = max(report["steering_accuracy"] for report in reports)
        right = statistics.median(report["accuracy"] for report in reports)
        said = ", ".join(sorted({report["verdict"] for report in reports}))
        text = (
            f"{claimed} of {len(reports)} ({said}; R^2 {min(r2):.2f} to {max(r2):.2f}; "
            f"steering at most {steered:.2f}; accuracy {right:.2f})"
        )
        rows.append(Row(f"verdict: control “{name}” called modular addition", text, "0", claimed == 0))
    return rows
