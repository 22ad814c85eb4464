"""Direct contributions, ablations and patches."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from miii.analysis.causal.ablation import Ablations
from miii.analysis.causal.direct import Contributions
from miii.analysis.causal.patching import Sweep
from miii.plots.style import ACCENT, FIXED, FLUID, HEIGHT, MAIN, MUTED, SEQUENTIAL, Chart, log_axis

LABELED = 60  #: most parts with names below the axis
FLOOR = 1e-12  #: nats; smallest loss on the logarithmic axis


def contributions(values: Contributions) -> Chart:
    """Draw the mean logit that each part adds to the correct answer, minus the mean over answers.

    Source: direct logit attribution, Wang et al. 2022 (arXiv 2211.00593), section 3.1.
    """
    means, deviations = values.mean().tolist(), values.values.std(1, correction=0).tolist()
    base = alt.Chart(pd.DataFrame({"part": list(values.names), "logit": means, "deviation": deviations})).encode(
        y=alt.Y("part:N", title="part", sort=None)
    )
    x = alt.X(
        "logit:Q",
        title="correct logit above the mean",
        scale=alt.Scale(nice=False, padding=40),  # pixels, room for the numbers
    )
    tooltip = [
        "part:N",
        alt.Tooltip("logit:Q", title="mean", format=".4f"),
        alt.Tooltip("deviation:Q", title="standard deviation over the inputs", format=".4f"),
    ]
    bars = base.mark_bar(color=MAIN).encode(x=x, tooltip=tooltip)
    texts = base.transform_calculate(end="max(0, datum.logit)").mark_text(align="left", dx=4, color=MUTED)
    texts = texts.encode(x="end:Q", text=alt.Text("logit:Q", format=".2f"))
    layered = alt.layer(bars, texts)
    return layered.properties(title="Direct contributions to the correct logit", height=alt.Step(24), autosize=FLUID)


def ablation(values: Ablations) -> Chart:
    """Draw the loss with each part ablated, as bars from the whole network's loss, on a log scale.

    More than 60 parts are sorted by loss and not labeled.
    """
    frame = pd.DataFrame({"name": values.names, "loss": values.loss.tolist(), "accuracy": values.accuracy.tolist()})
    many = len(frame) > LABELED
    if many:
        frame = frame.sort_values("loss", ascending=False, ignore_index=True)
    frame["rank"] = frame.index + 1
    frame["baseline"] = values.baseline_loss
    title = f"{values.part}, by loss" if many else values.part
    axis = alt.Axis(labelAngle=0, labelOverlap=True, ticks=False)
    x = alt.X("rank:O" if many else "name:N", title=title, sort=None, axis=axis)
    base = alt.Chart(frame).transform_calculate(
        **{f"{name}_shown": f"max({FLOOR}, datum.{name})" for name in ("loss", "baseline")}
    )
    scale = alt.Scale(type="log", padding=20)  # pixels, room for the caption
    y = alt.Y("loss_shown:Q", title="loss (nats, log scale)", scale=scale, axis=log_axis())
    tooltip = [
        alt.Tooltip("name:N", title=values.part),
        alt.Tooltip("loss:Q", title="loss (nats)", format=".4g"),
        alt.Tooltip("accuracy:Q", title="accuracy", format=".2%"),
        alt.Tooltip("baseline:Q", title="loss of the whole network", format=".4g"),
    ]
    bars = base.mark_bar(color=MAIN).encode(x=x, y=y, y2="baseline_shown", tooltip=tooltip)
    rule = base.mark_rule(color=ACCENT, strokeWidth=2).encode(y=alt.Y("mean(baseline_shown):Q", scale=scale))
    kind = {"removed": "removed", "zero": "set to zero", "mean": "set to its mean"}.get(values.kind, "interchanged")
    whole = f"— the whole network: {values.baseline_loss:.3g} nats, {values.baseline_accuracy:.1%} correct"
    caption = alt.Chart(pd.DataFrame({"whole": [whole]})).mark_text(color=ACCENT, align="right", baseline="top")
    caption = caption.encode(x=alt.value("width"), y=alt.value(4), text="whole:N")
    layered = alt.layer(bars, rule, caption)
    return layered.properties(title=f"Loss with a part {kind}", height=HEIGHT, autosize=FLUID)


def patching(
    values: Sweep,
    names: Sequence[str],
    *,
    by_head: bool | None = False,
    title: str = "Share recovered by each activation",
) -> Chart:
    """Draw the normalized logit difference of every patch by site (rows) and position (columns).

    Args:
        names: tokens at each position.
        by_head: draw patches of single heads instead of whole activations; both if None.

    Source: Meng et al. 2022 (arXiv 2202.05262), figure 1; TransformerLens' patching demo.
    """
    rows = []
    for patch in values.patches:
        if by_head is None or (patch.head is not None) == by_head:
            place = patch.site if patch.layer is None else f"{patch.layer}.{patch.site}"
            site = place if patch.head is None else f"{place} head {patch.head}"
            rows.append({"site": site, "position": f"{patch.pos}: {names[patch.pos]}", "value": patch.value})
    frame = pd.DataFrame(rows, columns=["site", "position", "value"])
    base = alt.Chart(frame).encode(
        x=alt.X("position:N", title="position", sort=None, axis=alt.Axis(labelAngle=0, orient="top", labelFlush=False)),
        y=alt.Y("site:N", title="patched", sort=None, axis=alt.Axis(labelFlush=False)),
    )
    color = alt.Color(
        "value:Q",
        title="share recovered",
        scale=alt.Scale(scheme=SEQUENTIAL, domain=[0, 1], clamp=True),
        legend=None,
    )
    tooltip = ["site:N", "position:N", alt.Tooltip("value:Q", title="share recovered", format=".4f")]
    cells = base.mark_rect().encode(color=color, tooltip=tooltip)
    bright = alt.condition("datum.value > 0.55", alt.value("black"), alt.value("white"))
    texts = (
        base.transform_filter("isValid(datum.value)")
        .mark_text()
        .encode(text=alt.Text("value:Q", format=".2f"), color=bright)
    )
    return alt.layer(cells, texts).properties(title=title, width=70 * len(names), height=alt.Step(22), autosize=FIXED)
