"""Fourier analysis of the embedding, over training."""

import streamlit as st

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from pages._ui import front
from pages._ui.cell import cell, stamp_of
from pages._ui.pick import run_and_step

front.door()

st.title("Fourier")
st.markdown(
    r"""
Nobody tells the network that its tokens are numbers, let alone that they lie on a circle: each of the tokens
$0 \dots p-1$ starts as a random vector. If it learns to add modulo $p$ the way Nanda et al. found, these vectors end up on
a few circles. On the circle of **frequency** $k$, token $n$ sits at the angle $w_k n$ with $w_k = 2 \pi k / p$, and adding
becomes turning: $\cos w_k(a+b) = \cos w_k a \cos w_k b - \sin w_k a \sin w_k b$. A Fourier transform over the tokens shows
which circles there are.
"""
)

picked = run_and_step()
name, step, p = picked.run.name, picked.step, picked.run.config.task.p
stamp = stamp_of(picked.run)


def embedding_spectrum(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    spectrum = analysis.fourier.embedding_spectrum(run.model(step))
    return plots.spectrum(spectrum)


def power_over_training(name: str) -> Chart:
    run = miii.runs.open(name)
    embeddings = [run.weights(step)["W_E"][: run.config.task.p] for step in run.steps]
    power = analysis.fourier.power_over_training(embeddings)
    return plots.power_over_training(power, run.steps)


def circle(name: str, step: int, k: int) -> Chart:
    run = miii.runs.open(name)
    W = analysis.fourier.operand_embedding(run.model(step), run.config.task.p)
    return plots.circle(analysis.fourier.circle(W, k))


def singular_values(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    W = analysis.fourier.operand_embedding(run.model(step), run.config.task.p)
    return plots.singular_values(analysis.fourier.singular_values(W))


st.header("Which frequencies is the embedding made of?", anchor="spectrum")
spectrum = analysis.fourier.embedding_spectrum(picked.run.model(step), p)
keys = spectrum.key_frequencies
share = sum(spectrum.power[k - 1].item() for k in keys)
listed = ", ".join(map(str, keys)) or "none"
cell(
    embedding_spectrum,
    name=name,
    step=step,
    stamp=stamp,
    alt=f"Bars of the embedding's cosine and sine lengths by frequency at step {step}; key frequencies: {listed}.",
    see=f"**Key frequencies at step {step}: {listed}**"
    + (
        f", {share:.0%} of the embedding's power beside its mean."
        if keys
        else "; the embedding has no clear rhythm here."
    )
    + " The rule: sort the frequencies by their power in embedding and neuron-to-logit map, and cut at the widest gap; without a clear one there are none.",
)

st.header("When do they arise?", anchor="training")
cell(
    power_over_training,
    name=name,
    stamp=(stamp, len(picked.run.steps)),
    alt="Heatmap of the share of power of each frequency, from the first to the last snapshot.",
    see="Each column is a snapshot. Random weights have all frequencies alike; where the network learns to add, a few "
    "take over and the rest fade.",
)

st.header("Are they circles?", anchor="circles")
shown = keys or tuple((spectrum.power.argsort(descending=True)[:3] + 1).tolist())
chosen = st.pills(
    "Key frequencies" if keys else "The strongest frequencies (none is a key frequency)",
    shown,
    selection_mode="multi",
    default=shown[:3],
    help="Each is drawn in the plane of its own cosine and sine directions in the embedding.",
)
other = st.number_input(
    "Another frequency",
    min_value=1,
    max_value=p // 2,
    value=None,
    placeholder=f"1 to {p // 2}",
    width=200,
    help="Any frequency can be looked at; one that is not a key frequency gives a tangle.",
)
frequencies = list(dict.fromkeys([*chosen, *([other] if other else [])]))
columns = st.columns(3)
for i, k in enumerate(frequencies):
    with columns[i % 3]:
        cell(
            circle,
            name=name,
            step=step,
            k=int(k),
            stamp=stamp,
            width="content",
            alt=f"The tokens in the plane of frequency {k} at step {step}.",
        )
st.caption(
    f"Dots are the tokens 0 to {p - 1}; the line joins them in the order of their angle $w_k n$. A circle walked once "
    "around means that the embedding at this frequency is a clock with $p$ ticks."
)

st.header("How many directions does it use?", anchor="rank")
values = analysis.fourier.singular_values(analysis.fourier.operand_embedding(picked.run.model(step), p))
few = int((values.square().cumsum(0) / values.square().sum() < 0.99).sum()) + 1
cell(
    singular_values,
    name=name,
    step=step,
    stamp=stamp,
    alt=f"Singular values of the embedding at step {step}, descending; {few} of {len(values)} hold 99 % of its variance.",
    see=f"{few} of {len(values)} directions hold 99 % of the variance over the tokens. Each circle needs two.",
)
