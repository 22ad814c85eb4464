"""Linear regions: around circles, and on the plane of residues."""

from collections.abc import Collection, Mapping

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from miii.analysis.regions import Window
from miii.plots.heatmap import pixels
from miii.plots.image import url
from miii.plots.style import BLUE_ORANGE, CATEGORY, FIXED, FLUID, HEIGHT, MUTED, Chart, top_legend

PLANE = 340  #: pixels


def circle_regions(found: Mapping[str, Float[Tensor, " frequency"]], keys: Collection[int] = ()) -> Chart:
    """Draw the mean number of linear regions around the circle of each frequency, by network.

    Args:
        keys: the key frequencies, marked by a rule.
    """
    frame = pd.concat(
        [
            pd.DataFrame({"frequency": range(1, len(values) + 1), "regions": values.numpy(), "network": name})
            for name, values in found.items()
        ]
    )
    names = list(found)
    bars = (
        alt.Chart(frame)
        .mark_line(point=alt.OverlayMarkDef(size=14), strokeWidth=1)
        .encode(
            x=alt.X("frequency:Q", title="frequency k"),
            y=alt.Y("regions:Q", title="linear regions around its circle", scale=alt.Scale(type="symlog")),
            color=alt.Color(
                "network:N", scale=alt.Scale(domain=names, range=CATEGORY[: len(names)]), legend=top_legend()
            ),
            tooltip=["network:N", "frequency:Q", alt.Tooltip("regions:Q", format=".1f")],
        )
    )
    marks = alt.Chart(pd.DataFrame({"frequency": sorted(keys)}, dtype=float)).mark_rule(color=MUTED, strokeDash=[4, 4])
    return alt.layer(bars, marks.encode(x="frequency:Q")).properties(
        title="Linear regions around each circle", height=HEIGHT, autosize=FLUID
    )


def plane_regions(window: Window, title: str = "The plane of residues") -> Chart:
    """Draw the evidence on the plane of residues, darker where neurons bend, with the totals of integers.

    Source: Prince 2023, *Understanding Deep Learning*, figure 3.9.
    """
    values = window.evidence.double().numpy()
    middle = float(np.median(values))
    reach = float(np.abs(values - middle).max()) or 1.0
    colors = pixels(values - middle, -reach, reach, BLUE_ORANGE).astype(float)
    shade = 1 - 0.55 * np.minimum(1.0, window.bends.numpy() / max(1.0, float(window.bends.quantile(0.99))))
    colors[..., :3] *= shade[..., None]
    picture = pd.DataFrame(
        [[url(np.ascontiguousarray(colors[::-1].round().astype(np.uint8))), *window.x, *window.y]],
        columns=["image", "left", "right", "bottom", "top"],
    )
    x, y = (alt.Scale(domain=list(ends), nice=False, zero=False) for ends in (window.x, window.y))
    names = ("first direction in which residues differ", "second direction")
    image = (
        alt.Chart(picture)
        .mark_image(smooth=False, aspect=False)
        .encode(
            x=alt.X("left:Q", title=names[0], scale=x),
            x2="right:Q",
            y=alt.Y("top:Q", title=names[1], scale=y),
            y2="bottom:Q",
            url="image:N",
        )
    )
    kinds = (f"multiple of {window.q}", "other")
    multiple = (window.counts.long().numpy() @ np.arange(window.q)) % window.q == 0
    totals = pd.DataFrame(
        {
            "x": window.totals[:, 0].numpy(),
            "y": window.totals[:, 1].numpy(),
            "kind": np.where(multiple, *kinds),
            "counts": ["-".join(map(str, row)) for row in window.counts.long().tolist()],
        }
    )
    points = (
        alt.Chart()
        .mark_point(filled=True, size=70, stroke="white", strokeWidth=1, opacity=1, color="black")
        .encode(
            x=alt.X("x:Q", title=names[0]),
            y=alt.Y("y:Q", title=names[1]),
            shape=alt.Shape(
                "kind:N", scale=alt.Scale(domain=list(kinds), range=["square", "circle"]), legend=top_legend()
            ),
            tooltip=["counts:N", "kind:N"],
        )
    )
    return alt.layer(image, points, data=totals).properties(title=title, width=PLANE, height=PLANE, autosize=FIXED)
