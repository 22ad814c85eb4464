"""The page Follow an input for sequences."""

import pandas as pd
import streamlit as st

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from miii.runs import Run
from miii.tasks import Sequences
from miii.tasks.sequences.goals import guess_blocks
from miii.tasks.sequences.task import draw
from miii.tasks.sequences.typed import parse, spelled
from pages._kit import links, write
from pages._kit.cell import cell, shared
from pages._kit.inputs import integer
from pages._parts.attention.patterns import choose_layer
from pages._parts.sequences import choose
from pages._tasks.sequences.data import show_parts

LONGEST = 12  # positions that fit a narrow figure


@shared
def followed(name: str, step: int, terms: str, example: int) -> analysis.follow.ForwardPass:
    run = miii.runs.open(name, miii.Sequences)
    typed = analysis.targets.tokens_of(run.task_config, analysis.kinds.parse(terms).terms) if terms else None
    read = run.task().tokens[example] if typed is None else typed
    return analysis.follow.forward_pass(run.model(step), read)


def attention_to_terms(name: str, step: int, terms: str, example: int, layer: int) -> Chart:
    config = miii.runs.open(name, miii.Sequences).task_config
    weights = followed(name, step, terms, example).patterns[layer]
    read = analysis.kinds.parse(terms).terms if terms else ()
    return plots.attention_by_position(weights, analysis.targets.positions(config, read, weights.shape[1]))


def neurons_of_kind(name: str, step: int, terms: str, example: int, kind: str) -> Chart:
    run, post = miii.runs.open(name), followed(name, step, terms, example).post
    first = 2 * list(analysis.kinds.KINDS).index(kind)
    written = analysis.follow.neuron_writes(run.model(step), post, slice(first, first + 2), 1, 0)
    return plots.neuron_contributions(written, post)


def page(run: Run, task: Sequences, step: int) -> None:
    """Follow one sequence from its terms to the answer."""
    terms, example = "", 0
    if task.target == "kinds":
        terms = choose.sequence()
        read = parse(terms).terms
    else:
        write.text(f"{task.description.capitalize()}.")
        about = f"0 to {task.n - 1}; held-out ones last"
        example = integer("Example", 0, task.n - 1, task.n - 1, "example", about, width=160) or 0
        read = tuple(draw(task)[example].rule.terms)
    write.header("1 · Tokens", anchor="tokens")
    write.text(f"`{', '.join(map(spelled, read))}`")
    if task.target == "continuation":
        asked = int(run.task().tokens[example, -1, 1]) - guess_blocks(task.largest_modulus)["place"].start
        write.text(
            "Each position is a simple rule: its guess for the hidden last term, and how many terms it got right. "
            + (
                f"The question: the term **modulo {asked}**."
                if asked
                else "The question: the term's **size**, its bits and sign."
            )
        )
    else:
        show_parts(task, read)
    links.to("data", "Data: rules and split")
    attention(run, step, terms, example)
    if task.target == "kinds":
        kinds(run, step, terms)
    else:
        answers(run, step, example)
    links.to("sequences", "Sequences: accuracy and residues")


def attention(run: Run, step: int, terms: str, example: int) -> None:
    """Show where each head looks from the last position."""
    write.header("2 · Attention", anchor="looks")
    patterns = followed(run.name, step, terms, example).patterns
    if not patterns:
        write.text(f"This network mixes positions by {run.config.model.mixer}, without attention.")
        return
    layer = choose_layer(len(patterns))
    cell(
        attention_to_terms,
        name=run.name,
        step=step,
        terms=terms,
        example=example,
        layer=layer,
        width="content" if patterns[layer].shape[1] <= LONGEST else "stretch",
        caption="The answer is read at “?”. “·”: no term.",
    )
    links.to("attention", "Attention: all positions")


def kinds(run: Run, step: int, terms: str) -> None:
    """Show the neurons behind one kind, and the confidence of all kinds."""
    write.header("3 · Neurons", anchor="neurons")
    kind = choose.kind()
    if run.config.model.plain:
        found = followed(run.name, step, terms, 0)
        cell(
            neurons_of_kind,
            name=run.name,
            step=step,
            terms=terms,
            example=0,
            kind=kind,
            caption=f"Contributions to the logit of {kind}, yes minus no. {int((found.post > 0).sum())} of {len(found.post)} neurons are active.",
        )
    else:
        write.info(f"Contributions of single neurons are not defined in {run.config.model.block} blocks.")
    write.header("4 · Kinds", anchor="says")
    choose.show_kinds(run.name, step, terms)


def answers(run: Run, step: int, example: int) -> None:
    """Show each answer to an example, beside its label."""
    write.header("3 · Answers", anchor="says")
    task, found = run.task(), followed(run.name, step, "", example)
    rows = []
    for target in task.targets:
        said = analysis.follow.predict(found.logits[task.logits_of(target.name)])
        label, confidence = int(target.labels[example]), float(said.probability[said.answer])
        rows.append((target.name, said.answer, label, said.answer == label, confidence))
    frame = pd.DataFrame(rows, columns=["target", "prediction", "label", "correct", "confidence"])
    format_ = {"confidence": st.column_config.NumberColumn(format="percent")}
    write.table(frame, name="answers-of-one-sequence", width="content", column_config=format_)
    side = "training" if task.train_mask[example] else "test"
    write.caption(f"This example is in the {side} split.")
