"""The page Follow an input for MIU."""

import random

import numpy as np
import streamlit as st

import miii
from miii import analysis, plots
from miii.errors import LONGEST, InputError
from miii.plots.style import Chart
from miii.runs import Run
from miii.tasks import MIU
from miii.tasks.miu import is_theorem
from pages._kit import links, write
from pages._kit.cell import cell
from pages._parts.follow import steps
from pages._tasks.view import CONFIDENCE

WORDS = ("not a theorem", "theorem")
EXAMPLE = "MIIUIUII"


def evidence_by_letter(name: str, step: int, string: str) -> Chart:
    run = miii.runs.open(name, miii.MIU)
    config = run.task_config
    tape = run.task().tokens.new_tensor(config.encode(string))
    evidence = analysis.sieve.evidence(run.model(step), analysis.follow.prefixes(tape))
    return plots.evidence_by_letter(string, evidence)


def page(run: Run, task: MIU, step: int) -> None:
    """Follow one string, letter by letter."""
    write.text("A string is a theorem of the MIU puzzle unless 3 divides its number of I's. Does the network agree?")
    example = EXAMPLE[: 1 + task.longest_test]
    if st.session_state.get("string", st.query_params.get("string")) in (None, "", EXAMPLE):
        st.session_state["string"] = example  # not a widget default, because the button also sets it
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        string = st.text_input(
            "String",
            max_chars=LONGEST,
            key="string",
            bind="query-params",
            width=320,
            help=f"M followed by 1 to {task.longest_test} letters, each I or U",
        )
        st.button(
            "Try a random string",
            icon=":material/casino:",
            on_click=_take,
            args=(task.longest,),
        )
    string = (string or example).strip().upper()
    built = run.task()
    try:
        tape = task.encode(string)
    except InputError as error:
        write.error(error)
        write.stop()
    shown = " ".join(built.token_names[token] for token in tape)
    said = analysis.follow.predict(steps.forward_pass(run.name, step, shown).logits[built.logits_of(built.name)])
    count, truth = string.count("I"), int(is_theorem(string))
    with st.container(horizontal=True):
        write.metric("Prediction", WORDS[said.answer], border=True)
        write.metric("Label", WORDS[truth], border=True)
        write.metric("I's", count, border=True, help=f"{count} = 3 · {count // 3} + {count % 3}")
        write.metric(
            "Confidence",
            f"{said.probability[said.answer]:.1%}",
            border=True,
            help=CONFIDENCE,
        )

    steps.path(run, step, shown, built.name, WORDS)
    write.header("1 · Tokens", anchor="tokens")
    longer = "" if len(string) - 1 <= task.longest else f" It is longer than any training string ({task.longest})."
    write.text(
        f"`{shown}`: the letters are at random positions, as in training, and the answer is read at “?”.{longer}"
    )
    links.to("data", "Data: all strings")
    steps.where(run, step, shown)
    links.to("attention", "Attention: all strings")
    what = "the evidence"
    steps.neurons(run, step, shown, built.name, 1, 0, what)
    write.header("4 · Logits", anchor="says")
    evidence = float(said.logits[1] - said.logits[0])
    write.text(
        f"The score, or **logit**, of theorem is {abs(evidence):.2f} {'above' if evidence > 0 else 'below'} the other."
    )
    write.header("5 · Evidence by letter", anchor="argued")
    write.text(
        "A network that counts modulo 3 flips its prediction at every third I and back at the next; a U changes nothing."
    )
    prefixes = analysis.follow.prefixes(built.tokens.new_tensor(tape))
    by_letter = analysis.sieve.evidence(run.model(step), prefixes)
    true = np.array([is_theorem(string[: i + 2]) for i in range(len(by_letter))])
    right = int(((by_letter > 0) == true).sum())
    cell(
        evidence_by_letter,
        name=run.name,
        step=step,
        string=string,
        caption=f"{right} of {len(by_letter)} predictions are correct: theorem above the dashed line.",
    )
    links.to("sieve", "Sieve: all strings")


def _take(longest: int) -> None:
    st.session_state["string"] = "M" + "".join(random.choices("IU", k=random.randint(1, longest)))
