"""The page Follow an input for modular arithmetic."""

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
from pages._tasks.view import vectors


@shared
def wrong(name: str, step: int) -> list[int]:
    run = miii.runs.open(name)
    return analysis.follow.wrong_examples(run.model(step), run.task()).tolist()


def page(run: Run, task: ModularAddition, step: int) -> None:
    """Follow one pair from its tokens to the frequencies behind the answer."""
    p = small_enough(run, task)
    write.text("The answer is the number with the largest score, or **logit**.")
    example = _choose(run, step, p)
    built = run.task()
    a, b = (int(each[example]) for each in analysis.grid.operands(built))
    shown = " ".join(built.token_names[token] for token in built.tokens[example])
    truth = int(built.labels[example])
    found = steps.forward_pass(run.name, step, shown)
    said = analysis.follow.predict(found.logits)
    steps.verdict(said, truth)
    steps.path(run, step, shown, built.name)

    write.header("1 · Tokens", anchor="tokens")
    side = "training" if built.train_mask[example] else "test"
    write.text(
        f"`{shown}`: names, not numbers. {vectors(run)} "
        + (f"This pair is in the {side} split." if built.split_known else "The training split is unknown.")
    )
    links.to("data", "Data: every pair")
    steps.where(run, step, shown)
    links.to("attention", "Attention: every head", a=a, b=b)
    steps.neurons(run, step, shown, built.name, said.answer, None, f"the logit of {said.answer} above the mean")
    links.to("neurons", "Neurons: over all pairs")
    write.header("4 · Logits", anchor="says")
    write.text("Contributions add up to one logit per answer.")
    steps.logits(run, step, shown, built.name, truth)
    added = "the correct answer" if task.modular_sum is None else f"${in_words(*task.modular_sum)}$"
    steps.frequencies(run, step, shown, built.name, added)
    links.to("fourier", "Fourier: where frequencies come from")
    links.to("formula", "Formula: how much they explain")


def _choose(run: Run, step: int, p: int) -> int:
    missed, built = wrong(run.name, step), run.task()
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        a = integer("a", 0, p - 1, min(5, p - 1), "a", f"0 to {p - 1}") or 0
        b = integer("b", 0, p - 1, min(8, p - 1), "b", f"0 to {p - 1}") or 0
        st.button(
            "Try a random pair",
            icon=":material/casino:",
            on_click=_take,
            args=(range(len(built.labels)), built),
        )
        st.button(
            "Try an error",
            icon=":material/error:",
            on_click=_take,
            args=(missed, built),
            disabled=not missed,
            help=f"{len(missed):,} of {len(built.labels):,} pairs are wrong at this step"
            if missed
            else f"All {len(built.labels):,} pairs are correct at this step",
        )
    return example_of(built, a, b)


def _take(examples: "range | list[int]", task: miii.Task) -> None:
    example = random.choice(examples)
    a, b = analysis.grid.operands(task)
    st.session_state["a"], st.session_state["b"] = int(a[example]), int(b[example])
