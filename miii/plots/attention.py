"""Attention as pictures."""

import altair as alt
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from miii.plots.heatmap import heatmap
from miii.plots.style import SEQUENTIAL, Chart


def pattern(weights: Float[Tensor, "head query key"], names: list[str]) -> Chart:
    """The attention pattern of each head for one input, every weight written in its cell.

    Args:
        names: what stands at each position.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), figure 3.
    """
    marks = [f"{i}: {name}" for i, name in enumerate(names)]
    rows = [
        {"head": f"head {h}", "query": marks[q], "key": marks[k], "weight": weights[h, q, k].item()}
        for h in range(weights.shape[0])
        for q in range(weights.shape[1])
        for k in range(weights.shape[2])
    ]
    x = alt.X("key:N", title="looks at (key)", sort=marks, axis=alt.Axis(labelAngle=0))
    y = alt.Y("query:N", title="who looks (query)", sort=marks)
    base = alt.Chart(pd.DataFrame(rows)).encode(x=x, y=y)
    color = alt.Color("weight:Q", title="weight", scale=alt.Scale(scheme=SEQUENTIAL, domain=[0, 1]))
    cells = base.mark_rect().encode(
        color=color, tooltip=["head", "query", "key", alt.Tooltip("weight:Q", format=".4f")]
    )
    text_color = alt.condition("datum.weight > 0.55", alt.value("black"), alt.value("white"))
    texts = base.mark_text().encode(text=alt.Text("weight:Q", format=".2f"), color=text_color)
    layered = alt.layer(cells, texts).properties(width=150, height=150)
    facets = layered.facet(facet=alt.Facet("head:N", title=None), columns=4)
    return facets.properties(title="Where each head looks")


def over_inputs(weight: Float[Tensor, "a b"], head: int, key: str, size: int = 340) -> alt.Chart:
    """One head's attention from the last position to one key, as a function of both operands.

    Source: Nanda et al. 2023 (arXiv 2301.05217), figure 5.
    """
    title = f"Head {head}: attention to {key}"
    return heatmap(weight, title=title, row="a", column="b", value="weight", size=size, domain=(0.0, 1.0))
