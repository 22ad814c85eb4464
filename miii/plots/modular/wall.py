"""A wall of neurons: the activation grids of all live neurons as small multiples, in one image."""

from typing import Final

import altair as alt
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.modular.neurons import Neurons
from miii.plots.heatmap import COLUMNS, follow_pointer, pixels
from miii.plots.image import url
from miii.plots.style import CANVAS, FIXED, VIRIDIS, Chart, clicked

SIDE, GAP, ACROSS = 24, 2, 32  #: pixels of a neuron's grid and between two, and neurons in a row
SHADES: Final = VIRIDIS[::2]
MIXED: Final = 0  #: the group of live neurons without a single frequency


def groups(values: Neurons) -> dict[int, list[int]]:
    """Return live neurons by frequency, in order of the phase that they write; mixed ones last, as ``MIXED``."""
    found = {k: members[values.phase_out[members].argsort()].tolist() for k, members in values.clusters().items()}
    listed = {neuron for members in found.values() for neuron in members}
    order = (values.frequency * 2.0 - values.share).argsort().tolist()
    mixed = [neuron for neuron in order if bool(values.alive[neuron]) and neuron not in listed]
    return found | ({MIXED: mixed} if mixed else {})


def neuron_wall(values: Neurons, post: Float[Tensor, "pairs neuron"], by_angle: bool = False) -> Chart:
    """Draw the activation of every live neuron over the pairs (a, b), grouped by frequency, in order of phase.

    Each neuron has its own color scale. A click selects ``neuron``.

    Args:
        post: activations over all pairs, in the order a * p + b.
        by_angle: order both operands by their angle k a mod p on the neuron's circle, and shrink the grid to ``SIDE``
            cells by taking means; otherwise show the pairs below ``SIDE``, which keeps high frequencies visible.

    Source: after Nanda et al. 2023 (arXiv 2301.05217), figure 6, for all neurons at once.
    """
    rows: list[list[int]] = []
    starts: dict[int, str] = {}
    for k, members in groups(values).items():
        starts[len(rows)] = f"{'mixed' if k == MIXED else f'k = {k}'} ({len(members)})"
        rows += [members[i : i + ACROSS] for i in range(0, len(members), ACROSS)]
    step, p = SIDE + GAP, values.p
    wide, high = ACROSS, max(1, len(rows))
    image = np.zeros((high * step, wide * step, 4), dtype=np.uint8)
    grid = post.view(p, p, -1)
    for row, members in enumerate(rows):
        for column, neuron in enumerate(members):
            tile = _tile(grid[..., neuron], int(values.frequency[neuron]) if by_angle else 0).double().numpy()
            shown = pixels(tile, float(tile.min()), float(tile.max()), SHADES)
            image[row * step : row * step + len(tile), column * step : column * step + len(tile)] = shown
    cells = [str(neuron) for members in rows for neuron in [*members, *["nan"] * (wide - len(members))]]
    data = pd.DataFrame([[url(image), " ".join(cells) or "nan " * wide, high, wide]], columns=COLUMNS)
    return _draw(data, _about(values), starts, (high, wide), step)


def _tile(grid: Float[Tensor, "p p"], k: int) -> Float[Tensor, "side side"]:
    """Return a neuron's grid as at most ``SIDE`` cells a side; k orders the operands by angle, unless it is 0."""
    p = len(grid)
    if k == 0:
        return grid[:SIDE, :SIDE]
    order = (torch.arange(p) * k % p).argsort(stable=True)
    side = min(p, SIDE)
    bins: Int[Tensor, " p"] = torch.arange(p) * side // p
    mean = torch.zeros(side, p, dtype=grid.dtype)
    mean[bins, order] = 1 / bins.bincount()[bins].to(grid.dtype)
    return mean @ grid @ mean.T


def _about(values: Neurons) -> pd.DataFrame:
    """Return the frequency, share and phase of live neurons, one a row."""
    live = values.alive.nonzero()[:, 0]
    return pd.DataFrame(
        {
            "neuron": live.tolist(),
            "frequency k": values.frequency[live].tolist(),
            "share of variance": [f"{share:.0%}" for share in values.share[live].tolist()],
            "phase": [f"{phase:.2f}" for phase in values.phase_out[live].tolist()],
        }
    )


def _draw(
    data: pd.DataFrame, about: pd.DataFrame, starts: dict[int, str], shape: tuple[int, int], step: int
) -> alt.LayerChart:
    high, wide = shape

    def under(axis: str, n: int) -> str:
        return f"pointer_{axis} ? clamp(floor(pointer_{axis}[1] / {step}), 0, {n - 1}) : 0"

    fields = list(about.columns)
    axis = alt.Axis(
        values=list(starts),
        labelExpr=f"{list(starts.values())}[indexof({list(starts)}, datum.value)]",
        labelBaseline="top",
        ticks=False,
        domain=False,
        grid=False,
    )
    bare = alt.Axis(labels=False, ticks=False, domain=False, grid=False)
    picture = (
        alt.Chart(data)
        .transform_calculate(row=under("y", high), column=under("x", wide), left="0", top="0", right=f"{wide}")
        .transform_calculate(
            bottom=f"{high}", neuron="toNumber(split(datum.cells, ' ')[datum.row * datum.columns + datum.column])"
        )
        .transform_lookup(lookup="neuron", from_=alt.LookupData(data=about, key="neuron", fields=fields[1:]))
        .mark_image(smooth=False, aspect=False, cursor="pointer")
        .encode(
            x=alt.X(
                "left:Q",
                scale=_scale(0, wide),
                axis=bare,
                title="neurons, by phase",
            ),
            x2="right:Q",
            y=alt.Y("top:Q", scale=_scale(high, 0), axis=axis, title="frequency"),
            y2="bottom:Q",
            url="image:N",
            tooltip=["neuron:Q", *(f"{field}:N" for field in fields[1:])],
        )
        .add_params(follow_pointer(), clicked("neuron", "neuron"))
        .properties(name="marks")
    )
    return alt.layer(picture).properties(
        title="Every neuron over all pairs", width=wide * step, height=high * step, autosize=FIXED, usermeta=CANVAS
    )


def _scale(start: float, end: float) -> alt.Scale:
    return alt.Scale(domain=[start, end], nice=False, zero=False)
