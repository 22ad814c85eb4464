"""Spectra, circles and singular values."""

from collections.abc import Sequence

import altair as alt
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from miii.analysis.modular.fourier import Angles, Circle, Spectrum
from miii.analysis.modular.fourier2d import Spectrum2D
from miii.plots.heatmap import heatmap
from miii.plots.style import (
    ACCENT,
    FIXED,
    FLUID,
    HEIGHT,
    MAIN,
    MUTED,
    SEQUENTIAL,
    WHOLE,
    Chart,
    bar_legend,
    clicked,
    signed,
    top_legend,
)

LABELED = 12  #: most tokens of a circle that are labeled


def spectrum(values: Spectrum, title: str = "Spectrum of the embedding") -> Chart:
    """Draw the norms of a matrix's cosine and sine components by frequency, with key frequencies labeled.

    A click on a bar selects ``frequency``.

    Source: Nanda et al. 2023 (arXiv 2301.05217), figure 3.
    """
    frequencies = range(1, len(values.power) + 1)
    frame = pd.DataFrame(
        {
            "frequency": [*frequencies, *frequencies],
            "part": ["cos"] * len(values.power) + ["sin"] * len(values.power),
            "norm": [*values.cos_norm.tolist(), *values.sin_norm.tolist()],
        }
    )
    bars = (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("frequency:O", title="frequency k", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            xOffset="part:N",
            y=alt.Y("norm:Q", title="amplitude"),
            color=alt.Color(
                "part:N",
                title=None,
                scale=alt.Scale(domain=["cos", "sin"], range=[MAIN, ACCENT]),
                legend=top_legend(),
            ),
            tooltip=["frequency:O", "part:N", alt.Tooltip("norm:Q", format=".3f")],
        )
        .add_params(clicked("frequency", "frequency"))
        .properties(name="marks")
    )
    keys = [
        {"frequency": k, "norm": max(values.cos_norm[k - 1].item(), values.sin_norm[k - 1].item()), "key": str(k)}
        for k in values.key_frequencies
    ]
    # keep empty labels, so that the specification stays the same from step to step
    marks = (
        alt.Chart(pd.DataFrame(keys, columns=["frequency", "norm", "key"]))
        .mark_text(dy=-8, fontWeight="bold", color=ACCENT)
        .encode(x="frequency:O", y="norm:Q", text="key:N")
    )
    return alt.layer(bars, marks).properties(title=title, height=HEIGHT, autosize=FLUID)


def circle(values: Circle, size: int = 190, tokens: Sequence[int] | None = None) -> Chart:
    """Draw the tokens in the plane of one frequency, colored by k n mod p on a cyclic scale; some tokens are labeled.

    Args:
        tokens: the number of each token if n is another label of it, such as a logarithm.

    Source: Liu et al. 2022 (arXiv 2205.10343), figure 1.
    """
    p = len(values.xy)
    frame = pd.DataFrame({"token": range(p), "x": values.xy[:, 0].tolist(), "y": values.xy[:, 1].tolist()})
    frame["turn"] = frame["token"] * values.frequency % p
    frame["token"] = frame["token"] if tokens is None else list(tokens)
    # everything that changes from step to step is data, even the ends of the axes: Vega updates data in place, but
    # recompiles a chart with a changed specification
    reach = float(values.xy.abs().max()) * 1.3 or 1.0
    corners = alt.Chart(pd.DataFrame({"x": [-reach, reach], "y": [-reach, reach]})).mark_point(opacity=0)
    scale = alt.Scale(zero=False, nice=False)
    x, y = alt.X("x:Q", title="cosine direction", scale=scale), alt.Y("y:Q", title="sine direction", scale=scale)
    points = (
        alt.Chart(frame)
        .mark_circle(size=45, opacity=1)
        .encode(x=x, y=y, color=_turn_color(p), tooltip=["token:Q", alt.Tooltip("turn:Q", title="k n mod p")])
    )
    named = frame[frame["turn"] % max(1, -(-p // LABELED)) == 0]
    far = named[["x", "y"]].pow(2).sum(axis=1).pow(0.5).clip(lower=1e-9)
    outside = reach / 1.13 / far.clip(upper=reach)  # a ring that no token reaches
    named = pd.DataFrame({"token": named["token"], "x": named["x"] * outside, "y": named["y"] * outside})
    labels = alt.Chart(named).mark_text(color=MUTED, fontSize=11).encode(x=x, y=y, text="token:N")
    share = alt.Chart(pd.DataFrame({"text": [f"{values.variance:.1%} of\nthe variance"]}))
    share = share.mark_text(color=MUTED, fontSize=11, lineBreak="\n")
    share = share.encode(x=alt.value(size / 2), y=alt.value(size / 2 - 7), text="text:N")
    layered = alt.layer(points, labels, corners.encode(x="x:Q", y="y:Q"), share)
    return layered.properties(title=f"k = {values.frequency}", width=size, height=size, autosize=FIXED)


def angles(values: Angles, label: str = "", size: int = 190) -> Chart:
    """Draw each token's held-out angle against k n mod p, both in p-ths of a turn; the line is equality.

    Args:
        label: the title's first words, such as a control's name.
    """
    p = len(values.angle)
    frame = pd.DataFrame({"token": range(p), "turn": values.turn.tolist(), "angle": values.angle.tolist()})
    x = alt.X("turn:Q", title="k n mod p", scale=alt.Scale(domain=[0, p], nice=False))
    y = alt.Y("angle:Q", title="angle, in p-ths of a turn", scale=alt.Scale(domain=[-p / 2, 1.5 * p], nice=False))
    points = (
        alt.Chart(frame)
        .mark_circle(size=30, opacity=1)
        .encode(x=x, y=y, color=_turn_color(p), tooltip=["token:Q", "turn:Q", alt.Tooltip("angle:Q", format=".1f")])
    )
    ends = pd.DataFrame({"turn": [0, p], "angle": [0, p]})
    line = alt.Chart(ends).mark_line(color=MUTED, strokeWidth=1).encode(x=x, y=y)
    title = f"{label or f'Frequency {values.frequency}'}: R² {values.r2:.3f}".replace("-", "\u2212")
    return alt.layer(points, line).properties(title=title, width=size, height=size, autosize=FIXED)


def _turn_color(p: int) -> alt.Color:
    """Return colors for k n mod p; 0 and p have the same one."""
    return alt.Color("turn:Q", scale=alt.Scale(scheme="sinebow", domain=[0, p]), legend=None)


def singular_values(values: Float[Tensor, " rank"], title: str = "Singular values of the embedding") -> alt.Chart:
    """Draw singular values, largest first. Source: Nanda et al. 2023, figure 4."""
    frame = pd.DataFrame({"rank": range(1, len(values) + 1), "value": values.tolist()})
    return (
        alt.Chart(frame)
        .mark_bar(color=MAIN)
        .encode(
            x=alt.X("rank:O", title="rank", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("value:Q", title="singular value"),
            tooltip=["rank:O", alt.Tooltip("value:Q", format=".3f")],
        )
        .properties(title=title, height=HEIGHT, autosize=FLUID)
    )


def spectrum_2d(values: Spectrum2D, size: int = 400, names: tuple[str, str] = ("a", "b")) -> alt.LayerChart:
    """Draw log10 of the share of variance over (a, b) by the frequencies of both operands, named ``names``.

    Colors cover 1e-6 to 1 at every step, so snapshots can be compared.

    Source: Nanda et al. 2023, figure 6.
    """
    shown = values.power.clamp_min(1e-6).log10()
    title = "Products of waves"
    value = "share of variance (log₁₀)"
    row, column = (f"frequency in {name}" for name in signed(names))
    return heatmap(shown, title=title, row=row, column=column, value=value, size=size, domain=(-6.0, 0.0))


def power_over_training(power: Float[Tensor, "snapshot frequency"], steps: list[int]) -> alt.Chart:
    """Draw the share of power at each frequency, snapshot by snapshot.

    Args:
        steps: the step of each snapshot.

    Source: Nanda et al. 2023, figure 7.
    """
    rows = [
        {"step": step, "frequency": k + 1, "power": value}
        for step, shares in zip(steps, power.tolist(), strict=True)
        for k, value in enumerate(shares)
    ]
    overlap = alt.Axis(labelOverlap=True)
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_rect()
        .encode(
            x=alt.X(
                "step:O", title="step of the snapshot", axis=alt.Axis(labelAngle=-45, labelOverlap=True), scale=WHOLE
            ),
            y=alt.Y("frequency:O", title="frequency k", axis=overlap, sort="descending", scale=WHOLE),
            color=alt.Color(
                "power:Q",
                title="share of power",
                scale=alt.Scale(scheme=SEQUENTIAL),
                legend=bar_legend(format="%"),
            ),
            tooltip=["step:O", "frequency:O", alt.Tooltip("power:Q", format=".2%")],
        )
        .properties(title="Power of each frequency over training", height=HEIGHT, autosize=FLUID)
    )
