"""Import a zip file, a folder or external weights; all of it is checked before a run is created."""

import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import get_args

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from miii import foreign, runs
from miii.errors import InputError, quoted
from miii.model.block import ACTIVATIONS
from miii.runs.change import NAME as VALID
from miii.tasks import Operation
from pages._kit import write
from pages._kit.run_picker import RUN
from pages._server import rights, settings
from pages._server.jobs import registry

CHOSEN = "chosen"  # run that the page's buttons act on
MESSAGES, NOTE, DOUBT, WRONG = "runs-said", "runs-note", "runs-doubt", "runs-wrong"  # outcome of the last press
IMPORTED = "runs-brought"  # count of processed files; a new count empties the uploader
SAFE = (".safetensors",)  # weights that a shared server reads


def panel() -> None:
    """Show the three ways to import, as tabs."""
    turn = st.session_state.setdefault(IMPORTED, 0)
    as_zip, as_folder, weights = st.tabs(["Zip file", "Folder", "External weights"])
    with as_zip:
        file = st.file_uploader(
            "A run as a zip file",
            type="zip",
            key=f"zip-{turn}",
            help="From Download or `miii pack`",
        )
        _add("zip", None if file is None else partial(_unzipped, file))
    with as_folder:
        files = st.file_uploader(
            "A run's folder",
            type=["json", "jsonl", "safetensors"],
            accept_multiple_files="directory",
            key=f"folder-{turn}",
            help="As written by `miii train`",
        )
        _add("folder", partial(_unfolded, files) if files else None)
    with weights:
        _weights(turn)


def _weights(turn: int) -> None:
    kinds = _kinds()
    write.text(
        "Weights of a network on pairs modulo $p$, from TransformerLens, torch, nanoGPT or a notebook. Several files become snapshots of one run."
    )
    files = st.file_uploader(
        "Weights",
        type=list(kinds),
        accept_multiple_files=True,
        key=f"weights-{turn}",
        help=None if ".pt" in kinds else "No .pt files here, since they can execute code; use `miii import`",
    )
    with st.container(horizontal=True, gap="small"):
        operations = [name for name in get_args(Operation) if name != "expr"]
        operation = _choose(
            "Trained on",
            operations,
            "most likely",
            "task",
            160,
            "A better fit is reported",
        )
        act = _choose(
            "Activation",
            ACTIVATIONS,
            "recorded or inferred",
            "act",
            200,
            "Files rarely record it",
        )
        layout = _choose("Layout", foreign.NAMES, "recognized", "layout", 200, "The library that wrote the file")
        name = st.text_input("Name", key="weights-name", width=200, placeholder="task-p-imported")
    _add("weights", partial(_imported, files, operation, act, layout, name.strip()) if files else None)


def _choose(label: str, options: Iterable[str], unset: str, key: str, width: int, says: str) -> str | None:
    """Show a choice; ``unset`` is the label of the automatic one."""
    choices = [None, *options]
    return st.selectbox(
        label, choices, format_func=lambda name: name or unset, key=f"weights-{key}", width=width, help=says
    )


def _kinds() -> tuple[str, ...]:
    """Return the endings of the files of weights that this server reads."""
    return SAFE if settings.read().shared else foreign.KINDS


def _unzipped(file: UploadedFile) -> runs.Run:
    settings.check_disk(file.size)
    return runs.unpack(file.getvalue(), taken=_taken(), limits=settings.upload())


def _unfolded(files: list[UploadedFile]) -> runs.Run:
    settings.check_disk(sum(file.size for file in files))
    return runs.unpack_files({file.name: file.getbuffer() for file in files}, taken=_taken(), limits=settings.upload())


def _imported(
    files: list[UploadedFile], operation: str | None, act: str | None, layout: str | None, name: str
) -> runs.Run:
    settings.check_disk(sum(file.size for file in files))
    if name and not VALID.fullmatch(name):
        raise InputError(f"name must be letters, digits, dots, underscores and hyphens (got {quoted(name)}).")
    safe = not any(kind in _kinds() for kind in foreign.TORCH)
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            path = Path(folder) / _safe_name(file.name)
            if safe and path.suffix.lower() not in SAFE:
                raise InputError(f"{path.name} must be a .safetensors file on a shared server, which loads no pickles.")
            path.write_bytes(file.getbuffer())
        source = path if len(files) == 1 else Path(folder)
        try:
            contents = foreign.read(source, allow_pt=False) if safe else foreign.read_in_sandbox(source)
            found = foreign.examine(
                contents, foreign.Claim(operation), foreign.Settings(act=act), layout, settings.upload()
            )
            out = runs.free_folder(name or f"{found.task.name}-imported", _taken())
            run, _ = foreign.import_run(source, out, found=found)
        except InputError as error:  # hide the temporary folder
            raise InputError(str(error).replace(f"{folder}/", "")) from None
    told = "; ".join(f"{title}: {value}" for title, value in found.lines().items())
    st.session_state[NOTE] = " ".join([f"{told}.", *found.recognized.notes])
    if warning := found.fitness.warning:
        st.session_state[DOUBT] = f"{run.name}: {warning}"
    return run


def _safe_name(name: str) -> str:
    stem, ending = Path(name).stem[:60], Path(name).suffix.lower()
    return f"{foreign.printable(stem)}{foreign.printable(ending)}"


def _add(kind: str, make: Callable[[], runs.Run] | None) -> None:
    st.button(
        "Import",
        key=f"add-{kind}",
        icon=":material/add:",
        disabled=make is None,
        on_click=_take_in,
        args=(make, kind == "weights"),
    )


def _take_in(make: Callable[[], runs.Run], again: bool) -> None:
    """Import; ``again``: keep a refused file, since other settings may fit."""
    try:
        run = make()
        rights.set_owner(run.name)
    except InputError as error:
        st.session_state[WRONG] = str(error)
        # otherwise the next file replaces this one, and Streamlit sometimes loses it
        st.session_state[IMPORTED] += not again
    else:
        st.session_state[IMPORTED] += 1
        st.session_state[CHOSEN] = st.session_state[RUN] = run.name
        st.session_state[MESSAGES] = f"Imported {run.name}."


def _taken() -> list[str]:
    return [job.name for job in registry().all()]
