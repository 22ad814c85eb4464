"""Analysis commands: ``analyze``, ``residues``, ``rollout``, ``progress``, ``formula``, ``circuit``."""

import json
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from miii import reports, runs, tasks
from miii.analysis import representations
from miii.analysis.causal import circuits
from miii.analysis.modular import grid, keys, phases, trajectory, verdict
from miii.cli.printing import Json, RunName, Step, defaulted, parts, print_criteria, print_values
from miii.errors import InputError

Method = Annotated[str, tyro.conf.arg(help="how edges are scored", metavar="{" + ",".join(circuits.METHODS) + "}")]
Save = Annotated[bool, tyro.conf.arg(help="save the last snapshot's report in the run's folder")]


Frequencies = Annotated[
    str | None,
    defaulted("key frequencies, such as 3,7,12 [those that the logits show]", "INT,..."),
]


@dataclass(frozen=True)
class Analyze:
    """Test whether a network adds, its operands or functions of them, or by which representations it composes."""

    run: RunName
    step: Step = None
    save: Save = False
    frequencies: Frequencies = None
    json: Json = False


@dataclass(frozen=True)
class Progress:
    """Measure every snapshot of a run and mark the phases of training."""

    run: RunName
    frequencies: Frequencies = None
    json: Json = False


@dataclass(frozen=True)
class Formula:
    """Write the network's logits as a formula, and evaluate the formula in place of the network."""

    run: RunName
    step: Step = None
    frequencies: Frequencies = None
    json: Json = False


@dataclass(frozen=True)
class Circuit:
    """Score every edge of the network and measure how faithful the best ones are."""

    run: RunName
    method: Method = "exact"
    step: Step = None
    examples: Annotated[int, tyro.conf.arg(help="pairs, each with a corrupted partner")] = circuits.EXAMPLES
    seed: Annotated[int, tyro.conf.arg(help="seed of the pairs and partners")] = 0
    json: Json = False


@dataclass(frozen=True)
class Residues:
    """Analyze a network on primes, MIU, residues or the gcd: does it sum residues, which divisors does it know?"""

    run: RunName
    step: Step = None
    shuffled: Annotated[
        str | None, tyro.conf.arg(help="run with shuffled labels, as a control for the probes", metavar="RUN")
    ] = None
    save: Save = False
    json: Json = False


@dataclass(frozen=True)
class Rollout:
    """Generate the next integers and labels with a frames network, and score them."""

    run: RunName
    step: Step = None
    ahead: Annotated[
        int | None,
        defaulted("frames to generate [as in a sequence]", "INT"),
    ] = None
    save: Save = False
    json: Json = False


def run_rollout(args: Rollout) -> int:
    """Print the report.

    Raises:
        InputError: ``save`` with a ``step``, or a run on another task.
    """
    run = runs.open(args.run)
    _check_save(args.save, args.step)
    found = reports.report_rollout(run, args.step, args.ahead)
    if args.save:
        runs.save_report(run, found)
    if args.json:
        print(json.dumps(found))
        return 0
    tables = {name: found.pop(name) for name in ("rollout", "untrained")}
    for name in ("copy", "by_carries"):  # in the JSON only
        found.pop(name)
    print_values(found)
    for name, rows in tables.items():
        print()
        print(name)
        for row in rows:
            print_values(row)
    return 0


def _check_save(save: bool, step: int | None) -> None:
    if save and step is not None:
        raise InputError("save keeps the report of the last snapshot: leave step out.")


def run_residues(args: Residues) -> int:
    """Print the report.

    Raises:
        InputError: ``save`` with a ``step``, or a run on another task.
    """
    run = runs.open(args.run)
    _check_save(args.save, args.step)
    if isinstance(run.config.task, tasks.Residues):
        found = reports.report_residues(run, args.step)
    elif isinstance(run.config.task, tasks.GCD):
        found = reports.report_gcd(run, args.step)
    elif isinstance(run.config.task, tasks.Sequences):
        found = reports.report_sequences(run, args.step)
    else:
        control = runs.open(args.shuffled) if args.shuffled else None
        with parts(run.name) as progress:
            found = reports.report_sieve(run, args.step, control, progress)
    if args.save:
        runs.save_report(run, found)
    if not args.json:
        for name in ("frequency_power", "answers", "spectrum", "named"):  # many numbers, in the JSON only
            found.pop(name, None)
        for lines in found.get("lines", {}).values():
            lines.pop("steps")
    _print(found, args.json)
    return 0


def run_analyze(args: Analyze) -> int:
    """Print the report.

    Raises:
        InputError: a frequency is out of range, ``save`` with a ``step`` or ``frequencies``, or a run on another task.
    """
    run = runs.open(args.run)
    if isinstance(run.config.task, tasks.Table):
        return _analyze_group(args, run, run.config.task)
    _check_save(args.save, args.step)
    if args.save and args.frequencies is not None:
        raise InputError("save keeps the report with the network's own key frequencies: leave frequencies out.")
    _modular(run)
    found = verdict.analyze(run.model(args.step), run.task(), _frequencies(args.frequencies))
    values = _where(run, args.step) | found.to_json()
    if args.save:
        runs.save_report(run, values)
    if args.json:
        print(json.dumps(values))
        return 0
    for name in ("criteria", "reason"):
        values.pop(name)
    shown = f"{found.verdict}: {found.reason}" if found.reason else found.verdict
    print_values(values | {"verdict": shown, "key_frequencies": values["key_frequencies"] or "none"})
    print_criteria(found.criteria)
    return 0


def _analyze_group(args: Analyze, run: runs.Run, config: tasks.Table) -> int:
    if args.save or args.frequencies is not None:
        raise InputError(f"save and frequencies must be left out for {run.name}, which is on a group.")
    found = representations.analyze(run.model(args.step), run.task(), config)
    values = _where(run, args.step) | found.to_json()
    if args.json:
        print(json.dumps(values))
        return 0
    values |= {part.name: f"{part.explained:.4f}{' key' * part.key}" for part in found.parts}
    print_values({name: value for name, value in values.items() if name not in ("criteria", "parts")})
    print_criteria(found.criteria)
    return 0


def run_progress(args: Progress) -> int:
    """Print one row per snapshot, then the phases.

    Raises:
        InputError: as ``run_analyze``.
    """
    run = runs.open(args.run)
    _modular(run)
    models = ((step, run.model(step)) for step in run.steps)
    choice = keys.of_model(run.model(), run.task(), _frequencies(args.frequencies))
    frame = trajectory.measure_all(
        models, run.task(), choice.frequencies, choice.multipliers, choice.relabelling
    ).frame()
    marked = phases.mark(run.metrics())
    if args.json:
        rows = frame.to_dict("records")
        listed = [{"name": phase.name, "start": phase.start, "end": phase.end} for phase in marked]
        found = {"run": run.name, "key_frequencies": list(choice.frequencies), "phases": listed, "snapshots": rows}
        print(json.dumps(found))
    else:
        table = frame.astype(object).where(frame.notna(), "-")
        print(table.to_string(index=False, float_format="{:.4g}".format))
        for phase in marked:
            print(f"{phase.name}: steps {phase.start} to {phase.end}")
    return 0


def run_formula(args: Formula) -> int:
    """Print the formula and its fit.

    Raises:
        InputError: as ``run_analyze``.
    """
    run = runs.open(args.run)
    _modular(run)
    model, task = run.model(args.step), run.task()
    grid.least_p(task)
    logits = grid.logits(model, task)
    choice = keys.choose(logits, task, _frequencies(args.frequencies))
    fit = choice.fit(logits, task)
    values = {
        "key_frequencies": list(choice.frequencies),
        "sympy": str(fit.formula.sympy()),
        "latex": fit.formula.latex(),
        "relabelling": None if choice.relabelling.natural else list(choice.relabelling.names),
        "variance_explained": fit.variance_explained,
        "argmax_agreement": fit.argmax_agreement,
        "kl": fit.kl,
        "accuracy": fit.accuracy,
        "loss": fit.loss,
    }
    _print(_where(run, args.step) | values, args.json, choice.why_none)
    return 0


def run_circuit(args: Circuit) -> int:
    """Print the edges and the faithfulness of the best ones."""
    run = runs.open(args.run)
    model, task = run.model(args.step), run.task()
    found = circuits.find(model, task, args.method, examples=args.examples, seed=args.seed)
    values = _where(run, args.step) | found.to_json()
    if args.method != "exact":
        truth = circuits.find(model, task, "exact", examples=args.examples, seed=args.seed)
        compared = circuits.agreement(found, truth)
        values |= {"spearman": compared.spearman, "auroc": compared.auroc}
        values |= {"spearman_active": compared.spearman_active, "auroc_active": compared.auroc_active}
    if args.json:
        print(json.dumps(values))
    else:
        for edge in values.pop("edges"):
            print(f"{edge['score']:12.5g}  {edge['source']} -> {edge['target']}")
        curve = values.pop("faithfulness")
        print_values(values)
        print("faithfulness     " + ", ".join(f"{point['edges']}: {point['f']:.3g}" for point in curve or ()))
    return 0


def _modular(run: runs.Run) -> tasks.ModularAddition:
    if not isinstance(run.config.task, tasks.ModularAddition):
        raise InputError(
            f"run must be on modular arithmetic for this command ({run.name} is on {run.config.task.kind})."
        )
    return run.config.task


def _frequencies(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"frequencies must be whole numbers with commas between them, such as 3,7,12 (got {text!r}).")
    return tuple(map(int, parts))


def _where(run: runs.Run, step: int | None) -> dict[str, Any]:
    return {"run": run.name, "step": run.steps[-1] if step is None else step}


def _print(values: dict[str, Any], as_json: bool, why_no_key: str = "") -> None:
    """Print values as JSON or as lines, with the reason if there is no key frequency."""
    if as_json:
        print(json.dumps(values))
    else:
        print_values(values | ({"key_frequencies": f"none: {why_no_key}"} if why_no_key else {}))
