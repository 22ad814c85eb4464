"""The page Follow an input for residues."""

import random

import streamlit as st

from miii import analysis
from miii.runs import Run
from miii.tasks import Residues, Task
from pages._kit import inputs, links, write
from pages._parts.follow import steps
from pages._tasks.view import CONFIDENCE, vectors


def page(run: Run, task: Residues, step: int) -> None:
    """Follow one number from its two digits to all its residues."""
    p, built = task.p, run.task()
    last = p * p - 1
    write.text(f"The network predicts {len(built.targets)} residues at once. Choose one to follow.")
    names = [target.name for target in built.targets]
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        says = f"0 to {last:,}, two digits in base {p}"
        n = inputs.integer("n", 0, last, min(2026, last), "n", says, width=160) or 0
        target = inputs.target(names, "Of neurons, logits and waves")
        st.button(
            "Try a random number",
            icon=":material/casino:",
            on_click=_take,
            args=(last,),
        )
    shown = " ".join(built.token_names[token] for token in built.tokens[n])
    found = steps.forward_pass(run.name, step, shown)
    answers = {t.name: analysis.follow.predict(found.logits[built.logits_of(t.name)]) for t in built.targets}
    truths = {t.name: int(t.labels[n]) for t in built.targets}
    right = sum(answers[name].answer == truths[name] for name in names)
    with st.container(horizontal=True):
        write.metric("Correct", f"{right} of {len(names)}", border=True)
        write.metric(f"Prediction, {target}", answers[target].answer, border=True)
        write.metric(f"Label, {target}", truths[target], border=True)
        write.metric(
            "Confidence",
            f"{answers[target].probability[answers[target].answer]:.1%}",
            border=True,
            help=CONFIDENCE,
        )

    steps.path(run, step, shown, target)
    write.header("1 · Tokens", anchor="tokens")
    side = "training" if built.train_mask[n] else "test"
    write.text(
        f"{n:,} = {n % p} + {p} · {n // p} becomes `{shown}`, two digits in base {p} ({side} split). {vectors(run)}"
    )
    links.to("data", "Data: all numbers")
    steps.where(run, step, shown)
    links.to("attention", "Attention: all positions", n=n)
    said = answers[target]
    steps.neurons(
        run, step, shown, target, said.answer, None, f"the logit of {said.answer} for {target}, above the mean"
    )
    write.header("4 · Logits", anchor="says")
    write.text(f"One score, or **logit**, per answer and target; here **{target}**.")
    steps.logits(run, step, shown, target, truths[target])
    _all(built, answers, truths)
    if task.control != "digits":
        _divisors(n, answers)
    steps.frequencies(run, step, shown, target, "the correct answer")
    links.to("sieve", "Sieve: all numbers")


def _take(last: int) -> None:
    st.session_state["n"] = random.randint(0, last)


def _all(task: Task, answers: dict[str, analysis.follow.Prediction], truths: dict[str, int]) -> None:
    with st.expander(f"All {len(answers)} predictions"):
        write.table(
            [
                {
                    "target": name,
                    "prediction": said.answer,
                    "label": truths[name],
                    "correct": said.answer == truths[name],
                    "confidence": float(said.probability[said.answer]),
                }
                for name, said in answers.items()
            ],
            width="content",
            column_config={"confidence": st.column_config.NumberColumn(format="percent")},
            name="answers-of-one-number",
        )


def _divisors(n: int, answers: dict[str, analysis.follow.Prediction]) -> None:
    """Write the predicted divisors beside the factorization."""
    says = {int(name.removeprefix("mod ")): said.answer == 0 for name, said in answers.items()}
    suspected = ", ".join(str(q) for q, divides in says.items() if divides) or "none"
    missed = ", ".join(str(q) for q, divides in says.items() if not divides and n % q == 0)
    false = ", ".join(str(q) for q, divides in says.items() if divides and n % q)
    doubts = " and ".join([f"misses {missed}"] * bool(missed) + [f"is wrong about {false}"] * bool(false))
    write.text(
        f"**Predicted divisors (residue 0): {suspected}.** Factorization: {steps.factors(n)}."
        + (f" The network {doubts}." if doubts else "")
    )
