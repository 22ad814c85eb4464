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


def over_inputs(name: str, step: int, layer: int, head: int, key: int, pair: tuple[int, int]) -> Chart:
    task = miii.runs.open(name).task()
    weight = attention_to_inputs(name, step, layer).weight[head, key]
    grid = miii.tasks.modular.grid_of(task, weight, task.d_vocab_out, float("nan"))
    return plots.mark_cell(plots.over_inputs(grid, head, "ab"[key]), *pair)


@shared
def predicted_answer(name: str, step: int, example: int) -> int:
    run = miii.runs.open(name)
    return int(miii.answer(run.model(step), run.task().tokens[example][None]))


def in_words(periodicity: analysis.attention.Periodicity, head: int, key: int) -> str:
    """Describe the spectrum of one head's attention to one key."""
    single = periodicity.single()[head, key]
    if not single.any():
        return "The weight is constant over pairs."
    return (
        f"Standard deviation {periodicity.deviation[head, key]:.2g}; {periodicity.of_a()[head, key]:.0%} of the variance depends on $a$ alone, "
        f"{periodicity.of_b()[head, key]:.0%} on $b$ alone. {matrices.strongest(single)}"
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
    """Show one snapshot."""
    p = small_enough(run, task)
    layer, pair = one_input(run, step, p)
    head = all_inputs(run, step, layer, pair)
    side_by_side(run, step, layer)
    if run.config.model.plain:
        matrices.show(run, step, layer, head)
    else:
        write.info(
            f"QK and OV circuits are not defined in {run.config.model.block} blocks.",
            icon="info",
        )
    show_ablations(run, step)


def one_input(run: Run, step: int, p: int) -> tuple[int, tuple[int, int]]:
    """Show the pattern of a chosen pair; return the chosen layer and the pair."""
    write.header("One input", anchor="input")
    with st.container(horizontal=True, gap="medium"):
        a = integer("a", 0, p - 1, min(5, p - 1), "a", f"0 to {p - 1}") or 0
        b = integer("b", 0, p - 1, min(8, p - 1), "b", f"0 to {p - 1}") or 0
        layer = patterns.choose_layer(run.config.model.n_layers)
    example = example_of(run.task(), a, b)
    a, b = (int(each[example]) % p for each in analysis.grid.operands(run.task()))
    answer = predicted_answer(run.name, step, example)
    truth = int(run.task().labels[example])
    verdict = "correct" if answer == truth else f"wrong, the label is {truth}"
    split = "training" if run.task().train_mask[example] else "test"
    known = f"{split} split" if run.task().split_known else "training split unknown"
    write.text(f"At step {step} the network answers **{answer}** for ({a}, {b}): {verdict} ({known}).")
    patterns.show_pattern(run, step, example, layer)

    links.to("try", "Follow this pair through the network", ":material/route:")
    return layer, (a, b)


def all_inputs(run: Run, step: int, layer: int, pair: tuple[int, int]) -> int:
    """Show one head's attention over all pairs, and its spectrum; return the head."""
    write.header("All inputs", anchor="inputs")
    head = st.segmented_control(
        "Head",
        range(run.config.model.n_heads),
        default=0,
        required=True,
        key="head",
        bind="query-params",
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
                pair=pair,
                width="content",
                pick=(CELL, choose_pair),
            )
    write.caption("Stripes along an axis mean that the weight depends on one operand. Click a pair to see its pattern.")

    write.header("Is attention periodic?", anchor="periodicity")
    if len(run.task().labels) < run.task().d_vocab_out ** 2:
        write.info("The spectrum needs all pairs; this task leaves some out.")
        return head
    write.text(
        "A head that reads angles on a few circles needs few products of waves. Column 0: waves in $a$ alone; row 0: in $b$ alone."
    )

    columns = st.columns(2)
    for column, key in zip(columns, (0, 1), strict=True):
        with column:
            cell(
                attention_spectrum,
                **shown,
                key=key,
                width="content",
                caption=in_words(periodicity(run.name, step, layer), head, key),
            )
    return head


def side_by_side(run: Run, step: int, layer: int) -> None:
    """Show the mean attention of each head."""
    write.header("Heads side by side", anchor="heads")
    means = attention_to_inputs(run.name, step, layer).mean().tolist()
    write.table(
        [{"head": h, "to a": to_a, "to b": to_b, "to =": to_end} for h, (to_a, to_b, to_end) in enumerate(means)],
        width="content",
        column_config={name: st.column_config.NumberColumn(format="percent") for name in ("to a", "to b", "to =")},
        name="heads",
    )
    write.caption("Mean attention from “=” over all pairs.")


def show_ablations(run: Run, step: int) -> None:
    """Show the loss without each head."""
    write.header("Ablated heads", anchor="silence")
    write.text("**Interchange** takes the head's output on a pair with another answer.")
    kinds: tuple[analysis.ablation.Kind, ...] = ("zero", "mean", "interchange")
    kind = st.segmented_control(
        "Replace with",
        kinds,
        default="mean",
        required=True,
        key="kind",
        bind="query-params",
    )
    kind = kind or "mean"

    found = ablated_heads(run.name, step, kind)
    listed = [
        f"without head {found.names[i]}, {found.loss[i]:.3g} nats and {found.accuracy[i]:.1%}"
        for i in (int(found.loss.argmax()), int(found.loss.argmin()))
    ]
    cell(
        head_ablation,
        name=run.name,
        step=step,
        kind=kind,
        caption=f"Whole network: {found.baseline_loss:.3g} nats, {found.baseline_accuracy:.1%} accuracy on all pairs; "
        f"{f'{listed[0]} (highest loss); {listed[1]} (lowest)' if len(found.names) > 1 else listed[0]}.",
    )
