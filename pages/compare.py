"""Architectures on equal terms: which grok, how soon, and whether they compute the same function."""

from pathlib import Path

import pandas as pd
import streamlit as st

import miii
from miii import analysis, plots, runs
from miii.analysis.compare import ADDS, MEASURES, ComparedRun
from miii.errors import InputError
from miii.model.wiring import BLOCKS, MIXERS, pairs
from miii.plots.style import Chart
from pages._kit import startup, write
from pages._kit.cell import cell, stamp_of
from pages._kit.draw import draw
from pages._parts.compare import findings

startup.run_app_first()

OWN, FORMER = "yours", "runs of yours"  # the latter stands in old links


def learning_curves(comparison: str) -> Chart:
    home = miii.runs.homes()[1] / "architectures"
    found = analysis.compare.load(home / f"{comparison}.jsonl")
    primes = comparison.startswith("primes")
    title = "validation AUC" if primes else "test accuracy"
    return plots.learning(analysis.compare.curves(found), title, 0.5 if primes else 0.0)


def one_measure(comparison: str, measure: str) -> Chart:
    home = miii.runs.homes()[1] / "architectures"
    found = analysis.compare.load(home / f"{comparison}.jsonl")
    summary = analysis.compare.summary(analysis.compare.table(found))
    return plots.spread(summary, measure, analysis.compare.label(measure))


@st.cache_data(max_entries=64, show_spinner=False)
def measured(name: str, stamp: float) -> ComparedRun:
    return miii.reports.measure(runs.open(name))


write.title("Compare")
write.text(
    """
An architecture is a **block** (skips and norms) with a **mixer** (how positions exchange information). All learn one task with one split and
step budget.
"""
)

if st.query_params.get("comparison") == FORMER:
    st.query_params["comparison"] = OWN
home = runs.homes()[1] / "architectures"
shipped = [path.stem for path in sorted(home.glob("*.jsonl"))]
chosen = st.segmented_control(
    "Comparison",
    [*shipped, OWN],
    default=shipped[0] if shipped else OWN,
    required=True,
    key="comparison",
    bind="query-params",
    help=findings.ABOUT,
)


def alike(names: list[str]) -> list[str]:
    """Return the most runs that share their terms."""
    terms = {name: analysis.compare.terms(runs.open(name).config) for name in names}
    return max(([name for name in names if terms[name] == shared] for shared in terms.values()), key=len, default=[])


def what_changed(opened: list[runs.Run]) -> None:
    """Show the options in which the runs differ, and what each reached."""
    write.header("What changed", anchor="changed")
    headlines = [run.config.task.headline(run.rows()[-1]) for run in opened]
    rows = [(option, *values) for option, values in analysis.compare.differences(*(r.config for r in opened)).items()]
    rows.append((headlines[0].name, *(headline.text for headline in headlines)))
    write.table(pd.DataFrame(rows, columns=["", *(run.name for run in opened)]), width="content", name="what-changed")


def choose_own() -> list[ComparedRun]:
    names = [
        run.name
        for run in runs.every()
        if run.config.task.kind in ("modular", "primes") and runs.row(run)["status"] in ("done", "imported")
    ]
    wanted = st.multiselect(
        "Runs",
        names,
        default=alike(names)[:3],
        key="runs",
        bind="query-params",
        help="Finished, with one task, batch size and steps",
    )
    opened = [runs.open(name) for name in wanted]
    analysis.compare.check_terms([(run.name, analysis.compare.terms(run.config)) for run in opened])
    if len(opened) > 1:
        what_changed(opened)
    with st.spinner("Analyzing …"):
        return [measured(run.name, stamp_of(run, "result.json")) for run in opened]


def load(name: str) -> list[ComparedRun]:
    path: Path = home / f"{name}.jsonl"
    return list(analysis.compare.load(path))


try:
    found = choose_own() if chosen == OWN else load(str(chosen))
    frame = analysis.compare.table(found)
except InputError as error:
    write.info(error, icon="balance")
    write.stop()
summary = analysis.compare.summary(frame.assign(architecture=frame["run"]) if chosen == OWN else frame)
known = [
    name for name in (*findings.TRAINING, *MEASURES) if name in summary and name != ADDS and summary[name].notna().any()
]

if chosen != OWN:
    write.text(findings.finding(str(chosen), summary))

write.header("All architectures", anchor="table")
write.table(
    findings.table(summary, known).rename(columns={"architecture": "run"} if chosen == OWN else {}),
    column_config=findings.columns(known),
    width="stretch",
    name="compared-architectures",
)
with st.expander("Every run", icon=":material/table_rows:"):
    write.table(frame.dropna(axis=1, how="all"), name="compared-runs")
with st.expander("What the columns mean", icon=":material/help:"):
    write.text(
        "\n".join(
            f"- **{analysis.compare.label(name)}**: {says}"
            for name, says in findings.HELP.items()
            if name in (*known, ADDS)
        )
    )

write.header("How they learn", anchor="curves")
if chosen == OWN:
    title = "validation AUC" if "sieve_depth" in frame else "test accuracy"
    by_run = analysis.compare.curves(found).assign(architecture=lambda rows: rows["run"])  # one line each
    curve = plots.learning(by_run, title)
    draw(curve.properties(title="Every run"), key="own-curves", alt=f"{title} by step.")
else:
    cell(
        learning_curves,
        comparison=str(chosen),
        stamp=(home / f"{chosen}.jsonl").stat().st_mtime,
        caption="Click the legend to isolate an architecture.",
    )

write.header("What they compute", anchor="measures")
worded = {analysis.compare.label(name): name for name in known}
measure = worded[
    st.selectbox(
        "Measure",
        list(worded),
        index=known.index("explained") if "explained" in known else 0,
        key="measure",
        bind="query-params",
        width=320,
    )
]
if chosen == OWN:
    draw(plots.spread(summary, measure, analysis.compare.label(measure)), key="own-spread", alt=f"{measure} by run.")
else:
    cell(
        one_measure,
        comparison=str(chosen),
        measure=measure,
        stamp=(home / f"{chosen}.jsonl").stat().st_mtime,
        caption=findings.caption(measure),
    )
write.header("Valid combinations", anchor="pairs")
grid = pd.DataFrame(
    [
        {"block": block} | {mixer: "yes" if why is None else "no" for mixer, why in row.items()}
        for block, row in pairs().items()
    ]
)
write.table(grid, name="pairs-of-blocks-and-mixers")
left, right = st.columns(2)
left.markdown("\n".join(f"- **{name}**: {wiring.about}" for name, wiring in BLOCKS.items()))
right.markdown("\n".join(f"- **{name}**: {says}" for name, says in MIXERS.items()))
