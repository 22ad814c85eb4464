"""The page Follow an input for a network that was asked which strings are theorems of the MIU puzzle."""

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

WORDS = ("no theorem", "theorem")
EXAMPLE = "MIIUIUII"


def evidence_by_letter(name: str, step: int, string: str) -> Chart:
    run = miii.runs.open(name, miii.MIU)
    config = run.task_config
    tape = run.task().tokens.new_tensor(config.encode(string))
    evidence = analysis.sieve.evidence(run.model(step), analysis.follow.prefixes(tape))
    return plots.evidence_by_letter(string, evidence)


def page(run: Run, task: MIU, step: int) -> None:
    """One string, letter by letter."""
    write.text(
        "Type a string and follow it through the network, station by station, to its verdict: can it be derived in the MIU puzzle? "
        "It can unless 3 divides the number of its I's; nobody has told the network."
    )
    example = EXAMPLE[: 1 + task.longest_test]
    if st.session_state.get("string", st.query_params.get("string")) in (None, "", EXAMPLE):
        st.session_state["string"] = example  # no default of the widget: the button sets it, too
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
            "Another string",
            icon=":material/casino:",
            on_click=_take,
            args=(task.longest,),
            help=f"Up to {task.longest} letters, the most that it trained on, at random",
        )
    string = (string or example).strip().upper()
    built = run.task()
    try:
        tape = task.encode(string)
    except InputError as error:
        write.error(error)
        st.stop()
    shown = " ".join(built.token_names[token] for token in tape)
    said = analysis.follow.predict(steps.forward_pass(run.name, step, shown).logits[built.logits_of(built.name)])
    count, truth = string.count("I"), int(is_theorem(string))
    with st.container(horizontal=True):
        write.metric("It says", WORDS[said.answer], border=True, help="The answer of the larger of its two logits")
        write.metric("The truth", WORDS[truth], border=True, help="By the number of I's")
        write.metric("I's", count, border=True, help=f"{count} = 3 · {count // 3} + {count % 3}")
        write.metric("Sure by", f"{said.probability[said.answer]:.1%}", border=True, help="The softmax probability")

    write.header("1 · What it is shown", anchor="tokens")
    longer = (
        ""
        if len(string) - 1 <= task.longest
        else f" It trained on strings of up to {task.longest}; this one is longer."
    )
    write.text(
        f"`{shown}`: a tape of {len(tape)} **tokens**. Its {len(string) - 1} letters stand at places drawn at random, as in training, with blanks "
        f"(·) between them, and “?” asks.{longer}"
    )
    links.to("data", "Data shows the strings, and which of them train", ":material/arrow_forward:")
    steps.where(run, step, shown)
    links.to("attention", "Attention shows it on average", ":material/arrow_forward:")
    what = "the evidence, the logit of theorem less that of none"
    steps.neurons(run, step, shown, built.name, 1, 0, what)
    write.header("4 · What it says", anchor="says")
    evidence = float(said.logits[1] - said.logits[0])
    write.text(
        f"What all parts have written is added up to two **logits**. That of theorem is {abs(evidence):.2f} "
        f"{'above' if evidence > 0 else 'below'} that of none, so it says **{WORDS[said.answer]}**."
    )
    write.header("5 · Who argued for it", anchor="argued")
    write.text(
        "The letters did, one by one. Here the network is asked anew after each: a network that counts modulo 3 changes its mind at "
        "every third I and back at the next, and a U changes nothing."
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
        alt=f"Evidence for theorem after each of {len(by_letter)} letters.",
        caption=f"The last is {by_letter[-1]:.2f}. Above the dashed line it says theorem. It is right about {right} of the {len(by_letter)} beginnings of this string; the color is the truth.",
    )
    links.to("sieve", "Sieve asks whether it counts modulo 3 over all strings", ":material/arrow_forward:")


def _take(longest: int) -> None:
    st.session_state["string"] = "M" + "".join(random.choices("IU", k=random.randint(1, longest)))
