"""What a network on primes, residues, gcd or MIU has learned."""

from pages._kit import startup, write
from pages._kit.run_picker import chosen_run
from pages._kit.step_picker import step_of
from pages._server import control
from pages._tasks.checks import redirect
from pages._tasks.view import view_of

startup.run_app_first()

write.title("Sieve")
run = chosen_run()
task = run.config.task
inside = view_of(task.kind).inside
if inside is None:
    redirect(
        run,
        "a run on primes, residues, the gcd or MIU",
        lambda other: view_of(other.config.task.kind).inside is not None,
    )
control.unfinished(run)
inside(run, task, step_of)
