"""A wall of neurons: the activation grids of all live neurons as small multiples, in one image."""

from typing import Final

import altair as alt
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from miii.analysis.modular.neurons import Neurons
from miii.plots.heatmap import COLUMNS, colors_of, follow_pointer
from miii.plots.image import url
from miii.plots.style import CANVAS, FIXED, VIRIDIS, Chart, clicked

SIDE, GAP, ACROSS = 24, 2, 26  #: pixels of a neuron's grid and between two, and neurons in a row
SHADES: Final = VIRIDIS[::2]  #: few, so that the image is small
MIXED: Final = 0  #: the group of live neurons without a single frequency


def groups(values: Neurons) -> dict[int, list[int]]:
    """Return live neurons by frequency, in order of the phase at which they read a; mixed ones last, as ``MIXED``."""
    found = {
        k: members[values.phase_a[members].argsort(stable=True)].tolist() for k, members in values.clusters().items()
    }
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
    order = [neuron for members in rows for neuron in members]
    tiles = _tiles(values, post, order, by_angle)
    step, side, high = SIDE + GAP, tiles.shape[1], max(1, len(rows))
    codes = np.full((high * step, ACROSS * step), len(SHADES), dtype=np.uint8)  # the last color is transparent
    places = [(row, column) for row, members in enumerate(rows) for column in range(len(members))]
    for (row, column), tile in zip(places, tiles, strict=True):
        codes[row * step : row * step + side, column * step : column * step + side] = tile
    cells = [str(neuron) for members in rows for neuron in [*members, *["nan"] * (ACROSS - len(members))]]
    image = url(np.concatenate([colors_of(SHADES), np.zeros((1, 4), dtype=np.uint8)])[codes])
    data = pd.DataFrame([[image, " ".join(cells or ["nan"] * ACROSS), high, ACROSS]], columns=COLUMNS)
    return _draw(data, _about(values), starts, (high, ACROSS), step)


def _tiles(
    values: Neurons, post: Float[Tensor, "pairs neuron"], order: list[int], by_angle: bool
) -> UInt8[np.ndarray, "shown side side"]:
    """Return the shade of each cell of each neuron, as an index; 0 is its least activation."""
    p, side = values.p, min(values.p, SIDE)
    grid = post[:, order].view(p, p, len(order))
    if by_angle:
        shown = grid.new_zeros(side, side, len(order))
        frequency = values.frequency[order]
        for k in frequency.unique().tolist():
            shrink = _by_angle(p, side, k).to(grid.dtype)
            shown[..., frequency == k] = torch.einsum("ia,abn,jb->ijn", shrink, grid[..., frequency == k], shrink)
    else:
        shown = grid[:side, :side]
    low, high = shown.amin((0, 1)), shown.amax((0, 1))
    share = (shown - low) / (high - low).clamp_min(1e-9)
    return (share * (len(SHADES) - 1)).round().byte().permute(2, 0, 1).numpy()


def _by_angle(p: int, side: int, k: int) -> Float[Tensor, "side p"]:
    """Return the matrix that takes means of operands whose angles k n mod p on a circle are neighbors."""
    order = (torch.arange(p) * k % p).argsort(stable=True)
    bins: Int[Tensor, " p"] = torch.arange(p) * side // p
    mean = torch.zeros(side, p)
    mean[bins, order] = 1 / bins.bincount()[bins].float()
    return mean


def _about(values: Neurons) -> pd.DataFrame:
    """Return the frequency, share and phase of live neurons, one a row."""
    live = values.alive.nonzero()[:, 0]
    return pd.DataFrame(
        {
            "neuron": live.tolist(),
            "frequency k": values.frequency[live].tolist(),
            "share of variance": [f"{share:.0%}" for share in values.share[live].tolist()],
            "phase": [f"{phase:.2f}".replace("-", "\u2212") for phase in values.phase_a[live].tolist()],
        }
    )


def _draw(data: pd.DataFrame, about: pd.DataFrame, starts: dict[int, str], shape: tuple[int, int], step: int) -> Chart:
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
