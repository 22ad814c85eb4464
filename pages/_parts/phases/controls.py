"""Start, stop and continue a phase diagram; each action checks the session's permissions itself."""

import streamlit as st

from miii import runs, sweeps
from miii.errors import InputError
from miii.sweeps import phases
from pages._kit import write
from pages._kit.inputs import stop_button
from pages._parts.sweeps.controls import WRONG, stop
from pages._server import rights, settings, sweeping

DIAGRAM = "diagram"  #: widget key and URL parameter: a sweep with two options that vary
SMALLEST, LARGEST = 4, 32  # values of an axis
#: The options that can be axes: label, and the bounds of the form.
LABELS = {
    "lr": ("Learning rate", 0.001, 0.1),
    "weight_decay": ("Weight decay", 0.1, 8.0),
    "train_fraction": ("Training share", 0.3, 0.9),
    "d_model": ("Width", 8.0, 64.0),
    "init_scale": ("Initial scale", 0.3, 3.0),
}


def label(option: str) -> str:
    """Return what an option is called."""
    return LABELS[option][0] if option in LABELS else option


def axes_of(sweep: sweeps.Sweep) -> list[str]:
    """Return the options of a sweep that vary and are numbers."""
    return [name for name in sweep.varying if all(map(_is_number, sweep.grid[name]))]


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def go_on(diagram: sweeps.Diagram) -> None:
    """Train what a diagram still needs."""
    try:
        rights.check(diagram.sweep.name)
        sweeping.start(diagram.sweep, diagram)
    except InputError as error:
        st.session_state[WRONG] = str(error)


def create() -> None:
    """Create a diagram from the form, and start it."""
    state = st.session_state
    x, y = state["phases-x"], state["phases-y"]
    try:
        if x == y:
            raise InputError(f"axes must be two different options (got {label(x)} twice).")
        choices = {
            name: phases.spaced(name, state[f"phases-{name}-low"], state[f"phases-{name}-high"], state["phases-count"])
            for name in (x, y)
        }
        fixed = {name: state[f"phases-{name}"] for name in LABELS if name not in (x, y)}
        base = phases.base(state["phases-p"], **fixed, steps=state["phases-steps"])
        most = settings.read().max_sweep
        if most is not None and len(choices[x]) * len(choices[y]) > most:
            raise InputError(
                f"a diagram must have at most {most} cells on this server (got {len(choices[x]) * len(choices[y])})."
            )
        settings.check_run(base)
        folder = runs.free_folder(f"phases-{base.task.name}-{x}-{y}".replace("_", "-"))
        rights.set_owner(folder.name)
        try:
            sweep = sweeps.create(folder, base, choices, threads=1)
            sweeping.start(sweep, sweeps.Diagram(sweep, x, y))
        except InputError:
            if not folder.exists():
                rights.remove_owner(folder.name)
            raise
    except InputError as error:
        state[WRONG] = str(error)
    else:
        state[DIAGRAM] = folder.name


def show(diagram: sweeps.Diagram) -> None:
    """Show the button of a diagram and why its training stopped."""
    name = diagram.sweep.name
    training, why = sweeping.get(name), rights.why_not(name)
    if training is not None and not training.ended:
        stop_button(stop, name, why_not=why, help_text="You can continue later")
    elif why is None and (left := diagram.next()):
        st.button(
            f"Continue: {len(left)} networks",
            icon=":material/play_arrow:",
            on_click=go_on,
            args=(diagram,),
        )
    if training is not None and training.message:
        write.warning(training.message, icon="error")


def progress(diagram: sweeps.Diagram, cells: int, known: int) -> None:
    """Show how many cells are known, and how far the networks are that train now."""
    training = sweeping.get(diagram.sweep.name)
    text = f"{known} of {cells} cells known"
    if training is None or training.ended:
        if known < cells:
            st.progress(known / cells, text=text)
        return
    text += f" · {training.group} networks train: {training.share:.0%}"
    if training.seconds_left is not None:
        text += f", at most {training.seconds_left:.0f} s left"
    st.progress(known / cells, text=text)


def panel() -> None:
    """Show the form for a new diagram."""
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        x = _axis("Horizontal", "phases-x", list(LABELS))
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        y = _axis("Vertical", "phases-y", [name for name in reversed(LABELS) if name != x], "weight_decay")
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        st.number_input("Values per axis", SMALLEST, LARGEST, 8, key="phases-count", width=140)
        st.number_input("p", 5, 31, 13, key="phases-p", width=110, help="For addition modulo p")
        st.number_input("Steps", 100, 10_000, 1000, 100, key="phases-steps", width=130, help="Per network")
        with st.popover("Other options", icon=":material/tune:", help="Of all networks"):
            values = sweeps.phases.base()
            defaults = {"lr": values.optimizer.lr, "weight_decay": values.optimizer.weight_decay}
            defaults |= {"train_fraction": values.task.train_fraction or 0.8, "init_scale": 1.0}
            for name, value in defaults.items():
                if name not in (x, y):
                    st.number_input(
                        label(name), value=value, step=None, format="%g", key=f"phases-{name}", help=f"`{name}`"
                    )
            if "d_model" not in (x, y):
                st.number_input(label("d_model"), 4, 128, 32, 4, key="phases-d_model", help="`d_model`")
        st.button(
            "Train",
            icon=":material/play_arrow:",
            type="primary",
            on_click=create,
            help="Above 8 × 8, refined where neighbors differ",
        )


def _axis(title: str, key: str, options: list[str], first: str = "lr") -> str:
    """Show the pickers of an axis and its bounds; return the option."""
    index = options.index(first) if first in options else 0
    if st.session_state.get(key) not in options:
        st.session_state.pop(key, None)
    chosen = st.selectbox(title, options, index, format_func=label, key=key, width=150)
    _, low, high = LABELS[chosen]
    spacing = "equal steps" if chosen == "train_fraction" else "equal ratios"
    for end, value in (("low", low), ("high", high)):
        st.number_input(
            "From" if end == "low" else "To",
            value=value,
            step=None,
            format="%g",
            key=f"phases-{chosen}-{end}",
            width=85,
            help=f"In {spacing}",
        )
    return chosen
