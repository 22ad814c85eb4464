"""What a network that was asked for primes, for all residues, or for theorems learned."""

from miii.tasks import MIU, Frames, Primes, Residues
from pages._kit import front, say
from pages._kit.pick import ABOUT, chosen_run, step_of
from pages._tasks.miu import inside as sieve_miu
from pages._tasks.primes import inside as sieve_primes
from pages._tasks.residues import inside as sieve_residues

front.door()

say.title("Sieve")
run = chosen_run()
task = run.config.task
match task:
    case Primes():
        sieve_primes.page(run, task, step_of)
    case MIU():
        sieve_miu.page(run, task, step_of)
    case Residues():
        sieve_residues.page(run, task, step_of)
    case Frames():
        say.info(
            "This page shows what a network learned that was asked one thing about a number or a string; "
            f"{run.name} {ABOUT[task.kind]}, and what it has learned is on the page Frames.",
            icon="signpost",
        )
    case _:
        say.info(
            "This page shows what a network learned that was asked for primes, for all residues of a number, or for the "
            f"theorems of the MIU puzzle; {run.name} calculates with pairs of numbers modulo p, and what it has learned is on "
            "the pages Fourier and Formula.",
            icon="signpost",
        )
