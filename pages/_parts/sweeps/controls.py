"""Start, stop, extend and import sweeps; each action checks the session's permissions itself."""

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from miii import RunConfig, runs, sweeps
from miii.errors import InputError, quoted
from miii.runs.change import NAME
from pages._kit import write
from pages._kit.inputs import stop_button
from pages._kit.run_picker import run_name
from pages._server import rights, settings, sweeping

SWEEP = "sweep"  #: widget key and URL parameter
DONE, WRONG, TURN = "sweep-done", "sweep-wrong", "sweep-turn"  # outcome of the last press; number of uploads
MOST_SEEDS = 50


def messages() -> None:
    """Show the outcome of the last button press."""
    if DONE in st.session_state:
        write.success(st.session_state.pop(DONE))
    if WRONG in st.session_state:
        write.error(st.session_state.pop(WRONG))


def start(name: str) -> None:
    """Train what is left of a sweep."""
    try:
        rights.check(name)
        sweeping.start(sweeps.open(runs.homes()[0] / name))
    except InputError as error:
        st.session_state[WRONG] = str(error)


def stop(name: str) -> None:
    """Stop a sweep."""
    try:
        rights.check(name)
    except InputError as error:
        st.session_state[WRONG] = str(error)
    else:
        sweeping.stop(name)


def create() -> None:
    """Create a sweep from the form, and start it."""
    name = st.session_state["new-sweep-name"].strip()
    try:
        run = runs.open(run_name() or "")
        if not NAME.fullmatch(name) or any((home / name).exists() for home in runs.homes()):
            raise InputError(f"name must be letters, digits, dots and hyphens, and new (got {quoted(name)}).")
        _make(name, run.config, st.session_state["new-sweep-grid"], st.session_state["new-sweep-seeds"], new=True)
    except InputError as error:
        st.session_state[WRONG] = str(error)
    else:
        st.session_state[SWEEP] = name


def extend(sweep: sweeps.Sweep) -> None:
    """Add the form's values and seeds to a sweep, and start it."""
    try:
        rights.check(sweep.name)
        more = st.session_state[f"extend-grid-{sweep.name}"]
        _make(sweep.name, sweep.base, more, st.session_state[f"extend-seeds-{sweep.name}"], new=False)
    except InputError as error:
        st.session_state[WRONG] = str(error)


def _make(name: str, base: RunConfig, text: str, seeds: int, new: bool) -> None:
    folder = runs.homes()[0] / name
    chosen = sweeps.choices(text.split())
    if not new:
        before = sweeps.open(folder)
        chosen = {option: chosen.pop(option, list(values)) for option, values in before.grid.items()} | chosen
    most = settings.read().max_sweep
    count, _ = sweeps.estimate(base, chosen | {"seed": range(seeds)})
    if most is not None and count > most:
        raise InputError(f"sweep must have at most {most} runs on this server (got {count:,}).")
    settings.check_run(base)
    try:
        if new:
            rights.set_owner(name)
        sweep = sweeps.create(folder, base, chosen, seeds, threads=1)
        sweeping.start(sweep)
    except InputError:
        if new and not folder.exists():
            rights.remove_owner(name)
        raise


def show(sweep: sweeps.Sweep) -> None:
    """Show the buttons of a sweep."""
    training = sweeping.get(sweep.name)
    live = training is not None and not training.ended
    why = rights.why_not(sweep.name)
    left = sum(number for status, number in sweep.counts().items() if status not in ("done", "diverged"))
    with st.container(horizontal=True, gap="small"):
        if live:
            stop_button(stop, sweep.name, why_not=why, help_text="You can continue later")
        elif left:
            st.button(
                f"Train the {left} left",
                icon=":material/play_arrow:",
                on_click=start,
                args=(sweep.name,),
                disabled=why is not None,
                help=why or "One at a time, after single runs",
            )
        with st.popover(
            "Extend",
            icon=":material/add:",
            disabled=why is not None or live,
            help=why or "Finished runs stay",
        ):
            st.text_input(
                "More values",
                key=f"extend-grid-{sweep.name}",
                placeholder=" ".join(f"{option}=…" for option in sweep.grid) or "no options",
                max_chars=500,
                help="For the options above",
            )
            st.number_input(
                "Seeds",
                min_value=1,
                max_value=MOST_SEEDS,
                value=min(MOST_SEEDS, len(sweep.seeds)),
                key=f"extend-seeds-{sweep.name}",
                help="Number of seeds, from 0",
            )
            st.button(
                "Extend and train",
                key="extend",
                on_click=extend,
                args=(sweep,),
                disabled=why is not None,
                help=why,
            )
    if training is not None and training.message:
        write.warning(training.message, icon="error")


def panel() -> None:
    """Show the forms for a new sweep and for one from elsewhere."""
    new, file = st.tabs(["New sweep", "From a zip file"])
    with new:
        name = run_name()
        write.text(f"The sweep varies options of {write.escaped(name)}." if name else "Choose a run first.")
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
            st.text_input("Name", "my-sweep", key="new-sweep-name", max_chars=60, width=160)
            st.text_input(
                "Grid",
                "lr=0.003,0.01 weight_decay=0.5,2",
                key="new-sweep-grid",
                max_chars=500,
                width=330,
                help="Options of `miii train`, each with its values",
            )
            st.number_input(
                "Seeds",
                min_value=1,
                max_value=MOST_SEEDS,
                value=2,
                key="new-sweep-seeds",
                width=110,
                help="Number of seeds, from 0",
            )
            st.button(
                "Start sweep",
                icon=":material/play_arrow:",
                type="primary",
                on_click=create,
                disabled=name is None,
            )
        found = settings.read()
        if found.max_sweep is not None:
            limit = "" if found.max_seconds is None else f" and trains for at most {found.max_seconds:,} seconds"
            st.caption(f"On this server a sweep has at most {found.max_sweep} runs{limit}.")
    with file:
        given = st.file_uploader(
            "A sweep's folder, zipped",
            type="zip",
            key=f"sweep-zip-{st.session_state.setdefault(TURN, 0)}",
            help="From `zip -r sweep.zip FOLDER`",
        )
        st.button(
            "Add to the sweeps",
            key="add-sweep-zip",
            icon=":material/add:",
            disabled=given is None,
            on_click=_take_in,
            args=(given,),
        )


def _take_in(file: UploadedFile) -> None:
    st.session_state[TURN] += 1
    try:
        settings.check_disk(file.size)
        sweep = sweeps.unpack(file.getvalue(), limits=settings.upload())
        rights.set_owner(sweep.name)
    except InputError as error:
        st.session_state[WRONG] = str(error)
    else:
        st.session_state[SWEEP] = sweep.name
        st.session_state[DONE] = f"Added {sweep.name}, with {len(sweep.configs)} runs."
