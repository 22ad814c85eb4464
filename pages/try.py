"""Your own input, followed through the network: what it looks at, what it says, and who argued for that."""

from pages._kit import front, say
from pages._kit.step_picker import run_and_step
from pages._tasks.checks import elsewhere
from pages._tasks.view import view_of

front.door()

say.title("Try it")
picked = run_and_step()
task = picked.run.config.task
follow = view_of(task.kind).follow
if follow is None:
    elsewhere(picked.run, "how one number, pair or string becomes an answer")
follow(picked.run, task, picked.step)
