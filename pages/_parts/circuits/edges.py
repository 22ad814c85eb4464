"""The edges that make the answer: the graph, how few are enough, and whether cheap methods see what is true."""

import streamlit as st

import miii
from miii import analysis, plots
from miii.errors import InputError
from miii.plots.style import Chart
from miii.runs import Run
from pages._kit import write
from pages._kit.cell import cell, shared

METHODS = {
    "exact": "every edge corrupted by itself, and the network run again: the truth",
    "acdc": "edges corrupted one after another from the output back, kept out where the answers hardly change (Conmy et al.)",
    "eap": "one gradient, times what the edge would change by (Syed et al.)",
    "eap-ig": "the same, the gradient averaged from the corrupted to the clean input (Hanna et al.)",
}


@shared
def found(name: str, step: int, method: str) -> analysis.circuits.Circuit:
    run = miii.runs.open(name)
    return analysis.circuits.find(run.model(step), run.task(), method)


def circuit(name: str, step: int, method: str, edges: int) -> Chart:
    return plots.circuit(found(name, step, method), edges, ["a", "b", "="])


def faithfulness(name: str, step: int) -> Chart:
    return plots.faithfulness([found(name, step, method) for method in analysis.circuits.METHODS])


def edge_agreement(name: str, step: int, method: str) -> Chart:
    return plots.edge_agreement(found(name, step, method), found(name, step, "exact"))


def show(run: Run, step: int) -> None:
    """The first three sections of the page Circuits; stops it where there is nothing to score."""
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
        st.stop()
    total = len(shown.edges)
    enough = shown.enough
    edges = st.slider(
        "Edges shown, the most important first",
        1,
        total,
        min(total, max(1, enough if enough else 10)),
        key=f"edges-{name}-{step}-{method}",
        help="The smallest number that reaches a faithfulness of 0.95 is offered, where faithfulness is defined",
    )
    f = dict(zip(shown.faithfulness.n_edges, shown.faithfulness.f or (), strict=False)).get(edges)
    cell(
        circuit,
        name=name,
        step=step,
        method=method,
        edges=edges,
        width="content",
        alt=f"Graph of the {edges} most important of {total} edges by {method}.",
        caption=f"The strongest is {shown.edges[0].name}. "
        + (
            ""
            if f is None
            else f"With these {edges} edges alone, and all others corrupted, faithfulness is **{f:.3f}** on fresh examples. "
        )
        + "Point at an edge or a node to follow the paths through it; a click holds them.",
    )
    write.caption(
        f"Metric: {shown.metric}. Corruption: {shown.corruption}. {shown.examples} examples rank the edges, as many others measure faithfulness. On these, the network scores {shown.faithfulness.m_full:.3g}, "
        f"fully corrupted {shown.faithfulness.m_empty:.3g}."
    )
    with st.expander(f"All {total} edges"):
        write.table(
            [
                {"rank": i, "from": edge.source.name, "to": edge.reader, "score": score}
                for i, (edge, score) in enumerate(zip(shown.edges, shown.scores, strict=True), 1)
            ],
            width="content",
            column_config={"score": st.column_config.NumberColumn(format="%.4g")},
            name="edges",
        )
        write.caption(
            "The largest threshold, in nats, at which the edge is still kept."
            if method == "acdc"
            else "In logits: by so much the metric falls without the edge, or is expected to by a method of gradients."
        )

    write.header("How few edges are enough?", anchor="faithfulness")
    with st.spinner("Scoring the edges by every method …", show_time=True):
        every = {which: found(name, step, which) for which in METHODS}
    agreements = {which: analysis.circuits.agreement(every[which], every["exact"]) for which in METHODS}
    cell(
        faithfulness,
        name=name,
        step=step,
        alt=f"Faithfulness over the number of edges for {', '.join(METHODS)}.",
        caption="f = 1 does what the network does, f = 0 what it does on corrupted input; a circuit may leave that range."
        if shown.faithfulness.f
        else "The network scores on corrupted input what it scores on its own, so there is nothing for a circuit to do, and no curve.",
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
        "CMD is the area of |1 − f| (0 is best), edges ranked by |score|; CPR the area under f, edges ranked by score, so that "
        "those against the answer come last. Both are measured on fresh examples; the edges to f ≥ 0.95 are counted on those that "
        "rank them. Spearman and AUROC compare a method's ranking with the exact one; "
        f"true edges are the smallest exactly ranked set with f ≥ 0.95. {agreements['exact'].inactive} of {total} edges carry the same in both "
        "runs and score 0 by any method; “active” leaves them out."
    )

    write.header("Does the cheap method see what is true?", anchor="agreement")
    cheap = st.segmented_control(
        "Compare with exact",
        [which for which in METHODS if which != "exact"],
        default="eap-ig",
        required=True,
        key="cheap",
        bind="query-params",
        help="One point an edge; on the line the two agree",
    )
    cheap = cheap or "eap-ig"
    cell(
        edge_agreement,
        name=name,
        step=step,
        method=cheap,
        width="content",
        alt=f"Score of every edge by {cheap} over its exact score.",
        caption="ACDC scores in nats, the exact method in logits: the order of the points can be compared, their values cannot."
        if cheap == "acdc"
        else "A method of gradients sees the slope where the network stands. If an attention weight would be far off with the "
        "other key, it can misjudge the edge: look at the keys.",
    )
