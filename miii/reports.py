"""Reports on runs: printed by the commands, kept by ``--save``, and compared between architectures."""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import astuple
from typing import Any

import torch

from miii.analysis import attention, compare, kinds, lags, moduli, multitask, rollout, sieve, targets, verdict
from miii.errors import InputError
from miii.model.tap import sites
from miii.model.transformer import Transformer
from miii.runs import Run
from miii.runs.read import finite
from miii.tasks import ModularAddition, Primes, Sequences, Task
from miii.training import build_model

EXAMPLES = 4096  #: random examples for the mean attention entropy


def report_sieve(
    run: Run,
    step: int | None = None,
    shuffled: Run | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """Return the output of ``miii residues RUN --json`` for primes or MIU. Shares are in 0 .. 1, moduli are text.

    Addition is empty if the blocks add nothing before their neurons, circuits if the blocks are not plain. A question
    with the same answer for all examples has no circuit. None marks measures with too few examples.

    Args:
        shuffled: a run on the same examples with shuffled labels, the probes' second control.
        progress: called with the parts done, the parts to do, and the next part.

    Raises:
        InputError: the run is on a different task.
    """
    config = sieve.check(run.config.task)
    model, task = run.model(step), run.task()
    tell = progress or (lambda done, todo, what: None)
    tell(0, 1, "depth of sieve")
    values: dict[str, Any] = {"run": run.name, "step": run.steps[-1] if step is None else step}
    moduli: tuple[int, ...] = (3,)
    seen: tuple[int, ...] = ()
    if isinstance(config, Primes):
        depth = sieve.depth(model, task, config)
        moduli, seen = sieve.moduli_to_test(config, depth)
        values |= {"label_only": config.label_only} | depth.to_json() | baselines(model, task, config)
    questions = ("base", *map(str, seen)) if isinstance(config, Primes) else ("3",)
    if not model.config.plain:  # circuits need additive parts
        questions = ()
    networks = {"trained": model, "untrained": build_model(run.config, task).requires_grad_(False)}
    if shuffled is not None:
        networks["shuffled"] = shuffled.model()
    todo = 2 + len(networks) + len(questions)
    tell(1, todo, "addition")
    added: tuple[sieve.Addition, ...] = ()
    with suppress(InputError):  # the sum cannot be split, or a split has no integer coprime to the base
        added = sieve.measure_addition(model, task, config, moduli, seen)
    r2: dict[str, Any] = {"shuffled": None}
    for done, (name, network) in enumerate(networks.items(), 2):
        tell(done, todo, f"probes, {name}")
        probes = sieve.probe(network, task, moduli)
        r2[name] = {str(q): probes.best(q) for q in moduli}
    circuits = {}
    for done, question in enumerate(questions, 2 + len(networks)):
        tell(done, todo, f"circuit of {question}")
        with suppress(InputError):  # all examples have the same answer
            circuits[question] = sieve.find_circuit(model, task, config, question).to_json()
    tell(todo, todo, "done")
    lines = sieve.measure_lines(model, task, config, added, seen)
    if lines:
        values["lines"] = {str(each.q): each.to_json() for each in lines}
    unseen = {each.q: each.generalization for each in added if each.generalization is not None}
    if any(each.by_block for each in added):
        values["interchange_by_block"] = {str(a.q): [finite(each.accuracy) for each in a.by_block] for a in added}
    return values | {
        "probe_r2": r2,
        "block_of_sum": {str(a.q): a.layer for a in added},
        "digit_variance_explained": {str(a.q): finite(a.variance_explained) for a in added},
        "digit_variance_chance": {str(a.q): finite(a.explained.chance) for a in added},
        "interchange_accuracy": {str(a.q): a.interchange and finite(a.interchange.accuracy) for a in added},
        "interchange_control": {str(a.q): a.interchange and finite(a.interchange.control) for a in added},
        "interchange_rest": {str(a.q): a.interchange and finite(a.interchange.rest) for a in added},
        "steering_accuracy": {str(a.q): finite(a.steering.accuracy) for a in added},
        "steering_control": {str(a.q): finite(a.steering.control) for a in added},
        "generalization": {str(q): each.to_json() for q, each in unseen.items()},
        "circuits": circuits,
        "conditions": {str(a.q): a.conditions_to_json() for a in added},
        "verdict": sieve.verdict(added, lines) if added or sieve.can_split(model) else "cannot be split by digits",
    }


def report_gcd(run: Run, step: int | None = None) -> dict[str, Any]:
    """Return the output of ``miii residues RUN --json`` for the gcd; NaN is None.

    Raises:
        InputError: the run is on a different task, or has no such step.
    """
    config = sieve.check_gcd(run.config.task)
    found = sieve.divisors(run.model(step), run.task(), config).to_json()
    values = {name: finite(value) if isinstance(value, float) else value for name, value in found.items()}
    return {"run": run.name, "step": run.steps[-1] if step is None else step} | values


def baselines(model: Transformer, task: Task, config: Primes) -> dict[str, Any]:
    """Return what the depth of a sieve is read beside: ``count_table``, and ``auc_by_length`` with text as keys.

    Raises:
        InputError: a logit is not finite.
    """
    table, by_length = sieve.count_table(task, config), sieve.auc_by_length(model, task, config)
    return {
        "count_table": table and table.to_json(),
        "auc_by_length": {str(k): {str(q): finite(auc) for q, auc in aucs.items()} for k, aucs in by_length.items()},
    }


def report_residues(run: Run, step: int | None = None) -> dict[str, Any]:
    """Return the output of ``miii residues RUN --json`` for all residues; ``frequency_power`` covers every snapshot.

    ``active_by_chance`` is the number of active frequencies that noise would have, by either rule.

    Raises:
        InputError: the run is on a different task, or has no such step.
    """
    config = multitask.check(run.config.task)
    task, model = run.task(), run.model(step)
    shown = run.steps[-1] if step is None else step
    accuracy, heads, active = multitask.accuracies(model, task), multitask.heads(model, task), active_frequencies(run)
    mean, worst = multitask.over_targets(accuracy, config)
    now = active.within[active.steps.index(shown)]
    return {
        "run": run.name,
        "step": shown,
        "accuracy": accuracy,
        "accuracy_mean": mean,
        "accuracy_worst": accuracy[worst],
        "active_frequencies": (now.nonzero()[:, 0] + 1).tolist(),
        "active_within": active.counts(active.within),
        "active_overall": active.counts(active.overall),
        "active_by_chance": dict(zip(("within", "overall"), active.chance, strict=True)),
        "frequency_power": {str(s): power.tolist() for s, power in zip(active.steps, active.power, strict=True)},
        "heads": [list(head.to) for head in heads],
        "heads_look_at_one_digit": all(head.one_digit for head in heads),
    }


def active_frequencies(run: Run) -> multitask.Active:
    """Return the active frequencies of every snapshot of a run on all residues.

    A shipped run keeps few snapshots; its report has the power of the others.

    Raises:
        InputError: the run is on a different task.
    """
    config, task = multitask.check(run.config.task), run.task()
    known = {} if run.report is None else multitask.reported_power(run.report)
    return multitask.active(
        known | {step: multitask.frequency_power(run.model(step), task, config.p) for step in run.steps}
    )


def report_rollout(run: Run, step: int | None = None, ahead: int | None = None) -> dict[str, Any]:
    """Return the output of ``miii rollout RUN --json``: scores by frame of the network, an untrained one, and a copy.

    ``held_out`` has the scores on all held-out sequences given the true frames, ``by_carries`` the share of correct
    integers one frame ahead of all held-out first frames, by number of carries, ``context`` the scores of predicting
    from context alone.

    Raises:
        InputError: as ``rollout.roll``, or the run has no such step.
    """
    config = rollout.check(run.config.task)
    task, model = run.task(), run.model(step)
    untrained = build_model(run.config, task).requires_grad_(False)
    ahead = config.frames - 1 if ahead is None else ahead
    first, steps = rollout.starts(config, ahead)
    rolled = rollout.roll(model, config, first, steps, ahead)
    return {
        "run": run.name,
        "step": run.steps[-1] if step is None else step,
        "sequences": len(first),
        "held_out": rollout.held_out(model, task),
        "context": rollout.auc_from_context(task, config.base),
        "by_carries": rollout.by_carries(model, config),
        "rollout": rollout.scores(rolled),
        "untrained": rollout.scores(rollout.roll(untrained, config, first, steps, ahead)),
        "copy": rollout.copied(rolled, first).tolist(),
    }


def report_sequences(run: Run, step: int | None = None) -> dict[str, Any]:
    """Return the output of ``miii residues RUN --json`` for sequences: F1 scores are on held-out families.

    ``tree`` is a decision tree on differences and ratios, ``named`` the share of the named sequences with a correct
    leading kind, ``spectrum`` what each part of the terms is worth, ``carriers`` whether residues, with differences,
    or size carry a kind, ``lags`` what attention a period back is worth to "periodic", ``decoded`` residues by
    step. Other targets: see ``targets.measure``.

    Raises:
        InputError: the run is on a different task, or has no such step.
    """
    asked, task, model = run.config.task, run.task(), run.model(step)
    untrained = build_model(run.config, task).requires_grad_(False)
    about = {"run": run.name, "step": run.steps[-1] if step is None else step}
    if isinstance(asked, Sequences) and asked.target != "kinds":
        return about | targets.measure(model, untrained, task, asked)
    config = kinds.check(asked)
    on_named, spectrum = kinds.on_named(model, config), moduli.spectrum(model, task, config)
    return about | {
        "held_out": kinds.held_out(model, task),
        "untrained": kinds.held_out(untrained, task),
        "tree": kinds.tree(config),
        "named_correct": float(on_named["correct"].mean()),
        "named": on_named.to_dict("records"),
        "spectrum": spectrum.to_json(),
        "carriers": {kind: values for kind, *values in map(astuple, moduli.carriers(model, task, config))},
        "lags": lags.report(model, task, config),
        "decoded": moduli.decodability({each: run.model(each) for each in run.steps}, task, config).to_dict("records")
        if config.terms in moduli.WITH_RESIDUES
        else None,
    }


def measure(run: Run) -> compare.ComparedRun:
    """Measure the final network of a finished run for a comparison, and summarize its training.

    Raises:
        InputError: the run is on neither modular arithmetic nor primes, or has not finished.
    """
    config, task = run.config, run.config.task
    if not isinstance(task, ModularAddition | Primes):
        raise InputError(f"run must be on modular arithmetic or primes to be compared ({run.name} is on {task.kind}).")
    result = run.result
    if result is None or result["stopped"]:
        raise InputError(f"run must have finished to be compared ({run.name} has not); resume it first.")
    model, examples = run.model(), run.task()
    measures = _of_primes(model, examples, task) if isinstance(task, Primes) else _of_addition(model, examples)
    measures["attention_entropy"] = _attention_entropy(model, examples)
    column = "auc" if isinstance(task, Primes) else "test_accuracy"
    return compare.ComparedRun(
        run=run.name,
        architecture=compare.architecture(config),
        optimizer=compare.optimizer(config),
        terms=compare.terms(config),
        seed=run.seed,
        parameters=sum(weight.numel() for weight in model.parameters()),
        steps=result["steps"],
        grokked_at=result["grokked_at"],
        seconds_to_grok=result["seconds_to_grok"],
        ms_per_step=result["ms_per_step"],
        measures={name: finite(value) for name, value in measures.items()},
        curve=tuple((int(row["step"]), row[column]) for row in run.rows() if math.isfinite(row.get(column, math.nan))),
        precision=run.provenance.get("precision"),
    )


def _of_addition(model: Transformer, task: Task) -> dict[str, float | int | None]:
    found = verdict.analyze(model, task)
    return {
        compare.ADDS: int(found.adds),
        "accuracy": found.test_accuracy,
        "key_frequencies": len(found.key_frequencies),
        "explained": found.logit_variance_explained,
        "steering": found.steering_accuracy,
        "single_frequency": found.neurons_single_frequency,
        "gradient_symmetricity": found.gradient_symmetricity,
        "distance_irrelevance": found.distance_irrelevance,
    }


def _of_primes(model: Transformer, task: Task, config: Primes) -> dict[str, float | int | None]:
    judged = sieve.depth(model, task, config)
    found: dict[str, float | int | None] = {"accuracy": judged.roc_auc, "sieve_depth": judged.sieve_depth}
    try:
        (added,) = sieve.measure_addition(model, task, config, (3,))
    except InputError:  # the sum cannot be split by digits
        return found | {compare.ADDS: None, "explained": None, "steering": None}
    return found | {
        compare.ADDS: int(added.adds),
        "explained": added.variance_explained,
        "steering": added.steering.accuracy,
    }


def _attention_entropy(model: Transformer, task: Task) -> float | None:
    """Return the mean entropy in nats of the last layer's attention from the last position; None without a pattern."""
    if "pattern" not in sites(model.config):
        return None
    drawn = torch.randperm(len(task.tokens), generator=torch.Generator().manual_seed(0))[:EXAMPLES]
    weight = attention.over_inputs(model, task.tokens[drawn], model.config.n_layers - 1).weight
    if weight.min() < 0:  # shaped attention is not a distribution
        return None
    share = weight / weight.sum(1, keepdim=True)
    return float(-(share * share.clamp_min(1e-30).log()).sum(1).mean())
