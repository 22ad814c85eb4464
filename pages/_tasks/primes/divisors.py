"""Follow an input, for primes: the divisors that the network detects."""

import streamlit as st

import miii
from miii import analysis, numbers, plots
from miii.analysis.sieve import LEAST, LISTED, OTHERS, DivisorTest, EvidenceByFactor
from miii.errors import InputError
from miii.plots.style import Chart
from miii.runs import Run
from miii.tasks import Primes
from pages._kit import links, write
from pages._kit.cell import cell, shared
from pages._parts.follow import steps
from pages._tasks.view import logit


@shared
def divisor_tests(name: str, step: int) -> list[analysis.sieve.DivisorTest]:
    run = miii.runs.open(name, miii.Primes)
    model, task, config = run.model(step), run.task(), run.task_config
    moduli = analysis.sieve.sieved(config, analysis.sieve.LISTED)
    by_block = analysis.sieve.sums_by_block(model, task, config)
    layer = analysis.sieve.block_of_sum(model, by_block, moduli[0])
    fitted, held_out = by_block[layer], analysis.sieve.sum_of_split(model, task, config, False, layer=layer)
    found = [analysis.sieve.fit_divisor_test(model, fitted, held_out, q, moduli) for q in moduli]
    return [each for each in found if each is not None]


def digit_path(name: str, step: int, q: int, n: int) -> Chart:
    run = miii.runs.open(name, miii.Primes)
    config = run.task_config
    divisor_test = next(each for each in divisor_tests(name, step) if each.q == q)
    one = analysis.sieve.sum_of(run.model(step), config, n, divisor_test.layer)
    digits = [str(digit) for digit in one.symbol[0]]
    return plots.digit_path(divisor_test, divisor_test.path(one), digits, n)


def section(
    run: Run, task: Primes, step: int, n: int, found: analysis.follow.ForwardPass, others: EvidenceByFactor
) -> None:
    """Show step 5: the divisors."""
    write.header("5 · Detected divisors", anchor="argued")
    if task.residues:
        _asked(run, task, n, found)
    write.text(
        f"In the digit sums of {OTHERS} held-out integers without small factors, we insert **this integer's coordinates modulo $q$**. Does their "
        "evidence drop as with a multiple's?"
    )
    try:
        with st.spinner("Measuring …", show_time=True):
            measured = divisor_tests(run.name, step)
            one = analysis.sieve.sum_of(run.model(step), task, n, measured[0].layer if measured else None)
    except InputError as error:
        write.info(f"Not available for {run.name}: {error}")
        measured = []
    falls = {each.q: each.fall(run.model(step), one) for each in measured}
    suspected = [each.q for each in measured if each.predicts_multiple(falls[each.q])]
    write.text(_verdict(task, n, measured, falls, others))
    if not measured:
        return
    write.table(
        [
            {
                "q": each.q,
                "q divides n": n % each.q == 0,
                "detected": each.q in suspected,
                "evidence drop": falls[each.q],
                "with a multiple": each.multiples,
                "with a non-multiple": each.others,
                "AUC": each.auc,
            }
            for each in measured
        ],
        width="content",
        column_config={
            name: st.column_config.NumberColumn(format="%.2f")
            for name in ("evidence drop", "with a multiple", "with a non-multiple", "AUC")
        },
        name="suspects",
    )
    write.caption(
        f"Median drops, in logits. AUC: how often a multiple drops more than another. Detected: AUC at least {LEAST}, drop closer to a "
        "multiple's. For large q, evidence may drop anyway: the coordinates hold nearly the whole sum."
    )
    _walk(run, step, n, measured, suspected)


def _asked(run: Run, task: Primes, n: int, found: analysis.follow.ForwardPass) -> None:
    """Show the residues predicted by a network that was also trained on them."""
    built = run.task()
    says = {q: analysis.follow.predict(found.logits[built.logits_of(f"mod {q}")]) for q in task.residues}
    named = [q for q, said in says.items() if said.answer == 0]
    write.text(
        f"The network also predicts n modulo {', '.join(map(str, task.residues))}, and 0 (divisible) for "
        f"**{', '.join(map(str, named)) or 'none of them'}**."
    )
    write.table(
        [
            {
                "q": q,
                "prediction": said.answer,
                "n mod q": n % q,
                "correct": said.answer == n % q,
                "confidence": float(said.probability[said.answer]),
            }
            for q, said in says.items()
        ],
        width="content",
        column_config={"confidence": st.column_config.NumberColumn(format="percent")},
        name="residues-asked",
    )


def _verdict(
    task: Primes, n: int, measured: list[DivisorTest], falls: dict[int, float], others: EvidenceByFactor
) -> str:
    """Write which divisors it detects, beside the factorization."""
    told = [q for q in numbers.factors(task.base) if n % q == 0 and others.separates(q)]
    suspected = [each for each in measured if each.predicts_multiple(falls[each.q])]
    seen = [each.q for each in measured if each.seen]
    parts = []
    if told:
        parts.append(
            f"**The last digit shows that {' and '.join(map(str, told))} {'divides' if len(told) == 1 else 'divide'} it**, and the network uses this."
        )
    for each in suspected:
        parts.append(
            f"**It detects {each.q}**: evidence drops by {logit(falls[each.q])} logits (typical multiple: {logit(each.multiples)})."
        )
    if measured and not seen:
        parts.append("**The sum reveals no divisor**.")
        known = [q for q in analysis.sieve.sieved(task, LISTED) if others.separates(q)]
        parts.append(
            f"Yet its evidence separates multiples of {', '.join(map(str, known))}, so it detects them in another way."
            if known
            else "It detects none beyond the last digit."
        )
    elif measured and not suspected:
        parts.append(f"**It detects no divisor**; the sum can reveal {', '.join(map(str, seen))}.")
    parts.append(f"**Factorization**: {steps.factors(n)}.")
    return " ".join(parts)


def _walk(run: Run, step: int, n: int, measured: list[DivisorTest], suspected: list[int]) -> None:
    """Show the sum, digit by digit."""
    moduli = [each.q for each in measured]
    first = next((each.q for each in measured if each.q in suspected or each.seen), moduli[0])
    if st.session_state.get("modulus") not in (None, *moduli):
        st.session_state.pop("modulus")
    q = st.segmented_control(
        "Modulus q",
        moduli,
        default=first,
        required=True,
        key="modulus",
        bind="query-params",
    )
    q = int(q or first)
    shown = next(each for each in measured if each.q == q)
    cell(
        digit_path,
        name=run.name,
        step=step,
        q=q,
        n=n,
        width="content",
        caption=f"Dots: {len(shown.residues):,} held-out integers coprime to the base. {n} mod {q} is {n % q}. "
        + (
            "If the network sums residues, each island has one color."
            if q <= 3
            else "Shown: two of several directions."
        ),
    )
    links.to("sieve", "Sieve: all integers", n=n, modulus=q)
