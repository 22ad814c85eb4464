"""One neuron: what it reads, its activation, what it writes."""

import streamlit as st
import torch

import miii
from miii import analysis, plots
from miii.analysis.modular.neurons import Neurons
from miii.plots.heatmap import CELL
from miii.plots.style import Chart
from miii.runs import Run
from pages._kit import links, write
from pages._kit.cell import cell, shared
from pages._kit.inputs import choose_pair, integer


@shared
def ordered(name: str, step: int) -> "tuple[analysis.relabelling.Relabelling, tuple[int, int]]":
    run = miii.runs.open(name, miii.ModularAddition)
    analysis.grid.least_p(run.task())
    choice = analysis.keys.of_model(run.model(step), run.task())
    return choice.aligned(run.task(), run.task_config.multipliers)


@shared
def neuron_inputs(name: str, step: int) -> "torch.Tensor":
    run = miii.runs.open(name)
    return analysis.grid.neuron_inputs(run.model(step), run.task())


def activation(name: str, step: int, neuron: int) -> Chart:
    run, (order, _) = miii.runs.open(name), ordered(name, step)
    post = run.model(step).blocks[-1].act(neuron_inputs(name, step)[order.rows, neuron])
    return plots.activation(post, neuron, names=order.names)


def reads(name: str, step: int, neuron: int) -> Chart:
    order, _ = ordered(name, step)
    pre = neuron_inputs(name, step)[order.rows, neuron].view(order.m, order.m)
    return plots.reads(pre.mean(1), pre.mean(0), neuron, order.names)


def writes(name: str, step: int, neuron: int) -> Chart:
    run, (order, _) = miii.runs.open(name), ordered(name, step)
    row = analysis.fourier.neuron_logit(run.model(step))[neuron, order.answers]
    return plots.writes(row, neuron, order.answer)


def spectrum(name: str, step: int, neuron: int) -> Chart:
    run, (order, _) = miii.runs.open(name), ordered(name, step)
    post = run.model(step).blocks[-1].act(neuron_inputs(name, step)[order.rows, neuron])
    return plots.spectrum_2d(analysis.fourier2d.spectrum(post), size=340, names=order.names)


def purest(neurons: Neurons, frequency: str) -> int:
    """Return the neuron with the largest share of variance in its frequency, among those of ``frequency``."""
    order = neurons.share.argsort(descending=True).tolist()
    return next((j for j in order if frequency in ("any", str(int(neurons.frequency[j])))), order[0])


def choose_frequency(neurons: Neurons, frequency: str) -> None:
    """Select the purest neuron of a frequency."""
    st.session_state["frequency"] = frequency if frequency in map(str, neurons.clusters()) else "any"
    st.session_state["neuron"] = purest(neurons, frequency)


def choose(dot: dict[str, int]) -> None:
    """Select the neuron of a clicked dot or tile."""
    if dot.get("neuron") is not None:  # a gap of the wall has none
        st.session_state["frequency"], st.session_state["neuron"] = "any", int(dot["neuron"])


def show(run: Run, step: int, neurons: Neurons) -> None:
    """Show the choice of a neuron, and the neuron."""
    name, (order, _) = run.name, ordered(run.name, step)
    first, second = (each[order.rows].tolist() for each in analysis.grid.operands(run.task()))

    def choose_cell(cell: dict[str, int]) -> None:
        at = cell["row"] * order.m + cell["column"]
        choose_pair({"row": first[at], "column": second[at] % run.task().d_vocab_out})

    write.header("One neuron", anchor="neuron")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        frequency = st.selectbox(
            "Frequency",
            ["any", *map(str, neurons.clusters())],
            key="frequency",
            bind="query-params",
            width=220,
            on_change=lambda: st.session_state.update(neuron=purest(neurons, st.session_state["frequency"])),
        )
        neuron = (
            integer(
                "Neuron",
                0,
                len(neurons.share) - 1,
                purest(neurons, frequency or "any"),
                "neuron",
            )
            or 0
        )
        links.to("fourier", "Fourier: all frequencies", ":material/graphic_eq:")
    if bool(neurons.alive[neuron]):
        write.text(
            f"Neuron **{neuron}**: {neurons.share[neuron]:.1%} of its variance at frequency **{int(neurons.frequency[neuron])}**. It "
            f"reads $\\varphi_a$ = {neurons.phase_a[neuron]:.2f} and $\\varphi_b$ = {neurons.phase_b[neuron]:.2f}, "
            f"and writes $\\varphi_c$ = {neurons.phase_out[neuron]:.2f} (radians)."
        )
    else:
        write.text(f"Neuron **{neuron}** is dead: nearly constant over the pairs.")
    if (a := st.session_state.get("a")) is not None and (b := st.session_state.get("b")) is not None:
        links.to("try", f"Follow ({a}, {b})", ":material/route:")
    left, right = st.columns(2)
    with left:
        cell(
            activation,
            name=name,
            step=step,
            neuron=neuron,
            width="content",
            pick=(CELL, choose_cell),
        )
    with right:
        cell(
            spectrum,
            name=name,
            step=step,
            neuron=neuron,
            width="content",
        )
    left, right = st.columns(2)
    with left:
        cell(
            reads,
            name=name,
            step=step,
            neuron=neuron,
        )
    with right:
        cell(
            writes,
            name=name,
            step=step,
            neuron=neuron,
        )
    write.caption(
        "Diagonal stripes: a sum or difference; a checkerboard: a product of waves. Click a cell to choose its pair."
    )
