"""Attention: where heads look, what they write, and what happens without them."""

from typing import Any

import streamlit as st
from torch import Tensor

import miii
from miii import ModularAddition, analysis, plots
from miii.plots.style import Chart
from pages._ui import front, looks
from pages._ui.cell import cell, shared, stamp_of
from pages._ui.pick import run_and_step, small_enough

front.door()

st.title("Attention")
st.markdown(
    r"""
The answer is read at the last token, which knows none of the others: whatever it says of them has come to it through
attention, $z = \mathrm{softmax}\left(q k^\top / \sqrt{d_\mathrm{head}}\right) v$, one pattern a head. If a network adds two
numbers, it should take from both, and take about as much from either.
"""
)

picked = run_and_step()
run, step = picked.run, picked.step
if not isinstance(run.config.task, ModularAddition):
    looks.show(run, step)
    st.stop()
p = small_enough(run, run.config.task)
n_layers, n_heads = run.config.model.n_layers, run.config.model.n_heads
stamp = stamp_of(run)


@shared
def looked(name: str, step: int, layer: int) -> analysis.attention.OverInputs:
    run = miii.runs.open(name)
    return analysis.attention.over_inputs(run.model(step), run.task().tokens, layer)


@shared
def rhythm(name: str, step: int, layer: int) -> analysis.attention.Rhythm:
    run = miii.runs.open(name)
    over = analysis.attention.over_inputs(run.model(step), run.task().tokens, layer)
    return analysis.attention.rhythm(over)


def over_inputs(name: str, step: int, layer: int, head: int, key: int) -> Chart:
    p = miii.runs.open(name).task().d_vocab_out
    weight = looked(name, step, layer).weight[head, key]
    return plots.over_inputs(weight.view(p, p), head, "ab"[key])


st.header("One input", anchor="input")
with st.container(horizontal=True, gap="medium"):
    a = st.number_input("a", 0, p - 1, min(5, p - 1), key="a", bind="query-params", width=140, help="The first operand")
    b = st.number_input(
        "b", 0, p - 1, min(8, p - 1), key="b", bind="query-params", width=140, help="The second operand"
    )
    layer = looks.choose_layer(n_layers)
example = int(a) * p + int(b)
answer = int(miii.answer(run.model(step), run.task().tokens[example][None]))
truth = int(run.task().labels[example])
verdict = "right" if answer == truth else f"wrong, it is {truth}"
split = "train" if run.task().train_mask[example] else "test"
known = f"This pair is in the {split} split." if run.task().split_known else "Which pairs trained it is unknown."
st.markdown(f"At step {step} the network answers **{answer}** for ({a}, {b}): {verdict}. {known}")
looks.show_pattern(run, step, example, layer)

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
head = head or 0
shown: dict[str, Any] = {"name": run.name, "step": step, "layer": layer, "head": int(head), "stamp": stamp}
columns = st.columns(2)
for column, key in zip(columns, (0, 1), strict=True):
    with column:
        cell(
            over_inputs,
            **shown,
            key=key,
            width="content",
            alt=f"Attention of head {head} from = to {'ab'[key]} for every pair of operands at step {step}.",
        )
st.caption(
    "Every cell is one input (a, b). Stripes along one axis: the weight follows one operand alone. That they repeat: it "
    "follows it in a rhythm, as it would by reading the operand's angles on the circles of the Fourier page."
)


def strongest(shares: Tensor) -> str:
    """The strongest two of the frequencies 1 .. p // 2 and their shares, in words."""
    top = shares.topk(min(2, len(shares)))
    listed = " and ".join(f"$k = {k + 1}$ ({share:.0%})" for share, k in zip(*(x.tolist() for x in top), strict=True))
    return f"The strongest frequencies: {listed}."


def in_words(rhythm: analysis.attention.Rhythm, head: int, key: int) -> str:
    """What is to be said of the spectrum of one head's attention to one key."""
    single = rhythm.single()[head, key]
    if not single.any():
        return "The weight is the same for all pairs, so there is no rhythm to find."
    return (
        f"The weight deviates from its mean by {rhythm.deviation[head, key]:.2g}. {rhythm.of_a()[head, key]:.0%} of the "
        f"variance depends on $a$ alone, {rhythm.of_b()[head, key]:.0%} on $b$ alone, the rest on both. {strongest(single)}"
    )


st.header("In which rhythm does it look?", anchor="rhythm")
st.markdown(
    "Products of a wave in $a$ and a wave in $b$ add up to any picture above. If the head reads angles on a few circles, "
    "few of them are needed: in the first column waves in $a$ alone, in the first row waves in $b$ alone."
)


def attention_spectrum(name: str, step: int, layer: int, head: int, key: int) -> Chart:
    power = rhythm(name, step, layer).power[head, key]
    return plots.attention_spectrum(power, head, "ab"[key])


columns = st.columns(2)
for column, key in zip(columns, (0, 1), strict=True):
    with column:
        cell(
            attention_spectrum,
            **shown,
            key=key,
            width="content",
            alt=f"Share of the variance of head {head}'s attention to {'ab'[key]} by the frequencies of a and b at step {step}.",
            see=in_words(rhythm(run.name, step, layer), int(head), key),
        )

st.header("Heads side by side", anchor="heads")
means = looked(run.name, step, layer).mean().tolist()
st.dataframe(
    [{"head": h, "to a": to_a, "to b": to_b, "to =": to_end} for h, (to_a, to_b, to_end) in enumerate(means)],
    hide_index=True,
    width="content",
    column_config={name: st.column_config.NumberColumn(format="percent") for name in ("to a", "to b", "to =")},
)
st.caption("Mean attention from “=” over all pairs. The table's own toolbar searches and downloads it.")

st.header("What does a head look for, and what does it write?", anchor="circuits")
st.markdown(
    r"""
A head's four matrices act only in pairs. $W_E W_Q W_K^\top W_E^\top$, the **QK circuit**, scores every token against every
other: it says where the head looks. $W_E W_V W_O W_U$, the **OV circuit**, says what looking there adds to the logit of
each answer. Neither depends on an input, so both can be read off the weights.
"""
    + (
        ""
        if layer == 0
        else "\n\nIn this layer they are the direct paths: the head reads what earlier blocks wrote, too."
    )
)


def token_scores(name: str, step: int, layer: int, head: int) -> Chart:
    run = miii.runs.open(name)
    p = run.task().d_vocab_out
    equals = run.task().tokens[0, -1:]
    scores = analysis.heads.qk(run.model(step), layer, equals)[head, 0]
    return plots.token_scores(scores[:2, :p], ["a", "b"], head)


def qk(name: str, step: int, layer: int, head: int) -> Chart:
    run = miii.runs.open(name)
    p = run.task().d_vocab_out
    scores = analysis.heads.qk(run.model(step), layer)[head, :, 0, :p]
    return plots.qk(scores, head)


def ov(name: str, step: int, layer: int, head: int) -> Chart:
    run = miii.runs.open(name)
    p = run.task().d_vocab_out
    return plots.ov(analysis.heads.ov(run.model(step), layer)[head, :p], head)


model = run.model(step)
scores = analysis.heads.qk(model, layer, run.task().tokens[0, -1:])[int(head), 0, :2, :p]
written = analysis.heads.ov(model, layer)[int(head), :p]
deviation, shift = float(scores[0].std(correction=0)), float((scores[1] - scores[0]).mean())
cell(
    token_scores,
    **shown,
    alt=f"Score of head {head} from = to every token at either position at step {step}.",
    see="“=” gives the same score to every token: this head cannot tell them apart."
    if deviation < analysis.attention.CONSTANT
    else f"Two operands share the attention by the difference of their scores. Over the tokens the scores deviate by "
    f"{deviation:.2g}; at position $b$ each is {abs(shift):.2g} {'lower' if shift < 0 else 'higher'} than at $a$. "
    + strongest(analysis.fourier.spectrum(scores[0][:, None]).power),
)
columns = st.columns(2)
with columns[0]:
    cell(
        qk,
        **shown,
        width="content",
        alt=f"Head {head}'s score of every query token against every key token at step {step}.",
        see=f"Each row is drawn less its mean, which the softmax does not see. Only the last row is ever used: token {p} is "
        "“=”, which alone asks at the last position.",
    )
with columns[1]:
    cell(
        ov,
        **shown,
        width="content",
        alt=f"What head {head} adds to the logit of each answer for every token it attends to at step {step}.",
        see="It writes nothing to the logits directly."
        if not written.any()
        else f"A head's own vote, {float(written.std(correction=0)):.2g} logits strong (standard deviation). "
        + strongest(analysis.fourier.spectrum(written).power),
    )

st.header("Who writes the answer?", anchor="writers")
st.markdown(
    "Without a norm the logits are a sum of what every part of the network wrote, so each part's own contribution to the "
    "logit of the correct answer can be told. What a head adds by way of the neurons counts as theirs."
)


@shared
def written_by(name: str, step: int) -> analysis.direct.Contributions:
    run = miii.runs.open(name)
    task = run.task()
    return analysis.direct.contributions(run.model(step), task.tokens, task.labels)


def contributions(name: str, step: int) -> Chart:
    return plots.contributions(written_by(name, step))


parts = written_by(run.name, step)
cell(
    contributions,
    name=run.name,
    step=step,
    stamp=stamp,
    alt=f"Mean direct contribution of every head and MLP to the correct answer's logit at step {step}.",
    see=f"Over all pairs the logit of the correct answer is {parts.total():.3g} above the mean of all answers. The heads "
    f"write {parts.of('head'):.3g} of it directly, the MLP{'s' if n_layers > 1 else ''} {parts.of('MLP'):.3g}.",
)

st.header("What if a head falls silent?", anchor="silence")
st.markdown(
    "To see whether the network needs a head, put something else in the place of what it found. **zero** takes away all that "
    "it writes; its **mean** over all pairs only what it says of this one; an **interchange** puts in what it found for "
    "another pair with another answer, and so misleads."
)
kinds: tuple[analysis.ablation.Kind, ...] = ("zero", "mean", "interchange")
kind = st.segmented_control(
    "In its place",
    kinds,
    default="mean",
    required=True,
    key="kind",
    bind="query-params",
    help="What the other parts of the network receive instead",
)
kind = kind or "mean"


@shared
def without_heads(name: str, step: int, kind: analysis.ablation.Kind) -> analysis.ablation.Ablations:
    run = miii.runs.open(name)
    return analysis.ablation.heads(run.model(step), run.task(), kind)


def silenced(name: str, step: int, kind: analysis.ablation.Kind) -> Chart:
    return plots.ablation(without_heads(name, step, kind))


found = without_heads(run.name, step, kind)
without = [
    f"without head {found.names[i]} it is {found.loss[i]:.3g} nats with {found.accuracy[i]:.1%} right"
    for i in (int(found.loss.argmax()), int(found.loss.argmin()))
]
cell(
    silenced,
    name=run.name,
    step=step,
    kind=kind,
    stamp=stamp,
    alt=f"Loss of the network with each of its heads silenced in turn at step {step}, beside that of the whole network.",
    see=f"Over all pairs the whole network's loss is {found.baseline_loss:.3g} nats, with {found.baseline_accuracy:.1%} of the "
    f"answers right; {f'{without[0]} (the most), {without[1]} (the least)' if len(found.names) > 1 else without[0]}.",
)
