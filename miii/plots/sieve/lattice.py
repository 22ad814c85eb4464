"""Evidence at the sums that digits can reach, inside and outside those of training."""

import altair as alt
import numpy as np
import pandas as pd

from miii.analysis.sieve import Lattice
from miii.plots.style import DIVERGING, FLUID, MAIN, MUTED, Chart

TRAINED, UNSEEN = "in training", "not in training"


def lattice(values: Lattice) -> Chart:
    """Draw the median evidence at every count vector: modulo 3 as a triangular lattice, otherwise as ticks by kind."""
    kinds = (f"multiple of {values.q}", "other")
    medians = [values.evidence[values.trained & (values.multiple == kind)] for kind in (True, False)]
    midpoint = float(np.mean([np.median(each) for each in medians if len(each)] or [0.0]))
    frame = pd.DataFrame(
        {
            "counts": ["-".join(str(count).replace("-", "−") for count in row) for row in values.counts.tolist()],
            "seen": np.where(values.trained, TRAINED, UNSEEN),
            "kind": np.where(values.multiple, *kinds),
            "evidence": values.evidence,
            "from_midpoint": values.evidence - midpoint,
        }
    )
    title = f"Evidence by residue counts modulo {values.q}"
    tooltip = ["counts:N", "kind:N", "seen:N", alt.Tooltip("evidence:Q", format=".2f")]
    if values.q != 3:
        return (
            alt.Chart(frame)
            .mark_tick(thickness=2, opacity=0.6)
            .encode(
                x=alt.X("evidence:Q", title="evidence: logit of prime minus logit of composite"),
                y=alt.Y("kind:N", title=None),
                row=alt.Row("seen:N", title=None, sort=[TRAINED, UNSEEN]),
                color=alt.Color("kind:N", scale=alt.Scale(domain=list(kinds), range=[MAIN, MUTED]), legend=None),
                tooltip=tooltip,
            )
            .properties(title=title)
        )
    frame["x"], frame["y"] = values.counts[:, 1] - values.counts[:, 2], values.counts[:, 0]
    below = alt.Legend(orient="bottom", title=None, columns=1, symbolFillColor=MUTED, symbolStrokeColor=MUTED)
    reach = float(frame["from_midpoint"][values.trained].abs().max())
    return (
        alt.Chart(frame)
        .mark_point(filled=True, opacity=1, strokeWidth=1.5)
        .encode(
            x=alt.X(
                "x:Q",
                title="digits with residue 1 minus digits with residue 2",
                scale=alt.Scale(nice=False, padding=16),
            ),
            y=alt.Y(
                "y:Q",
                title="digits with residue 0",
                scale=alt.Scale(nice=False, padding=16),
                axis=alt.Axis(tickMinStep=1),
            ),
            color=alt.Color(
                "from_midpoint:Q",
                title="evidence for prime",
                scale=alt.Scale(scheme=DIVERGING, domain=[-reach, reach], clamp=True),
            ),
            shape=alt.Shape("kind:N", scale=alt.Scale(domain=list(kinds), range=["square", "circle"]), legend=below),
            size=alt.Size("seen:N", scale=alt.Scale(domain=[TRAINED, UNSEEN], range=[320, 70]), legend=below),
            tooltip=tooltip,
        )
        .properties(title=title, height=330, autosize=FLUID)
    )
