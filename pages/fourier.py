"""Fourier analysis of the embedding, over training."""

import streamlit as st
import torch

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from pages._kit import links, second_run, startup, write
from pages._kit.cell import cell, shared
from pages._kit.inputs import integer
from pages._kit.run_picker import chosen_run
from pages._kit.step_picker import step_of
from pages._server import control
from pages._server.settings import LIMIT
from pages._tasks.modular.checks import modular_run
from pages._tasks.view import view_of

startup.run_app_first()

write.title("Fourier")
own = view_of(chosen_run().config.task.kind).fourier
if own is not None:
    control.unfinished(chosen_run())
    own(chosen_run(), chosen_run().config.task, step_of)
    write.stop()
write.text(
    r"""
A network that adds modulo $p$ places its tokens on a few circles (Nanda et al.). On that of **frequency** $k$, token $n$ is at the angle
$w_k n$, with $w_k = 2 \pi k / p$. Adding numbers adds angles:
$\cos w_k(a+b) = \cos w_k a \cos w_k b - \sin w_k a \sin w_k b$.
"""
)

run, task = modular_run()
name, step, p = run.name, step_of(run), task.p


@shared
def find_keys(name: str, step: int) -> analysis.keys.Choice:
    run = miii.runs.open(name)
    return analysis.keys.of_model(run.model(step), run.task())


@shared
def embedding(name: str, step: int) -> "torch.Tensor":
    run = miii.runs.open(name)
    return analysis.fourier.relabelled_embedding(run.model(step), run.task(), find_keys(name, step).relabelling)


@shared
def neuron_logit(name: str, step: int) -> "torch.Tensor":
    return analysis.fourier.neuron_logit(miii.runs.open(name).model(step)).T[find_keys(name, step).relabelling.answers]


@shared
def directions(name: str, step: int, written: bool) -> "tuple[torch.Tensor, float, float]":
    W = neuron_logit(name, step) if written else embedding(name, step)
    gini = analysis.progress.gini(analysis.progress.component_norms(W))
    return analysis.fourier.singular_values(W), analysis.progress.effective_rank(W), gini


@shared
def frequencies_read(name: str, step: int) -> analysis.fourier.Spectrum:
    run = miii.runs.open(name)
    return analysis.fourier.embedding_spectrum(run.model(step), run.task(), find_keys(name, step))


def embedding_spectrum(name: str, step: int) -> Chart:
    return plots.spectrum(frequencies_read(name, step))


def neuron_logit_spectrum(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    spectrum = analysis.fourier.neuron_logit_spectrum(run.model(step), run.task(), find_keys(name, step))
    return plots.spectrum(spectrum, "Spectrum of the neuron-to-logit map")


@shared
def products(name: str, step: int, site: str) -> analysis.fourier2d.Spectrum2D:
    run = miii.runs.open(name)
    order = find_keys(name, step).aligned(run.task())[0]
    return analysis.fourier2d.site_spectrum(run.model(step), run.task(), site, order)


def site_spectrum(name: str, step: int, site: str) -> Chart:
    order = find_keys(name, step).aligned(miii.runs.open(name).task())[0]
    return plots.spectrum_2d(products(name, step, site), names=order.names)


def power_over_training(name: str) -> Chart:
    run = miii.runs.open(name)
    order = find_keys(name, run.steps[-1]).relabelling.tokens(run.task())
    rows = slice(run.task().d_vocab_out) if order is None else order
    embeddings = [run.weights(step)["W_E"][rows] for step in run.steps]
    power = analysis.fourier.power_over_training(embeddings)
    return plots.power_over_training(power, run.steps)


def circle(name: str, step: int, k: int) -> Chart:
    tokens = find_keys(name, step).relabelling.tokens(miii.runs.open(name).task())
    named = None if tokens is None else tokens.tolist()
    return plots.circle(analysis.fourier.circle(embedding(name, step), k), tokens=named)


@shared
def measured_angles(name: str, step: int, k: int) -> analysis.fourier.Angles:
    return analysis.fourier.angles(embedding(name, step), k)


def token_angles(name: str, step: int, k: int, label: str) -> Chart:
    return plots.angles(measured_angles(name, step, k), label)


def singular_values(name: str, step: int) -> Chart:
    return plots.singular_values(directions(name, step, written=False)[0])


write.header("Do the tokens form circles?", anchor="circles")
spectrum, (values, rank, gini) = frequencies_read(name, step), directions(name, step, written=False)
keys = spectrum.key_frequencies
strongest = (spectrum.power.argsort(descending=True) + 1).tolist()
shown = [str(key) for key in keys or strongest[:3]]
chosen = st.pills(
    "Key frequencies" if keys else "Strongest frequencies (none is a key frequency)",
    shown,
    selection_mode="multi",
    default=sorted([str(k) for k in strongest if str(k) in shown][:3], key=int),
    key="circles",
    bind="query-params",
)
clicked = str(st.session_state.get("k") or st.query_params.get("k"))  # its field is further down
asked = [int(clicked)] if clicked in map(str, strongest) else []
frequencies: list[int] = list(dict.fromkeys([*map(int, chosen), *asked]))
columns = second_run.columns(3)
for i, frequency in enumerate(frequencies):
    with columns[i % 3]:
        cell(
            circle,
            name=name,
            step=step,
            k=frequency,
            width="content",
            alt=f"Tokens in the plane of frequency {frequency}.",
        )
choice = find_keys(name, step)
relabelled, order = choice.relabelling, choice.aligned(run.task())[0]
reordered = relabelled.full and not relabelled.natural
write.caption(
    f"The {len(embedding(name, step))} operands, colored by $k n$ mod "
    + (f"${relabelled.m}$, where $n$ is **{relabelled.names[0]}**. " if reordered else "$p$. ")
    + "On a circle, colors follow in order."
    + (
        f" It adds {relabelled.words(choice.multipliers)}, reading the operands at {order.names[0].removesuffix('a')}k and "
        f"{order.names[1].removesuffix('b')}k."
        if order is not relabelled and relabelled.natural
        else ""
    )
)

angled = [k for k in strongest if k in (frequencies or strongest) and 2 * k < spectrum.p][:1]
if angled:
    write.subheader("Is each token at its angle?", anchor="angles")
    weakest = next(k for k in reversed(strongest) if 2 * k < spectrum.p)
    tried = [
        (f"Frequency {angled[0]}", step, angled[0]),
        (f"Control, frequency {weakest}", step, weakest),
        (f"Control, step {run.steps[0]}", run.steps[0], angled[0]),
    ]
    for column, (label, at, frequency) in zip(second_run.columns(3), tried, strict=True):
        with column:
            cell(
                token_angles,
                name=name,
                step=at,
                k=frequency,
                label=label,
                width="content",
                alt=f"Token angles. {label}.",
            )
    measured = (measured_angles(name, *at) for at in ((step, angled[0]), (step, weakest), (run.steps[0], angled[0])))
    found, weak, untrained = (f"{each.r2:.3f}" for each in measured)
    write.caption(
        f"On the line, a token is at its angle: **R² {found}** at k = {angled[0]}, against {weak} at the weakest frequency and {untrained} at "
        f"step {run.steps[0]}. Planes are fitted to the other tokens."
    )

write.header("Which frequencies does the embedding use?", anchor="spectrum")
if reordered:
    write.caption(
        f"In the order of {relabelled.names[0]} and {relabelled.answer}"
        + (f" (base {relabelled.base})" if relabelled.base else "")
        + ", the network adds."
    )
share = sum(spectrum.power[k - 1].item() for k in keys)
listed = ", ".join(map(str, keys)) or "none"


def look_closer(bar: dict[str, int]) -> None:
    st.session_state["k"] = bar["frequency"]


cell(
    embedding_spectrum,
    name=name,
    step=step,
    pick=("frequency", look_closer),
    caption=f"**Key frequencies at step {step}: {listed}**"
    + (f", {share:.0%} of the embedding's centered power." if keys else f": {choice.why_none}.")
    + f" {analysis.keys.RULE} Gini coefficient: {gini:.2f} (near 1 if one dominates).",
)

with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
    k = integer(
        "One frequency",
        1,
        len(spectrum.power),
        None,
        "k",
    )
    if k is not None:
        links.to("neurons", f"Its neurons (k = {k})", ":material/hub:", frequency=str(k))
if k is not None:
    write.text(
        f"Frequency {k}: {spectrum.power[k - 1].item():.1%} of the power, amplitude {spectrum.cos_norm[k - 1].item():.2f} (cosine) and "
        f"{spectrum.sin_norm[k - 1].item():.2f} (sine)."
    )

write.header("Which frequencies does it write to the logits?", anchor="neuron-logit")
all_written, rank_written, gini_written = directions(name, step, written=True)
cell(
    neuron_logit_spectrum,
    name=name,
    step=step,
    caption=r"The map is $W_\mathrm{out} W_U$ of the last block. "
    f"Gini coefficient {gini_written:.2f}; effective rank (exp of spectral entropy) {rank_written:.1f} of {len(all_written)}.",
)

write.header("Which products of waves does it compute?", anchor="products")
layers = range(run.config.model.n_layers)
sites = [
    f"{layer}.{site}" for layer in layers for site in ("pattern", "z", "attn_out", "mlp_pre", "mlp_post", "mlp_out")
]
site = st.selectbox(
    "Activation, at the last position",
    [*sites, "logits"],
    index=len(sites),
    key="site",
    bind="query-params",
    width=260,
)
if not order.full:
    write.caption(f"The figure needs all pairs of {order.names[0]} and {order.names[1]}.")
elif analysis.grid.MIN_P <= p <= LIMIT:
    single = products(name, step, site).single()
    most = [int(k) + 1 for k in single.argsort(descending=True)[:5]]
    told = ", ".join(f"{k} ({single[k - 1]:.1%})" for k in most) if single.any() else "none, it is constant"
    cell(
        site_spectrum,
        name=name,
        step=step,
        site=site,
        width="content",
        caption="Row and column 0: one operand. Diagonal: products of one frequency, which make up "
        + ("$\\cos w_k(a+b)$. " if order.natural else f"waves in {order.words((1, 1))}. ")
        + f"Strongest: {told}.",
    )
else:
    write.caption(f"p must be from {analysis.grid.MIN_P} to {LIMIT} for products of waves (got {p}).")

write.header("When do frequencies emerge?", anchor="training")
cell(
    power_over_training,
    name=name,
    stamp=len(run.steps),
    caption="Random weights hold all about equally.",
)

write.header("How many directions does it use?", anchor="rank")
few = int((values.square().cumsum(0) / values.square().sum() < 0.99).sum()) + 1
cell(
    singular_values,
    name=name,
    step=step,
    caption=f"{few} of {len(values)} directions hold 99% of the variance; effective rank {rank:.1f}. A circle needs two.",
)
