"""The page Attention for sequences: where each head looks, term by term."""

import streamlit as st

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from miii.runs import Run
from miii.tasks import Sequences
from miii.tasks.sequences.task import draw
from miii.tasks.sequences.typed import spelled
from pages._kit import write
from pages._kit.cell import cell
from pages._kit.inputs import integer
from pages._parts.attention.patterns import choose_layer


def pattern_of_terms(name: str, step: int, example: int, layer: int) -> Chart:
    run = miii.runs.open(name, miii.Sequences)
    task, config = run.task(), run.task_config
    weights = analysis.attention.pattern(run.model(step), task.tokens[example], layer)
    terms = analysis.targets.draw(config)[example].rule.terms
    return plots.pattern(weights, analysis.targets.positions(config, terms, task.n_ctx))


def page(run: Run, task: Sequences, step: int) -> None:
    """One sequence: what every position looks at."""
    write.header("One example", anchor="input")
    with st.container(horizontal=True, gap="medium"):
        example = integer("Example", 0, task.n - 1, 3, "example", f"0 to {task.n - 1}; held-out ones last", width=160)
        layer = choose_layer(run.config.model.n_layers)
    drawn = draw(task)[example or 0]
    write.text(
        f"`{', '.join(map(spelled, drawn.rule.terms))}`  \nRule: **{drawn.kind}**, "
        f"in the **{'train' if (example or 0) < task.n_train else 'test'}** split."
    )
    cell(
        pattern_of_terms,
        name=run.name,
        step=step,
        example=example or 0,
        layer=layer,
        width="content",
        caption="The answer is read in the last row, “?”. A diagonal: a head that looks back a fixed number of terms.",
    )
