"""The page Follow an input for primes."""

import random

import numpy as np
import streamlit as st

import miii
from miii import analysis, numbers, plots
from miii.plots.style import Chart
from miii.runs import Run
from miii.tasks import Primes, Task
from pages._kit import links, write
from pages._kit.cell import cell, shared
from pages._kit.inputs import integer
from pages._parts.follow import steps
from pages._tasks.primes import depth, divisors
from pages._tasks.view import logit, vectors


@shared
def factor_evidence(name: str, step: int) -> analysis.sieve.EvidenceByFactor:
    run = miii.runs.open(name, miii.Primes)
    config = run.task_config
    return analysis.sieve.evidence_by_factor(run.model(step), run.task(), config)


def evidence_by_factor(name: str, step: int, shown: str, n: int) -> Chart:
    run = miii.runs.open(name)
    tokens = analysis.follow.tokens_of(run.task(), shown)
    composite, prime = analysis.follow.forward_pass(run.model(step), tokens).logits[:2].tolist()
    return plots.evidence_by_factor(factor_evidence(name, step), prime - composite, str(n))


def page(run: Run, task: Primes, step: int) -> None:
    """Follow one integer from its digits to the divisors that the network detects."""
    write.text("Does the network call an integer prime? If not, which divisor does it detect?")
    built = run.task()
    n = _choose(run, step, task)
    shown = " ".join(built.token_names[token] for token in task.encode(np.array([n]))[0])
    found = steps.forward_pass(run.name, step, shown)
    with st.spinner("Measuring …", show_time=True):
        others = factor_evidence(run.name, step)
    evidence = float(found.logits[1] - found.logits[0])
    says = "prime" if evidence >= others.threshold else "composite"
    truth = "prime" if numbers.factors(n) == {n: 1} else "composite" if n > 1 else "neither"
    with st.container(horizontal=True):
        write.metric(
            "Prediction",
            says,
            border=True,
            help=depth.from_threshold(others.threshold),
        )
        write.metric("Label", truth, border=True)
        write.metric("Evidence", logit(evidence), border=True, help=depth.EVIDENCE)

    steps.path(run, step, shown, built.name, ("composite", "prime"))
    write.header("1 · Tokens", anchor="tokens")
    write.text(
        f"`{shown}`: {task.width} digits in base {task.base}, and “?”, where the answer is read. {_side(built, task, n)} {vectors(run)}"
    )
    links.to("data", "Data: all integers")
    steps.where(run, step, shown)
    links.to("attention", "Attention: all positions", n=n)
    steps.neurons(run, step, shown, built.name, 1, 0, "the evidence")
    write.header("4 · Logits", anchor="says")
    write.text(
        f"Only the difference of the two scores, or **logits**, matters: the **evidence**. Primes are rare, so the threshold is "
        f"{logit(others.threshold)}, not 0."
    )
    of_primes = others.table.loc[others.table["kind"] == "primes", "median"].tolist()
    cell(
        evidence_by_factor,
        name=run.name,
        step=step,
        shown=shown,
        n=n,
        caption="".join(f"Median of held-out primes: {logit(median)}. " for median in of_primes)
        + "Bars: middle half; lines: 5% to 95%. Kinds that overlap with primes are not separated.",
    )
    links.to("sieve", "Sieve: all integers", n=n)
    divisors.section(run, task, step, n, found, others)


def _choose(run: Run, step: int, task: Primes) -> int:
    last = task.base**task.width - 1
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        says = f"0 to {last:,}; trained on {task.low:,} to {task.high:,}"
        n = integer("n", 0, last, min(max(task.low, 30_031), task.high), "n", says, width=180) or 0
        st.button(
            "Try a random integer",
            icon=":material/casino:",
            on_click=_take,
            args=(range(task.low, task.high + 1),),
        )
        st.button(
            "Try an error",
            icon=":material/error:",
            on_click=_take_wrong,
            args=(run.name, step),
        )
    return n


def _take(integers: range) -> None:
    st.session_state["n"] = random.choice(integers)


def _take_wrong(name: str, step: int) -> None:
    wrong = factor_evidence(name, step).wrong
    if len(wrong):
        st.session_state["n"] = int(random.choice(wrong))
    else:
        st.toast("No errors among the scored held-out integers.")


def _side(built: Task, task: Primes, n: int) -> str:
    """Write whether the task contains n, and in which split."""
    if not task.low <= n <= task.high:
        return f"It is outside the range, {task.low:,} to {task.high:,}."
    where = (built.facts["n"] == n).nonzero()[:, 0].tolist()
    if not where:
        return "It is not in the task's data."
    trained = bool(built.step_mask[where[0]])
    return "It is in the training split." if trained else "It is held out."
