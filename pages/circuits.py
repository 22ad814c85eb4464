"""Circuits: the edges that matter, found by four methods, and patching."""

import streamlit as st

import miii
from miii import analysis, plots
from miii.model.tap import sites
from miii.plots.style import Chart
from pages._kit import startup, write
from pages._kit.cell import cell, shared
from pages._kit.step_picker import step_of
from pages._parts.circuits import edges
from pages._tasks.modular.checks import all_pairs, modular_run, positions

startup.run_app_first()

write.title("Circuits")
write.text(
    """
Each part writes to the **residual stream**, which later parts read. **Corrupting** such an edge gives it the value from a pair with another
answer. The edges that matter most form the **circuit**.
"""
)

run, task = modular_run()
name, step = run.name, step_of(run)


@shared
def patched(name: str, step: int) -> analysis.patching.Sweep:
    run = miii.runs.open(name)
    return analysis.patching.sweep(run.model(step), run.task())


def patching(name: str, step: int, by_head: bool, places: str) -> Chart:
    return plots.patching(patched(name, step), places, by_head=by_head)


def path_patching(name: str, step: int, site: str, layer: int | None, head: int | None, places: str) -> Chart:
    run = miii.runs.open(name)
    receiver = analysis.patching.Node(site, layer, head)
    sweep = analysis.patching.sweep_paths(run.model(step), run.task(), [receiver])
    title = f"Recovered on the path to {receiver.name}"
    return plots.patching(sweep, places, by_head=None, title=title)


def without_frequencies(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    removed = analysis.ablation.site_frequencies(run.model(step), run.task(), "logits")
    return plots.ablation(removed)


if run.config.model.plain:
    edges.show(run, step, positions(task))
else:
    write.info(
        f"No edge graph: {run.config.model.block} blocks with {run.config.model.mixer} do not add up.",
        icon="info",
    )

write.header("Which activations carry the answer?", anchor="patching")
by_head = st.toggle("Head by head", key="by-head", bind="query-params")
with st.spinner("Patching every activation …", show_time=True):
    sweep = patched(name, step)
cell(
    patching,
    name=name,
    step=step,
    by_head=by_head,
    places=positions(task),
    width="content",
    caption="Each cell patches one clean activation into the pass on another pair: 1 recovers the answer, 0 changes nothing. Logit difference: "
    f"{sweep.clean:.3g} clean, {sweep.corrupt:.3g} corrupted; if they hardly differ, shares mean little.",
)

write.header("Along which paths?", anchor="paths")
last, heads = run.config.model.n_layers - 1, range(run.config.model.n_heads)
receivers: dict[str, tuple[str, int | None, int | None]] = {"logits": ("logits", None, None)}
receivers[f"MLP {last}"] = ("mlp_pre", last, None)
receivers |= {
    f"head {last}.{h}, {word}": (letter, last, h)
    for h in heads
    for letter, word in (("q", "query"), ("k", "key"), ("v", "value"))
    if letter in sites(run.config.model)
}
receiver = st.selectbox(
    "Receiver",
    list(receivers),
    key="receiver",
    bind="query-params",
    width=260,
)
site, layer, head = receivers[receiver]
cell(
    path_patching,
    name=name,
    step=step,
    site=site,
    layer=layer,
    head=head,
    places=positions(task),
    width="content",
    caption="Only direct paths are patched.",
)

write.header("Which frequencies does the answer need?", anchor="frequencies")
all_pairs(run, task)
cell(
    without_frequencies,
    name=name,
    step=step,
    caption="Each bar removes one frequency in a or b.",
)
