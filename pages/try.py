"""One input, followed through the network: tokens, attention, neurons, logits."""

from pages._kit import startup, write
from pages._kit.step_picker import run_and_step
from pages._tasks.checks import redirect
from pages._tasks.view import view_of

startup.run_app_first()

write.title("Follow an input")
picked = run_and_step()
task = picked.run.config.task
follow = view_of(task.kind).follow
if follow is None:
    redirect(
        picked.run,
        "a run on another task than frames",
        lambda other: view_of(other.config.task.kind).follow is not None,
    )
follow(picked.run, task, picked.step)
