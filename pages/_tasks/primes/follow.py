"""The page Follow an input for a network that was asked for primes."""

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
from pages._tasks.primes import divisors


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
    """One integer, from its digits to the divisors that it is suspected of."""
    write.text(
        "Type an integer and follow it through the network, station by station, to its verdict: is it prime, and if not, which divisor "
        "does the network suspect? Every number below is of this one integer, unless it says otherwise."
    )
    built = run.task()
    n = _choose(run, step, task)
    shown = " ".join(built.token_names[token] for token in task.encode(np.array([n]))[0])
    found = steps.forward_pass(run.name, step, shown)
    with st.spinner("Judging the held-out integers …", show_time=True):
        others = factor_evidence(run.name, step)
    evidence = float(found.logits[1] - found.logits[0])
    says = "prime" if evidence >= others.threshold else "composite"
    truth = "prime" if numbers.factors(n) == {n: 1} else "composite" if n > 1 else "neither"
    with st.container(horizontal=True):
        write.metric(
            "It says",
            says,
            border=True,
            help=f"Prime from an evidence of {others.threshold:.2f} on, the threshold of best F1 on training integers",
        )
        write.metric("The truth", truth, border=True, help="By trial division")
        write.metric("Evidence", f"{evidence:.2f}", border=True, help="The logit of prime less that of composite")

    write.header("1 · What it is shown", anchor="tokens")
    write.text(
        f"`{shown}`: {task.width} digits in base {task.base}, each a **token**, and “?”, where the answer is read. {_side(built, task, n)} To the "
        f"network a token is a name without a meaning: it has a vector of {run.config.model.d_model} numbers for each, and another for each place."
    )
    links.to("data", "Data shows the integers, and which of them train", ":material/arrow_forward:")
    steps.where(run, step, shown)
    links.to("attention", "Attention shows it for all positions, and on average", ":material/arrow_forward:", n=n)
    steps.neurons(run, step, shown, built.name, 1, 0, "the evidence, the logit of prime less that of composite")
    write.header("4 · What it says", anchor="says")
    write.text(
        f"What all parts have written is added up to two **logits**; all that counts is their difference, the **evidence**. Primes are rare, so "
        f"it is mostly negative, and “prime” begins at {others.threshold:.2f}."
    )
    of_primes = others.table.loc[others.table["kind"] == "primes", "median"].tolist()
    cell(
        evidence_by_factor,
        name=run.name,
        step=step,
        shown=shown,
        n=n,
        alt=f"Evidence of held-out integers by kind; a line at that of {n}, and one at the threshold.",
        caption=f"The evidence of {n} is {evidence:.2f}, the threshold {others.threshold:.2f}"
        + "".join(f"; the median of held-out primes is {median:.2f}" for median in of_primes)
        + ". Bars are the middle half of each kind, lines reach from 5 to 95 %. Kinds that lie with the primes are those that it cannot tell from them.",
    )
    links.to("sieve", "Sieve measures how far it tells them apart", ":material/arrow_forward:", n=n)
    divisors.section(run, task, step, n, found, others)


def _choose(run: Run, step: int, task: Primes) -> int:
    last = task.base**task.width - 1
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        says = f"Any integer of up to {task.width} digits in base {task.base}, 0 to {last:,}; the network knows {task.low:,} to {task.high:,}"
        n = integer("n", 0, last, min(max(task.low, 30_031), task.high), "n", says, width=180) or 0
        st.button(
            "Another integer",
            icon=":material/casino:",
            on_click=_take,
            args=(range(task.low, task.high + 1),),
            help="Any of the task's range, at random",
        )
        st.button(
            "One that it gets wrong",
            icon=":material/error:",
            on_click=_take_wrong,
            args=(run.name, step),
            help="One of those held-out integers that it judges wrong, at random",
        )
    return n


def _take(integers: range) -> None:
    st.session_state["n"] = random.choice(integers)


def _take_wrong(name: str, step: int) -> None:
    wrong = factor_evidence(name, step).wrong
    if len(wrong):
        st.session_state["n"] = int(random.choice(wrong))
    else:
        st.toast("There is none: it judges all the held-out integers that were looked at right.")


def _side(built: Task, task: Primes, n: int) -> str:
    """Whether the task has it, and on which side."""
    if not task.low <= n <= task.high:
        return f"It is not between {task.low:,} and {task.high:,}, so the network has met nothing like it."
    where = (built.facts["n"] == n).nonzero()[:, 0].tolist()
    if not where:
        return "It is not in the task's data, so the network has never met it."
    trained = bool(built.step_mask[where[0]])
    return "It is one that trained it." if trained else "It was held out: no step of training was taken on it."
