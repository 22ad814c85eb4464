"""The integers of a data set: density and position of the primes, and the split."""

import math

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Int, UInt8

from miii.analysis.integers import Classes, Density, Polar, Rows, Spiral
from miii.plots.image import url
from miii.plots.style import ACCENT, CANVAS, CATEGORY, FIXED, FLUID, HEIGHT, MAIN, MUTED, TRAIN, Chart, top_legend
from miii.tasks.integers import PARTS

PART_COLORS = (TRAIN, CATEGORY[3], MUTED)  #: colors of ``PARTS``
SQUARE = 640  #: side of a picture in pixels, unless it has more cells
HALF = 330  #: the same for two pictures side by side
POINTERS = 40  #: tooltip fields along a side of a picture


def density(values: Density) -> Chart:
    """Draw the share of primes in each bin of a range, and 1 / ln n. Source: the prime number theorem."""
    frame = pd.DataFrame(
        {
            "from": values.first,
            "to": values.last,
            "integers": values.integers,
            "primes": values.primes,
            "density": values.primes / values.integers,
            "1 / ln n": values.expected / values.integers,
        }
    )
    frame["middle"] = (frame["from"] + frame["to"]) / 2
    ends = [int(values.first[0]), int(values.last[-1])]
    axis = alt.Axis(format="~s") if ends[1] >= 10**6 else alt.Axis(format=",d")
    base = alt.Chart(frame).encode(
        x=alt.X("middle:Q", title="n", scale=alt.Scale(domain=ends, nice=False), axis=axis),
        tooltip=[
            *(alt.Tooltip(f"{name}:Q", format=",") for name in ("from", "to", "integers", "primes")),
            alt.Tooltip("density:Q", format=".4f"),
            alt.Tooltip("1 / ln n:Q", format=".4f"),
        ],
    )
    color = alt.Color(
        "line:N", scale=alt.Scale(domain=["primes", "1 / ln n"], range=[MAIN, ACCENT]), legend=top_legend()
    )
    title, scale = "share of primes", alt.Scale(zero=False)
    dots = base.transform_calculate(line="'primes'").mark_circle(size=28, opacity=0.8)
    curve = base.transform_calculate(line="'1 / ln n'").mark_line(strokeWidth=2)
    return alt.layer(
        dots.encode(y=alt.Y("density:Q", title=title, scale=scale), color=color),
        curve.encode(y=alt.Y("1 / ln n:Q", title=title, scale=scale), color=color),
    ).properties(title="Share of primes by size", height=HEIGHT, autosize=FLUID)


def wheel(values: Classes, size: int = 380) -> Chart:
    """Draw the classes modulo q around a circle, with sector areas proportional to the number of integers or primes.

    Integers and primes have separate scales; the largest class of each reaches the rim.
    """
    q = values.modulus
    angle = 2 * math.pi / q
    frame = pd.DataFrame({"class": range(q), "integers": values.integers, "primes": values.primes})
    frame["begin"], frame["end"] = (frame["class"] - 0.5) * angle, (frame["class"] + 0.5) * angle
    for name in ("integers", "primes"):
        frame[f"rim of {name}"] = np.sqrt(frame[name] / max(1, frame[name].max()))
    frame["x"], frame["y"] = np.sin(frame["class"] * angle), np.cos(frame["class"] * angle)
    scale = alt.Scale(domain=[-1.15, 1.15], nice=False)
    radius = alt.Scale(domain=[0, 1], range=[0, size / 2 / 1.25], zero=True)
    names, tooltip = ["integers", "primes"], [alt.Tooltip("class:Q", title=f"n mod {q}"), "integers:Q", "primes:Q"]
    legend = top_legend(symbolStrokeWidth=0)
    color = alt.Color("kind:N", scale=alt.Scale(domain=names, range=[MUTED, MAIN]), legend=legend)
    base = alt.Chart(frame)
    sectors = [
        base.transform_calculate(kind=f"'{name}'")
        .mark_arc(stroke="white", strokeWidth=0.5 if q <= 60 else 0, strokeOpacity=0.6, fillOpacity=opacity)
        .encode(
            theta=alt.Theta("begin:Q", scale=alt.Scale(domain=[0, 2 * math.pi], range=[0, 2 * math.pi])),
            theta2="end:Q",
            radius=alt.Radius(f"rim of {name}:Q", scale=radius),
            color=color,
            tooltip=tooltip,
        )
        for name, opacity in (("integers", 0.3), ("primes", 1.0))
    ]
    shown = base.transform_filter(f"datum.class % {-(-q // 40)} == 0")
    labels = shown.mark_text(color=MUTED, fontSize=12).encode(
        x=alt.X("x:Q", title=f"n mod {q}, to the right", scale=scale, axis=None),
        y=alt.Y("y:Q", title=f"n mod {q}, upwards", scale=scale, axis=None),
        text="class:Q",
        tooltip=tooltip,
    )
    return alt.layer(*sectors, labels).properties(
        title=f"The integers modulo {q}", width=size, height=size, autosize=FIXED
    )


def polar(values: Polar, size: int = 310) -> alt.Chart:
    """Draw each integer at radius n and angle n, with primes and multiples of q marked.

    Source: Sanderson 2019, "Why do prime numbers make these spirals?".
    """
    names = ["other", f"multiple of {values.q}", "prime"]
    code = np.where(values.prime, 2, np.where(values.multiple, 1, 0))
    frame = pd.DataFrame({"n": values.n, "kind": [names[i] for i in code]}).iloc[np.argsort(code, kind="stable")]
    # round to hundredths, far smaller than a dot, to halve the size
    frame["x"], frame["y"] = (frame["n"] * np.cos(frame["n"])).round(2), (frame["n"] * np.sin(frame["n"])).round(2)
    reach = 1.02 * max(1, int(values.n.max()) if len(values.n) else 1)
    scale = alt.Scale(domain=[-reach, reach], nice=False)
    axis = alt.Axis(tickCount=5, grid=False)
    return (
        alt.Chart(frame)
        .mark_circle(size=12 if len(frame) <= 1000 else 5, opacity=1)
        .encode(
            x=alt.X("x:Q", title="n cos n", scale=scale, axis=axis),
            y=alt.Y("y:Q", title="n sin n", scale=scale, axis=axis),
            color=alt.Color(
                "kind:N", scale=alt.Scale(domain=names, range=["#87919b55", ACCENT, MAIN]), legend=top_legend()
            ),
            tooltip=["n:Q", "kind:N"],
        )
        .properties(title="Radius n, angle n", width=size, height=size, autosize=FIXED, usermeta=CANVAS)
    )


def ulam(values: Spiral, q: int | None = None) -> Chart:
    """Draw the spiral of integers as one picture with primes marked, and multiples of ``q`` if given.

    Source: Stein, Ulam and Wells 1964, "A visual display of some properties of the distribution of primes".
    """
    n, prime = values.n, values.prime
    side = len(n)
    pixels = np.zeros((side, side, 4), dtype=np.uint8)
    names, colors = ["prime"], [MAIN]
    if q is not None:
        names, colors = ["prime", f"multiple of {q}"], [MAIN, ACCENT]
        pixels[n % q == 0] = (*_rgb(ACCENT), 120)
    pixels[prime] = (*_rgb(MAIN), 255)
    half, each = side / 2, -(-side // POINTERS)
    begins = np.arange(0, side, each)

    def summed(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(np.add.reduceat(values.astype(np.int64), begins, 0), begins, 1).ravel()

    frame = pd.DataFrame(
        {
            "left": np.tile(begins, len(begins)) - half,
            "right": np.tile(np.minimum(begins + each, side), len(begins)) - half,
            "top": half - np.repeat(begins, len(begins)),
            "bottom": half - np.repeat(np.minimum(begins + each, side), len(begins)),
            "integers": summed(np.ones_like(n)),
            "primes": summed(prime),
            "smallest n": np.minimum.reduceat(np.minimum.reduceat(n, begins, 0), begins, 1).ravel(),
            "largest n": np.maximum.reduceat(np.maximum.reduceat(n, begins, 0), begins, 1).ravel(),
        }
    )
    axes = {
        "x": (f"places to the right of {n[side // 2, side // 2]:,}", "left", "right", [-half, half]),
        "y": ("places above it", "bottom", "top", [-half, half]),
    }
    return _picture(pixels, frame, axes, dict(zip(names, colors, strict=True)), "Ulam's spiral", SQUARE)


def split_rows(values: Rows) -> Chart:
    """Draw the split as one picture, row by row; a cell of several integers mixes their colors."""
    colors = np.array([_rgb(color) for color in PART_COLORS])
    total = values.counts.sum(2, keepdims=True)
    mixed = values.counts @ colors / np.maximum(total, 1)
    pixels = np.concatenate([mixed, 255 * (total > 0)], axis=2).round().astype(np.uint8)
    height, columns = total.shape[:2]
    frame = pd.DataFrame({"row": range(height), "from": values.first, "to": values.last})
    for i, part in enumerate(PARTS):
        frame[part] = values.counts[:, :, i].sum(1)
    frame["next row"], frame["left"], frame["right"] = frame["row"] + 1, 0, columns
    axes = {
        "x": (f"column, {values.each} integers each" if values.each > 1 else "column", "left", "right", [0, columns]),
        "y": ("row", "row", "next row", [0, height]),
    }
    colors_of = dict(zip(PARTS, PART_COLORS, strict=True))
    return _picture(pixels, frame, axes, colors_of, "Integers by split, row by row", HALF, downwards=True)


def split_counts(counts: Int[np.ndarray, "parts 2"]) -> alt.Chart:
    """Draw the number of composites and primes in each part of the split, from ``Members.counts``."""
    frame = pd.DataFrame(
        [
            {"split": part, "kind": kind, "integers": int(counts[i, j])}
            for i, part in enumerate(PARTS)
            for j, kind in enumerate(("composite", "prime"))
        ]
    )
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("integers:Q", title="integers"),
            y=alt.Y("split:N", sort=list(PARTS), title="split"),
            color=_kinds(),
            tooltip=["split:N", "kind:N", alt.Tooltip("integers:Q", format=",")],
        )
        .properties(title="Integers by split", width=280, height=150, autosize=FIXED)
    )


def last_digits(values: Classes) -> alt.Chart:
    """Draw the number of composites and primes by last digit."""
    digits = np.arange(values.modulus)
    kinds = {"composite": values.integers - values.primes, "prime": values.primes}
    frame = pd.concat([pd.DataFrame({"digit": digits, "kind": kind, "integers": n}) for kind, n in kinds.items()])
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("digit:O", title="last digit", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("integers:Q", title="integers"),
            color=_kinds(),
            tooltip=["digit:O", "kind:N", alt.Tooltip("integers:Q", format=",")],
        )
        .properties(title="Class balance by last digit", height=HEIGHT, autosize=FLUID)
    )


def _kinds() -> alt.Color:
    scale = alt.Scale(domain=["prime", "composite"], range=[MAIN, MUTED])
    return alt.Color("kind:N", scale=scale, legend=top_legend())


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _picture(
    pixels: UInt8[np.ndarray, "rows columns rgba"],
    frame: pd.DataFrame,
    axes: dict[str, tuple[str, str, str, list[float]]],
    colors: dict[str, str],
    title: str,
    size: int,
    downwards: bool = False,
) -> Chart:
    """Draw one image for up to a million cells, with invisible fields on top for tooltips.

    Args:
        frame: the fields, one row each, and their tooltips.
        axes: for x and y the title, the columns with the start and end of a field, and the domain.
        colors: colors of the legend.
        downwards: whether y counts from the top.
    """
    cell = max(1, size // pixels.shape[1])
    width, height = cell * pixels.shape[1], cell * pixels.shape[0]
    (x, left, right, across), (y, bottom, top, up) = axes["x"], axes["y"]
    middle = pd.DataFrame({"x": [sum(across) / 2], "y": [sum(up) / 2], "url": [url(pixels)]})
    drawn = alt.Chart(middle).mark_image(width=width, height=height, smooth=False).encode(x="x:Q", y="y:Q", url="url:N")
    kinds = pd.DataFrame({"kind": list(colors), "x": across[0], "y": up[0]})
    legend = alt.Legend(
        orient="top", title=None, offset=4, padding=0, symbolOpacity=1, symbolType="square", labelLimit=200
    )
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    names = (
        alt.Chart(kinds)
        .mark_square(opacity=0)
        .encode(x="x:Q", y="y:Q", color=alt.Color("kind:N", scale=scale, legend=legend))
    )
    axis = alt.Axis(grid=False, format=",d", tickCount=6)
    shown = [name for name in frame.columns if name not in (left, right, bottom, top)]
    fields = (
        alt.Chart(frame)
        .mark_rect(opacity=0)
        .encode(
            x=alt.X(f"{left}:Q", title=x, scale=alt.Scale(domain=across, nice=False), axis=axis),
            x2=right,
            y=alt.Y(f"{bottom}:Q", title=y, scale=alt.Scale(domain=up, nice=False, reverse=downwards), axis=axis),
            y2=top,
            tooltip=[alt.Tooltip(f"{name}:Q", format=",") for name in shown],
        )
    )
    return alt.layer(drawn, names, fields, data=frame).properties(
        title=title, width=width, height=height, autosize=FIXED, usermeta=CANVAS
    )
