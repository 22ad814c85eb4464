"""Training controls of every page that trains: start, pause, resume, stop and progress.

Each action checks the session's permissions itself; disabling a button is not enough.
"""

import streamlit as st

from miii import RunConfig, runs
from miii.errors import InputError
from miii.jobs import Job
from pages._kit import write
from pages._kit.inputs import stop_button
from pages._kit.run_picker import RUN
from pages._kit.step_picker import STEP
from pages._server import rights, settings
from pages._server.jobs import registry, waiting

POLL = 0.4  # seconds between polls of a running job
NOTE, WRONG = "note", "message"  # outcome of the last button press


def start(config: RunConfig) -> None:
    """Start training a new run, and select it."""
    folder = runs.new_folder(config, taken=[job.name for job in registry().all()])
    try:
        check_start(config)
        rights.set_owner(folder.name)  # before it trains, so that limits count it
        registry().start(folder, config, settings.read().max_seconds)
    except InputError as error:
        rights.remove_owner(folder.name)
        st.session_state[WRONG] = str(error)
    else:
        st.session_state[RUN] = folder.name
        st.session_state.pop(STEP, None)


def resume(name: str) -> None:
    """Resume a stopped run."""
    try:
        rights.check(name)
        run = runs.open(name)
        check_start(run.config)
        registry().resume(run, settings.read().max_seconds)
    except InputError as error:
        st.session_state[WRONG] = str(error)


def check_start(config: RunConfig) -> None:
    """Check that this session may train another run.

    Raises:
        InputError: too many runs train or wait, or the run is too large for this server.
    """
    busy = [job.name for job in waiting()]
    settings.check_start(config, len(busy), sum(rights.why_not(name) is None for name in busy))


def pause(name: str) -> None:
    """Pause a run after its current step."""
    if (job := _mine(name)) is not None:
        registry().pause(job)


def stop(name: str) -> None:
    """Stop a run after its current step, or remove it from the queue."""
    job = _mine(name)
    if job is None:
        return
    if job.status == "queued":
        st.session_state[NOTE] = f"{name} was taken out of the queue before its first step."
    registry().stop(job)
    job.wait(0.5)  # time for the current step and for writing the run


def _mine(name: str) -> Job | None:
    """Return the job of a run if this session may change it; otherwise show why not."""
    try:
        rights.check(name)
    except InputError as error:
        st.session_state[WRONG] = str(error)
        return None
    return registry().get(name)


def messages() -> None:
    """Show the outcome of the last button press."""
    if NOTE in st.session_state:
        write.info(st.session_state.pop(NOTE), icon="stop")
    if WRONG in st.session_state:
        write.error(st.session_state.pop(WRONG))


def show(name: str, job: Job | None, run: runs.Run | None, config: RunConfig, at: int, more: str = "") -> None:
    """Show the state of a run, its buttons and its progress.

    Args:
        job: its current or past job.
        run: its folder, if any.
        at: its last evaluated step on disk.
        more: text next to the progress bar.
    """
    text, icon = _status(job, run)
    why_not = rights.why_not(name)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(f":material/{icon}: **{write.escaped(text)}**", width="content")
        if job is not None and not job.ended:
            st.button(
                "Pause",
                icon=":material/pause:",
                on_click=pause,
                args=(name,),
                disabled=why_not is not None or job.status != "running",
                help=why_not or "Resume loses nothing",
            )
            stopping = None if job.status in ("queued", "running") else "Ends after this step"
            stop_button(stop, name, why_not=why_not or stopping, help_text="Keeps the run")
        elif run is not None and run.can_resume:
            st.button(
                "Resume",
                icon=":material/play_arrow:",
                on_click=resume,
                args=(name,),
                disabled=why_not is not None,
                help=why_not or "As if never interrupted",
            )
    if run is None or not run.imported:
        at = job.step.step if job is not None and job.step is not None else at
        ended = run is not None and run.result is not None and not run.result["stopped"]
        st.progress(1.0 if ended else min(1.0, at / config.steps), text=_bar(job, config, at) + more)


def unfinished(run: runs.Run) -> None:
    """Say that a run still trains, or that it was stopped, with a button that resumes it."""
    job = registry().get(run.name)
    if job is not None and not job.ended:
        st.markdown(f":material/sync: Training: results may change until step {run.config.steps:,}.")
        return
    result = run.result
    if result is None or not result["stopped"] or not run.can_resume:
        return
    why_not = rights.why_not(run.name)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":material/stop: Stopped at step {result['steps']:,} of {run.config.steps:,}: more training may change results.",
            width="content",
        )
        st.button(
            "Resume",
            icon=":material/play_arrow:",
            key="resume_unfinished",
            on_click=resume,
            args=(run.name,),
            disabled=why_not is not None,
            help=why_not,
        )


def _bar(job: Job | None, config: RunConfig, at: int) -> str:
    ends = (config.steps_after_grok, config.until_accuracy, config.seconds)
    most = "" if all(end is None for end in ends) else "at most "
    note = f"step {at:,} of {most}{config.steps:,}"
    if job is None or job.status != "running" or not job.rate:
        return note
    left = job.seconds_left or 0
    if config.seconds is not None and job.step is not None:
        left = min(left, max(0, config.seconds - job.step.seconds))
    pace = f"{job.rate:.0f}" if job.rate >= 10 else f"{job.rate:.1f}"
    return f"{note} · {pace} steps/s · {most}{left:.0f} s left"


def _status(job: Job | None, run: runs.Run | None) -> tuple[str, str]:
    """Return the state of the run as text, and an icon."""
    if job is not None and job.status == "queued":
        ahead = registry().ahead(job)
        return f"Queued: {ahead} {'job is' if ahead == 1 else 'jobs are'} ahead.", "hourglass_empty"
    if job is not None and job.status == "failed":
        return job.message, "error"
    if job is not None and not job.ended:
        return {"running": "Training", "stopping": "Stopping", "pausing": "Pausing"}[job.status], "sync"
    if run is None:
        return "Stopped before its first step.", "stop"
    if run.running:
        return "Training in another process", "sync"
    result = run.result
    if result is None:
        return "Interrupted: it can be resumed." if run.can_resume else "Interrupted.", "stop"
    if job is not None and job.status == "paused":
        return f"Paused at step {result['steps']:,}", "pause"
    if run.imported and len(run.steps) > 1:
        return f"Imported: {len(run.steps)} snapshots of a network trained elsewhere", "download"
    if run.imported:
        return "Imported: its training was not recorded", "download"
    if job is not None and job.message:
        return job.message, "stop"
    if "diverged_at" in result:
        return f"Diverged at step {result['diverged_at']:,}: a smaller learning rate may help", "error"
    if result["stopped"]:
        short = run.can_resume and result["steps"] < run.config.steps
        return f"Stopped at step {result['steps']:,}{' of ' + format(run.config.steps, ',') if short else ''}", "stop"
    return f"Finished at step {result['steps']:,}", "check"
