"""Charts of attention heads."""

from collections.abc import Sequence

import altair as alt
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from miii.plots.heatmap import heatmap
from miii.plots.style import ACCENT, DIVERGING, FLUID, HEIGHT, MAIN, MUTED, SEQUENTIAL, Chart, top_legend

WRITTEN = 8  #: most positions of a pattern whose weights are written in its cells


def pattern(weights: Float[Tensor, "head query key"], names: list[str]) -> Chart:
    """Draw the attention pattern of each head for one input; of few positions, with weights written in the cells.

    Args:
        names: tokens at each position.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), figure 3.
    """
    marks = [f"{i}: {name}" for i, name in enumerate(names)]
    rows = [
        {"head": f"head {h}", "query": marks[q], "key": marks[k], "weight": weights[h, q, k].item()}
        for h in range(weights.shape[0])
        for q in range(weights.shape[1])
        for k in range(weights.shape[2])
    ]
    x = alt.X("key:N", title="key position", sort=marks, axis=alt.Axis(labelAngle=0, labelFlush=False))
    y = alt.Y("query:N", title="query position", sort=marks)
    base = alt.Chart(pd.DataFrame(rows)).encode(x=x, y=y)
    largest = max(1.0, weights.abs().max().item())
    scale = alt.Scale(scheme=SEQUENTIAL, domain=[0, largest])
    if weights.min() < 0:  # shaped attention
        scale = alt.Scale(scheme=DIVERGING, domain=[-largest, largest])
    color = alt.Color("weight:Q", title="weight", scale=scale)
    cells = base.mark_rect().encode(
        color=color, tooltip=["head", "query", "key", alt.Tooltip("weight:Q", format=".4f")]
    )
    text_color = alt.condition("datum.weight > 0.55", alt.value("black"), alt.value("white"))
    texts = base.mark_text().encode(text=alt.Text("weight:Q", format=".2f"), color=text_color)
    few = len(names) <= WRITTEN
    size, columns = (150, 4) if few else (300, 2)
    layered = alt.layer(*([cells, texts] if few else [cells])).properties(width=size, height=size)
    facets = layered.facet(facet=alt.Facet("head:N", title=None), columns=columns)
    return facets.properties(title="Attention pattern by head")


def over_inputs(weight: Float[Tensor, "a b"], head: int, key: str, size: int = 340) -> alt.LayerChart:
    """Draw one head's attention from the last position to one key over both operands.

    Source: Nanda et al. 2023 (arXiv 2301.05217), figure 5.
    """
    title = f"Head {head}: attention to {key}"
    return heatmap(weight, title=title, row="a", column="b", value="weight", size=size, domain=_domain(weight))


def _domain(weight: Float[Tensor, "a b"]) -> tuple[float, float]:
    """Return 0 to 1, or a wider domain for shaped attention."""
    return min(0.0, weight.min().item()), max(1.0, weight.max().item())


def attention_spectrum(
    power: Float[Tensor, "frequency frequency"], head: int, key: str, size: int = 340
) -> alt.LayerChart:
    """Draw the share of variance of one head's attention by the frequencies of a and b; 0 is the constant.

    Source: Nanda et al. 2023, section 4 and figure 6.
    """
    title = f"Head {head}: spectrum of attention to {key}"
    domain = (0.0, power.max().item() or 1.0)
    row, column = "frequency of a", "frequency of b"
    return heatmap(power, title=title, row=row, column=column, value="share of variance", size=size, domain=domain)


def token_scores(scores: Float[Tensor, "pos key"], names: Sequence[str], head: int) -> alt.Chart:
    """Draw the score of a key token at each position for one query, one line per position.

    Args:
        names: tokens at each position.

    Source: the row of a QK circuit, Elhage et al. 2021.
    """
    rows = [
        {"position": name, "token": token, "score": score}
        for name, line in zip(names, scores.tolist(), strict=True)
        for token, score in enumerate(line)
    ]
    colors = alt.Scale(domain=list(names), range=[MAIN, ACCENT, MUTED][: len(names)])
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_line()
        .encode(
            x=alt.X("token:Q", title="key token", scale=alt.Scale(domain=[0, scores.shape[1] - 1], nice=False)),
            y=alt.Y("score:Q", title="score (before the softmax)", scale=alt.Scale(zero=False)),
            color=alt.Color("position:N", scale=colors, legend=top_legend(labelExpr="'at position ' + datum.label")),
            # the curves differ only by a shift and may overlap
            strokeDash=alt.StrokeDash("position:N", sort=list(names), legend=None),
            tooltip=["position:N", "token:Q", alt.Tooltip("score:Q", format=".3f")],
        )
        .properties(title=f"Head {head}: scores from the last position", height=HEIGHT, autosize=FLUID)
    )


def qk(scores: Float[Tensor, "query key"], head: int, size: int = 340) -> alt.LayerChart:
    """Draw a QK circuit: scores of query tokens (rows) for key tokens (columns), each row minus its mean.

    Softmax ignores a constant added to a row.

    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits".
    """
    centered = scores - scores.mean(1, keepdim=True)
    title = f"Head {head}: scores by query and key token (QK)"
    return heatmap(
        centered, title=title, row="query token", column="key token", value="score", size=size, diverging=True
    )


def ov(logits: Float[Tensor, "token d_vocab_out"], head: int, size: int = 340) -> alt.LayerChart:
    """Draw an OV circuit: what attending to a token (row) adds to the logit of each answer (column).

    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits".
    """
    title = f"Head {head}: contribution to the logits (OV)"
    return heatmap(
        logits, title=title, row="token attended to", column="answer", value="logit", size=size, diverging=True
    )
