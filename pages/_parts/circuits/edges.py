"""The circuit: its graph, faithfulness by size, and agreement between methods."""

from collections.abc import Sequence

import streamlit as st

import miii
from miii import analysis, plots
from miii.errors import InputError
from miii.plots.style import Chart
from miii.runs import Run
from pages._kit import write
from pages._kit.cell import cell, shared

METHODS = {
    "exact": "corrupts one edge at a time",
    "acdc": "drops edges that hardly matter (Conmy et al.)",
    "eap": "gradient times change (Syed et al.)",
    "eap-ig": "EAP with averaged gradients (Hanna et al.)",
}


INPUTS = {"": "", "q": ", query", "k": ", key", "v": ", value"}


def named(node: analysis.circuits.Node, places: Sequence[str], which: str = "") -> str:
    """Name a part of the network or one of its inputs in words, with its position: "head 0.1, key, at a"."""
    part = {"embed": "embedding", "mlp": f"MLP {node.layer}"}.get(node.kind, node.kind)
    if node.head is not None:
        part = f"head {node.layer}.{node.head}"
    return f"{part}{INPUTS[which]}, at {places[node.position]}"


@shared
def found(name: str, step: int, method: str) -> analysis.circuits.Circuit:
    run = miii.runs.open(name)
    return analysis.circuits.find(run.model(step), run.task(), method)


def circuit(name: str, step: int, method: str, edges: int, places: str) -> Chart:
    return plots.circuit(found(name, step, method), edges, places)


def faithfulness(name: str, step: int) -> Chart:
    return plots.faithfulness([found(name, step, method) for method in analysis.circuits.METHODS])


def edge_agreement(name: str, step: int, method: str) -> Chart:
    return plots.edge_agreement(found(name, step, method), found(name, step, "exact"))


def show(run: Run, step: int, places: str) -> None:
    """Show the sections on edges; stop the page if there is nothing to score.

    Args:
        places: a letter for each position.
    """
    name = run.name
    write.header("The circuit", anchor="circuit")
    method = st.segmented_control(
        "Method",
        list(METHODS),
        default="exact",
        required=True,
        key="method",
        bind="query-params",
        help="; ".join(f"{key}: {text}" for key, text in METHODS.items()),
    )
    method = method or "exact"  # an empty value in the URL gives None
    try:
        with st.spinner("Scoring the edges …", show_time=True):
            shown = found(name, step, method)
    except InputError as error:
        write.info(f"This page cannot show {name}: {error}")
        write.stop()
    total = len(shown.edges)
    enough = shown.enough
    edges = st.slider(
        "Edges shown",
        1,
        total,
        min(total, max(1, enough if enough else 10)),
        key=f"edges-{name}-{step}-{method}",
        help="Default: the fewest with faithfulness 0.95",
    )
    f = dict(zip(shown.faithfulness.n_edges, shown.faithfulness.f or (), strict=False)).get(edges)
    cell(
        circuit,
        name=name,
        step=step,
        method=method,
        edges=edges,
        places=places,
        width="content",
        caption=("" if f is None else f"Faithfulness **{f:.3f}** on fresh examples, all other edges corrupted. ")
        + f"Strongest edge: {named(shown.edges[0].source, places)}, to "
        + f"{named(shown.edges[0].target, places, shown.edges[0].which)}. Hover to see paths; click to keep them.",
    )
    write.caption(
        f"Metric: {shown.metric}; {shown.faithfulness.m_full:.3g} in the network, {shown.faithfulness.m_empty:.3g} fully corrupted. "
        f"Corruption: {shown.corruption}. Ranked on {shown.examples} examples, measured on as many others."
    )
    with st.expander(f"All {total} edges"):
        write.table(
            [
                {
                    "rank": i,
                    "from": named(edge.source, places),
                    "to": named(edge.target, places, edge.which),
                    "score": score,
                }
                for i, (edge, score) in enumerate(zip(shown.edges, shown.scores, strict=True), 1)
            ],
            width="content",
            column_config={"score": st.column_config.NumberColumn(format="%.4g")},
            name="edges",
        )
        write.caption(
            "Score: the largest threshold (nats) that keeps it."
            if method == "acdc"
            else "Score: drop in the metric without it."
        )

    write.header("How few edges are enough?", anchor="faithfulness")
    with st.spinner("Scoring the edges by every method …", show_time=True):
        every = {which: found(name, step, which) for which in METHODS}
    agreements = {which: analysis.circuits.agreement(every[which], every["exact"]) for which in METHODS}
    cell(
        faithfulness,
        name=name,
        step=step,
        caption="f = 1: the circuit alone matches the network; 0: no better than full corruption."
        if shown.faithfulness.f
        else "Corruption changes nothing, so faithfulness is undefined.",
    )
    write.table(
        [
            {
                "method": which,
                "CPR": circuit_.faithfulness.cpr,
                "CMD": circuit_.faithfulness.cmd,
                "edges to f ≥ 0.95": circuit_.enough,
                "Spearman": agreements[which].spearman,
                "AUROC": agreements[which].auroc,
                "Spearman, active": agreements[which].spearman_active,
                "AUROC, active": agreements[which].auroc_active,
            }
            for which, circuit_ in every.items()
        ],
        width="content",
        column_config={
            key: st.column_config.NumberColumn(format="%.3f")
            for key in ("CPR", "CMD", "Spearman", "AUROC", "Spearman, active", "AUROC, active")
        },
        name="faithfulness-by-method",
    )
    write.caption(
        "CMD: area of |1 − f|, edges ranked by |score|; CPR: area under f by signed score. Edges to f ≥ 0.95: on the ranking examples. Spearman "
        "and AUROC compare with the exact ranking, AUROC with its smallest such set; “active” omits the "
        f"{agreements['exact'].inactive} of {total} edges that corruption does not change."
    )

    write.header("Do the faster methods agree with the exact one?", anchor="agreement")
    cheap = st.segmented_control(
        "Compare with exact",
        [which for which in METHODS if which != "exact"],
        default="eap-ig",
        required=True,
        key="cheap",
        bind="query-params",
    )
    cheap = cheap or "eap-ig"
    cell(
        edge_agreement,
        name=name,
        step=step,
        method=cheap,
        width="content",
        alt=f"Every edge's score: {cheap} over exact.",
        caption="ACDC scores in nats, exact in logits: compare ranks."
        if cheap == "acdc"
        else "On the line, both agree. Gradients misjudge edges that move attention far, such as into keys.",
    )
