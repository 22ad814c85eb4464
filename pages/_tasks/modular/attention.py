"""The page Attention for modular arithmetic: heads over all pairs of operands."""

from typing import Any

import streamlit as st

import miii
from miii import ModularAddition, analysis, plots
from miii.plots.heatmap import CELL
from miii.plots.style import Chart
from miii.runs import Run
from pages._kit import links, write
from pages._kit.cell import cell, shared
from pages._kit.inputs import choose_pair, integer
from pages._parts.attention import matrices, patterns
from pages._tasks.modular.checks import example_of, small_enough


@shared
def attention_to_inputs(name: str, step: int, layer: int) -> analysis.attention.OverInputs:
    run = miii.runs.open(name)
    return analysis.attention.over_inputs(run.model(step), run.task().tokens, layer)


@shared
def periodicity(name: str, step: int, layer: int) -> analysis.attention.Periodicity:
    run = miii.runs.open(name)
    over = analysis.attention.over_inputs(run.model(step), run.task().tokens, layer)
    return analysis.attention.periodicity(over)


def over_inputs(name: str, step: int, layer: int, head: int, key: int) -> Chart:
    task = miii.runs.open(name).task()
    weight = attention_to_inputs(name, step, layer).weight[head, key]
    return plots.over_inputs(miii.tasks.modular.grid_of(task, weight, task.d_vocab_out, float("nan")), head, "ab"[key])


@shared
def predicted_answer(name: str, step: int, example: int) -> int:
    run = miii.runs.open(name)
    return int(miii.answer(run.model(step), run.task().tokens[example][None]))


def in_words(periodicity: analysis.attention.Periodicity, head: int, key: int) -> str:
    """What is to be said of the spectrum of one head's attention to one key."""
    single = periodicity.single()[head, key]
    if not single.any():
        return "The weight is the same for all pairs, so there is no periodicity to find."
    return (
        f"The weight deviates from its mean by {periodicity.deviation[head, key]:.2g}. {periodicity.of_a()[head, key]:.0%} of the "
        f"variance depends on $a$ alone, {periodicity.of_b()[head, key]:.0%} on $b$ alone, the rest on both. {matrices.strongest(single)}"
    )


def attention_spectrum(name: str, step: int, layer: int, head: int, key: int) -> Chart:
    power = periodicity(name, step, layer).power[head, key]
    return plots.attention_spectrum(power, head, "ab"[key])


@shared
def ablated_heads(name: str, step: int, kind: analysis.ablation.Kind) -> analysis.ablation.Ablations:
    run = miii.runs.open(name)
    return analysis.ablation.heads(run.model(step), run.task(), kind)


def head_ablation(name: str, step: int, kind: analysis.ablation.Kind) -> Chart:
    return plots.ablation(ablated_heads(name, step, kind))


def show(run: Run, task: ModularAddition, step: int) -> None:
    """Everything about one snapshot."""
    p = small_enough(run, task)
    layer = one_input(run, step, p)
    head = all_inputs(run, step, layer)
    side_by_side(run, step, layer)
    if run.config.model.plain:
        matrices.show(run, step, layer, head)
    else:
        write.info(
            f"What a head looks for and what it writes cannot be read off the matrices of {run.name}, and its logits are no sum of "
            f"what the parts wrote: its blocks are {run.config.model.block}. What follows holds for it as well.",
            icon="info",
        )
    show_ablations(run, step)


def one_input(run: Run, step: int, p: int) -> int:
    """The pattern of a chosen pair; returns the chosen layer."""
    write.header("One input", anchor="input")
    with st.container(horizontal=True, gap="medium"):
        a = integer("a", 0, p - 1, min(5, p - 1), "a", "The first operand") or 0
        b = integer("b", 0, p - 1, min(8, p - 1), "b", "The second operand") or 0
        layer = patterns.choose_layer(run.config.model.n_layers)
    example = example_of(run.task(), a, b)
    a, b = (int(token) % p for token in run.task().tokens[example, :2])
    answer = predicted_answer(run.name, step, example)
    truth = int(run.task().labels[example])
    verdict = "right" if answer == truth else f"wrong, it is {truth}"
    split = "train" if run.task().train_mask[example] else "test"
    known = f"This pair is in the {split} split." if run.task().split_known else "Which pairs trained it is unknown."
    write.text(f"At step {step} the network answers **{answer}** for ({a}, {b}): {verdict}. {known}")
    patterns.show_pattern(run, step, example, layer)

    links.to("try", "Follow this pair through the whole network", ":material/route:")
    return layer


def all_inputs(run: Run, step: int, layer: int) -> int:
    """One head's attention over all pairs, and its spectrum; returns the chosen head."""
    write.header("All inputs", anchor="inputs")
    head = st.segmented_control(
        "Head",
        range(run.config.model.n_heads),
        default=0,
        required=True,
        key="head",
        bind="query-params",
        help="Each head has a pattern of its own",
    )
    head = int(head or 0)  # an empty value in the URL gives None
    shown: dict[str, Any] = {"name": run.name, "step": step, "layer": layer, "head": head}
    columns = st.columns(2)
    for column, key in zip(columns, (0, 1), strict=True):
        with column:
            cell(
                over_inputs,
                **shown,
                key=key,
                width="content",
                pick=(CELL, choose_pair),
                alt=f"Attention of head {head} from = to {'ab'[key]} for every pair of operands.",
            )
    write.caption(
        "Every cell is one input (a, b); a click on it looks at that input above. Stripes along one axis: the weight follows one operand alone. That they repeat: it "
        "follows it in a periodicity, as it would by reading the operand's angles on the circles of the Fourier page."
    )

    write.header("In which periodicity does it look?", anchor="periodicity")
    if len(run.task().labels) < run.task().d_vocab_out ** 2:
        write.info("The spectrum needs all pairs, and this task leaves out some.")
        return head
    write.text(
        "Products of a wave in $a$ and a wave in $b$ add up to any picture above. If the head reads angles on a few circles, "
        "few of them are needed: in the first column waves in $a$ alone, in the first row waves in $b$ alone."
    )

    columns = st.columns(2)
    for column, key in zip(columns, (0, 1), strict=True):
        with column:
            cell(
                attention_spectrum,
                **shown,
                key=key,
                width="content",
                alt=f"Share of the variance of head {head}'s attention to {'ab'[key]} by the frequencies of a and b.",
                caption=in_words(periodicity(run.name, step, layer), head, key),
            )
    return head


def side_by_side(run: Run, step: int, layer: int) -> None:
    """The mean attention of every head."""
    write.header("Heads side by side", anchor="heads")
    means = attention_to_inputs(run.name, step, layer).mean().tolist()
    write.table(
        [{"head": h, "to a": to_a, "to b": to_b, "to =": to_end} for h, (to_a, to_b, to_end) in enumerate(means)],
        width="content",
        column_config={name: st.column_config.NumberColumn(format="percent") for name in ("to a", "to b", "to =")},
        name="heads",
    )
    write.caption("Mean attention from “=” over all pairs. The table's own toolbar searches and downloads it.")


def show_ablations(run: Run, step: int) -> None:
    """The loss without each head."""
    write.header("What if a head falls silent?", anchor="silence")
    write.text(
        "To see whether the network needs a head, put something else in the place of what it found. **zero** takes away all that "
        "it writes; its **mean** over all pairs only what it says of this one; an **interchange** puts in what it found for "
        "another pair with another answer, and so misleads."
    )
    kinds: tuple[analysis.ablation.Kind, ...] = ("zero", "mean", "interchange")
    kind = st.segmented_control(
        "In its place",
        kinds,
        default="mean",
        required=True,
        key="kind",
        bind="query-params",
        help="What the other parts of the network receive instead",
    )
    kind = kind or "mean"

    found = ablated_heads(run.name, step, kind)
    listed = [
        f"without head {found.names[i]} it is {found.loss[i]:.3g} nats with {found.accuracy[i]:.1%} right"
        for i in (int(found.loss.argmax()), int(found.loss.argmin()))
    ]
    cell(
        head_ablation,
        name=run.name,
        step=step,
        kind=kind,
        alt="Loss of the network with each of its heads silenced in turn, beside that of the whole network.",
        caption=f"Over all pairs the whole network's loss is {found.baseline_loss:.3g} nats, with {found.baseline_accuracy:.1%} of the "
        f"answers right; {f'{listed[0]} (the most), {listed[1]} (the least)' if len(found.names) > 1 else listed[0]}.",
    )
