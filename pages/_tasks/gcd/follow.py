"""The page Follow an input for the gcd."""

import math
import random

import numpy as np
import streamlit as st

from miii import analysis
from miii.runs import Run
from miii.tasks import GCD
from miii.tasks.gcd import largest_divisor
from pages._kit import links, write
from pages._parts.follow import steps
from pages._tasks.gcd.inside import choose, measured
from pages._tasks.view import vectors


def page(run: Run, task: GCD, step: int) -> None:
    """Follow two integers from their digits to their greatest common divisor."""
    built = run.task()
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        a, b = choose(task)
        st.button("Random pair", icon=":material/casino:", on_click=_take, args=(task.high,))
    truth = math.gcd(a, b)
    if truth > task.largest:
        write.info(
            f"The gcd of {a:,} and {b:,} is {truth:,}, but answers end at {task.largest}: such pairs are left out."
        )
        return
    tokens = task.encode(np.array([[a, b]]))[0].tolist()
    shown, names = " ".join(built.token_names[token] for token in tokens), tuple(map(str, range(1, task.largest + 1)))
    said = analysis.follow.predict(steps.forward_pass(run.name, step, shown).logits)
    steps.verdict(said, truth - 1, names)
    steps.path(run, step, shown, built.name, names)
    write.header("1 · Tokens", anchor="tokens")
    write.text(f"{a:,} and {b:,} become `{shown}`, {task.width} digits each in base {task.base}. {vectors(run)}")
    links.to("data", "Data: all pairs")
    steps.where(run, step, shown)
    links.to("attention", "Attention: all positions")
    name = names[said.answer]
    steps.neurons(run, step, shown, built.name, said.answer, None, f"the logit of {name} above the mean")
    write.header("4 · Logits", anchor="says")
    learned = measured(run.name, step).learned
    rule = int(largest_divisor(learned, np.array([truth]))[0]) if learned else 0
    write.text(
        f"Each answer has a score, its **logit**. The largest is that of {name}; the gcd is {truth}. "
        + (f"Their largest learned divisor is **{rule}**." if rule else "No divisor is learned at this step.")
    )
    steps.logits(run, step, shown, built.name, truth - 1, names)
    links.to("sieve", "Sieve: learned divisors")


def _take(high: int) -> None:
    st.session_state["gcd_a"], st.session_state["gcd_b"] = (random.randint(1, high) for _ in range(2))
