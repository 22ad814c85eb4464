"""Which edges of the network's graph make the answer: found automatically, checked against the truth."""

import streamlit as st

import miii
from miii import analysis, plots
from miii.model.tap import sites
from miii.plots.style import Chart
from pages._kit import startup, write
from pages._kit.cell import cell, shared
from pages._kit.step_picker import step_of
from pages._parts.circuits import edges
from pages._tasks.modular.checks import all_pairs, modular_run

startup.run_app_first()

write.title("Circuits")
write.text(
    """
A network is a graph: every part (the embedding, each head, each MLP) writes, and every later part reads, at some position. An
edge is one part's output as one input hears it. **Corrupt** an edge, that is, let it carry what it would carry for another pair
with another answer, and see what becomes of the answer. The edges that matter are the **circuit**.
"""
)

run, task = modular_run()
name, step = run.name, step_of(run)


@shared
def patched(name: str, step: int) -> analysis.patching.Sweep:
    run = miii.runs.open(name)
    return analysis.patching.sweep(run.model(step), run.task())


def patching(name: str, step: int, by_head: bool) -> Chart:
    return plots.patching(patched(name, step), ["a", "b", "="], by_head=by_head)


def path_patching(name: str, step: int, site: str, layer: int | None, head: int | None) -> Chart:
    run = miii.runs.open(name)
    receiver = analysis.patching.Node(site, layer, head)
    sweep = analysis.patching.sweep_paths(run.model(step), run.task(), [receiver])
    title = f"Carried over on the path to {receiver.name}"
    return plots.patching(sweep, ["a", "b", "="], by_head=None, title=title)


def without_frequencies(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    removed = analysis.ablation.site_frequencies(run.model(step), run.task(), "logits")
    return plots.ablation(removed)


if run.config.model.plain:
    edges.show(run, step)
else:
    write.info(
        f"The graph of {name} has no edges that add up: its blocks are {run.config.model.block}, and positions exchange information "
        f"by {run.config.model.mixer}. Whole activations can be patched all the same.",
        icon="info",
    )

write.header("Which activations carry the answer?", anchor="patching")
by_head = st.toggle(
    "Head by head", key="by-head", bind="query-params", help="Single heads in place of whole activations"
)
with st.spinner("Patching every activation …", show_time=True):
    sweep = patched(name, step)
cell(
    patching,
    name=name,
    step=step,
    by_head=by_head,
    width="content",
    alt="Share of the answer that each clean activation carries into a corrupted run, by site and position.",
    caption="Each cell puts one activation of the clean run into the corrupted one: 1 carries the whole answer over, 0 nothing. In "
    f"logits, the clean answer is {sweep.clean:.3g} above the corrupted run's in the clean run and {sweep.corrupt:.3g} in the "
    "corrupted one: where these two hardly differ, as without training, the shares mean little.",
)

write.header("On which paths?", anchor="paths")
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
    "Received by",
    list(receivers),
    key="receiver",
    bind="query-params",
    width=260,
    help="Every embedding, head and MLP before it sends, position by position, along the direct path alone",
)
site, layer, head = receivers[receiver]
cell(
    path_patching,
    name=name,
    step=step,
    site=site,
    layer=layer,
    head=head,
    width="content",
    alt=f"Share of the answer carried over on the direct path to {receiver} from every sender and position.",
    caption="Only what the receiver hears of the sender is replaced; all other paths stay as in the corrupted run.",
)

write.header("Which frequencies does the answer need?", anchor="frequencies")
all_pairs(run, task)
cell(
    without_frequencies,
    name=name,
    step=step,
    alt="Loss with everything of each frequency removed from the logits.",
    caption="Everything in the logits that moves with either operand at that frequency is taken out, one frequency at a time.",
)
