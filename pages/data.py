"""What the network is shown."""

from miii.tasks import TASKS, named
from pages._ui import data_frames, data_miu, data_modular, data_primes, data_residues, front, say
from pages._ui.form import choose_task

front.door()
say.title("Data")
task = choose_task()
match named(task):
    case "primes":
        data_primes.page()
    case "residues":
        data_residues.page()
    case "miu":
        data_miu.page()
    case "frames":
        data_frames.page()
    case _:
        data_modular.page(TASKS[task]["operation"])
