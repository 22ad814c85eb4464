"""Similarity, next and unmasking on the page Sequences: accuracy on held-out families, beside baselines."""

import streamlit as st

import miii
from miii import analysis
from miii.runs import Run
from miii.tasks import Sequences
from pages._kit import write
from pages._kit.cell import shared


@shared
def answered(name: str, step: int) -> dict[str, float]:
    run = miii.runs.open(name)
    task = run.task()
    return analysis.targets.accuracy(run.model(step), task, ~task.train_mask)


@shared
def baselines(name: str) -> dict[str, float]:
    run = miii.runs.open(name)
    config = run.config.task
    assert isinstance(config, miii.Sequences)
    return analysis.targets.baselines(run.task(), config)


def show(run: Run, step: int, task: Sequences) -> None:
    """Show how often a network answers a question other than kinds and continuation."""
    write.header("How accurate is it?", anchor="scores")
    write.text(f"{run.name}: {task.description}. All figures are on held-out rule families.")
    found, without = answered(run.name, step), baselines(run.name)
    with st.container(horizontal=True):
        write.metric("Network", f"{found['all']:.1%}", border=True, help="All answers of an example correct")
        write.metric("Decision tree", f"{without['tree']:.1%}", border=True, help="On differences and ratios")
        write.metric("Majority", f"{without['majority']:.1%}", border=True, help="The most frequent answers")
    if len(found) > 2:
        write.table([{"answer": name, "accuracy": f"{share:.1%}"} for name, share in found.items()], name="answers")
