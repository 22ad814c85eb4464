"""Progress measures over the whole training of a run, with its phases."""

import pandas as pd
import streamlit as st

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from pages._kit import startup, write
from pages._kit.cell import cell, shared
from pages._kit.step_picker import step_of
from pages._tasks.modular.checks import all_pairs, modular_run

startup.run_app_first()

write.title("Progress")
write.text(
    r"""
Accuracy jumps; what brings it about grows. Nanda et al. found that a network which groks builds its circuit before its test
accuracy shows it. These measures look at the circuit itself: project the logits on the waves $\cos w_k(a+b)$ and
$\sin w_k(a+b)$ of the key frequencies (of $a - b$ or another sum, where the task is that), and keep nothing else (**restricted loss**)
or everything else (**excluded loss**).
"""
)

run, task = modular_run()
all_pairs(run, task)
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
write.text(
    f"**Key frequencies, taken from the last snapshot: {', '.join(map(str, keys))}**, as waves in "
    f"{choice.relabelling.words(choice.multipliers)}."
    if keys
    else f"**The last snapshot has no key frequency.** Why: {choice.why_none}. So nothing is left for the restricted loss but the "
    "mean, and nothing is excluded."
)
if not run.task().split_known:
    write.caption("Which pairs trained it is unknown, so the losses are over all pairs, and no phases are marked.")
with st.spinner(f"Measuring {len(run.steps)} snapshots …", show_time=True):
    cell(
        progress,
        name=name,
        step=step,
        snapshots=len(run.steps),
        alt=f"Lines over the steps of the {len(run.steps)} snapshots of {name}.",
    )

write.header("How to read it", anchor="reading")
error = measured(name, len(run.steps))["gradient_symmetricity_error"].max()
write.text(
    r"""
- **Restricted loss**: where a network groks by waves of the key frequencies, it falls while the circuit forms, before the test
  loss does. Where it ends below the network's own loss, what the network does beside its circuit only harms it.
- **Excluded loss**, over the training pairs where they are known: it rises as memory is given up for the circuit. The same with
  one key frequency alone taken away says how much hangs on each.
- **Phases**, marked on the curves of training, here and on the slider: *memorization* until the test loss is highest; *circuit
  formation* until it has fallen to half of that; *cleanup* until 99% of the test pairs are right. A phase that does not end is
  the last one; a run that never knows 99% of its training pairs has none.
- **Sum of squared weights**: memory is expensive. Under weight decay it falls when the memorized part is cleaned up.
- **Gini coefficient** of the lengths of the Fourier components: 0 if all frequencies are alike, near 1 if one has everything.
- **Active frequencies**: those whose power in the neurons is above the snapshot's mean + 2 standard deviations, or, of all
  snapshots together, whose share over time is above mean + 1 standard deviation (the rules of the preprint's text and code).
- **Gradient symmetricity** (are $a$ and $b$ used alike?), **distance irrelevance** (does the right logit not depend on $a - b$?)
  and **circularity** (are the embedding's first principal components waves?) were made to tell the “clock” from the “pizza”
  algorithm. Later work disputes that there are just these two: read them together, and with the Formula page. Symmetricity is
  a mean over random triples, """
    f"{analysis.progress.TRIPLES:,} of them; its standard error is at most {error:.3f} here."
)
write.caption(
    "Nanda et al. 2023 (arXiv 2301.05217), section 5; Zhong et al. 2023 (arXiv 2306.17844), section 4. The rule for the phases "
    "is miii's own."
)
