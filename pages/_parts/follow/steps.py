"""Steps of the page Follow an input shared by all tasks: attention, neurons, logits, waves over the answers."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

import miii
from miii import analysis, numbers, plots
from miii.model.tap import sites
from miii.model.wiring import BLOCKS
from miii.plots.style import Chart
from miii.runs import Run
from pages._kit import write
from pages._kit.cell import cell, shared
from pages._kit.latex import product
from pages._parts.attention.patterns import choose_layer

NEURONS = 12  # shown one by one
WAVES = 5
AGREES = 0.9  # share of its height at which a wave peaks at the answer
CYCLIC = ("modular", "residues")  #: kinds of tasks with answers modulo q: elsewhere, their frequencies mean nothing
ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU"}  #: how they are written


@shared
def forward_pass(name: str, step: int, shown: str) -> analysis.follow.ForwardPass:
    run = miii.runs.open(name)
    return analysis.follow.forward_pass(run.model(step), analysis.follow.tokens_of(run.task(), shown))


def input_path(name: str, step: int, shown: str, target: str, words: tuple[str, ...] | None) -> Chart:
    run = miii.runs.open(name)
    task = run.task()
    found = analysis.path.input_path(run.model(step), analysis.follow.tokens_of(task, shown), task.logits_of(target))
    answers = [str(c) if words is None else words[c] for c in found.answers.tolist()]
    return plots.input_path(found, shown.split(), answers)


def attention_by_position(name: str, step: int, shown: str, layer: int) -> Chart:
    return plots.attention_by_position(forward_pass(name, step, shown).patterns[layer], shown.split())


def neuron_contributions(
    name: str, step: int, shown: str, target: str, answer: int, other: int | None, cyclic: bool
) -> Chart:
    run = miii.runs.open(name)
    post, where = forward_pass(name, step, shown).post, run.task().logits_of(target)
    written = analysis.follow.neuron_writes(run.model(step), post, where, answer, other)
    return plots.neuron_contributions(written, post, cyclic)


def answer_logits(
    name: str, step: int, shown: str, target: str, truth: int, words: tuple[str, ...] | None = None
) -> Chart:
    logits = forward_pass(name, step, shown).logits[miii.runs.open(name).task().logits_of(target)]
    return plots.answer_logits(analysis.follow.predict(logits), truth, words)


def wave_logits(name: str, step: int, shown: str, target: str) -> Chart:
    logits = forward_pass(name, step, shown).logits[miii.runs.open(name).task().logits_of(target)]
    said = analysis.follow.predict(logits)
    return plots.wave_logits(analysis.follow.waves(logits), said.answer, said.runner_up)


def wave_sum(name: str, step: int, shown: str, target: str) -> Chart:
    logits = forward_pass(name, step, shown).logits[miii.runs.open(name).task().logits_of(target)]
    return plots.wave_sum(analysis.follow.waves(logits), analysis.follow.predict(logits).answer)


def factors(n: int) -> str:
    """Write the factorization of an integer, without a period."""
    if n < 2:
        return f"{n} has no prime factors"
    found = numbers.factors(n)
    return f"{n} is prime" if found == {n: 1} else f"${n} = {product(found)}$"


def path(run: Run, step: int, shown: str, target: str, words: tuple[str, ...] | None = None) -> None:
    """Show the whole path of an input as one diagram.

    Args:
        words: names of the answers; None for numbers.
    """
    block = f" of block {run.config.model.n_layers - 1}" if run.config.model.n_layers > 1 else ""
    read = "attention" if "pattern" in sites(run.config.model) else "share of the head's output"
    cell(
        input_path,
        name=run.name,
        step=step,
        shown=shown,
        target=target,
        words=words,
        caption=f"Line widths: {read}, then contributions to neurons' inputs, then to logits. Only the strongest neurons{block} and logits.",
    )


def where(run: Run, step: int, shown: str) -> None:
    """Show step 2: attention."""
    write.header("2 · Attention", anchor="looks")
    patterns = forward_pass(run.name, step, shown).patterns
    if not patterns:
        write.text(f"Its mixer, {run.config.model.mixer}, has no attention pattern.")
        return
    write.text("At the last token, where the answer is read, each **head** attends to the tokens and copies from them.")
    layer = choose_layer(len(patterns))
    weights = patterns[layer]
    names = shown.split()
    best = weights.argmax(1).tolist()
    listed = "; ".join(
        f"head {h} to “{names[pos]}” at position {pos} ({weights[h, pos]:.0%})" for h, pos in enumerate(best[:4])
    )
    sums = "" if BLOCKS[run.config.model.block].shape == "softmax" else " In these blocks, rows need not sum to 100%."
    cell(
        attention_by_position,
        name=run.name,
        step=step,
        shown=shown,
        layer=layer,
        width="content" if len(names) <= plots.follow.WRITTEN else "stretch",
        caption=f"Most attention: {listed}{'; …' if len(best) > 4 else ''}.{sums}",
    )


def neurons(run: Run, step: int, shown: str, target: str, answer: int, other: int | None, what: str) -> None:
    """Show step 3: the neurons.

    Args:
        answer, other: as in ``analysis.follow.neuron_writes``.
        what: what they add to, in words.
    """
    write.header("3 · Neurons", anchor="neurons")
    found = forward_pass(run.name, step, shown)
    on = int((found.post > 0).sum())
    source = "heads' outputs" if found.patterns else "last token's residual stream"
    write.text(
        f"{len(found.post)} **neurons** weigh the {source} and apply "
        f"{ACTIVATIONS.get(run.config.model.act, run.config.model.act)}: {on} are above 0. Each adds its pattern to the logits, scaled by its "
        "activation."
    )
    if not run.config.model.plain:
        write.info(
            f"Neurons of {run.name} have no defined contribution: {run.config.model.block} blocks with {run.config.model.mixer} do not add up.",
            icon="info",
        )
        return
    task, model = run.task(), run.model(step)
    written = analysis.follow.neuron_writes(model, found.post, task.logits_of(target), answer, other)
    added = written.added
    top = written.strongest(NEURONS)
    frequencies = ""
    cyclic = run.config.task.kind in CYCLIC
    if other is None and cyclic:
        by_k = {int(k): float(added[written.frequency == k].sum()) for k in written.frequency.unique() if k}
        most = sorted(by_k, key=lambda k: -by_k[k])[:3]
        frequencies = f" By frequency written: {', '.join(f'k = {k}: {by_k[k]:+.2f}' for k in most)}."
    shown_at: dict[str, Any] = {"name": run.name, "step": step, "shown": shown, "target": target}
    cell(
        neuron_contributions,
        **shown_at,
        answer=answer,
        other=other,
        cyclic=cyclic,
        caption=f"Contributions to {what}: {added.sum():.2f} from all neurons, {added[top].sum():+.2f} from the {len(top)} shown, {added[top[0]]:+.2f} from the "
        f"largest, neuron {top[0]} (activation {found.post[top[0]]:.2f}, input {found.pre[top[0]]:.2f}).{frequencies}",
    )


def verdict(said: analysis.follow.Prediction, truth: int, names: Sequence[str] | None = None) -> None:
    """Show the prediction beside the label, and its confidence.

    Args:
        names: of the answers; None for numbers.
    """

    def named(answer: int) -> int | str:
        return answer if names is None else names[answer]

    with st.container(horizontal=True):
        write.metric("Prediction", named(said.answer), border=True)
        write.metric("Label", named(truth), border=True)
        write.metric("Result", "correct" if said.answer == truth else "wrong", border=True)
        write.metric(
            "Confidence",
            f"{said.probability[said.answer]:.1%}",
            border=True,
            help="Softmax probability",
        )


def logits(
    run: Run, step: int, shown: str, target: str, truth: int, words: tuple[str, ...] | None = None
) -> analysis.follow.Prediction:
    """Show the logits of step 4, for a target with answers 0 .. q - 1.

    Args:
        words: names of the answers; None for numbers.
    """
    said = analysis.follow.predict(forward_pass(run.name, step, shown).logits[run.task().logits_of(target)])
    names = words or tuple(map(str, range(len(said.logits))))
    cell(
        answer_logits,
        name=run.name,
        step=step,
        shown=shown,
        target=target,
        truth=truth,
        words=words,
        caption=f"**{names[said.answer]}** is {said.logits[said.answer]:.2f} above the mean and {said.lead:.2f} above the runner-up "
        f"{names[said.runner_up]} ({said.probability[said.answer]:.1%} against {said.probability[said.runner_up]:.1%})."
        + ("" if truth == said.answer else f" The label, {names[truth]}, is at {said.logits[truth]:.2f}."),
    )
    return said


def frequencies(run: Run, step: int, shown: str, target: str, added: str) -> None:
    """Show step 5: the waves over the answers behind the prediction.

    Args:
        added: where a network that adds has its crests, as a formula.
    """
    write.header("5 · Waves over the answers", anchor="argued")
    found = forward_pass(run.name, step, shown).logits[run.task().logits_of(target)]
    said, waves = analysis.follow.predict(found), analysis.follow.waves(found)
    p = len(found)
    write.text(
        rf"The logits are a sum of waves $\alpha_k \cos\left(\frac{{2\pi k}}{{{p}}}(c - c_k)\right)$. A network that adds puts a crest of each at "
        rf"{added}; elsewhere they cancel."
    )
    if waves.wave.abs().max() < 1e-6:
        write.info("All logits are equal: no wave.")
        return
    for_it, lead = waves.wave[:, said.answer], waves.lead(said.answer, said.runner_up)
    order = for_it.argsort(descending=True).tolist()[: min(3, len(for_it))]
    best = int(lead.argmax()) + 1
    rest = float(said.logits[said.answer]) - float(for_it[order].sum())
    arguments: dict[str, Any] = {"name": run.name, "step": step, "shown": shown, "target": target}
    listed = ", ".join(f"k = {i + 1}: {for_it[i]:+.2f}" for i in order)
    cell(
        wave_logits,
        **arguments,
        caption=f"Logit of **{said.answer}**: {listed}, all others {rest:+.2f}; total {said.logits[said.answer]:.2f}. Against the runner-up "
        f"{said.runner_up}, **k = {best}** contributes most: {lead[best - 1]:+.2f} of {said.lead:.2f}.",
    )
    strongest = waves.strongest(WAVES)
    height, crest = waves.agreement(said.answer), waves.crest(said.answer)
    crests = ", ".join(f"k = {k} at {crest[k - 1]:.1f} ({height[k - 1]:.0%})" for k in strongest)
    agree = sum(height[k - 1] > AGREES for k in strongest)
    cell(
        wave_sum,
        **arguments,
        caption=f"Crests nearest to {said.answer} (dashed), and the height there relative to the crest: {crests}. "
        f"{agree} of {len(strongest)} exceed {AGREES:.0%}.",
    )
