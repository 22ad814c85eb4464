"""The steps of the page Follow an input that every task has: tokens, attention, neurons, logits, and waves over the answers."""

from typing import Any

import miii
from miii import analysis, numbers, plots
from miii.model.wiring import BLOCKS
from miii.plots.style import Chart
from miii.runs import Run
from pages._kit import write
from pages._kit.cell import cell, shared
from pages._kit.latex import product
from pages._parts.attention.patterns import choose_layer

NEURONS = 12  # that are shown by themselves
WAVES = 5
AGREES = 0.9  # of its height: a wave that has more argues for the answer as well as it can


@shared
def forward_pass(name: str, step: int, shown: str) -> analysis.follow.ForwardPass:
    run = miii.runs.open(name)
    return analysis.follow.forward_pass(run.model(step), analysis.follow.tokens_of(run.task(), shown))


def attention_by_position(name: str, step: int, shown: str, layer: int) -> Chart:
    return plots.attention_by_position(forward_pass(name, step, shown).patterns[layer], shown.split())


def neuron_contributions(name: str, step: int, shown: str, target: str, answer: int, other: int | None) -> Chart:
    run = miii.runs.open(name)
    post, where = forward_pass(name, step, shown).post, run.task().logits_of(target)
    written = analysis.follow.neuron_writes(run.model(step), post, where, answer, other)
    return plots.neuron_contributions(written, post)


def answer_logits(name: str, step: int, shown: str, target: str, truth: int) -> Chart:
    logits = forward_pass(name, step, shown).logits[miii.runs.open(name).task().logits_of(target)]
    return plots.answer_logits(analysis.follow.predict(logits), truth)


def wave_logits(name: str, step: int, shown: str, target: str) -> Chart:
    logits = forward_pass(name, step, shown).logits[miii.runs.open(name).task().logits_of(target)]
    said = analysis.follow.predict(logits)
    return plots.wave_logits(analysis.follow.waves(logits), said.answer, said.runner_up)


def wave_sum(name: str, step: int, shown: str, target: str) -> Chart:
    logits = forward_pass(name, step, shown).logits[miii.runs.open(name).task().logits_of(target)]
    return plots.wave_sum(analysis.follow.waves(logits), analysis.follow.predict(logits).answer)


def factors(n: int) -> str:
    """The truth about an integer, as a sentence without its end."""
    if n < 2:
        return f"{n} has no prime factors"
    found = numbers.factors(n)
    return f"{n} is prime" if found == {n: 1} else f"${n} = {product(found)}$"


def where(run: Run, step: int, shown: str) -> None:
    """Step 2: attention."""
    write.header("2 · Where it looks", anchor="looks")
    patterns = forward_pass(run.name, step, shown).patterns
    if not patterns:
        write.text(
            f"The answer is read at the last token. This network has no attention to bring the others there: it mixes positions by "
            f"{run.config.model.mixer}, which has no pattern to show."
        )
        return
    write.text(
        "The answer is read at the last token, which knows nothing of the others. Each **head** divides its attention among the tokens "
        "and carries over what it finds there."
    )
    layer = choose_layer(len(patterns))
    weights = patterns[layer]
    names = shown.split()
    best = weights.argmax(1).tolist()
    listed = "; ".join(
        f"head {h} most at “{names[pos]}” in place {pos} ({weights[h, pos]:.0%})" for h, pos in enumerate(best[:4])
    )
    sums = (
        "Each row sums to 100 %."
        if BLOCKS[run.config.model.block].shape == "softmax"
        else "In these blocks rows need not sum to 100 %."
    )
    cell(
        attention_by_position,
        name=run.name,
        step=step,
        shown=shown,
        layer=layer,
        width="content" if len(names) <= plots.follow.WRITTEN else "stretch",
        alt=f"Attention of {len(weights)} heads from the last token of {shown}.",
        caption=f"Looking: {listed}{'; and so on' if len(best) > 4 else ''}. {sums}",
    )


def neurons(run: Run, step: int, shown: str, target: str, answer: int, other: int | None, what: str) -> None:
    """Step 3: the neurons.

    Args:
        answer, other: as in ``analysis.follow.neuron_writes``.
        what: what they add to, in words.
    """
    write.header("3 · What its neurons make of it", anchor="neurons")
    found = forward_pass(run.name, step, shown)
    on = int((found.post > 0).sum())
    mixed = "What the heads bring is" if found.patterns else "What has come to the last token is"
    write.text(
        f"{mixed} added up and read by {len(found.post)} **neurons**, each a weighted sum bent by the function {run.config.model.act}. "
        f"{on} of them are above 0 here. Each then writes its own fixed pattern to the answers, as loudly as it is active."
    )
    if not run.config.model.plain:
        write.info(
            f"What single neurons add cannot be read off {run.name}: its blocks are {run.config.model.block} with "
            f"{run.config.model.mixer}, and their parts do not simply add up to the logits.",
            icon="info",
        )
        return
    task, model = run.task(), run.model(step)
    written = analysis.follow.neuron_writes(model, found.post, task.logits_of(target), answer, other)
    added = written.added
    top = written.strongest(NEURONS)
    frequencies = ""
    if other is None and written.frequency.max() > 1:
        by_k = {int(k): float(added[written.frequency == k].sum()) for k in written.frequency.unique() if k}
        most = sorted(by_k, key=lambda k: -by_k[k])[:3]
        frequencies = (
            f" By the frequency of the wave that they write: {', '.join(f'k = {k} {by_k[k]:+.2f}' for k in most)}."
        )
    shown_at: dict[str, Any] = {"name": run.name, "step": step, "shown": shown, "target": target}
    cell(
        neuron_contributions,
        **shown_at,
        answer=answer,
        other=other,
        alt=f"Bars of the {len(top)} neurons that add most to {what}.",
        caption=f"All neurons together add {added.sum():.2f} to {what}; the loudest, neuron {top[0]}, {added[top[0]]:+.2f} with an activation of "
        f"{found.post[top[0]]:.2f} (its input was {found.pre[top[0]]:.2f}). The {len(top)} shown add {added[top].sum():+.2f}.{frequencies}",
    )


def logits(run: Run, step: int, shown: str, target: str, truth: int) -> analysis.follow.Prediction:
    """The logits of step 4, of a target whose answers are 0 .. q - 1."""
    said = analysis.follow.predict(forward_pass(run.name, step, shown).logits[run.task().logits_of(target)])
    cell(
        answer_logits,
        name=run.name,
        step=step,
        shown=shown,
        target=target,
        truth=truth,
        alt=f"Logit of each of {len(said.logits)} answers.",
        caption=f"At step {step} **{said.answer}** has a logit of {said.logits[said.answer]:.2f} above the mean, {said.lead:.2f} more than the runner-up "
        f"{said.runner_up}; the softmax makes {said.probability[said.answer]:.1%} of that, and {said.probability[said.runner_up]:.1%} of the runner-up's."
        + ("" if truth == said.answer else f" The truth, {truth}, has {said.logits[truth]:.2f}."),
    )
    return said


def frequencies(run: Run, step: int, shown: str, target: str, added: str) -> None:
    """Step 5: which waves over the answers argued for the one that is given.

    Args:
        added: what a network that adds has the crests at, as a formula.
    """
    write.header("5 · Who argued for it", anchor="argued")
    found = forward_pass(run.name, step, shown).logits[run.task().logits_of(target)]
    said, waves = analysis.follow.predict(found), analysis.follow.waves(found)
    p = len(found)
    write.text(
        rf"The logits above are a row of {p} numbers, and so exactly a sum of waves $\cos\left(\frac{{2\pi k}}{{{p}}}(c - c_k)\right)$, one of each "
        rf"frequency $k$, with $k$ crests. A network that adds puts one of each wave's crests at {added}: there the waves agree, and "
        "at all other answers they drown each other out."
    )
    if waves.wave.abs().max() < 1e-6:
        write.info("All answers have the same logit here, so there is no wave.")
        return
    for_it, lead = waves.wave[:, said.answer], waves.lead(said.answer, said.runner_up)
    order = for_it.argsort(descending=True).tolist()[: min(3, len(for_it))]
    best = int(lead.argmax()) + 1
    rest = float(said.logits[said.answer]) - float(for_it[order].sum())
    arguments: dict[str, Any] = {"name": run.name, "step": step, "shown": shown, "target": target}
    listed = ", ".join(f"k = {i + 1} {for_it[i]:+.2f}" for i in order)
    cell(
        wave_logits,
        **arguments,
        alt="Bars by frequency: logits argued for the answer and for the runner-up.",
        caption=f"**For {said.answer}**: {listed}, all others together {rest:+.2f}; they add up to its {said.logits[said.answer]:.2f}. Against the "
        f"runner-up {said.runner_up}, **k = {best}** argued most: {lead[best - 1]:+.2f} of a lead of {said.lead:.2f}.",
    )
    strongest = waves.strongest(WAVES)
    height, crest = waves.agreement(said.answer), waves.crest(said.answer)
    crests = ", ".join(f"k = {k} at {crest[k - 1]:.1f} ({height[k - 1]:.0%})" for k in strongest)
    agree = sum(height[k - 1] > AGREES for k in strongest)
    cell(
        wave_sum,
        **arguments,
        alt=f"The strongest {len(strongest)} waves over the answers, and the sum of all waves below; a line at the answer.",
        caption=f"The crest of each nearest to {said.answer}, and how much of its height it has at {said.answer}, the dashed line: {crests}. {agree} of "
        f"these {len(strongest)} have more than {AGREES:.0%}. Below is the sum of all waves, on the same scale.",
    )
