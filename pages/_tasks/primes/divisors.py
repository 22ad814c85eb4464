"""The last step of the page Follow an input for a network that was asked for primes: which divisor it suspects."""

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
    """Step 5: the divisors."""
    write.header("5 · Which divisor it suspects", anchor="argued")
    if task.residues:
        _asked(run, task, n, found)
    write.text(
        f"Attention adds up what each digit has to say, and the neurons judge the sum. To see what the sum says about a divisor $q$ alone, "
        f"{OTHERS} held-out integers without small factors are given **this integer's place modulo $q$**, and nothing else of it: does the evidence "
        "for their being prime fall? By as much as a multiple's place makes it fall?"
    )
    try:
        with st.spinner("Asking for each divisor …", show_time=True):
            measured = divisor_tests(run.name, step)
            one = analysis.sieve.sum_of(run.model(step), task, n, measured[0].layer if measured else None)
    except InputError as error:
        write.info(f"That cannot be asked of {run.name}: {error}")
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
                "it suspects q": each.q in suspected,
                "evidence falls by": falls[each.q],
                "by a multiple's place": each.multiples,
                "by another's": each.others,
                "AUC": each.auc,
            }
            for each in measured
        ],
        width="content",
        column_config={
            name: st.column_config.NumberColumn(format="%.2f")
            for name in ("evidence falls by", "by a multiple's place", "by another's", "AUC")
        },
        name="suspects",
    )
    write.caption(
        f"In logits; medians over held-out integers. The AUC is the chance that a multiple's place makes the evidence fall further than another's: "
        f"from {LEAST} on, q counts as seen, and is suspected where the fall is nearer the multiples'. A place modulo a large q holds nearly all that digits say, so the evidence may fall at it "
        "without its telling multiples."
    )
    _walk(run, step, n, measured, suspected)


def _asked(run: Run, task: Primes, n: int, found: analysis.follow.ForwardPass) -> None:
    """What a network that was asked for residues, too, answers of them."""
    built = run.task()
    says = {q: analysis.follow.predict(found.logits[built.logits_of(f"mod {q}")]) for q in task.residues}
    named = [q for q, said in says.items() if said.answer == 0]
    write.text(
        f"This network was also asked for n modulo {', '.join(map(str, task.residues))}. An answer of 0 says that q divides it: "
        f"**{', '.join(map(str, named)) or 'none of them'}**."
    )
    write.table(
        [
            {
                "q": q,
                "it says n mod q": said.answer,
                "the truth": n % q,
                "right": said.answer == n % q,
                "sure by": float(said.probability[said.answer]),
            }
            for q, said in says.items()
        ],
        width="content",
        column_config={"sure by": st.column_config.NumberColumn(format="percent")},
        name="residues-asked",
    )


def _verdict(
    task: Primes, n: int, measured: list[DivisorTest], falls: dict[int, float], others: EvidenceByFactor
) -> str:
    """What it suspects, beside the truth."""
    told = [q for q in numbers.factors(task.base) if n % q == 0 and others.separates(q)]
    suspected = [each for each in measured if each.predicts_multiple(falls[each.q])]
    seen = [each.q for each in measured if each.seen]
    parts = []
    if told:
        parts.append(
            f"**By its last digit it is a multiple of {' and '.join(map(str, told))}**, and the network tells those from primes."
        )
    for each in suspected:
        parts.append(
            f"**It suspects {each.q}**: at this place the others lose {falls[each.q]:.2f} logits, at a multiple's {each.multiples:.2f}."
        )
    if measured and not seen:
        parts.append("**In this sum it sees no divisor**: for no q do the places of multiples stand out.")
        known = [q for q in analysis.sieve.sieved(task, LISTED) if others.separates(q)]
        parts.append(
            f"Yet its evidence tells multiples of {', '.join(map(str, known))} from primes, so it knows of them by other means."
            if known
            else "So it suspects none beyond the last digit."
        )
    elif measured and not suspected:
        parts.append(f"**It suspects no divisor** of those that it sees in this sum, {', '.join(map(str, seen))}.")
    parts.append(f"**The truth**: {steps.factors(n)}.")
    return " ".join(parts)


def _walk(run: Run, step: int, n: int, measured: list[DivisorTest], suspected: list[int]) -> None:
    """The sum in the making."""
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
        help="In whose plane the sum is shown",
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
        alt=f"The sum of {n} after each digit, in the plane of residues modulo {q}, among those of {len(shown.residues)} held-out integers.",
        caption=f"The line is this integer's sum, digit by digit; it ends at the diamond. Dots are the sums of {len(shown.residues)} held-out integers, "
        f"coprime to the base, colored by their residue modulo {q}. {n} mod {q} is {n % q}. "
        + (
            "Where the network sums residues modulo q, integers of one residue stand together in islands."
            if q <= 3
            else "Shown are two directions of more."
        ),
    )
    links.to("sieve", "Sieve shows what each digit adds, over all integers", ":material/arrow_forward:", n=n, modulus=q)
