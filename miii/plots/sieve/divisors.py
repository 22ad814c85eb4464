"""Networks for the gcd: learned divisors over training and by base, their answers, and swapped digits."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd

from miii.analysis.sieve import Answer, Swap
from miii.plots.style import ACCENT, FLUID, HEIGHT, MAIN, MUTED, SEQUENTIAL, WHOLE, WRONG, bar_legend, top_legend
from miii.tasks import Task

KINDS = {"product of the base's primes": MAIN, "other": ACCENT}
AGREES = {"as the list predicts": MAIN, "otherwise": WRONG}
DIGITS = {"last digits": MAIN, "leading digits (control)": MUTED}


def learned_divisors(
    learned: Mapping[int, Sequence[int]], theory: Sequence[int], steps: int | None = None
) -> alt.Chart:
    """Draw which divisors are learned at each evaluation.

    Args:
        learned: learned divisors by step.
        theory: the products of the base's primes, in another color than other divisors.
        steps: end of the axis; the last step if None.

    Source: Charton 2023 (arXiv 2308.15594), figure 1, as marks instead of a count.
    """
    rows = [
        {"step": step, "divisor": k, "is": [*KINDS][k not in theory]} for step, found in learned.items() for k in found
    ]
    frame = pd.DataFrame(rows, columns=["step", "divisor", "is"])
    end = max(1, steps or max(learned, default=1))
    return (
        alt.Chart(frame)
        .mark_square(size=45, opacity=1)
        .encode(
            x=alt.X("step:Q", title="step", scale=alt.Scale(domain=[0, end], nice=False)),
            y=alt.Y("divisor:O", title="learned divisor", sort="descending"),
            color=alt.Color(
                "is:N", scale=alt.Scale(domain=list(KINDS), range=list(KINDS.values())), legend=top_legend()
            ),
            tooltip=["step:Q", "divisor:O", "is:N"],
        )
        .properties(
            title="Learned divisors over training", height=max(HEIGHT, 18 * frame["divisor"].nunique()), autosize=FLUID
        )
    )


def gcd_answers(answers: Sequence[Answer]) -> alt.LayerChart:
    """Draw the most common answer to the pairs of each gcd, on rings of the largest learned divisor of that gcd.

    Source: Charton 2023, table 2.
    """
    frame = pd.DataFrame(answers)
    frame["is"] = np.where(frame["common"] == frame["rule"], *AGREES)
    x = alt.X("gcd:Q", title="gcd of the pair", scale=alt.Scale(domain=[0, int(frame["gcd"].max()) + 1], nice=False))
    y_title = "answer"
    base = alt.Chart(frame).encode(x=x)
    tooltip = [
        alt.Tooltip("gcd:Q"),
        alt.Tooltip("common:Q", title="most common answer"),
        alt.Tooltip("share:Q", title="share of pairs", format=".1%"),
        alt.Tooltip("rule:Q", title="largest learned divisor"),
        alt.Tooltip("pairs:Q"),
    ]
    rings = base.mark_point(size=70, color=MUTED).encode(y=alt.Y("rule:Q", title=y_title), tooltip=tooltip)
    dots = base.mark_circle(size=26, opacity=1).encode(
        y=alt.Y("common:Q", title=y_title),
        color=alt.Color("is:N", scale=alt.Scale(domain=list(AGREES), range=list(AGREES.values())), legend=top_legend()),
        tooltip=tooltip,
    )
    return alt.LayerChart(layer=[rings, dots]).properties(title="Answers by gcd", height=HEIGHT, autosize=FLUID)


def digit_swaps(swap: Swap) -> alt.Chart:
    """Draw how often pairs are answered as the pair whose digits they got, and how often as before."""
    names = {"as the other pair": (swap.last, swap.leading), "as before": (swap.kept_last, swap.kept_leading)}
    frame = pd.DataFrame(
        [
            {"swapped": which, "answer": name, "share": share}
            for name, shares in names.items()
            for which, share in zip(DIGITS, shares, strict=True)
        ]
    )
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X("share:Q", title="share of pairs", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("answer:N", title="answered", sort=list(names)),
            yOffset=alt.YOffset("swapped:N", sort=list(DIGITS)),
            color=alt.Color(
                "swapped:N", scale=alt.Scale(domain=list(DIGITS), range=list(DIGITS.values())), legend=top_legend()
            ),
            tooltip=["swapped:N", "answer:N", alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(title="Answers after swapping digits", height=120, autosize=FLUID)
    )


def divisors_by_base(runs: Sequence[Mapping[str, object]], operands: str = "uniform") -> alt.Chart:
    """Draw the share of runs that learned each divisor, by base.

    Args:
        runs: each with its ``base`` and list ``learned``; divisors that none learned are left out.
        operands: how they are drawn, for the title.
    """
    frame = pd.DataFrame([{"base": run["base"], "learned": run["learned"], "runs": 1} for run in runs])
    total = frame.groupby("base")["runs"].sum()
    counts = frame.explode("learned").groupby(["base", "learned"])["runs"].sum().reset_index(name="learn")
    counts["runs"] = counts["base"].map(total)
    counts["share"] = counts["learn"] / counts["runs"]
    return (
        alt.Chart(counts)
        .mark_rect()
        .encode(
            x=alt.X("learned:O", title="divisor", axis=alt.Axis(labelAngle=0, labelOverlap=True), scale=WHOLE),
            y=alt.Y("base:O", title="base"),
            color=alt.Color(
                "share:Q",
                title="share of seeds",
                scale=alt.Scale(scheme=SEQUENTIAL, domain=[0, 1]),
                legend=bar_legend(format="%"),
            ),
            tooltip=["base:O", alt.Tooltip("learned:O", title="divisor"), "learn:Q", "runs:Q"],
        )
        .properties(title=f"Learned divisors by base, {operands} operands", height=alt.Step(20), autosize=FLUID)
    )


def gcd_counts(task: Task) -> alt.LayerChart:
    """Draw the share of training pairs with each gcd, and the share 6 / (pi k)^2 of all pairs of integers.

    Source: Cesaro 1883.
    """
    count = np.bincount(task.facts["gcd"].numpy()[task.train_mask.numpy()], minlength=task.d_vocab_out + 1)[1:]
    k = np.arange(1, len(count) + 1)
    frame = pd.DataFrame({"gcd": k, "pairs": count, "share": count / count.sum(), "all": 6 / (np.pi * k) ** 2})
    scale = alt.Scale(type="log", nice=False)
    base = alt.Chart(frame[frame["pairs"] > 0]).encode(x=alt.X("gcd:Q", title="gcd (log scale)", scale=scale))
    y = "share of pairs (log scale)"
    line = base.mark_line(color=MUTED).encode(y=alt.Y("all:Q", title=y, scale=scale))
    dots = base.mark_circle(color=MAIN, size=30, opacity=1).encode(
        y=alt.Y("share:Q", title=y, scale=scale, axis=alt.Axis(format="~%")),
        tooltip=["gcd:Q", "pairs:Q", alt.Tooltip("share:Q", format=".3%"), alt.Tooltip("all:Q", format=".3%")],
    )
    return alt.LayerChart(layer=[line, dots]).properties(
        title="How often each gcd occurs in training", height=HEIGHT, autosize=FLUID
    )
