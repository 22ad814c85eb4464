"""The examples of a task."""

from miii.tasks import TASKS
from pages._kit import startup, write
from pages._kit.inputs import choose_task, follow_run
from pages._kit.run_picker import run_name
from pages._tasks.view import view_of

startup.run_app_first()
write.title("Data")
follow_run(run_name())
task = choose_task()
view_of(TASKS[task]["kind"]).data(task)
