"""Your own input, followed through the network: what it looks at, what it says, and who argued for that."""

from miii.tasks import MIU, ModularAddition, Primes, Residues
from pages._kit import front, links, say
from pages._kit.pick import run_and_step
from pages._tasks.miu import follow as follow_miu
from pages._tasks.modular import follow as follow_modular
from pages._tasks.primes import follow as follow_primes
from pages._tasks.residues import follow as follow_residues

front.door()

say.title("Try it")
picked = run_and_step()
run, step = picked.run, picked.step
match run.config.task:
    case ModularAddition() as task:
        follow_modular.page(run, task, step)
    case Primes() as task:
        follow_primes.page(run, task, step)
    case Residues() as task:
        follow_residues.page(run, task, step)
    case MIU() as task:
        follow_miu.page(run, task, step)
    case _:
        say.info(
            f"This page follows one number, pair or string to its answer; {run.name} writes a whole sequence, frame by frame, and what "
            "it writes after your own first frames is on the page Frames.",
            icon="signpost",
        )
        links.to("frames", "Frames", ":material/view_carousel:")
