"""Similarity, next and unmasking on the page Sequences: accuracy on held-out families, beside baselines."""

import pandas as pd
import streamlit as st

import miii
from miii import analysis
from miii.runs import Run
from miii.tasks import Sequences
from pages._kit import links, write
from pages._kit.cell import shared
from pages._kit.step_picker import open_run

RUNS = "sequences.jsonl"  # written by python -m benchmarks sequences
QUESTIONS = {
    "kinds": "Which kinds hold?",
    "similarity": "Do two sequences share a rule family?",
    "next": "Does the second half follow the first?",
    "continuation": "What is the next term?",
    "unmasking": "What is the hidden term?",
}


@shared
def answered(name: str, step: int) -> dict[str, float]:
    run = miii.runs.open(name)
    task = run.task()
    return analysis.targets.accuracy(run.model(step), task, ~task.train_mask)


@shared
def measured_runs() -> pd.DataFrame:
    found = analysis.sieve.load_runs(miii.runs.homes()[1] / RUNS)
    return analysis.targets.over_seeds(found).assign(n=found[0]["n"], steps=found[0]["steps"])


@shared
def baselines(name: str) -> dict[str, float]:
    run = miii.runs.open(name, miii.Sequences)
    return analysis.targets.baselines(run.task(), run.task_config)


def show(run: Run, step: int, task: Sequences) -> None:
    """Show how often a network answers a question other than kinds and continuation."""
    write.header("How accurate is it?", anchor="scores")
    write.text(f"{run.name}: {task.description}. On held-out rule families.")
    found, without = answered(run.name, step), baselines(run.name)
    with st.container(horizontal=True):
        write.metric("Network", f"{found['all']:.1%}", border=True, help="All answers correct")
        write.metric("Decision tree", f"{without['tree']:.1%}", border=True, help="On differences and ratios")
        write.metric("Majority", f"{without['majority']:.1%}", border=True, help="The most frequent answer")
    if len(found) > 2:
        write.table([{"answer": name, "accuracy": f"{share:.1%}"} for name, share in found.items()], name="answers")
    over_seeds(task.target)
    others(run, task)


def others(run: Run, task: Sequences) -> None:
    """Show what else can be asked about sequences, how well networks answer it, and ways to a network that does."""
    write.header("Other questions", anchor="questions")
    trained = [each for each in miii.runs.every() if isinstance(each.config.task, Sequences) and each.steps]
    measured = measured_runs() if (miii.runs.homes()[1] / RUNS).exists() else pd.DataFrame({"target": []})
    rows, chosen = [], {}
    for target, question in QUESTIONS.items():
        if target == task.target:
            continue
        names = [each.name for each in trained if each.config.task.target == target]  # type: ignore[union-attr]
        small = measured[measured["target"] == target].to_dict("records")
        best = max(small, key=lambda row: row["network"], default=None)
        row: dict[str, object] = {"target": target, "question": question, "runs": ", ".join(names) or "none is shipped"}
        rows.append(
            row | {name: None if best is None else best[name] for name in ("seeds", "network", "tree", "majority")}
        )
        if names:
            chosen[target] = names[0]
    write.table(pd.DataFrame(rows).round(3), name="questions", width="content")
    write.caption("Small runs, medians over seeds, held-out families: macro F1 for kinds, else all answers correct.")
    with st.container(horizontal=True, gap="small"):
        for target, name in chosen.items():
            open_run(name, f"open-{target}")
        links.to("train", "Train one", ":material/play_arrow:", task="sequences")


def over_seeds(target: str) -> None:
    """Show the small runs that were measured on a target, over seeds; nothing if there are none."""
    if not (miii.runs.homes()[1] / RUNS).exists():
        return
    rows = measured_runs()
    n, steps = (int(rows[name].iloc[0]) for name in ("n", "steps"))
    rows = rows[rows["target"] == target].drop(columns=["target", "n", "steps"]).reset_index(drop=True)
    if rows.empty:
        return
    write.header("Which encoding?" if target == "kinds" else "Over seeds", anchor="encodings")
    write.table(rows.dropna(axis=1, how="all").round(3), name="encodings", width="content")
    score = "Macro F1" if target == "kinds" else "Share with all answers correct"
    write.caption(
        f"{score} on held-out families, medians over seeds ({n:,} sequences, {steps} steps). “magnitude”: sign and size alone."
    )
