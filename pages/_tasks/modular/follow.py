"""The page Follow an input for a network that calculates with pairs of numbers."""

import random

import streamlit as st

import miii
from miii import ModularAddition, analysis
from miii.expression import in_words
from miii.runs import Run
from pages._kit import links, write
from pages._kit.cell import shared
from pages._kit.inputs import integer
from pages._parts.follow import steps
from pages._tasks.modular.checks import example_of, small_enough


@shared
def wrong(name: str, step: int) -> list[int]:
    run = miii.runs.open(name)
    return analysis.follow.wrong_examples(run.model(step), run.task()).tolist()


def page(run: Run, task: ModularAddition, step: int) -> None:
    """One pair, from its tokens to the frequencies that argued for the answer."""
    p = small_enough(run, task)
    write.text(
        "Type a pair of numbers and follow it through the network, station by station, to the answer. Every number below is of this one "
        "pair; the links lead to where a part is taken apart over all pairs."
    )
    example = _choose(run, step, p)
    built = run.task()
    a, b = (int(token) % p for token in built.tokens[example, :2])
    shown = " ".join(built.token_names[token] for token in built.tokens[example])
    truth = int(built.labels[example])
    found = steps.forward_pass(run.name, step, shown)
    said = analysis.follow.predict(found.logits)
    _verdict(said, truth, step)

    write.header("1 · What it is shown", anchor="tokens")
    side = "trained it" if built.train_mask[example] else "was held out, so it has never seen the answer"
    write.text(
        f"`{shown}`: three **tokens**. To the network a token is a name without a meaning, not a number: it has a vector of "
        f"{run.config.model.d_model} numbers for each, and another for each place. "
        + (f"This pair {side}." if built.split_known else "Which pairs trained it is unknown.")
    )
    links.to("data", "Data shows every pair, and which of them train", ":material/arrow_forward:")
    steps.where(run, step, shown)
    links.to("attention", "Attention takes the heads apart", ":material/arrow_forward:", a=a, b=b)
    steps.neurons(run, step, shown, built.name, said.answer, None, f"the logit of {said.answer} above the mean")
    links.to("neurons", "Neurons shows all of them over all pairs", ":material/arrow_forward:")
    write.header("4 · What it says", anchor="says")
    write.text(
        "What all parts have written is added up: a **logit** for every possible answer. The largest is the answer."
    )
    steps.logits(run, step, shown, built.name, truth)
    added = "the right answer" if task.modular_sum is None else f"${in_words(*task.modular_sum)}$"
    steps.frequencies(run, step, shown, built.name, added)
    links.to("fourier", "Fourier shows where these frequencies come from", ":material/arrow_forward:")
    links.to("formula", "Formula asks whether these waves are the whole network", ":material/arrow_forward:")


def _choose(run: Run, step: int, p: int) -> int:
    missed, built = wrong(run.name, step), run.task()
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        a = integer("a", 0, p - 1, min(5, p - 1), "a", f"The first operand, 0 to {p - 1}") or 0
        b = integer("b", 0, p - 1, min(8, p - 1), "b", f"The second operand, 0 to {p - 1}") or 0
        st.button(
            "Another pair",
            icon=":material/casino:",
            on_click=_take,
            args=(range(len(built.labels)), built),
            help="Any of the pairs, at random",
        )
        st.button(
            "One that it gets wrong",
            icon=":material/error:",
            on_click=_take,
            args=(missed, built),
            disabled=not missed,
            help=f"At this step it answers {len(missed):,} of {len(built.labels):,} pairs wrong; one of them, at random",
        )
    return example_of(built, a, b)


def _take(examples: "range | list[int]", task: miii.Task) -> None:
    pair = task.tokens[random.choice(examples), :2] % task.d_vocab_out
    st.session_state["a"], st.session_state["b"] = pair.tolist()


def _verdict(said: analysis.follow.Prediction, truth: int, step: int) -> None:
    right = said.answer == truth
    with st.container(horizontal=True):
        write.metric("It answers", said.answer, border=True, help=f"The answer of the largest logit at step {step}")
        write.metric("The truth", truth, border=True, help="What the task says")
        write.metric("It is", "right" if right else "wrong", border=True, help="Whether the two agree")
        write.metric(
            "Sure by", f"{said.probability[said.answer]:.1%}", border=True, help="The softmax probability of its answer"
        )
