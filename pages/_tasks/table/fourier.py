"""The page Fourier for groups: which irreducible representations carry the answer."""

from collections.abc import Callable

import streamlit as st

import miii
from miii import Table, analysis, plots
from miii.errors import InputError
from miii.plots.style import Chart
from miii.runs import Run
from pages._kit import write
from pages._kit.cell import cell, shared

PERCENT = st.column_config.NumberColumn(format="percent")
ROUNDING = 5e-5  #: a smaller share is 0.00%, also if negative


@shared
def composed(name: str, step: int) -> analysis.representations.Report:
    run = miii.runs.open(name, miii.Table)
    return analysis.representations.analyze(run.model(step), run.task(), run.task_config)


def representations(name: str, step: int) -> Chart:
    report = composed(name, step)
    return plots.representations(report.parts, report.null)


def page(run: Run, task: Table, step_of: Callable[[Run], int]) -> None:
    """Show the verdict and the part of each representation at one snapshot."""
    write.text(
        r"""
Functions on a group are sums of matrix elements of its **irreducible representations**; for addition, these are waves. A network may
answer by a sum of characters, $\sum_\rho w_\rho\,\chi_\rho(a b c^{-1})$, which is largest at $c = ab$ (Chughtai et al. 2023).
"""
    )
    try:
        analysis.irreps.group_of(task)
    except InputError as error:
        write.info(f"{error} So this page cannot analyze {run.name}.")
        return
    step = step_of(run)
    with st.spinner("Measuring …", show_time=True):
        report = composed(run.name, step)
    write.header("Key representations", anchor="representations")
    keys = [part.name for part in report.parts if part.key]
    with st.container(horizontal=True):
        write.metric("Verdict", report.verdict, border=True)
        write.metric("Test accuracy", f"{report.test_accuracy:.1%}", border=True)
        write.metric(
            "Logits within the key ones",
            f"{report.within:.1%}",
            border=True,
            help=f"Share of the held-out logits' variance; characters alone explain {report.explained:.1%}",
        )
    if report.reason:
        write.text(f"Not a composition by representations: {report.reason}.")
    cell(
        representations,
        name=run.name,
        step=step,
        caption=(f"Key: {', '.join(keys)}. " if keys else "No representation is key. ")
        + f"Key characters explain at least {analysis.representations.LEAST:.0%}, and more than any does of shuffled answers "
        f"({report.null:.2%}, dashed).",
    )
    write.table(
        [
            {
                "representation": part.name,
                "dimension": part.dimension,
                "key": part.key,
                "share of the logits": part.logits,
                "its character explains": part.explained if abs(part.explained) > ROUNDING else 0.0,
                "accuracy without it": part.without,
                "accuracy with it alone": part.only,
            }
            for part in report.parts
        ],
        column_config=dict.fromkeys(
            ("share of the logits", "its character explains", "accuracy without it", "accuracy with it alone"), PERCENT
        ),
        name="representations",
    )
    write.caption("On held-out pairs. “Without” and “alone” refer to its part of the embedding.")

    write.header("Is it a cause?", anchor="causal")
    write.text(
        f"With only the key representations in the embedding, test accuracy is **{report.kept:.1%}**; without them, **{report.removed:.1%}**; "
        f"with as many random directions, {report.random_kept:.1%}."
        if keys
        else "There is none to keep or remove."
    )
    write.table(
        [
            {
                "criterion": each.name,
                "result": "pass" if each.passed else "fail",
                "measured": each.value,
                "bound": each.bound,
            }
            for each in report.criteria
        ],
        width="content",
        column_config=dict.fromkeys(("measured", "bound"), st.column_config.NumberColumn(format="%.4g")),
        name="criteria",
    )
    write.caption(
        "This does not tell characters from cosets, which also concentrate on few representations (Stander et al. 2024)."
    )
