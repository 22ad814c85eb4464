"""Section 4.1 of the paper: the network that adds modulo 113, its circles, its formula and its verdict."""

import pandas as pd
import streamlit as st

import miii
from miii import analysis, plots, runs
from miii.analysis.modular import criteria
from miii.errors import join_names
from miii.plots.style import Chart
from pages._kit import write
from pages._kit.cell import cell, shared
from pages._parts.paper.parts import available, link_details, report, stamp

CIRCLES = 4  #: the strongest, drawn in one figure


def power_of_the_adder() -> Chart:
    run = miii.runs.shipped("add-113")
    embeddings = [run.weights(step)["W_E"][: run.task().d_vocab_out] for step in run.steps]
    return plots.power_over_training(analysis.fourier.power_over_training(embeddings), run.steps)


def circles_of_the_adder(step: int, frequencies: tuple[int, ...]) -> Chart:
    run = miii.runs.shipped("add-113")
    W = analysis.fourier.operand_embedding(run.model(step), run.task().d_vocab_out)
    return plots.circles([analysis.fourier.circle(W, k) for k in frequencies], size=325)


@shared
def formula_of(name: str) -> analysis.formula.Fit:
    run = miii.runs.shipped(name)
    logits = analysis.grid.logits(run.model(), run.task())
    return analysis.keys.choose(logits, run.task()).fit(logits, run.task())


def steering_of_the_adder() -> Chart:
    run = miii.runs.shipped("add-113")
    keys = [term.k_c for term in formula_of("add-113").formula.terms]
    return plots.steering(analysis.steering.steer(run.model(), run.task(), keys))


def turned(caption: str) -> None:
    """Show steering for every shift on request: it takes most of a second."""
    with st.expander("Every rotation", icon=":material/rotate_right:", on_change="rerun", key="turned") as part:
        if part.open:
            cell(
                steering_of_the_adder,
                stamp=stamp("add-113"),
                alt="Steering by shift, with control.",
                caption=caption,
            )


def evidence() -> pd.DataFrame:
    """Return the verdict's criteria with the measured values."""
    found = report("add-113")
    rows = [
        ("variance explained by the formula", "logit_variance_explained", criteria.VARIANCE_EXPLAINED),
        ("formula and network agree", "argmax_agreement", criteria.ARGMAX_AGREEMENT),
        ("steering, mean over s", "steering_accuracy", criteria.STEERING_ACCURACY),
        ("steering, worst s", "steering_minimum", criteria.STEERING_MINIMUM),
        ("control: prediction stays", "steering_control", criteria.STEERING_CONTROL),
    ]
    return pd.DataFrame(
        [{"evidence": text, "measured": found[field], "at least": bound} for text, field, bound in rows]
    )


def section() -> None:
    """Show the section."""
    write.subheader("4.1 Addition is rotation", anchor="addition")
    if not available("add-113"):
        return
    found, run = report("add-113"), runs.shipped("add-113")
    keys = found["key_frequencies"]
    cell(
        power_of_the_adder,
        stamp=stamp("add-113"),
        alt="Power by frequency.",
        caption=f"Only frequencies {join_names(list(map(str, keys)))} remain in the {run.task().d_vocab_out} token vectors. Other seeds pick others.",
    )
    circles(sorted(found["frequency_power"], key=found["frequency_power"].get, reverse=True)[:CIRCLES], run.steps)
    with st.container(horizontal=True):
        link_details("fourier", run="add-113")
        link_details("neurons", run="add-113")
    write.text(
        f"""
**A few cosines approximate the network's {run.task().d_vocab_out ** 3:,} logits.** At each key frequency, we fit the strongest waves to half of the pairs:
"""
    )
    terms = formula_of("add-113").formula.latex_terms()
    lines = r" \\ &+ ".join(terms)
    write.latex(rf"\begin{{aligned}} \mathrm{{logit}}(c \mid a, b) \approx{{}}& {lines} \end{{aligned}}")
    astray(formula_of("add-113").formula)
    write.text(
        f"""
Such a formula peaks at $c = a + b$ whatever it is fitted to, so its accuracy proves nothing; but it explains
**{found["logit_variance_explained"]:.1%}** of the variance on the other half. The causal test is **steering**: rotate the circles by the angle of
*s*, and the network predicts *a + b + s*; rotate other planes, and the prediction stays.
"""
    )
    write.table(
        evidence(),
        column_config={
            "measured": st.column_config.NumberColumn(format="percent"),
            "at least": st.column_config.NumberColumn(format="percent"),
        },
        name="evidence-add-113",
    )
    write.text(
        f"Verdict: **{found['verdict']}**. {1 - found['logit_variance_explained']:.1%} of the variance is unexplained, partly because some answers "
        "had more training pairs."
    )
    turned(
        f"The prediction follows on {found['steering_accuracy']:.2%} of pairs, on {found['steering_minimum']:.2%} for the worst *s*."
    )
    link_details("formula", run="add-113")


def astray(formula: analysis.formula.Formula) -> None:
    """Write which terms are not waves in a + b - c, and how little they weigh."""
    p, square = formula.p, sum(term.amplitude**2 for term in formula.terms)
    other = [term for term in formula.terms if (term.k_a - term.k_c) % p or (term.k_b - term.k_c) % p]
    if other:
        weigh = sum(term.amplitude**2 for term in other) / square
        write.caption(f"Terms not in $a + b - c$ have {weigh:.1%} of the squared amplitudes.")


@st.fragment
def circles(strongest: list[str], steps: list[int]) -> None:
    """Show the strongest circles at a snapshot of choice."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        with st.container(width=320):
            write.text("**The numbers end up on circles**, in the order in which addition needs them:")
            step = st.select_slider("Step", steps, value=steps[-1], key="at", bind="query-params")
        with st.container(width=440):
            cell(
                circles_of_the_adder,
                step=int(step),
                frequencies=tuple(int(k) for k in strongest),
                stamp=stamp("add-113"),
                width="content",
                alt=f"Circles of frequencies {', '.join(strongest)}.",
                caption="Each dot is a token $n$. Its color, $kn \\bmod p$, is its place on a perfect circle.",
            )
