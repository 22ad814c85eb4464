"""One neuron of the page Neurons: what it reads, is and writes, and the way to a pair of its inputs."""

import streamlit as st

import miii
from miii import analysis, plots
from miii.analysis.modular.neurons import Neurons
from miii.plots.heatmap import CELL
from miii.plots.style import Chart
from miii.runs import Run
from pages._kit import links, write
from pages._kit.cell import cell
from pages._kit.inputs import choose_pair, integer


def activation(name: str, step: int, neuron: int) -> Chart:
    run = miii.runs.open(name)
    model = run.model(step)
    post = model.blocks[-1].act(analysis.grid.neuron_inputs(model, run.task()))
    return plots.activation(post[:, neuron], neuron)


def reads(name: str, step: int, neuron: int) -> Chart:
    run = miii.runs.open(name)
    p = run.task().d_vocab_out
    pre = analysis.grid.neuron_inputs(run.model(step), run.task())[:, neuron].view(p, p)
    return plots.reads(pre.mean(1), pre.mean(0), neuron)


def writes(name: str, step: int, neuron: int) -> Chart:
    run = miii.runs.open(name)
    row = analysis.fourier.neuron_logit(run.model(step))[neuron]
    return plots.writes(row, neuron)


def spectrum(name: str, step: int, neuron: int) -> Chart:
    run = miii.runs.open(name)
    model = run.model(step)
    post = model.blocks[-1].act(analysis.grid.neuron_inputs(model, run.task()))
    return plots.spectrum_2d(analysis.fourier2d.spectrum(post[:, neuron]), size=340)


def purest(neurons: Neurons, frequency: str) -> int:
    """The neuron with the largest share of its variance in one frequency, among those of that one."""
    order = neurons.share.argsort(descending=True).tolist()
    return next((j for j in order if frequency in ("any", str(int(neurons.frequency[j])))), order[0])


def choose_frequency(neurons: Neurons, frequency: str) -> None:
    """The purest neuron of a frequency is looked at from now on."""
    st.session_state["frequency"] = frequency if frequency in map(str, neurons.clusters()) else "any"
    st.session_state["neuron"] = purest(neurons, frequency)


def choose(dot: dict[str, int]) -> None:
    """What a click on a dot of the phases means: that neuron is looked at from now on."""
    st.session_state["frequency"], st.session_state["neuron"] = "any", dot["neuron"]


def show(run: Run, step: int, neurons: Neurons) -> None:
    """The section, below the choice of a neuron."""
    name = run.name
    write.header("One neuron", anchor="neuron")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        frequency = st.selectbox(
            "Among those of frequency",
            ["any", *map(str, neurons.clusters())],
            key="frequency",
            bind="query-params",
            width=220,
            on_change=lambda: st.session_state.update(neuron=purest(neurons, st.session_state["frequency"])),
            help="Offers the purest neuron of that frequency",
        )
        neuron = (
            integer(
                "Neuron",
                0,
                len(neurons.share) - 1,
                purest(neurons, frequency or "any"),
                "neuron",
                "Any neuron by its number; the purest one of the chosen frequency is offered",
            )
            or 0
        )
        links.to("fourier", "Back to the frequencies", ":material/graphic_eq:")
    if bool(neurons.alive[neuron]):
        write.text(
            f"Neuron **{neuron}**: frequency **{int(neurons.frequency[neuron])}** with {neurons.share[neuron]:.1%} of its variance; "
            f"reads $\\varphi_a$ = {neurons.phase_a[neuron]:.2f} and $\\varphi_b$ = {neurons.phase_b[neuron]:.2f}, "
            f"writes $\\varphi_c$ = {neurons.phase_out[neuron]:.2f} (radians)."
        )
    else:
        write.text(f"Neuron **{neuron}** is dead: it hardly varies over the pairs.")
    left, right = st.columns(2)
    with left:
        cell(
            activation,
            name=name,
            step=step,
            neuron=neuron,
            width="content",
            pick=(CELL, choose_pair),
            alt=f"Activation of neuron {neuron} for every pair of operands.",
        )
    with right:
        cell(
            spectrum,
            name=name,
            step=step,
            neuron=neuron,
            width="content",
            alt=f"Two-dimensional spectrum of neuron {neuron} over both operands.",
        )
    left, right = st.columns(2)
    with left:
        cell(
            reads,
            name=name,
            step=step,
            neuron=neuron,
            alt=f"Mean input of neuron {neuron} by either operand.",
        )
    with right:
        cell(
            writes,
            name=name,
            step=step,
            neuron=neuron,
            alt=f"What neuron {neuron} adds to each answer's logit.",
        )
    write.caption(
        "On the map of activations, stripes along a diagonal are a function of the sum or of the difference; a checkerboard is a "
        "product of two waves. A click on a cell chooses that pair."
    )

    if "a" in st.session_state and "b" in st.session_state:
        a, b = st.session_state["a"], st.session_state["b"]
        links.to("try", f"Follow the pair ({a}, {b}) through the network", ":material/route:")
