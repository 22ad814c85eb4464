"""The page Follow an input for a network that was asked for all residues at once."""

import random

import streamlit as st

from miii import analysis
from miii.runs import Run
from miii.tasks import Residues, Task
from pages._kit import inputs, links, write
from pages._parts.follow import steps


def page(run: Run, task: Residues, step: int) -> None:
    """One number, from its two digits to all its residues."""
    p, built = task.p, run.task()
    last = p * p - 1
    write.text(
        f"Type a number and follow it through the network to its residues, station by station. {len(built.targets)} answers are given at "
        "once; the logits and the waves below are those of one of them."
    )
    names = [target.name for target in built.targets]
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        says = f"Any whole number from 0 to {last:,}: those of two digits in base {p}"
        n = inputs.integer("n", 0, last, min(2026, last), "n", says, width=160) or 0
        target = inputs.target(names, "Whose logits and waves are shown")
        st.button(
            "Another number",
            icon=":material/casino:",
            on_click=_take,
            args=(last,),
            help="Any of the numbers, at random",
        )
    shown = " ".join(built.token_names[token] for token in built.tokens[n])
    found = steps.forward_pass(run.name, step, shown)
    answers = {t.name: analysis.follow.predict(found.logits[built.logits_of(t.name)]) for t in built.targets}
    truths = {t.name: int(t.labels[n]) for t in built.targets}
    right = sum(answers[name].answer == truths[name] for name in names)
    with st.container(horizontal=True):
        write.metric(
            "Right answers", f"{right} of {len(names)}", border=True, help="Of all that it is asked of this number"
        )
        write.metric(
            f"It answers, {target}", answers[target].answer, border=True, help="The answer of the largest logit"
        )
        write.metric(f"The truth, {target}", truths[target], border=True, help="What the task says")
        write.metric(
            "Sure by",
            f"{answers[target].probability[answers[target].answer]:.1%}",
            border=True,
            help=f"The softmax probability of its answer to {target}",
        )

    write.header("1 · What it is shown", anchor="tokens")
    side = "trained it" if built.train_mask[n] else "was held out"
    write.text(
        f"{n:,} = {n % p} + {p} · {n // p} is shown as `{shown}`, its two digits in base {p}. This number {side}. To the network a token is a "
        f"name without a meaning: it has a vector of {run.config.model.d_model} numbers for each, and another for each place."
    )
    links.to("data", "Data shows every number, and which of them train", ":material/arrow_forward:")
    steps.where(run, step, shown)
    links.to("attention", "Attention shows it for all positions, and on average", ":material/arrow_forward:", n=n)
    said = answers[target]
    steps.neurons(
        run, step, shown, target, said.answer, None, f"the logit of {said.answer} to {target}, above the mean"
    )
    write.header("4 · What it says", anchor="says")
    write.text(
        f"What all parts have written is added up: a **logit** for every answer of every task. Here those of **{target}**."
    )
    steps.logits(run, step, shown, target, truths[target])
    _all(built, answers, truths)
    if task.control != "digits":
        _divisors(n, answers)
    steps.frequencies(run, step, shown, target, "the right answer")
    links.to("sieve", "Sieve shows how many of all numbers it answers right", ":material/arrow_forward:")


def _take(last: int) -> None:
    st.session_state["n"] = random.randint(0, last)


def _all(task: Task, answers: dict[str, analysis.follow.Prediction], truths: dict[str, int]) -> None:
    with st.expander(f"All {len(answers)} answers"):
        write.table(
            [
                {
                    "asked": name,
                    "it answers": said.answer,
                    "the truth": truths[name],
                    "right": said.answer == truths[name],
                    "sure by": float(said.probability[said.answer]),
                }
                for name, said in answers.items()
            ],
            width="content",
            column_config={"sure by": st.column_config.NumberColumn(format="percent")},
            name="answers-of-one-number",
        )
        write.caption(
            f"The largest logit of each task, beside the truth, and its softmax probability. Guessing {task.name} is worth least."
        )


def _divisors(n: int, answers: dict[str, analysis.follow.Prediction]) -> None:
    """The primes that it takes for divisors, beside the true ones."""
    says = {int(name.removeprefix("mod ")): said.answer == 0 for name, said in answers.items()}
    suspected = ", ".join(str(q) for q, divides in says.items() if divides) or "none"
    missed = ", ".join(str(q) for q, divides in says.items() if not divides and n % q == 0)
    false = ", ".join(str(q) for q, divides in says.items() if divides and n % q)
    doubts = " and ".join([f"misses {missed}"] * bool(missed) + [f"is wrong about {false}"] * bool(false))
    write.text(
        f"An answer of 0 to mod q says that q divides the number. **Divisors that it suspects: {suspected}.** The truth: "
        f"{steps.factors(n)}." + (f" So it {doubts}." if doubts else "")
    )
