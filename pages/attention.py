"""Attention: patterns, QK and OV circuits, and ablation of heads."""

from miii.model.tap import sites
from pages._kit import startup, write
from pages._kit.step_picker import run_and_step
from pages._tasks.checks import redirect
from pages._tasks.view import view_of

startup.run_app_first()

write.title("Attention")
write.text(
    """
The last token, where the answer is read, sees the others only through attention: each head takes a weighted mean. The weights are its **pattern**.
"""
)

picked = run_and_step()
run = picked.run
if "pattern" not in sites(run.config.model):
    redirect(run, "a run with attention", lambda other: "pattern" in sites(other.config.model))
view_of(run.config.task.kind).attention(run, run.config.task, picked.step)
