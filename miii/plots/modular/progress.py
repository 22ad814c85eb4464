"""Progress measures over training, with phase boundaries."""

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd
from pandas.api.types import is_integer_dtype

from miii.analysis.modular.phases import Phase
from miii.plots.style import CATEGORY, FLUID, HEIGHT, MUTED, Chart, log_axis, top_legend

STRIP = 26  #: pixels of the strip of phases


def progress(frame: pd.DataFrame, phases: Sequence[Phase] = ()) -> tuple[Chart, ...]:
    """Draw everything in ``Trajectory.frame`` as eight charts over the steps, below a strip of the phases, if any.

    Source: Nanda et al. 2023 (arXiv 2301.05217), figure 7; Zhong et al. 2023 (arXiv 2306.17844), section 4.
    """
    known = frame["train_loss"].notna().any()
    losses = {"train_loss": "train", "test_loss": "test"} if known else {"loss": "all pairs"}
    losses |= {"restricted_loss": "restricted", "excluded_loss": "excluded"}
    accuracies = {"train_accuracy": "train", "test_accuracy": "test"} if known else {"accuracy": "all pairs"}
    alone = [str(name) for name in frame if str(name).startswith("excluded_") and name != "excluded_loss"]
    without = {"excluded_loss": "all"} | {name: f"k = {name.removeprefix('excluded_')}" for name in alone}
    ginis = {"gini_embedding": "embedding", "gini_neuron_logit": "neuron-logit map"}
    kinds = {
        "gradient_symmetricity": "symmetricity",
        "distance_irrelevance": "irrelevance",
        "circularity": "circularity",
    }
    active = {"active_frequencies": "of each snapshot", "active_frequencies_together": "of all together"}
    single, squares = {"neurons_single_frequency": "of one frequency"}, {"squared_weights": "all weights"}
    nats, of_all = "loss (nats, log scale)", "share of live neurons"
    strip = (phase_strip(frame, phases),) if phases else ()
    return (
        *strip,
        measures(frame, losses, title="Losses", y=nats, phases=phases, log=True),
        measures(frame, accuracies, title="Accuracy", y="accuracy", phases=phases, percent=True),
        measures(frame, without, title="Loss without key frequencies", y=nats, phases=phases, log=True),
        measures(frame, squares, title="Sum of squared weights", y="sum of squares", phases=phases),
        measures(frame, ginis, title="Gini coefficients of the spectra", y="Gini coefficient", phases=phases),
        measures(frame, kinds, title="Symmetricity, irrelevance, circularity", y="measure", phases=phases),
        measures(frame, active, title="Active frequencies in the neurons", y="frequencies", phases=phases),
        measures(frame, single, title="Single-frequency neurons", y=of_all, phases=phases, percent=True),
    )


def phase_strip(frame: pd.DataFrame, phases: Sequence[Phase]) -> Chart:
    """Draw the phases as one shaded strip over the steps of ``measures``."""
    rows = [{"at": max(0.7, each.start), "until": max(0.7, each.end), "phase": each.name} for each in phases]
    bands = pd.DataFrame(rows)
    names = [each.name for each in phases]
    scale = alt.Scale(domain=names, range=CATEGORY[: len(names)])
    base = alt.Chart(bands).encode(tooltip=["phase:N", alt.Tooltip("at:Q", title="from step"), "until:Q"])
    color = alt.Color("phase:N", scale=scale, legend=top_legend(symbolType="square"))
    shades = base.mark_rect(opacity=0.6).encode(x=_steps(frame), x2="until:Q", color=color)
    return alt.layer(shades).properties(title="Phases", height=STRIP, autosize=FLUID)


def _steps(frame: pd.DataFrame) -> alt.X:
    end = max(1.0, float(frame["step"].max()))
    return alt.X(
        "at:Q",
        title="step (log scale)",
        scale=alt.Scale(type="log", domain=[0.7, end], nice=False),
        axis=alt.Axis(format="~s", values=[v for v in (1, 10, 100, 1000, 10_000, 100_000) if v <= end]),
    )


def measures(
    frame: pd.DataFrame,
    columns: Mapping[str, str],
    *,
    title: str,
    y: str,
    phases: Sequence[Phase] = (),
    log: bool = False,
    percent: bool = False,
) -> Chart:
    """Draw some columns of ``Trajectory.frame`` over the steps, with phase boundaries as dashed lines.

    The axis of steps is logarithmic, like the snapshots; step 0 is drawn at 0.7.

    Args:
        columns: names of the columns to show, and their labels.
        y: title of the axis, with units.

    Source: Nanda et al. 2023 (arXiv 2301.05217), figure 7.
    """
    known = [column for column in columns if frame[column].notna().any()]
    long = pd.concat(
        [pd.DataFrame({"step": frame["step"], "value": frame[c].astype(float), "measure": columns[c]}) for c in known]
    )
    long["at"] = long["step"].clip(lower=0.7)
    if log:
        long["value"] = long["value"].clip(lower=1e-12)
    if log:
        scale, axis = alt.Scale(type="log"), log_axis()
    elif percent:
        scale, axis = alt.Scale(domain=[0, 1]), alt.Axis(format="%")
    else:
        whole = all(is_integer_dtype(frame[c]) for c in known)
        scale, axis = alt.Scale(), alt.Axis(format=",~r", tickMinStep=1 if whole else alt.Undefined)
    names = [columns[c] for c in known]
    lines = (
        alt.Chart(long)
        .mark_line(point=alt.OverlayMarkDef(size=16))
        .encode(
            x=_steps(frame),
            y=alt.Y("value:Q", title=y, scale=scale, axis=axis),
            color=alt.Color(
                "measure:N",
                title=None,
                scale=alt.Scale(domain=names, range=CATEGORY[: len(names)]),
                legend=top_legend(columns=5, symbolType="stroke"),
            ),
            tooltip=["step:Q", "measure:N", alt.Tooltip("value:Q", format=".4g")],
        )
    )
    marks = pd.DataFrame(
        [{"at": max(0.7, phase.start), "phase": phase.name} for phase in phases], columns=["at", "phase"]
    )
    ends = alt.Chart(marks).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(x="at:Q")
    return alt.layer(lines, ends).properties(title=title, height=HEIGHT, autosize=FLUID)
