"""The page Compare's table and finding, in words, from the numbers."""

from typing import Any

import pandas as pd
import streamlit as st

from miii.analysis.compare import ADDS, MEASURES, label
from miii.analysis.modular import criteria
from miii.analysis.sieve import CROSSES, EXPLAINED

#: Columns about training.
TRAINING = {
    "grokked_at": "first step with 99% test accuracy; for primes, sieving by 3",
    "seconds_to_grok": "wall clock, on a busy machine",
    "ms_per_step": "without evaluation, on one thread",
    "parameters": "trained parameters",
}
HELP = TRAINING | MEASURES
#: Bounds of the verdict on addition, by column of a comparison.
ADDITION = {"explained": criteria.VARIANCE_EXPLAINED, "steering": criteria.STEERING_ACCURACY}
#: The shipped comparisons, for the help of the control.
ABOUT = "depth: 2, 6 and 12 layers; primes: five digits; yours: your runs"
INTEGER_COLUMNS = ("grokked_at", "parameters", "key_frequencies", "sieve_depth")


CHOSEN = ("add-113", "primes")  #: comparisons whose optimizers were chosen on a seed that is not counted
LEARNS = ("grok", "sieve by 3")  #: learning the task, for sums and for primes


def learns(summary: pd.DataFrame) -> str:
    """Which of ``LEARNS`` the networks of a comparison are looked at for."""
    return LEARNS["sieve_depth" in summary]


def table(summary: pd.DataFrame, known: list[str]) -> pd.DataFrame:
    """How many of the seeds grok and add, and the medians."""
    counts = pd.DataFrame(
        {
            "architecture": summary["architecture"],
            "optimizer": summary["optimizer"],
            learns(summary): [f"{n} of {of}" for n, of in zip(summary["grokked"], summary["seeds"], strict=True)],
            "add": [
                "-" if pd.isna(n) else f"{int(n)} of {of}"
                for n, of in zip(summary[ADDS], summary["seeds"], strict=True)
            ],
        }
    )
    if summary["precision"].notna().any():
        counts.insert(2, "precision", summary["precision"].fillna("-"))
    return pd.concat([counts, summary[known].astype(float)], axis=1)


def columns(known: list[str]) -> dict[str, Any]:
    """How each column is written, and what it is."""
    config: dict[str, Any] = {
        **dict.fromkeys(LEARNS, st.column_config.TextColumn(help="Seeds that do")),
        "add": st.column_config.TextColumn(help=MEASURES[ADDS]),
        "precision": st.column_config.TextColumn(help="Of matrix products"),
    }
    for name in known:
        form = "localized" if name in INTEGER_COLUMNS else "%.0f" if name == "ms_per_step" else "%.3g"
        config[name] = st.column_config.NumberColumn(label(name), format=form, help=HELP[name])
    return config


def caption(measure: str) -> str:
    """What a measure is, as a sentence."""
    says = HELP.get(measure, "")
    return f"{says[:1].upper()}{says[1:]}." if says else ""


def join_names(names: list[str]) -> str:
    """Names in a sentence."""
    return "; ".join(f"*{name}*" for name in names) or "none"


def finding(comparison: str, summary: pd.DataFrame) -> str:
    """Write the finding with its figures and caveats."""
    if comparison == "depth":
        return _depth(summary)
    if comparison == "spherical":
        return _spherical(summary)
    primes, seeds = "sieve_depth" in summary, int(summary["seeds"].max())
    grokked = summary[summary["grokked"] == summary["seeds"]].sort_values("grokked_at")
    some = summary[(summary["grokked"] > 0) & (summary["grokked"] < summary["seeds"])]
    never = summary[summary["grokked"] == 0]
    precisions = sorted({*summary["precision"].dropna()})
    alike = grokked[grokked[ADDS] == grokked["seeds"]]
    unknown = grokked[grokked[ADDS].isna()]
    what = "sums residues modulo 3" if primes else "modular addition"
    lines = [
        f"**{len(grokked)} of {len(summary)}** architectures {learns(summary)} with all {seeds} seeds"
        + (f", {_extremes(grokked)}." if len(grokked) else "."),
        f"Only some seeds do: {join_names(list(some['architecture']))}. No seed does: {join_names(list(never['architecture']))}.",
        f"**The same algorithm?** {len(alike)} of the {len(grokked)} get the verdict *{what}* with every seed"
        + (f": {join_names(list(alike['architecture']))}." if len(alike) else ".")
        + _margins(primes, grokked[grokked[ADDS] < grokked["seeds"]])
        + (
            f" Undefined for {join_names(list(unknown['architecture']))}, whose output cannot be split by digits."
            if len(unknown)
            else ""
        ),
        "**Caveats**: "
        + (
            "the better of two optimizers, chosen on another seed"
            if comparison in CHOSEN
            else "the recipe's optimizer throughout"
        )
        + ". More steps may help those that miss the budget."
        + (f" Precision of training: {join_names(precisions)}." if precisions else "")
        + (
            " Measured 200 steps after they first sieve by 3. *mean* cannot single out the last digit."
            if primes
            else ""
        ),
    ]
    return "\n\n".join(lines)


def _extremes(grokked: pd.DataFrame) -> str:
    """Name the architectures that learn first and last, in rows by median step."""
    first, last = grokked.iloc[0], grokked.iloc[-1]
    told = (
        f"*{first['architecture']}* {'first' if len(grokked) > 1 else ''}".strip()
        + f" (median step {first['grokked_at']:.0f})"
    )
    return told if len(grokked) == 1 else f"{told}, *{last['architecture']}* last ({last['grokked_at']:.0f})"


def _margins(primes: bool, missed: pd.DataFrame) -> str:
    """Write how far networks without the verdict are from its bounds."""
    bounds = {"explained": EXPLAINED, "steering": CROSSES} if primes else ADDITION
    told = [
        f"*{row['architecture']}* ({int(row[ADDS])} of {int(row['seeds'])}) "
        + " and ".join(f"{label(name)} {row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f}" for name in bounds)
        for _, row in missed.iterrows()
    ]
    asked = " and ".join(f"{label(name)} ≥ {bound}" for name, bound in bounds.items())
    return f" The verdict needs {asked}, among others. The rest, over seeds: {'; '.join(told)}." if told else ""


def _spherical(summary: pd.DataFrame) -> str:
    told = [
        f"- *{row['architecture']}*: {int(row['grokked'])} of {int(row['seeds'])} seeds"
        + (
            f", at step {row['grokked_at']:.0f} (median; {row['grokked_at_low']:.0f} to {row['grokked_at_high']:.0f})"
            if row["grokked"]
            else f", final test accuracy {row['accuracy']:.3f} (median)"
        )
        for _, row in summary.iterrows()
    ]
    return (
        "A spherical residual stream reportedly groks at once without weight decay, and with uniform attention (*mean*). Seeds reaching 99% test "
        "accuracy here:\n\n"
        + "\n".join(told)
        + "\n\n**Caveats**: one constant learning rate; measured as soon as they grok."
    )


def _depth(summary: pd.DataFrame) -> str:
    lines = []
    for n in (2, 6, 12):
        rows = {
            str(name).split(",")[0]: row
            for name, row in summary.set_index("architecture").iterrows()
            if f", {n} layers" in str(name)
        }
        if len(rows) < 2:
            continue
        told = [
            f"*{name}* {int(row['grokked'])} of {int(row['seeds'])}"
            + (f" at step {row['grokked_at']:.0f} (median)" if row["grokked"] else "")
            + f", final test accuracy {row['accuracy']:.3f}"
            for name, row in rows.items()
        ]
        both = all(row["grokked"] for row in rows.values())
        ratio = rows["no-shortcut"]["grokked_at"] / rows["pre-norm"]["grokked_at"] if both else None
        lines.append(
            f"- **{n} layers**: {'; '.join(told)}."
            + (f" *no-shortcut* needs {ratio:.1f} times the steps." if ratio else "")
        )
    return (
        "He et al. report that blocks without skips and norms (*no-shortcut*) reach the same accuracy in more steps. Seeds reaching 99% test "
        "accuracy in 1,500 steps:\n\n"
        + "\n".join(lines)
        + "\n\nThis neither reproduces nor refutes the claim: d_model 64, one small task, few seeds, one learning rate for all depths."
    )
