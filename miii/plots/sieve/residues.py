"""Residues in a network: contributions by digit and by head, and probes."""

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from miii.analysis.sieve import Heads, Lines, Plane
from miii.numbers import place_names
from miii.plots.style import CATEGORY, DIVERGING, FIXED, HEIGHT, SEQUENTIAL, Chart

WRITTEN = 7  #: most columns with numbers written in the cells
COLUMN = 46  #: pixels per column


def digit_plane(values: Plane, base: int, size: int = 210, columns: int = 3) -> Chart:
    """Draw each digit's contribution at each place as a point, colored by digit * base^place modulo q.

    Labels of nearby points with the same residue are placed side by side.

    Args:
        size: width and height of each place in pixels.
        columns: number of places in a row.
    """
    frame = values.table.copy()
    names = place_names(base, int(frame["place"].max()) + 1)
    frame["place"] = [names[place] for place in frame["place"]]
    reach = 1.3 * max(float(frame[["x", "y"]].abs().to_numpy().max()), 1e-9)
    frame = frame.sort_values(["place", "residue", "x"], kind="stable")
    same = frame.groupby(["place", "residue"], sort=False)[["x", "y"]]
    frame["group"] = (same.diff().abs().max(axis=1) > reach / 6).cumsum()
    frame = frame.sort_values(
        ["place", "digit"], kind="stable", key=lambda c: c.map(names.index) if c.name == "place" else c
    )
    together = frame.groupby(["place", "residue", "group"])
    rank, many = together.cumcount(), together["digit"].transform("size")
    frame["label x"] = together["x"].transform("mean") + (rank - (many - 1) / 2) * reach / 7
    frame["label y"] = together["y"].transform("max") + reach / 7
    scale = alt.Scale(domain=[-reach, reach * 1.1], nice=False)
    residues = list(range(values.q))
    colors = (
        alt.Scale(domain=residues, range=CATEGORY[: values.q])
        if values.q <= len(CATEGORY)
        else alt.Scale(domain=residues, scheme="sinebow")
    )
    title = f"digit · place value mod {values.q}"
    axis = alt.Axis(labels=False, ticks=False, tickCount=3, domain=False)
    points = (
        alt.Chart()
        .mark_circle(size=80, opacity=0.9)
        .encode(
            x=alt.X("x:Q", title="first direction", scale=scale, axis=axis),
            y=alt.Y("y:Q", title="second direction", scale=scale, axis=axis),
            color=alt.Color("residue:O", scale=colors, legend=alt.Legend(orient="top", title=title, columns=14)),
            tooltip=[
                "place:N",
                "digit:Q",
                alt.Tooltip("residue:O", title=title),
                alt.Tooltip("x:Q", format=".3f"),
                alt.Tooltip("y:Q", format=".3f"),
                "integers:Q",
            ],
        )
    )
    texts = (
        alt.Chart()
        .mark_text(fontSize=12, fontWeight="bold")
        .encode(x=alt.X("label x:Q"), y=alt.Y("label y:Q"), text="digit:N", color=alt.Color("residue:O", scale=colors))
    )
    layered = alt.layer(points, texts, data=frame).properties(width=size, height=size)
    facets = layered.facet(facet=alt.Facet("place:N", title=None, sort=names), columns=columns)
    return facets.properties(title="Contribution of each digit, by place")


def digit_steps(values: Lines, base: int) -> Chart:
    """Draw what each digit adds along the first line of q, against the residue of its contribution.

    Sums of residues lie on the diagonals: a digit's position is its residue, times the line's multiplier, up to whole
    turns of q steps.
    """
    q, k = values.q, values.lines[0].multiplier
    places, digits = values.steps.shape
    names = place_names(base, places)
    frame = pd.DataFrame(
        {
            "place": names[place],
            "digit": digit,
            "residue": digit * base ** (places - 1 - place) % q,
            "target": k * digit * base ** (places - 1 - place) % q,
            "steps": float(values.steps[place, digit]),
        }
        for place in range(places)
        for digit in range(digits)
    ).dropna()
    title = "residue" if k == 1 else f"{k} · residue mod {q}"
    low, high = int(frame["steps"].min().round()), int(frame["steps"].max().round())
    return (
        alt.Chart(frame)
        .mark_circle(size=70, opacity=0.8)
        .encode(
            x=alt.X("target:O", title=title, axis=alt.Axis(labelAngle=0)),
            y=alt.Y("steps:Q", title="steps", axis=alt.Axis(values=list(range(low, high + 1)), format="d", grid=True)),
            color=alt.Color("place:N", sort=names, scale=alt.Scale(range=CATEGORY), legend=alt.Legend(orient="top")),
            tooltip=["place:N", "digit:Q", "residue:Q", alt.Tooltip("steps:Q", format=".2f")],
        )
        .properties(title=f"Steps of each digit along the line of {q}", height=HEIGHT)
    )


def head_attention(values: Heads, names: Sequence[str]) -> Chart:
    """Draw the mean attention of each head from the last position to each position.

    Args:
        names: names of the positions.
    """
    return _by_head(values.attends, names, "looks at", "attention", "Where each head looks", None)


def head_sums(values: Heads, names: Sequence[str]) -> Chart:
    """Draw the share of the variance between residues that each head adds from each place."""
    largest = max(float(values.adds.abs().max()), 1e-9)
    title = f"Contribution of each head to residues modulo {values.q}"
    return _by_head(values.adds, names, "adds from", "share", title, largest)


def probe_map(tables: Mapping[str, pd.DataFrame], q: int, k: int, names: Sequence[str]) -> Chart:
    """Draw the R^2 of probes for one harmonic by site (rows) and position (columns), for several networks.

    Args:
        tables: tables from ``analysis.sieve.Probes``, by network.
        names: names of the positions.
    """
    marks = [f"{i}: {name}" if name else str(i) for i, name in enumerate(names)]
    parts = [
        table[(table["q"] == q) & (table["k"] == k)].assign(network=name)[["network", "site", "pos", "r2"]]
        for name, table in tables.items()
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame["position"] = [marks[pos] for pos in frame["pos"]]
    sites = list(dict.fromkeys(frame["site"]))[::-1]
    base = alt.Chart().encode(
        x=alt.X(
            "position:N", title="position", sort=marks, axis=alt.Axis(labelAngle=0, labelOverlap=True, labelFlush=False)
        ),
        y=alt.Y("site:N", title="site", sort=sites),
    )
    color = alt.Color(
        "r2:Q",
        title="R²",
        scale=alt.Scale(scheme=SEQUENTIAL, domain=[0, 1], clamp=True),
        legend=alt.Legend(orient="top", titleOrient="left", offset=4, gradientLength=160),
    )
    tooltip = ["network:N", "site:N", "position:N", alt.Tooltip("r2:Q", title="R²", format=".4f")]
    layers = [base.mark_rect().encode(color=color, tooltip=tooltip)]
    if len(marks) <= WRITTEN:
        bright = alt.condition("datum.r2 > 0.55", alt.value("black"), alt.value("white"))
        layers.append(base.mark_text().encode(text=alt.Text("r2:Q", format=".2f"), color=bright))
    layered = alt.layer(*layers, data=frame).properties(width=_width(marks), height=alt.Step(22))
    facets = layered.facet(facet=alt.Facet("network:N", title=None, sort=list(tables)), columns=2)
    return facets.properties(title=f"Where n mod {q} can be decoded (harmonic {k})")


def _by_head(
    matrix: Float[Tensor, "head column"],
    names: Sequence[str],
    verb: str,
    value: str,
    title: str,
    largest: float | None,
) -> Chart:
    """Draw a matrix of shares, one row per head; with ``largest``, on a scale around 0."""
    marks = [f"{i}: {name}" for i, name in enumerate(names)]
    frame = pd.DataFrame(
        [
            {"head": f"head {h}", "position": mark, "value": share}
            for h, line in enumerate(matrix.tolist())
            for mark, share in zip(marks, line, strict=True)
        ]
    )
    base = alt.Chart(frame).encode(
        x=alt.X("position:N", title=verb, sort=marks, axis=alt.Axis(labelAngle=0, labelOverlap=True, labelFlush=False)),
        y=alt.Y("head:N", title="head", sort=None),
    )
    if largest is None:
        scale, dark = alt.Scale(scheme=SEQUENTIAL, domain=[0, 1]), "datum.value > 0.55"
    else:
        scale, dark = alt.Scale(scheme=DIVERGING, domain=[-largest, largest]), f"abs(datum.value) < {0.45 * largest}"
    color = alt.Color("value:Q", title=value, scale=scale, legend=None)
    cells = base.mark_rect().encode(
        color=color, tooltip=["head:N", "position:N", alt.Tooltip("value:Q", title=value, format=".4f")]
    )
    written = alt.condition(dark, alt.value("black"), alt.value("white"))
    layers = [cells]
    if len(marks) <= WRITTEN:
        layers.append(base.mark_text().encode(text=alt.Text("value:Q", format=".1%"), color=written))
    return alt.layer(*layers).properties(title=title, width=_width(marks), height=alt.Step(26), autosize=FIXED)


def _width(marks: Sequence[str]) -> int:
    return COLUMN * min(len(marks), WRITTEN)
