"""Your own input, followed through the network: what it looks at, what it says, and who argued for that."""

from pages._kit import startup, write
from pages._kit.step_picker import run_and_step
from pages._tasks.checks import redirect
from pages._tasks.view import view_of

startup.run_app_first()

write.title("Try it")
picked = run_and_step()
task = picked.run.config.task
follow = view_of(task.kind).follow
if follow is None:
    redirect(picked.run, "how one number, pair or string becomes an answer")
follow(picked.run, task, picked.step)
