"""What the network is shown."""

from miii.tasks import TASKS
from pages._kit import front, say
from pages._kit.inputs import choose_task
from pages._tasks.view import view_of

front.door()
say.title("Data")
task = choose_task()
view_of(TASKS[task]["kind"]).data(task)
