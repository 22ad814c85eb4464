"""The page Follow an input for groups and other tables."""

import random

import streamlit as st

from miii import Table, analysis
from miii.runs import Run
from miii.tasks import Task
from pages._kit import links, write
from pages._kit.inputs import integer
from pages._parts.follow import steps


def page(run: Run, task: Table, step: int) -> None:
    """Follow one pair from its tokens to the logits."""
    built, cells = run.task(), task.cells
    write.text("Choose two operands by number and follow them through the network to the answer.")
    example = _choose(task, built)
    a, b = (int(each[example]) for each in task.operands(built))
    shown = " ".join(built.token_names[token] for token in built.tokens[example])
    truth = int(built.labels[example])
    said = analysis.follow.predict(steps.forward_pass(run.name, step, shown).logits)
    steps.verdict(said, truth, step, cells.answers)

    write.header("1 · Tokens", anchor="tokens")
    side = "training" if built.train_mask[example] else "test"
    write.text(
        f"`{shown}`: operand {a}, **{cells.rows[a]}**, and operand {b}, **{cells.columns[b]}** ({side} split). A token is a name: the network has a "
        f"vector of {run.config.model.d_model} numbers for each, and one for each position."
    )
    links.to("data", "Data: every pair and its split", ":material/arrow_forward:")
    steps.where(run, step, shown)
    links.to("attention", "Attention: every head", ":material/arrow_forward:")
    name = cells.answers[said.answer]
    steps.neurons(run, step, shown, built.name, said.answer, None, f"the logit of {name} above the mean")
    write.header("4 · Logits", anchor="says")
    write.text(
        f"All contributions add up to one **logit** per answer. The largest is the prediction: {name}. The label is "
        f"{cells.answers[truth]}."
    )
    steps.logits(run, step, shown, built.name, truth, cells.answers)
    links.to("fourier", "Fourier: which representations carry the answer", ":material/arrow_forward:")


def _choose(task: Table, built: Task) -> int:
    """Return the example of the chosen pair; if it is blank, the next one."""
    cells = task.cells
    rows, columns = len(cells.rows) - 1, len(cells.columns) - 1
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        a = integer("a", 0, rows, min(5, rows), "a", f"Number of the first operand, 0 to {rows}") or 0
        b = integer("b", 0, columns, min(8, columns), "b", f"Number of the second operand, 0 to {columns}") or 0
        st.button(
            "Try a random pair",
            icon=":material/casino:",
            on_click=_take,
            args=(task, built),
            help="From all pairs with an answer",
        )
    first, second = task.operands(built)
    found = int((first * (columns + 1) + second >= a * (columns + 1) + b).nonzero()[:1].sum())
    if (int(first[found]), int(second[found])) != (a, b):
        write.info(
            f"The table has no answer for ({a}, {b}). The next pair is shown: ({int(first[found])}, {int(second[found])})."
        )
    return found


def _take(task: Table, built: Task) -> None:
    example = random.randrange(len(built.labels))
    st.session_state["a"], st.session_state["b"] = (int(each[example]) for each in task.operands(built))
