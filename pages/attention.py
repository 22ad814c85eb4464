"""Attention patterns: for one input, and over all of them."""

import streamlit as st

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from pages._ui import front
from pages._ui.cell import cell, stamp_of
from pages._ui.pick import run_and_step

front.door()

st.title("Attention")
st.markdown(
    r"""
The answer is read at the token “=”, which knows neither operand: whatever it says of $a$ and $b$ has come to it through
attention, $z = \mathrm{softmax}\left(q k^\top / \sqrt{d_\mathrm{head}}\right) v$, one pattern a head. If the network adds,
it should take from both operands, and take about as much from either.
"""
)

picked = run_and_step()
run, step, p = picked.run, picked.step, picked.run.config.task.p
n_layers, n_heads = run.config.model.n_layers, run.config.model.n_heads
stamp = stamp_of(run)


def pattern(name: str, step: int, a: int, b: int, layer: int) -> Chart:
    run = miii.runs.open(name)
    task = run.task()
    tokens = task.tokens[a * run.config.task.p + b]
    weights = analysis.attention.pattern(run.model(step), tokens, layer)
    return plots.pattern(weights, [task.token_names[token] for token in tokens])


def over_inputs(name: str, step: int, layer: int, head: int, key: int) -> Chart:
    run = miii.runs.open(name)
    p = run.config.task.p
    over = analysis.attention.over_inputs(run.model(step), run.task().tokens, layer)
    return plots.over_inputs(over.weight[head, key].view(p, p), head, "ab"[key])


st.header("One input", anchor="input")
with st.container(horizontal=True, gap="medium"):
    a = st.number_input("a", 0, p - 1, min(5, p - 1), key="a", bind="query-params", width=140, help="The first operand")
    b = st.number_input(
        "b", 0, p - 1, min(8, p - 1), key="b", bind="query-params", width=140, help="The second operand"
    )
    layer = 0
    if n_layers > 1:
        layer = st.segmented_control(
            "Layer", range(n_layers), default=0, required=True, key="layer", bind="query-params", help="Which block"
        )
answer = int(miii.answer(run.model(step), run.task().tokens[a * p + b][None]))
truth = int(run.task().labels[a * p + b])
verdict = "right" if answer == truth else f"wrong, it is {truth}"
split = "train" if run.task().train_mask[a * p + b] else "test"
st.markdown(
    f"At step {step} the network answers **{answer}** for ({a}, {b}): {verdict}. This pair is in the {split} split."
)
cell(
    pattern,
    name=run.name,
    step=step,
    a=int(a),
    b=int(b),
    layer=int(layer),
    stamp=stamp,
    width="content",
    alt=f"Attention pattern of each of {n_heads} heads for {a}, {b} and = at step {step}.",
    see="Each row sums to 1. Only the last row, the one of “=”, reaches the answer."
    if n_layers == 1
    else "Each row sums to 1. The answer is read in the last row, the one of “=”.",
)

st.header("All inputs", anchor="inputs")
head = st.segmented_control(
    "Head",
    range(n_heads),
    default=0,
    required=True,
    key="head",
    bind="query-params",
    help="Each head has a pattern of its own",
)
columns = st.columns(2)
for column, key in zip(columns, (0, 1), strict=True):
    with column:
        cell(
            over_inputs,
            name=run.name,
            step=step,
            layer=int(layer),
            head=int(head),
            key=key,
            stamp=stamp,
            width="content",
            alt=f"Attention of head {head} from = to {'ab'[key]} for every pair of operands at step {step}.",
        )
st.caption(
    "Every cell is one input (a, b). Stripes that repeat along an axis mean that the head's weight depends on the operand "
    "through its angles on the circles of the Fourier page."
)


@st.cache_data(max_entries=64, show_spinner=False)
def mean_attention(name: str, step: int, layer: int, stamp: float) -> list[dict[str, float]]:
    run = miii.runs.open(name)
    means = analysis.attention.over_inputs(run.model(step), run.task().tokens, layer).mean()
    return [
        {"head": h, **dict(zip(("to a", "to b", "to ="), row, strict=True))} for h, row in enumerate(means.tolist())
    ]


st.header("Heads side by side", anchor="heads")
st.dataframe(
    mean_attention(run.name, step, int(layer), stamp),
    hide_index=True,
    width="content",
    column_config={name: st.column_config.NumberColumn(format="percent") for name in ("to a", "to b", "to =")},
)
st.caption("Mean attention from “=” over all pairs. The table's own toolbar searches and downloads it.")
