"""Progress measures over training, with the phases."""

import pandas as pd
import streamlit as st

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from pages._kit import startup, write
from pages._kit.cell import cell, shared
from pages._kit.step_picker import step_of
from pages._tasks.modular.checks import all_pairs, modular_run, some_pairs

startup.run_app_first()

write.title("Progress")
write.text(
    r"""
Accuracy jumps; the circuit behind it grows gradually. **Restricted loss** keeps only the logits' waves in $w_k(a+b)$ at the
key frequencies; **excluded loss** only the rest.
"""
)

run, task = modular_run()
some_pairs(run, task)
name, step = run.name, step_of(run)


@shared
def find_keys(name: str, step: int) -> analysis.keys.Choice:
    run = miii.runs.open(name)
    return analysis.keys.of_model(run.model(step), run.task())


@shared
def measured(name: str, snapshots: int) -> "pd.DataFrame":
    run = miii.runs.open(name, miii.ModularAddition)
    choice = find_keys(name, run.steps[-1])
    models = ((step, run.model(step)) for step in run.steps[:snapshots])
    return analysis.trajectory.measure_all(
        models, run.task(), choice.frequencies, choice.multipliers, choice.relabelling
    ).frame()


def progress(name: str, step: int, snapshots: int) -> tuple[Chart, ...]:
    measures = measured(name, snapshots)
    charts = plots.progress(measures, analysis.phases.mark(miii.runs.open(name).metrics()))
    return tuple(plots.at_step(chart, step, "at") for chart in charts)


choice = find_keys(name, run.steps[-1])
keys = choice.frequencies
if not choice.relabelling.full:
    all_pairs(run, task)  # neurons are measured on them
write.text(
    f"**Key frequencies of the last snapshot: {', '.join(map(str, keys))}**, as waves in "
    f"{choice.relabelling.words(choice.multipliers)}."
    if keys
    else f"**The last snapshot has no key frequency**: {choice.why_none}. Restricted loss keeps only the mean, excluded loss everything."
)
if not run.task().split_known:
    write.caption("Unknown training split: losses are over all pairs, without phases.")
with st.spinner(f"Measuring {len(run.steps)} snapshots …", show_time=True):
    error = measured(name, len(run.steps))["gradient_symmetricity_error"].max()
    cell(
        progress,
        name=name,
        step=step,
        snapshots=len(run.steps),
    )

write.header("How to read it", anchor="reading")
write.text(
    r"""
- **Phases** (our own rule): *memorization* until the test loss peaks, *circuit formation* until it halves, *cleanup* until 99% test
  accuracy; none below 99% training accuracy.
- **Restricted loss** falls before the test loss; below the full loss, the rest is noise.
- **Excluded loss** (training pairs) rises as the circuit replaces memorization.
- **Gini coefficient**: near 1 if one frequency dominates.
- **Active frequencies**: power in the neurons above mean + 2 standard deviations of the snapshot (Syrkis's later preprint), or mean + 1 of
  all snapshots (its code).
- **Gradient symmetricity** (are $a$ and $b$ used alike?), **distance irrelevance** (does the correct logit ignore $a - b$?) and
  **circularity** (are the embedding's principal components waves?) were to tell “clock” from “pizza”; later work disputes a dichotomy.
"""
    + (
        "  The first two need all pairs."
        if pd.isna(error)
        else f"  Standard error of symmetricity: at most {error:.3f} ({analysis.progress.TRIPLES:,} random triples)."
    )
)
write.caption("Nanda et al. 2023 (arXiv 2301.05217), section 5; Zhong et al. 2023 (arXiv 2306.17844), section 4.")
