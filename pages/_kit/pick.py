"""Which run and which snapshot a page shows: chosen in the sidebar, kept in the URL."""

from dataclasses import dataclass
from typing import NoReturn

import streamlit as st

import miii
from miii import ModularAddition, runs
from miii.analysis.modular import grid
from miii.analysis.modular.phases import Phase, outline
from miii.errors import QUOTED, InputError, shortened
from pages._kit import address, links, say
from pages._kit.beside import BESIDE
from pages._kit.cell import stamp_of
from pages._kit.player import player
from pages._parts.train.form import LIMIT
from pages._server import control, rights, settings
from pages._server.jobs import registry, waiting

RUN, STEP = "run", "step"  #: keys of what is chosen, and names in the URL
LONGEST, DIGITS = 500, 10  # characters of all steps in a sentence, and of one that may be meant


@dataclass(frozen=True)
class Picked:
    """A run and one of its snapshots."""

    run: runs.Run
    step: int


def run_picker(beside: bool) -> None:
    """The run, in the sidebar of every page.

    Args:
        beside: whether the page can show a second one.
    """
    kinds = {run.name: run.config.task.kind for run in runs.every()}
    options = [*(job.name for job in reversed(waiting()) if job.name not in kinds), *kinds]
    asked = address.followed(RUN)
    if asked in options:
        st.session_state[RUN] = asked
    elif asked is not None:
        say.warning(f"There is no run named “{shortened(asked, QUOTED)}” here; showing another one.")
    if st.session_state.get(RUN) not in options:  # a page that only leads to another one has no picker to keep it
        kept = address.written(RUN)
        st.session_state[RUN] = kept if kept in options else options[0] if options else None
    # not bound to the URL by Streamlit, which leaves a value out of it that no widget has changed
    st.selectbox(
        "Run",
        options,
        index=None,
        key=RUN,
        help="Runs trained here or on the command line, then those that came with miii. The choice is part of the URL.",
    )
    address.keep(st.session_state[RUN])
    if beside:
        _beside_picker(options, kinds)
    elif BESIDE in st.session_state:
        st.session_state[BESIDE] = st.session_state[BESIDE]  # or it would be forgotten, like all that is not shown


def _beside_picker(options: list[str], kinds: dict[str, str]) -> None:
    """A second run, whose figures stand beside the first one's.

    Args:
        kinds: of the tasks of the runs that are on disk.
    """
    chosen = str(st.session_state.get(RUN))
    alike = [name for name in options if name != chosen and kinds.get(name) == kinds.get(chosen)]
    asked = st.query_params.get(BESIDE)
    if BESIDE not in st.session_state and asked and asked not in alike:
        links.note(
            f"{BESIDE} must be another run on a task of the same kind (got {shortened(asked, QUOTED)}); showing none."
        )
    if st.session_state.get(BESIDE, asked) not in alike:
        st.session_state[BESIDE] = None
    st.selectbox(
        "Beside it",
        alike,
        index=None,
        key=BESIDE,
        bind="query-params",
        placeholder="no other run",
        help="A second run on a task of the same kind: each figure of it stands beside the first one's, at its nearest snapshot.",
    )


def run_name() -> str | None:
    """The name chosen in the sidebar; None where there is no run at all."""
    return st.session_state.get(RUN)


def start(config: miii.RunConfig) -> None:
    """Train a new run in the background, and choose it; what is wrong is kept as ``message`` for the page to say."""
    folder = runs.new_folder(config, taken=[job.name for job in registry().all()])
    try:
        control.check_start(config)
        rights.own(folder.name)  # before it trains, or another session's limit would not count it
        registry().start(folder, config, settings.read().max_seconds)
    except InputError as error:
        rights.release(folder.name)
        st.session_state["message"] = str(error)
    else:
        st.session_state[RUN] = folder.name
        st.session_state.pop(STEP, None)


#: What the other kinds of task are about.
ABOUT = {
    "primes": "learns which integers are prime",
    "residues": "learns the residues of a number",
    "miu": "learns which strings are theorems",
    "frames": "learns to write the next integer and its label",
}

HOME = {"frames": "Frames"}  #: the page that shows what they have learned, where it is not Sieve


def modular_run(shows: str) -> tuple[runs.Run, ModularAddition]:
    """The chosen run and its task; where that is another than modular arithmetic, says what the page is for and stops.

    Args:
        shows: what the page shows, as in "This page shows ... of a network".
    """
    run = chosen_run()
    task = run.config.task
    if not isinstance(task, ModularAddition):
        say.info(
            f"This page shows {shows} of a network that calculates with pairs of numbers modulo p; {run.name} "
            f"{ABOUT[task.kind]}, and what it has learned is on the page {HOME.get(task.kind, 'Sieve')}.",
            icon="signpost",
        )
        st.stop()
    return run, task


def all_pairs(run: runs.Run, task: ModularAddition) -> int:
    """The p of a task made of all pairs of Z_p; says so and stops the page where there is none to analyse."""
    small_enough(run, task)
    try:
        return grid.modulus(run.task())
    except InputError as error:
        _stop(run, str(error))


def small_enough(run: runs.Run, task: ModularAddition) -> int:
    """The p of a run; says so and stops the page where the grid of all pairs is too large for the app."""
    if task.p > LIMIT:
        _stop(run, f"p must be at most {LIMIT} in the app (got {task.p}).")
    return task.p


def _stop(run: runs.Run, why: str) -> NoReturn:
    say.info(f"{run.name} cannot be shown here: {why}")
    st.stop()


def run_and_step() -> Picked:
    """The chosen run, and one of its snapshots by a slider; stops the page where there is nothing to look at."""
    run = chosen_run()
    return Picked(run, step_of(run))


def step_of(run: runs.Run) -> int:
    """One of a run's snapshots by a slider; stops the page where its weights are not numbers."""
    step = _step(run)
    if not _finite(run.name, step, stamp_of(run)):
        _stop(run, f"its weights at step {step} are not finite, for its training fell apart.")
    return step


def chosen_run() -> runs.Run:
    """The chosen run; stops the page where it has no snapshot yet."""
    name = run_name()
    if name is None:
        say.info("There is no run yet. Train one first, on the page Train.", icon="play_circle")
        st.stop()
    try:
        run = miii.runs.open(name)
        steps = run.steps
    except InputError as error:
        steps, waiting = [], registry().get(name)
        if waiting is None:
            say.error(error)
            st.stop()
    if not steps:
        say.info(f"{name} has not begun to train; its first snapshot appears here with its first step.")
        st.stop()
    return run


def _step(run: runs.Run) -> int:
    """The chosen snapshot; the last one as long as none is chosen, also of a run that still trains."""
    steps, asked = run.steps, address.followed(STEP)
    if asked is not None:
        known = asked.isascii() and asked.isdecimal() and len(asked) < DIGITS and int(asked) in steps
        if not known:
            listed = shortened(", ".join(map(str, steps)), LONGEST)
            links.note(f"step must be one of {listed} (got {shortened(asked, QUOTED)}); showing {steps[-1]}.")
        st.session_state[STEP] = int(asked) if known else None
    elif address.came_back() and STEP not in st.query_params:
        st.session_state[STEP] = None
    step = st.session_state.get(STEP)
    if step not in steps or step == steps[-1]:
        st.session_state[STEP], step = None, steps[-1]
    address.write(STEP, None if step == steps[-1] else str(step))
    if len(steps) > 1:
        with st.bottom:
            player(steps, step, _phases(run.name, stamp_of(run), len(steps)))
    return step


@st.cache_data(max_entries=256, show_spinner=False)
def _finite(name: str, step: int, stamp: float) -> bool:
    return all(value.isfinite().all() for value in runs.open(name).weights(step).values())


@st.cache_data(max_entries=64, show_spinner=False)
def _phases(name: str, stamp: float, snapshots: int) -> tuple[Phase, ...]:
    run = runs.open(name)
    grokked_at = (run.result or {}).get("grokked_at")
    return outline(run.metrics(), grokked_at) if run.rows() else ()
