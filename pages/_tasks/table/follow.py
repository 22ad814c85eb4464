"""The page Follow an input for groups and other tables."""

import random
from collections.abc import Sequence

import streamlit as st

from miii import Table, analysis
from miii.runs import Run
from miii.tasks import Task
from pages._kit import links, write
from pages._parts.follow import steps
from pages._tasks.table.inputs import OPERANDS, choose_operands
from pages._tasks.view import vectors


def page(run: Run, task: Table, step: int) -> None:
    """Follow one pair from its tokens to the logits."""
    built, cells = run.task(), task.cells
    write.text("The answer is the element with the largest score, or **logit**.")
    example = _choose(task, built)
    shown = " ".join(built.token_names[token] for token in built.tokens[example])
    truth = int(built.labels[example])
    said = analysis.follow.predict(steps.forward_pass(run.name, step, shown).logits)
    steps.verdict(said, truth, cells.answers)
    steps.path(run, step, shown, built.name, cells.answers)

    write.header("1 · Tokens", anchor="tokens")
    side = "training" if built.train_mask[example] else "test"
    write.text(f"`{shown}` ({side} split). {vectors(run)}")
    links.to("data", "Data: every pair")
    steps.where(run, step, shown)
    links.to("attention", "Attention: every head")
    name = cells.answers[said.answer]
    steps.neurons(run, step, shown, built.name, said.answer, None, f"the logit of {name} above the mean")
    write.header("4 · Logits", anchor="says")
    write.text("Contributions add up to one logit per answer.")
    steps.logits(run, step, shown, built.name, truth, cells.answers)
    links.to("fourier", "Fourier: representations")


def _choose(task: Table, built: Task) -> int:
    """Return the example of the chosen pair; if it is blank, the next one."""
    cells = task.cells
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        a = _operand("a", OPERANDS[0], cells.rows, 5)
        b = _operand("b", OPERANDS[1], cells.columns, 8)
        st.button("Try a random pair", icon=":material/casino:", on_click=_take, args=(task, built))
    (first, second), columns = task.operands(built), len(cells.columns)
    found = int((first * columns + second >= a * columns + b).nonzero()[:1].sum())
    if (int(first[found]), int(second[found])) != (a, b):
        pair, other = (f"({cells.rows[i]}, {cells.columns[j]})" for i, j in ((a, b), (first[found], second[found])))
        write.info(f"The table has no answer for {pair}. The next pair is shown: {other}.")
    return found


def _operand(label: str, key: str, names: Sequence[str], default: int) -> int:
    """Return the index of the element chosen by name."""
    if st.session_state.get(key) not in names:
        st.session_state.pop(key, None)  # of another table
    usual = min(default, len(names) - 1)
    chosen = st.selectbox(label, names, index=usual, key=key, bind="query-params", width=170)
    return names.index(chosen or names[usual])


def _take(task: Table, built: Task) -> None:
    example = random.randrange(len(built.labels))
    choose_operands(task, *(int(each[example]) for each in task.operands(built)))
