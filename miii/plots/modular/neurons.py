"""The neurons of the last block: frequencies, phases, inputs, and writes to the logits."""

import math

import altair as alt
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from miii.analysis.modular.neurons import SINGLE, Neurons
from miii.plots.heatmap import heatmap
from miii.plots.style import ACCENT, CATEGORY, FLUID, HEIGHT, MAIN, MUTED, Chart, clicked, signed, top_legend

KINDS = {f"more than {SINGLE:.0%} in one frequency": MAIN, "mixed": MUTED}


def clusters(values: Neurons) -> Chart:
    """Draw the number of live neurons by frequency, split into single-frequency and mixed neurons.

    A click on a bar selects ``frequency``.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4.2.
    """
    counted = _live(values).groupby(["frequency", "kind"], as_index=False).size()
    bars = (
        alt.Chart(counted)
        .mark_bar()
        .encode(
            x=alt.X("frequency:O", title="strongest frequency k", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("size:Q", title="neurons"),
            color=_kind_color(),
            tooltip=["frequency:O", "kind:N", alt.Tooltip("size:Q", title="neurons")],
        )
        .add_params(clicked("frequency", "frequency"))
        .properties(name="marks")
    )
    # layered, to align its plot with the next chart
    return alt.layer(bars).properties(title="Neurons by frequency", height=HEIGHT, autosize=FLUID)


def single_frequency(values: Neurons) -> Chart:
    """Draw a histogram of live neurons by the share of variance in their strongest frequency.

    Source: Nanda et al. 2023, section 4.2.
    """
    bars = (
        alt.Chart(_live(values))
        .mark_bar()
        .encode(
            x=alt.X(
                "share:Q",
                bin=alt.Bin(extent=[0, 1], step=0.05),
                title="share of variance in the strongest frequency",
                axis=alt.Axis(format="%"),
            ),
            y=alt.Y("count():Q", title="neurons"),
            color=_kind_color(),
            tooltip=["kind:N", alt.Tooltip("count():Q", title="neurons")],
        )
    )
    rule = alt.Chart(pd.DataFrame({"share": [SINGLE]})).mark_rule(color=ACCENT, strokeWidth=2).encode(x="share:Q")
    return alt.layer(bars, rule).properties(title="Neurons by share of variance", height=HEIGHT, autosize=FLUID)


def phases(values: Neurons) -> Chart:
    """Draw the phase error over the written phase, one dot per live single-frequency neuron.

    A neuron with phase error 0 favors the correct answer. A click on a dot selects ``neuron``.

    Source: Gromov 2023 (arXiv 2301.02679), equations 7 to 10.
    """
    chosen = values.alive & (values.share > SINGLE)
    frame = pd.DataFrame(
        {
            "neuron": chosen.nonzero()[:, 0].tolist(),
            "frequency": values.frequency[chosen].tolist(),
            "written": (values.phase_out[chosen] / math.pi).tolist(),
            "error": (values.phase_error[chosen] / math.pi).tolist(),
        }
    )
    names = "{'-1': '−π', '-0.5': '−π/2', '0': '0', '0.5': 'π/2', '1': 'π'}"
    axis = alt.Axis(labelExpr=f"{names}[datum.value]", values=[-1, -0.5, 0, 0.5, 1])
    scale = alt.Scale(domain=[-1, 1], nice=False)
    dots = (
        alt.Chart(frame)
        .mark_circle(size=36, opacity=0.8)
        .encode(
            x=alt.X("written:Q", title="phase written to the logits", scale=scale, axis=axis),
            y=alt.Y("error:Q", title="phase read minus phase written", scale=scale, axis=axis),
            color=alt.Color("frequency:N", title="frequency k", scale=alt.Scale(range=CATEGORY)),
            tooltip=["neuron:Q", "frequency:N", alt.Tooltip("error:Q", title="off by (π)", format=".3f")],
        )
        .add_params(clicked("neuron", "neuron"))
        .properties(name="marks")
    )
    line = alt.Chart(pd.DataFrame({"error": [0.0]})).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(y="error:Q")
    return alt.layer(dots, line).properties(title="Phase read and phase written", height=HEIGHT, autosize=FLUID)


def activation(
    values: Float[Tensor, " pairs"], neuron: int, size: int = 340, names: tuple[str, str] = ("a", "b")
) -> alt.LayerChart:
    """Draw one neuron's activation over all pairs of operands, named on the axes.

    Source: Nanda et al. 2023, figure 6.
    """
    p = math.isqrt(len(values))
    title = f"Neuron {neuron} after its activation function"
    row, column = signed(names)
    return heatmap(values.view(p, p), title=title, row=row, column=column, value="activation", size=size)


def writes(row: Float[Tensor, " d_vocab_out"], neuron: int, answer: str = "c") -> alt.Chart:
    """Draw what one neuron adds to each answer's logit per unit of activation, minus the mean over answers.

    Args:
        answer: what orders the answers, such as "log c".

    Source: Nanda et al. 2023, section 4.2 (the neuron-logit map).
    """
    centered = (row - row.mean()).tolist()
    return (
        alt.Chart(pd.DataFrame({"answer": range(len(centered)), "logit": centered, "written to": "c"}))
        .mark_line(point=alt.OverlayMarkDef(size=14))
        .encode(
            x=alt.X(
                "answer:Q",
                title=f"answer {answer}" if answer == "c" else answer,
                scale=alt.Scale(domain=[0, len(centered) - 1], nice=False),
            ),
            y=alt.Y("logit:Q", title="logit per unit of activation"),
            # a legend with one entry, to align with the neighboring chart
            color=alt.Color("written to:N", scale=alt.Scale(domain=["c"], range=[MUTED]), legend=top_legend()),
            tooltip=["answer:Q", alt.Tooltip("logit:Q", format=".4f")],
        )
        .properties(title=f"What neuron {neuron} writes", height=HEIGHT, autosize=FLUID)
    )


def reads(
    in_a: Float[Tensor, " p"], in_b: Float[Tensor, " p"], neuron: int, names: tuple[str, str] = ("a", "b")
) -> alt.Chart:
    """Draw the mean input of one neuron as a function of a and of b, named ``names``, minus its overall mean."""
    waves = torch.stack([in_a - in_a.mean(), in_b - in_b.mean()]).tolist()
    rows = [
        {"operand": name, "token": token, "input": value}
        for name, wave in zip(signed(names), waves, strict=True)
        for token, value in enumerate(wave)
    ]
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(opacity=0.85)
        .encode(
            x=alt.X("token:Q", title="operand", scale=alt.Scale(domain=[0, len(in_a) - 1], nice=False)),
            y=alt.Y("input:Q", title="mean input of the neuron"),
            color=alt.Color(
                "operand:N",
                title=None,
                scale=alt.Scale(domain=signed(names), range=[MAIN, ACCENT]),
                legend=top_legend(),
            ),
            strokeDash=alt.StrokeDash("operand:N", legend=None),
            tooltip=["operand:N", "token:Q", alt.Tooltip("input:Q", format=".4f")],
        )
        .properties(title=f"What neuron {neuron} reads", height=HEIGHT, autosize=FLUID)
    )


def _live(values: Neurons) -> pd.DataFrame:
    """Return the live neurons, one per row: number, frequency, share and kind."""
    names, live = list(KINDS), values.alive
    return pd.DataFrame(
        {
            "neuron": live.nonzero()[:, 0].tolist(),
            "frequency": values.frequency[live].tolist(),
            "share": values.share[live].tolist(),
            "kind": [names[share <= SINGLE] for share in values.share[live].tolist()],
        }
    )


def _kind_color() -> alt.Color:
    scale = alt.Scale(domain=list(KINDS), range=list(KINDS.values()))
    return alt.Color("kind:N", title=None, scale=scale, legend=top_legend(labelLimit=260))
