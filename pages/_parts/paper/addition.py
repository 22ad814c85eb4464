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
    return plots.circles([analysis.fourier.circle(W, k) for k in frequencies], size=400)


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
                alt="Share of pairs whose prediction shifts by s, for every s, and the control.",
                caption=caption,
            )


def evidence() -> pd.DataFrame:
    """Return the verdict's criteria with the measured values."""
    found = report("add-113")
    rows = [
        ("logit variance explained by the formula", "logit_variance_explained", criteria.VARIANCE_EXPLAINED),
        ("pairs where formula and network agree", "argmax_agreement", criteria.ARGMAX_AGREEMENT),
        ("steering: predicts a + b + s, mean over s", "steering_accuracy", criteria.STEERING_ACCURACY),
        ("steering: predicts a + b + s, worst s", "steering_minimum", criteria.STEERING_MINIMUM),
        ("control: other planes rotated, still predicts a + b", "steering_control", criteria.STEERING_CONTROL),
    ]
    return pd.DataFrame(
        [{"evidence": text, "measured": found[field], "at least": bound} for text, field, bound in rows]
    )


def section() -> None:
    """Show the section."""
    write.subheader("4.1 Addition is turning", anchor="addition")
    if not available("add-113"):
        return
    found, run = report("add-113"), runs.shipped("add-113")
    keys = found["key_frequencies"]
    cell(
        power_of_the_adder,
        stamp=stamp("add-113"),
        alt="Heatmap of the share of power of each frequency in the embedding, from the first to the last snapshot.",
        caption=f"The vectors of its {run.task().d_vocab_out} tokens, decomposed into waves at every snapshot, one frequency per row. All start "
        f"alike; {join_names(list(map(str, keys)))} remain. Other seeds pick other frequencies.",
    )
    circles(sorted(found["frequency_power"], key=found["frequency_power"].get, reverse=True)[:CIRCLES], run.steps)
    with st.container(horizontal=True):
        link_details("fourier", run="add-113")
        link_details("neurons", run="add-113")
    write.text(
        f"""
**The network as a formula.** If it adds on these circles, its {run.task().d_vocab_out ** 3:,} logits are a handful of cosines. For each key frequency we
take the strongest of all waves, and fit on half of the pairs:
"""
    )
    terms = formula_of("add-113").formula.latex_terms()
    lines = r" \\ &+ ".join(terms)
    write.latex(rf"\begin{{aligned}} \mathrm{{logit}}(c \mid a, b) \approx{{}}& {lines} \end{{aligned}}")
    astray(formula_of("add-113").formula)
    write.text(
        f"""
Such a sum peaks at $c = a + b$ whatever it is fitted to, so its accuracy proves nothing. What counts is how much it explains:
**{found["logit_variance_explained"]:.1%}** of the variance on the other half of the pairs. The strongest evidence is causal: rotate the network's planes by the angle of *s*, and it predicts *a + b + s*:
"""
    )
    turned(
        f"The prediction follows on {found['steering_accuracy']:.2%} of all pairs on average over *s*, and on {found['steering_minimum']:.2%} for the worst "
        f"*s*. Rotating as many other planes leaves the prediction unchanged on {found['steering_control']:.2%}.",
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
        f"Verdict: **{found['verdict']}**. {1 - found['logit_variance_explained']:.1%} of the variance remains unexplained, in part because some answers "
        "had more training pairs than others."
    )
    link_details("formula", run="add-113")


def astray(formula: analysis.formula.Formula) -> None:
    """Write which terms are not waves in a + b - c, and how little they weigh."""
    p, square = formula.p, sum(term.amplitude**2 for term in formula.terms)
    other = [term for term in formula.terms if (term.k_a - term.k_c) % p or (term.k_b - term.k_c) % p]
    if other:
        weigh = sum(term.amplitude**2 for term in other) / square
        write.caption(
            f"At frequency {join_names([str(term.k_c) for term in other])}, the strongest wave is not one in $a + b - c$. The formula keeps it; it "
            f"has {weigh:.1%} of the squared "
            "amplitudes."
        )


@st.fragment
def circles(strongest: list[str], steps: list[int]) -> None:
    """The strongest circles at a snapshot of choice."""
    write.text("**Do they form circles?** Each dot is a token in the plane of one frequency.")
    step = st.select_slider(
        "Step of the snapshot",
        steps,
        value=steps[-1],
        key="at",
        bind="query-params",
        help="Arrow keys move by one snapshot",
    )
    cell(
        circles_of_the_adder,
        step=int(step),
        frequencies=tuple(int(k) for k in strongest),
        stamp=stamp("add-113"),
        width="content",
        alt=f"The tokens in the planes of the frequencies {', '.join(strongest)}.",
        caption="Color: $kn \\bmod p$, the place on the circle where addition needs token $n$.",
    )
