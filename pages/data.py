"""What the network is shown."""

from miii.tasks import TASKS, named
from pages._kit import front, say
from pages._parts.train.form import choose_task
from pages._tasks.frames import data as data_frames
from pages._tasks.miu import data as data_miu
from pages._tasks.modular import data as data_modular
from pages._tasks.primes import data as data_primes
from pages._tasks.residues import data as data_residues

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
