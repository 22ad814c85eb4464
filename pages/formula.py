"""The network as a formula, with the evidence for it."""

import json

import streamlit as st

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from pages._kit import startup, write
from pages._kit.cell import cell, shared, stamp_of
from pages._kit.step_picker import step_of
from pages._parts.formula import live
from pages._tasks.modular.checks import modular_run, some_pairs

startup.run_app_first()

write.title("Formula")
write.text(
    r"""
If the network adds on circles, its logits are a few cosines ($w_k = 2 \pi k / p$):

$$\mathrm{logit}(c \mid a, b) \approx \sum_k \alpha_k \cos\left(w_k (a + b - c) + \varphi_k\right).$$

At each key frequency $k$, the fit takes the strongest of **all** waves in $(a, b)$: nothing forces a sum. Scores are on the other half of
the pairs.
"""
)

run, task = modular_run()
name, step = run.name, step_of(run)
some_pairs(run, task)


@shared
def analyzed(name: str, step: int) -> analysis.verdict.Report:
    run = miii.runs.open(name)
    return analysis.verdict.analyze(run.model(step), run.task())


@shared
def find_keys(name: str, step: int) -> analysis.keys.Choice:
    run = miii.runs.open(name)
    return analysis.keys.of_model(run.model(step), run.task())


@shared
def fitted(name: str, step: int, at: int) -> analysis.formula.Fit:
    run = miii.runs.open(name)
    return find_keys(name, step).fit(analysis.grid.logits(run.model(at), run.task()), run.task())


@shared
def right(name: str, step: int) -> float:
    run = miii.runs.open(name)
    logits = analysis.grid.logits(run.model(step), run.task())
    return (logits.argmax(1) == run.task().labels).double().mean().item()


def terms(name: str, step: int) -> Chart:
    return plots.terms(fitted(name, step, step).formula)


def kinds(name: str, step: int, other: int | None) -> Chart:
    run, choice = miii.runs.open(name), find_keys(name, step)
    found = {}
    for at in (step,) if other is None else (step, other):
        logits = choice.relabelling.logits(analysis.grid.logits(run.model(at), run.task()))
        found[f"step {at}"] = analysis.decomposition.shares(logits, choice.frequencies, choice.multipliers)
    return plots.kinds(found)


def steering(name: str, step: int) -> Chart:
    run, choice = miii.runs.open(name), find_keys(name, step)
    multipliers = fitted(name, step, step).formula.multipliers or (1, 1)
    steered = analysis.steering.steer(
        run.model(step), run.task(), choice.frequencies, multipliers, relabelled=choice.relabelling
    )
    return plots.steering(steered)


with st.spinner("Testing …", show_time=True):
    report, choice, fit = analyzed(name, step), find_keys(name, step), fitted(name, step, step)
keys, relabelled = report.key_frequencies, choice.relabelling
added = report.computes or "a + b"

write.header("The verdict", anchor="verdict")
if report.adds:
    write.box(
        "success",
        f"**{report.verdict[0].upper()}{report.verdict[1:]}**: at step {step} the network adds {added} mod {relabelled.m} on circles.",
        "verified",
    )
elif report.verdict == "memorized":
    write.box(
        "warning",
        f"**Memorized**: at step {step}, train accuracy is {report.train_accuracy:.1%}, test accuracy {report.test_accuracy:.1%}. "
        f"Addition is not shown: {report.reason}.",
        "inventory_2",
    )
else:
    write.box("info", f"**None**: at step {step}, addition is not shown: {report.reason}.", "help")
if not relabelled.natural:
    write.caption(
        f"Here, a is {relabelled.names[0]}, b is {relabelled.names[1]} and c is "
        + (f"the logarithm of the answer to base {relabelled.base}. " if relabelled.base else "the answer. ")
        + (f"{report.left_out} pairs with a zero factor are omitted." if report.left_out else "")
    )
write.table(
    [
        {
            "criterion": criterion.name,
            "result": "pass" if criterion.passed else "fail",
            "measured": criterion.value,
            "bound": criterion.bound,
        }
        for criterion in report.criteria
    ],
    width="content",
    column_config={
        "measured": st.column_config.NumberColumn(format="%.4g"),
        "bound": st.column_config.NumberColumn(format="%.4g"),
    },
    name="verdict-evidence",
)
write.caption(
    "“One sum” counts the operands in the shared sum. The last bounds are baselines: straight moves between answers' means, and random planes."
    + ("" if report.train_accuracy is not None else " The training split is unknown.")
)
write.text(
    f"**Certificate**: the formula proves {report.certified:.1%} of all pairs correct; {report.accuracy:.1%} are."
)
write.caption("An answer's pairs are proven if the formula's margin exceeds their largest residual (arXiv 2412.03773).")

write.header("The formula", anchor="formula")
if fit.formula.terms:
    lines = r" \\ &+ ".join(fit.formula.latex_terms())
    write.latex(rf"\begin{{aligned}} \mathrm{{logit}}(c \mid a, b) \approx{{}}& {lines} \end{{aligned}}")
    cell(
        terms,
        name=name,
        step=step,
        caption=f"All substantial terms are waves in {report.computes} − c."
        if report.computes
        else "The terms share no one sum of $a$ and $b$.",
    )
    st.download_button(
        "SymPy",
        lambda: str(fit.formula.sympy()) + "\n",
        f"{name}-{step}-formula.txt",
        "text/plain",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        help="All digits",
    )
else:
    write.text(f"The formula is **0**, with no key frequency at this step: {choice.why_none}.")

write.header("Run the formula instead of the network", anchor="instead")
write.text(
    r"""
With positive amplitudes and phases near 0, any such formula peaks at $c = a + b$: its accuracy is no evidence, the variance it explains is.
"""
)
earlier = [at for at in run.steps if at < step]
other: int | None = None
if earlier:
    grokked = next((row["step"] for row in run.rows() if row["test_accuracy"] >= 0.5), step)
    offered = [at for at in earlier if at < grokked] or earlier
    other = offered[-1]
    if len(earlier) > 1:
        other = st.select_slider(
            "Earlier snapshot",
            earlier,
            value=other,
            key=f"other-{name}-{step}",
            help="Default: the last below 50% test accuracy",
        )
else:
    write.caption("No earlier snapshot.")
if keys:
    columns = {step: fit} if other is None else {other: fitted(name, step, other), step: fit}
    measures = {
        "network accuracy": {at: right(name, at) for at in columns},
        "formula accuracy": {at: found.accuracy for at, found in columns.items()},
        "logit variance explained": {at: found.variance_explained for at, found in columns.items()},
        "argmax agreement": {at: found.argmax_agreement for at, found in columns.items()},
    }
    write.table(
        [{"measure": text} | {f"step {at}": value for at, value in row.items()} for text, row in measures.items()],
        width="content",
        column_config={f"step {at}": st.column_config.NumberColumn(format="percent") for at in columns},
        name="network-and-formula",
    )
    divergence = " and ".join(f"{found.kl:.3g} nats at step {at}" for at, found in columns.items())
    write.caption(
        f"KL divergence, network to formula: {divergence}. Loss at step {step}: {fit.loss:.3g} nats (formula), {report.loss:.3g} (network)."
    )
else:
    write.caption("No key frequency.")

write.header("What else does the network do?", anchor="beside")
asked = relabelled.words(choice.multipliers)
if relabelled.full:
    cell(
        kinds,
        name=name,
        step=step,
        other=other,
        caption=f"“The sum” is {asked}; “uneven across answers”: waves in the sum and c, but not in sum − c. Waves in c alone "
        f"({report.constant_share:.1%} of the squared logits at step {step}) are omitted.",
    )
else:
    write.caption(f"{relabelled.names[0]} repeats values, so there is no full grid of waves.")

write.header("Steer it", anchor="steering")
write.text(
    rf"""
The causal test: regression finds each key frequency's plane in the last MLP's output. Rotate it by $w_k s$, and the answer should become
{added} + s.
"""
)
if keys:
    with st.spinner("Steering …", show_time=True):
        cell(
            steering,
            name=name,
            step=step,
            caption=f"The answer shifts by s on **{report.steering_accuracy:.2%}** of pairs (mean over s; worst {report.steering_minimum:.2%}). "
            f"Control: rotating other frequencies keeps the answer on {report.steering_control:.2%}. Baselines: {report.steering_chord:.2%} "
            f"moving straight, {report.steering_random:.2%} with random planes.",
        )
    if st.toggle("Turn one answer", key="turn", bind="query-params", help="In your browser"):
        live.show(name, step, stamp_of(run))
else:
    write.caption("No key frequency.")

write.header("All measurements", anchor="report")
st.json(report.to_json(), expanded=False)
st.download_button(
    "JSON",
    lambda: json.dumps(report.to_json(), indent=2),
    f"{name}-{step}-analysis.json",
    "application/json",
    icon=":material/download:",
    type="tertiary",
    on_click="ignore",
    help="As by `miii analyze --json`",
)
