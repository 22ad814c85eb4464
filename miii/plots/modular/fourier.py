"""Spectra, circles and singular values."""

import altair as alt
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from miii.analysis.modular.fourier import Circle, Spectrum
from miii.analysis.modular.fourier2d import Spectrum2D
from miii.plots.heatmap import heatmap
from miii.plots.style import ACCENT, CYCLIC, FIXED, FLUID, HEIGHT, MAIN, MUTED, SEQUENTIAL, Chart, clicked, top_legend

ROOMY = alt.Scale(zero=False, nice=False)


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
            y=alt.Y("norm:Q", title="length of the component"),
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


def circle(values: Circle, size: int = 220) -> Chart:
    """Draw the tokens in the plane of one frequency, colored by their place k n mod p on its circle.

    Source: Liu et al. 2022 (arXiv 2205.10343), figure 1.
    """
    frame = _places(values)
    reach = float(values.xy.abs().max()) * 1.3 or 1.0
    base = alt.Chart(frame).encode(
        x=alt.X("x:Q", title="cosine direction", scale=ROOMY), y=alt.Y("y:Q", title="sine direction", scale=ROOMY)
    )
    # everything that changes from step to step is data, even the ends of the axes: Vega updates data in place, but
    # recompiles a chart with a changed specification
    corners = alt.Chart(pd.DataFrame({"x": [-reach, reach], "y": [-reach, reach]})).mark_point(opacity=0)
    share = alt.Chart(pd.DataFrame({"text": [f"R² {values.fit:.2f}"]}))
    middle = alt.value(size / 2)
    share = share.mark_text(color=MUTED, fontSize=12).encode(x=middle, y=middle, text="text:N")
    layered = alt.layer(*_tokens(base), corners.encode(x="x:Q", y="y:Q"), share)
    return layered.properties(title=f"k = {values.frequency}", width=size, height=size, autosize=FIXED)


def _places(values: Circle) -> pd.DataFrame:
    """Return the tokens with their coordinates, their place on the circle, and labels of about eight places."""
    p = len(values.xy)
    frame = pd.DataFrame({"token": range(p), "x": values.xy[:, 0].tolist(), "y": values.xy[:, 1].tolist()})
    frame["place"] = frame["token"] * values.frequency % p
    labeled = frame["place"] % max(1, round(p / 8)) == 0
    frame["label"] = frame["token"].astype(str).where(labeled & (frame["place"] <= p - p / 16), "")
    return frame


def _tokens(base: alt.Chart) -> tuple[alt.Chart, alt.Chart]:
    """Return points colored by place, and labels just outside of them."""
    color = alt.Color("place:Q", title="k n mod p", scale=alt.Scale(scheme=CYCLIC), legend=None)
    points = base.mark_circle(size=40, opacity=1).encode(color=color, tooltip=["token:Q", "place:Q"])
    outside = base.transform_calculate(x="datum.x * 1.2", y="datum.y * 1.2")
    return points, outside.mark_text(fontSize=10, color=MUTED).encode(text="label:N")


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


def spectrum_2d(values: Spectrum2D, size: int = 400) -> alt.LayerChart:
    """Draw log10 of the share of variance over (a, b) by the frequencies of both operands.

    Colors cover 1e-6 to 1 at every step, so snapshots can be compared.

    Source: Nanda et al. 2023, figure 6.
    """
    shown = values.power.clamp_min(1e-6).log10()
    title = "Which products of waves?"
    value = "share of variance (log10)"
    row, column = "frequency in a", "frequency in b"
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
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_rect()
        .encode(
            x=alt.X("step:O", title="step of the snapshot", axis=alt.Axis(labelAngle=-45, labelOverlap=True)),
            y=alt.Y("frequency:O", title="frequency k", axis=alt.Axis(labelOverlap=True), sort="descending"),
            color=alt.Color(
                "power:Q", title="share of power", scale=alt.Scale(scheme=SEQUENTIAL), legend=alt.Legend(format="%")
            ),
            tooltip=["step:O", "frequency:O", alt.Tooltip("power:Q", format=".2%")],
        )
        .properties(title="Power of each frequency over training", height=HEIGHT, autosize=FLUID)
    )
