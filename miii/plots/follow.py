"""One input to a network: attention, neurons, logits, and the waves behind the answer."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from miii.analysis.follow import NeuronWrites, Prediction, Waves
from miii.plots.style import (
    ACCENT,
    CATEGORY,
    DIVERGING,
    FIXED,
    FLUID,
    HEIGHT,
    MAIN,
    MUTED,
    SEQUENTIAL,
    WRONG,
    Chart,
    top_legend,
)

WRITTEN = 12  #: most positions with weights written in the cells
KINDS = {"answer": ACCENT, "runner-up": MAIN, "truth": WRONG, "others": MUTED}
ROW = 42  #: pixels between waves
REACH = 0.45  #: amplitude of the largest wave, as a share of that


def attention_by_position(weights: Float[Tensor, "head pos"], names: Sequence[str]) -> Chart:
    """Draw each head's attention from the last position to each position, for one input.

    Args:
        names: tokens at each position.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), figure 3.
    """
    marks = [f"{i}: {name}" for i, name in enumerate(names)]
    rows = [
        {"head": f"head {h}", "position": mark, "token": name, "weight": weight}
        for h, line in enumerate(weights.tolist())
        for mark, name, weight in zip(marks, names, line, strict=True)
    ]
    few = len(marks) <= WRITTEN
    most = max(1.0 if few else 1e-9, weights.abs().max().item())
    signed = weights.min().item() < 0  # shaped attention
    scale = alt.Scale(scheme=DIVERGING if signed else SEQUENTIAL, domain=[-most if signed else 0, most])
    short = alt.Axis(labelAngle=0, orient="top", labelFlush=False, labelExpr="split(datum.label, ': ')[1]")
    base = alt.Chart(pd.DataFrame(rows)).encode(
        x=alt.X("position:N", title="token attended to", sort=marks, axis=short),
        y=alt.Y("head:N", title="head", sort=None, axis=alt.Axis(labelFlush=False)),
    )
    color = alt.Color("weight:Q", title="weight", scale=scale, legend=None if few else top_legend(format="%"))
    tooltip: list[Any] = ["head:N", "position:N", alt.Tooltip("weight:Q", format=".4f")]
    layers = [base.mark_rect().encode(color=color, tooltip=tooltip)]
    if few:
        bright = alt.condition("datum.weight > 0.55", alt.value("black"), alt.value("white"))
        layers.append(base.mark_text().encode(text=alt.Text("weight:Q", format=".0%"), color=bright))
    fixed: dict[str, Any] = {"width": alt.Step(44), "autosize": FIXED} if few else {"autosize": FLUID}
    return alt.layer(*layers).properties(title="Attention from the last token", height=alt.Step(26), **fixed)


def neuron_contributions(
    written: NeuronWrites, post: Float[Tensor, " neuron"], cyclic: bool = True, most: int = 12
) -> Chart:
    """Draw the neurons with the largest contributions, colored by the frequency that they write.

    Args:
        post: activations of all neurons.
        cyclic: whether the answers are numbers modulo q; otherwise bars have one color.

    Source: ``analysis.follow.NeuronWrites``.
    """
    strongest = written.strongest(most)
    frame = pd.DataFrame(
        {
            "neuron": [f"neuron {i}" for i in strongest],
            "logits": written.added[strongest].tolist(),
            "activation": post[strongest].tolist(),
            "k": written.frequency[strongest].tolist() if cyclic else [0] * len(strongest),
            "share": written.share[strongest].tolist(),
        }
    )
    size = frame["logits"].abs().groupby(frame["k"]).sum().sort_values(ascending=False, kind="stable")
    named = size.index[: len(CATEGORY) - 1].tolist()
    frame["writes"] = [f"k = {k}" if k in named else "another k" for k in frame["k"]]
    domain = [f"k = {k}" for k in named] + ["another k"] * (len(size) > len(named))
    colors = [*CATEGORY[: len(named)], MUTED][: len(domain)]
    several = len(domain) > 1
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            y=alt.Y("neuron:N", title="neuron", sort=None, axis=alt.Axis(labelFlush=False)),
            x=alt.X("logits:Q", title="contribution (logits)"),
            color=alt.Color(
                "writes:N",
                scale=alt.Scale(domain=domain, range=colors),
                legend=top_legend(columns=5) if several else None,
            ),
            tooltip=[
                "neuron:N",
                alt.Tooltip("logits:Q", format=".3f"),
                alt.Tooltip("activation:Q", format=".3f"),
                *([alt.Tooltip("k:Q"), alt.Tooltip("share:Q", format=".0%")] if several else []),
            ],
        )
        .properties(title="Largest neuron contributions", height=alt.Step(20), autosize=FLUID)
    )


def answer_logits(prediction: Prediction, truth: int, names: Sequence[str] | None = None) -> Chart:
    """Draw the logit of every answer minus their mean, with answer, runner-up and truth marked.

    Args:
        names: of the answers; None for numbers.
    """
    kind = ["others"] * len(prediction.logits)
    kind[prediction.runner_up] = "runner-up"
    kind[truth] = "truth"
    kind[prediction.answer] = "answer"
    frame = pd.DataFrame(
        {
            "c": range(len(kind)) if names is None else names,
            "logit": prediction.logits.tolist(),
            "probability": prediction.probability.tolist(),
            "kind": kind,
        }
    )
    order: dict[str, Any] = {} if names is None else {"sort": list(names)}
    x = alt.X("c:O", title="answer c", axis=alt.Axis(labelAngle=-90 if order else 0, labelOverlap=True), **order)
    y = alt.Y(
        "logit:Q", title="logit above the mean", scale=alt.Scale(padding=14)
    )  # pixels; leaves room for the numbers
    tooltip: list[Any] = [
        "c:O",
        alt.Tooltip("logit:Q", format=".3f"),
        alt.Tooltip("probability:Q", format=".2%"),
        "kind:N",
    ]
    shown = [name for name in KINDS if name in kind]
    colors = alt.Scale(domain=shown, range=[KINDS[name] for name in shown])
    bars = (
        alt.Chart(frame)
        .mark_bar()
        .encode(x=x, y=y, color=alt.Color("kind:N", scale=colors, legend=top_legend()), tooltip=tooltip)
    )
    marked = frame[frame["kind"] != "others"].assign(end=lambda rows: rows["logit"].clip(lower=0))
    written = (
        alt.Chart(marked)
        .mark_text(dy=-8, fontWeight="bold")
        .encode(x=x, y=alt.Y("end:Q"), text="c:O", color=alt.Color("kind:N", scale=colors, legend=None))
    )
    return alt.layer(bars, written).properties(title="Logits", height=HEIGHT, autosize=FLUID)


def wave_logits(waves: Waves, answer: int, runner_up: int) -> Chart:
    """Draw the logits that each frequency adds to the answer and to the runner-up.

    Source: ``analysis.follow.Waves``.
    """
    names = {f"for {answer}, the answer": (answer, ACCENT), f"for {runner_up}, the runner-up": (runner_up, MAIN)}
    frame = pd.DataFrame(
        [
            {"k": k, "for": name, "logits": value, "height": height}
            for name, (c, _) in names.items()
            for k, (value, height) in enumerate(
                zip(waves.wave[:, c].tolist(), waves.agreement(c).tolist(), strict=True), 1
            )
        ]
    )
    colors = alt.Scale(domain=list(names), range=[color for _, color in names.values()])
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("k:O", title="frequency k", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            xOffset=alt.XOffset("for:N", sort=list(names)),
            y=alt.Y("logits:Q", title="contribution (logits)"),
            color=alt.Color("for:N", scale=colors, legend=top_legend(labelLimit=260)),
            tooltip=[
                "k:O",
                "for:N",
                alt.Tooltip("logits:Q", format=".3f"),
                alt.Tooltip("height:Q", title="of its crest", format=".0%"),
            ],
        )
        .properties(title="Contribution by frequency", height=HEIGHT, autosize=FLUID)
    )


def wave_sum(waves: Waves, answer: int, most: int = 5) -> Chart:
    """Draw the strongest waves over answers, stacked, with their sum below, on one scale.

    Source: ``analysis.follow.Waves``.
    """
    strongest, total = waves.strongest(most), waves.wave.sum(0)
    unit = max(waves.amplitude.max().item(), 1e-9) / REACH
    lowest = max(1, -int(-(total.max().item() / unit + REACH) // 1))  # leave room above the sum
    lines = [(f"k = {k}", lowest + len(strongest) - i, waves.wave[k - 1]) for i, k in enumerate(strongest, 1)]
    lines.append(("all", 0, total))
    frame = pd.DataFrame(
        [
            {"line": name, "c": c, "logit": value, "height": place + value / unit}
            for name, place, values in lines
            for c, value in enumerate(values.tolist())
        ]
    )
    names = ", ".join(f"'{place}': '{name}'" for name, place, _ in lines)
    axis = alt.Axis(values=[place for _, place, _ in lines], labelExpr=f"{{{names}}}[datum.value]", ticks=False)
    low, high = frame["height"].min(), max(frame["height"].max(), lowest + len(strongest) - 1 + REACH)
    y = alt.Y("height:Q", title="logits by frequency", axis=axis, scale=alt.Scale(domain=[low, high], nice=False))
    x = alt.X(
        "c:Q",
        title="answer c",
        scale=alt.Scale(domain=[0, len(total) - 1], nice=False),
        axis=alt.Axis(tickMinStep=1),
    )
    domain = [name for name, *_ in lines]
    colors = alt.Scale(domain=domain, range=[*CATEGORY[: len(strongest)], MUTED])
    base = alt.Chart(frame).encode(x=x, y=y, color=alt.Color("line:N", scale=colors, legend=None))
    tooltip: list[Any] = ["line:N", "c:Q", alt.Tooltip("logit:Q", format=".3f")]
    here = base.transform_filter(f"datum.c === {answer}").mark_circle(size=70, opacity=1).encode(tooltip=tooltip)
    rule = alt.Chart(pd.DataFrame({"c": [answer]})).mark_rule(color=ACCENT, strokeDash=[4, 4]).encode(x="c:Q")
    return alt.layer(base.mark_line(strokeWidth=1.5).encode(tooltip=tooltip), rule, here).properties(
        title="The strongest waves, and the sum of all",
        height=round(ROW * (high - low)),
        autosize=FLUID,
    )
