"""Roll-outs: a single one token by token, and the accuracy of many."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from miii.analysis.sequences.rollout import Rollout, similarity
from miii.numbers import place_names
from miii.plots.heatmap import heatmap
from miii.plots.style import ACCENT, FIXED, FLUID, HEIGHT, MAIN, MUTED, WRONG, Chart, top_legend

WHO = {"network": MAIN, "untrained": MUTED, "repeats the first frame": ACCENT}
CELL = 84  #: pixels per token
GAPS = alt.Scale(paddingInner=0.04)  #: between the tokens of a roll-out


def generated_frames(rolled: Rollout, row: int = 0) -> Chart:
    """Draw one roll-out, one row per frame and one column per token, with the truth wherever the network is wrong."""
    names, config = rolled.config.token_names, rolled.config
    slots = ["step", *place_names(config.base, config.width), "label"]
    frame = pd.DataFrame(
        [
            {
                "frame": f"{i + 1} ahead",
                "slot": slot,
                "written": names[generated],
                "truth": names[true],
                "is": "given" if slot == "step" else "right" if generated == true else "wrong",
            }
            for i, (makes, truths) in enumerate(zip(rolled.generated[row], rolled.truth[row], strict=True))
            for slot, generated, true in zip(slots, makes, truths, strict=True)
        ]
    )
    frame["shown"] = frame["written"].where(frame["is"] != "wrong", frame["written"] + " (" + frame["truth"] + ")")
    colors = {"given": MUTED, "right": MAIN, "wrong": WRONG}
    base = alt.Chart(frame).encode(
        x=alt.X("slot:N", sort=slots, title="slot", axis=alt.Axis(orient="top", labelAngle=0), scale=GAPS),
        y=alt.Y("frame:N", sort=None, title=None, scale=GAPS),
        tooltip=["frame:N", "slot:N", "written:N", "truth:N"],
    )
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    return alt.layer(
        base.mark_rect().encode(color=alt.Color("is:N", scale=scale, legend=top_legend())),
        base.mark_text(color="white", fontSize=13).encode(text="shown:N"),
    ).properties(
        title="Predicted tokens",
        width=alt.Step(CELL),
        height=alt.Step(30),
        autosize=FIXED,
    )


def rollout_integers(report: Mapping[str, Any]) -> Chart:
    """Draw the share of integers correct in all digits by frames ahead, with controls."""
    found = {"network": report["rollout"], "untrained": report["untrained"]}
    rows = [
        {"who": who, "ahead": row["ahead"], "integers": row["integers"]}
        for who, scores in found.items()
        for row in scores
    ]
    # the next integer always differs
    rows += [{"who": "repeats the first frame", "ahead": row["ahead"], "integers": 0.0} for row in report["rollout"]]
    return _shares(rows, "integers", "integer accuracy", "Integer accuracy (all digits)", WHO)


def rollout_labels(report: Mapping[str, Any]) -> Chart:
    """Draw the labels' ROC AUC by frames ahead: after own frames, after true frames, and from the last digit alone."""
    names = {"label_auc": "own frames", "label_auc_true": "true frames"}
    rows = [
        {"who": words, "ahead": row["ahead"], "auc": row[name]}
        for name, words in names.items()
        for row in report["rollout"]
        if row[name] is not None
    ]
    digit = report["context"]["digit"]
    rows += [{"who": "last digit", "ahead": row["ahead"], "auc": digit} for row in report["rollout"]]
    colors = dict(zip([*names.values(), "last digit"], (MAIN, ACCENT, MUTED), strict=True))
    return _shares(rows, "auc", "ROC AUC", "Label AUC by frame", colors, ".3f", [0.4, 1])


def rollout_digits(report: Mapping[str, Any], base: int) -> Chart:
    """Draw the share of correct digits one frame ahead by place, with controls."""
    found = {"network": report["rollout"][0]["digits"], "untrained": report["untrained"][0]["digits"]}
    found["repeats the first frame"] = report["copy"][0]
    rows = [
        {"who": who, "place": place, "digits": share}
        for who, shares in found.items()
        for place, share in zip(place_names(base, len(shares)), shares, strict=True)
    ]
    return _grouped(rows, "place", "digits", "place of the digit", "digit accuracy", "Digit accuracy, one frame ahead")


def rollout_carries(report: Mapping[str, Any]) -> Chart:
    """Draw the share of correct integers one frame ahead by number of carries."""
    rows = [{"who": "network", **row} for row in report["by_carries"]]
    heading = "Integer accuracy, one frame ahead, by carries"
    return _grouped(rows, "carries", "integers", "carries in n + d", "integer accuracy", heading)


def vector_similarity(vectors: Float[Tensor, "vectors d_model"], what: str) -> Chart:
    """Draw the cosine similarities between the vectors of steps or of slots."""
    return heatmap(
        similarity(vectors),
        title=f"Cosine similarity of {what} vectors",
        row=what,
        column=what,
        value="cosine",
        size=240,
        domain=(-1, 1),
        diverging=True,
    )


def _shares(
    rows: Sequence[Mapping[str, Any]],
    name: str,
    title: str,
    heading: str,
    colors: Mapping[str, str],
    shown: str = ".1%",
    domain: Sequence[float] = (0, 1),
) -> Chart:
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    ticks = "%" if shown.endswith("%") else ".2f"
    return (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(point={"size": 40})
        .encode(
            x=alt.X("ahead:O", title="frames ahead", axis=alt.Axis(labelAngle=0)),
            y=alt.Y(f"{name}:Q", title=title, scale=alt.Scale(domain=list(domain)), axis=alt.Axis(format=ticks)),
            color=alt.Color("who:N", scale=scale, legend=top_legend()),
            tooltip=["ahead:O", "who:N", alt.Tooltip(f"{name}:Q", format=shown)],
        )
        .properties(title=heading, height=HEIGHT, autosize=FLUID)
    )


def _grouped(rows: Sequence[Mapping[str, Any]], x: str, y: str, across: str, up: str, heading: str) -> Chart:
    frame = pd.DataFrame(rows)
    colors = {who: WHO[who] for who in frame["who"].unique()}
    scale = alt.Scale(domain=list(colors), range=list(colors.values()))
    more = ["sequences:Q"] if "sequences" in frame else []
    return (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=alt.X(f"{x}:N", title=across, sort=None, axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("who:N", sort=list(colors)),
            y=alt.Y(f"{y}:Q", title=up, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            color=alt.Color("who:N", scale=scale, legend=top_legend() if len(colors) > 1 else None),
            tooltip=[f"{x}:N", "who:N", alt.Tooltip(f"{y}:Q", format=".1%"), *more],
        )
        .properties(title=heading, height=HEIGHT, autosize=FLUID)
    )
