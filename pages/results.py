"""The draft's results chapter, filled: every number is read from a run that came with miii."""

import pandas as pd
import streamlit as st

import miii
from miii import analysis, plots, runs
from miii.plots.style import Chart
from pages._ui import front
from pages._ui.cell import cell
from pages._ui.sieve_residues import ASKED as SOLVED
from pages._ui.sieve_residues import counted
from pages._ui.take import csv

front.door()

HOME = runs.homes()[1]
NOTE = "Every number on this page was measured on a run that came with miii, and is computed anew by a test."


def shipped(name: str) -> dict | None:
    """The report of a run that came with miii; None where there is none."""
    return runs.open(HOME / name).report if (HOME / name / "config.json").exists() else None


def active_frequencies(name: str) -> Chart:
    report = miii.runs.open(name).report
    assert report is not None
    return plots.active_frequencies(analysis.multitask.reported(report))


def measures(reports: dict[str, dict], q: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run": list(reports),
            "explained": [report["digit_variance_explained"][q] for report in reports.values()],
            "chance": [report["digit_variance_chance"][q] for report in reports.values()],
            "interchange": [report["interchange_accuracy"][q] for report in reports.values()],
            "its control": [report["interchange_control"][q] for report in reports.values()],
            "steering": [report["steering_accuracy"][q] for report in reports.values()],
            "its control ": [report["steering_control"][q] for report in reports.values()],
            "probe": [report["probe_r2"]["trained"][q] for report in reports.values()],
            "untrained": [report["probe_r2"]["untrained"][q] for report in reports.values()],
            "passes": ["yes" if f"modulo {q}" in report["verdict"] else "no" for report in reports.values()],
        }
    )


def table(frame: pd.DataFrame, name: str) -> None:
    st.dataframe(
        frame,
        hide_index=True,
        column_config={
            column: st.column_config.NumberColumn(format="%.3f") for column in frame.select_dtypes("number").columns
        },
    )
    csv(lambda: frame, name, "The numbers of this table")


FOUND = {
    "exact": "Found by exact patching: every edge was corrupted by itself.",
    "eap-ig": "Found by gradients (EAP-IG), for there are too many edges to corrupt each by itself; measured by patching.",
}


def circuit(found: dict, title: str, name: str) -> None:
    st.subheader(title)
    with st.container(horizontal=True):
        st.metric("Faithfulness", f"{found['faithfulness']:.3f}", border=True)
        st.metric("Without", f"{found['without']:.3f}", border=True)
        st.metric("Edges", len(found["edges"]), border=True)
    st.caption(FOUND[found["method"]])
    edges = pd.DataFrame({"edge": list(found["edges"]), "worth in logits": list(found["edges"].values())})
    table(edges, name)


st.title("Results")
st.markdown(
    f"""
The draft paper promises to show that a transformer which is only told whether an integer is prime *has learned to perform
modular addition*. Its results chapter is filler. This one is not: {NOTE[0].lower()}{NOTE[1:]}
"""
)

primes = shipped("primes-10")
if primes is None:
    st.info("The runs that came with miii are not here.", icon=":material/info:")
    st.stop()

st.header("Modular addition", anchor="addition")
st.markdown(
    r"""
An integer is divisible by $q$ when $\sum_i d_i\, 10^i \equiv 0 \pmod q$: **primality is modular addition**. In base 10 the
weights modulo 3 are all 1, so to see multiples of 3 is to add the digits modulo 3. Nothing told the network so: it saw five
digits and one bit. Five networks, from five seeds, on held-out integers:
"""
)
seeds = {path.parent.name: runs.open(path.parent).report for path in sorted(HOME.glob("seeds/*/config.json"))}
reports = {"primes-10": primes} | {name: report for name, report in seeds.items() if report is not None}
frame = measures(reports, "3")
table(frame, "addition-modulo-3")
passed = int((frame.passes == "yes").sum())
st.markdown(
    f"""
- **Explained**: the share of what the digits add to the sum that their residue modulo 3 alone explains. *Add as integers,
  then look up* would not pass: there 1, 4 and 7 add different amounts. By chance: {frame.chance.mean():.2f}.
- **Interchange**: give a number another one's place in the plane of residues; the share that changes sides, and its control,
  where the other number is of the same kind.
- **Steering**: add what another residue of one digit would add; the share that changes sides, and its control.
- **Probe**: the best held-out $R^2$ with which $\\cos$ and $\\sin$ of $2\\pi n / 3$ can be read off linearly, anywhere in
  the network, against the same network before training.

The rule of the verdict: explained at least .9, both crossings at least .95, both controls at most .05.
**{passed} of {len(frame)}** networks pass.
"""
)

st.header("Circuits", anchor="circuits")
st.markdown(
    """
Each circuit is found on held-out examples that differ in one question only: every edge of the network is scored by what its
corruption does, and the best edges are taken until they bring back 90 % of the difference that the question makes to the answer. *Faithfulness* is
what the circuit brings back alone; *without* is what all other edges bring back when the circuit is corrupted.
"""
)
QUESTIONS = {
    "base": "Circuit 1: is the last digit 1, 3, 7 or 9?",
    "3": "Circuit 2: do the digits add up to a multiple of 3?",
}
for question, title in QUESTIONS.items():
    found = primes["circuits"].get(question)
    if found is None:
        continue
    circuit(found, title, f"circuit-{question}")
st.markdown(
    """
An edge `embed@4 -> 0.h0.k@4` is how the token at position 4, the last digit, sets the key of head 0 there; `.v` its value; position
5 is `?`, where the answer is read. So the two circuits share the head, the neurons and the output, and differ in what they read:
the first mostly the last digit's **key**, that is, how much attention it draws; the second all digits' **values**, that is, what
they add to the sum. The draft's *attention weights 1 and 2* are these two uses of one head: to point, and to add.
"""
)

st.header("Depth of sieve", anchor="depth")
assisted = shipped("primes-10-assisted")
listed = {"primes-10": primes} | ({"primes-10-assisted": assisted} if assisted else {})
st.markdown(
    """
How far does a network's judgement go beyond the last digit? **Depth** is the largest prime up to which every factor is seen:
primes against the composites whose smallest factor it is, with a held-out AUC whose 95 % lower bound is at least .95.
"""
)
with st.container(horizontal=True):
    for name, report in listed.items():
        st.metric(f"Depth, {name}", report["sieve_depth"], border=True)
        st.metric(f"ROC AUC, {name}", f"{report['roc_auc']:.3f}", border=True)
factors = pd.DataFrame({name: report["auc_by_factor"] for name, report in listed.items()})
factors["trial division up to it"] = pd.Series(primes["oracle_auc_and_base"])
table(factors.rename_axis("smallest factor").reset_index(), "auc-by-factor")
st.markdown(
    """
`primes-10` is **label-only**: nothing but the one bit, base 10, half of the integers.
`primes-10-assisted` was also asked for residues, so it says what such a network *can* do, not what it finds by itself.
"""
)

miu = shipped("miu-24")
if miu is not None:
    st.header("The same in a puzzle about strings", anchor="miu")
    st.markdown(
        """
Hofstadter's MIU puzzle asks which strings can be derived. The answer is arithmetic: those whose number of I's is not a multiple
of 3. A network that is shown strings and one bit, without positions:
"""
    )
    table(measures({"miu-24": miu}, "3"), "miu")
    last = runs.open(HOME / "miu-24").rows()[-1]
    with st.container(horizontal=True):
        st.metric("Held-out strings as long as those in training", f"{last['accuracy_as_long']:.2%}", border=True)
        st.metric("Longer strings", f"{last['accuracy_longer']:.2%}", border=True)
    circuit(miu["circuits"]["3"], "Circuit 3: is the number of I's a multiple of 3?", "circuit-miu")

residues = shipped("residues-113")
if residues is not None:
    run = runs.open(HOME / "residues-113")
    st.header("All residues at once", anchor="residues")
    st.markdown(
        r"""
What the paper became: $n = x_0 + 113\,x_1$ as two tokens, and asked at once are $n \bmod q$ for every prime $q < 113$. Held-out
numbers answered right:
"""
    )
    right = residues["accuracy"]
    with st.container(horizontal=True):
        st.metric(
            "Tasks with at least 99.5 %", f"{sum(x >= SOLVED for x in right.values())} of {len(right)}", border=True
        )
        st.metric("Worst task", f"{residues['accuracy_worst']:.2%}", border=True)
        st.metric("Minutes of training", f"{run.rows()[-1]['seconds'] / 60:.0f}", border=True)
    looking = [max(x0, x1) / (x0 + x1) for x0, x1, _ in residues["heads"]]
    yes = residues["heads_look_at_one_digit"]
    st.markdown(
        "**Does each head look at one digit**, as the preprint found? "
        + ("Yes" if yes else "No")
        + f": of what the heads give to the digits, {', '.join(f'{share:.0%}' for share in looking)} go to one of them."
    )
    active = analysis.multitask.reported(residues)
    cell(
        active_frequencies,
        name=run.name,
        alt="Active frequencies by snapshot, by both rules.",
        see=f"Measured on the {len(active.steps)} snapshots of its training, of which the last came with miii.",
    )
    told = (("within each step", active.within), ("over all steps together", active.overall))
    st.markdown(
        "**Do active frequencies rise and fall** while it generalises, as the preprint reports? Counted "
        + "; ".join(f"{rule}: {counted(marks.sum(1).tolist(), list(active.steps))}" for rule, marks in told)
        + "."
    )
