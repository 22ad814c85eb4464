"""Which factors a network sees: AUC and evidence by smallest prime factor, compared with trial division."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float

from miii.analysis.sieve import LEAST, SEEN, Depth, EvidenceByFactor
from miii.plots.style import ACCENT, FLUID, HEIGHT, MAIN, MUTED, SEQUENTIAL, WHOLE, Chart, bar_legend, top_legend

KINDS = {"seen": MAIN, "not seen": ACCENT}


def sieve_depth(values: Depth) -> Chart:
    """Draw the AUC of primes against composites by smallest factor, with 95% intervals and the bound."""
    frame = pd.DataFrame(
        [{"q": f.q, "auc": f.auc, "low": f.low, "high": f.high, "integers": f.integers} for f in values.factors],
        columns=["q", "auc", "low", "high", "integers"],
    )
    frame["factor"] = [list(KINDS)[low < LEAST] for low in frame["low"]]
    frame["bound"] = LEAST
    bottom = min([0.4, *frame["low"]])
    scale = alt.Scale(domain=[max(0.0, bottom - 0.02), 1.01], nice=False)
    y = alt.Y("auc:Q", title="AUC against primes", scale=scale)
    base = alt.Chart(frame).encode(
        x=alt.X("q:O", title="smallest prime factor of the composites", axis=alt.Axis(labelAngle=0)),
        tooltip=[
            alt.Tooltip("q:O", title="smallest factor"),
            alt.Tooltip("auc:Q", title="AUC", format=".4f"),
            alt.Tooltip("low:Q", title="95% interval from", format=".4f"),
            alt.Tooltip("high:Q", title="to", format=".4f"),
            alt.Tooltip("integers:Q", title="composites", format=","),
        ],
    )
    color = alt.Color(
        "factor:N",
        scale=alt.Scale(domain=list(KINDS), range=list(KINDS.values())),
        legend=top_legend(symbolType="circle"),
    )
    return alt.layer(
        base.mark_rule(strokeWidth=2).encode(
            y=alt.Y("low:Q", title="AUC against primes", scale=scale), y2="high:Q", color=color
        ),
        base.mark_circle(size=70, opacity=1).encode(y=y, color=color),
        alt.Chart(frame)
        .mark_rule(color=MUTED, strokeDash=[5, 4])
        .encode(y=alt.Y("min(bound):Q", title="AUC against primes", scale=scale)),
    ).properties(title="Primes against composites, by smallest factor", height=HEIGHT, autosize=FLUID)


def sieve_oracles(values: Depth) -> Chart:
    """Draw the network's ROC AUC as a line, and that of trial division by all primes up to each q.

    Trial division has two lines; one also divides by the base's primes, which the last digit reveals.
    """
    lines = {"primes up to q and of the base": values.oracles_and_base, "primes up to q": values.oracles}
    frame = pd.DataFrame(
        [{"q": q, "auc": auc, "line": name} for name, found in lines.items() for q, auc in found.items()],
        columns=["q", "auc", "line"],
    )
    frame["network"] = values.roc_auc
    scale, title = alt.Scale(zero=False, padding=14), "ROC AUC"
    colors = alt.Scale(domain=[*lines, "network"], range=[MAIN, MUTED, ACCENT])
    return alt.layer(
        alt.Chart(frame)
        .mark_line(point={"size": 45})
        .encode(
            x=alt.X("q:O", title="q", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("auc:Q", title=title, scale=scale),
            color=alt.Color("line:N", scale=colors, legend=top_legend()),
            tooltip=["line:N", "q:O", alt.Tooltip("auc:Q", title="ROC AUC", format=".4f")],
        ),
        alt.Chart(frame)
        .transform_calculate(line="'network'")
        .mark_rule(strokeWidth=2)
        .encode(
            y=alt.Y("mean(network):Q", title=title, scale=scale),
            color=alt.Color("line:N", scale=colors),
            tooltip=[alt.Tooltip("mean(network):Q", title="the network", format=".4f")],
        ),
    ).properties(title="Network and trial division up to q", height=HEIGHT, autosize=FLUID)


def evidence_by_factor(values: EvidenceByFactor, evidence: float, name: str) -> Chart:
    """Draw the evidence of one integer as a line over the evidence of held-out integers by smallest factor.

    Args:
        name: label of the line.
    """
    kinds = values.table["kind"].tolist()
    x: dict[str, Any] = {"title": "evidence for prime, in logits", "scale": alt.Scale(zero=False)}
    y = alt.Y("kind:N", title="held-out integers", sort=kinds, axis=alt.Axis(labelLimit=240))
    tooltip: list[Any] = ["kind:N", "integers:Q"] + [
        alt.Tooltip(f"{part}:Q", format=".2f") for part in ("low", "first", "median", "third", "high")
    ]
    color = alt.condition("datum.kind === 'primes'", alt.value(MAIN), alt.value(MUTED))
    base = alt.Chart(values.table).encode(y=y, color=color, tooltip=tooltip)
    lines = pd.DataFrame({"line": [name, "prime from here on"], "at": [evidence, values.threshold]})
    rules = (
        alt.Chart(lines)
        .mark_rule(strokeWidth=2)
        .encode(
            x="at:Q",
            color=alt.Color(
                "line:N", scale=alt.Scale(domain=lines["line"].tolist(), range=[ACCENT, MAIN]), legend=top_legend()
            ),
            strokeDash=alt.StrokeDash("line:N", sort=lines["line"].tolist(), legend=None),
            tooltip=["line:N", alt.Tooltip("at:Q", format=".2f")],
        )
    )
    return alt.layer(
        base.mark_rule(strokeWidth=1).encode(x=alt.X("low:Q", **x), x2="high:Q"),
        base.mark_bar(height=9).encode(x=alt.X("first:Q", **x), x2="third:Q"),
        rules,
    ).properties(title="Evidence beside held-out integers", height=alt.Step(24), autosize=FLUID)


def auc_by_base(table: pd.DataFrame) -> Chart:
    """Draw the AUC against each smallest factor q, by base, with a dot where the plain sum of digits shows the residue.

    Args:
        table: from ``analysis.sieve.auc_by_base``. Factors that divide the base have no cell.
    """
    frame = table[["base", "q", "seeds", "auc", "low", "high", "order", "gain", "correlation"]].round(4)
    base = alt.Chart(frame).encode(
        x=alt.X("base:O", title="base", axis=alt.Axis(labelAngle=0, labelOverlap=True), scale=WHOLE),
        y=alt.Y("q:O", title="smallest factor q", sort="descending", scale=WHOLE),
        tooltip=[
            "base:O",
            "q:O",
            alt.Tooltip("auc:Q", title="AUC, median of seeds", format=".3f"),
            "seeds:Q",
            alt.Tooltip("order:Q", title="order of the base"),
            alt.Tooltip("gain:Q", title="gain in bits", format=".3f"),
            alt.Tooltip("correlation:Q", title="correlation with the best neuron", format=".3f"),
        ],
    )
    return alt.layer(
        base.mark_rect().encode(
            color=alt.Color(
                "auc:Q",
                title="AUC",
                scale=alt.Scale(scheme=SEQUENTIAL, domain=[0.5, 1], clamp=True),
                legend=bar_legend(format=".1f"),
            )
        ),
        base.transform_filter("datum.order === 1").mark_circle(size=14, color="white", opacity=1),
    ).properties(title="AUC by base and factor; a dot marks base = 1 modulo q", height=alt.Step(20), autosize=FLUID)


def score_by_base(table: pd.DataFrame, score: Float[np.ndarray, " rows"], unused: frozenset[int]) -> Chart:
    """Draw the measured AUC over the rule's log odds, for the bases that fitted the rule and the others.

    Args:
        table: from ``analysis.sieve.auc_by_base``.
    """
    names = {"rule fitted on this base": MUTED, "unused base": MAIN}
    frame = table[["base", "q", "auc"]].round(4)
    frame = frame.assign(score=score.round(3), part=[list(names)[base in unused] for base in table["base"]])
    y = alt.Y("auc:Q", title="measured AUC", scale=alt.Scale(domain=[0.4, 1.02], nice=False, clamp=True))
    return alt.layer(
        alt.Chart(frame)
        .mark_circle(size=45, opacity=0.8)
        .encode(
            x=alt.X("score:Q", title="log odds by the rule, before training"),
            y=y,
            color=alt.Color(
                "part:N", scale=alt.Scale(domain=list(names), range=list(names.values())), legend=top_legend()
            ),
            tooltip=["base:O", "q:O", alt.Tooltip("auc:Q", format=".3f"), alt.Tooltip("score:Q", format=".2f")],
        ),
        alt.Chart(pd.DataFrame({"bound": [SEEN]}))
        .mark_rule(color=MUTED, strokeDash=[5, 4])
        .encode(y=alt.Y("bound:Q", title="measured AUC")),
    ).properties(title="The rule and the measured AUC", height=HEIGHT, autosize=FLUID)
