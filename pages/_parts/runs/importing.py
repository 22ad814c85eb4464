"""Runs from elsewhere: a zip file, a folder, or other people's weights. All of it is checked before it is a run."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from miii import ModularAddition, runs, transformer_lens
from miii.errors import InputError
from miii.model.block import ACTIVATIONS
from miii.tasks import Operation
from miii.transformer_lens.state import printable
from pages._kit import write
from pages._kit.run_picker import RUN
from pages._server import rights, settings
from pages._server.jobs import registry
from pages._server.settings import LIMIT

CHOSEN = "chosen"  # the run that the buttons of the page act on
MESSAGES, NOTE, DOUBT, WRONG = "runs-said", "runs-note", "runs-doubt", "runs-wrong"  # what came of the last press
IMPORTED = "runs-brought"  # how many files were taken in or refused: another number is an empty uploader
SAFE, OWN = ("safetensors",), ("safetensors", "pt", "pth")  # kinds of weights that a shared server reads, and one's own


def panel() -> None:
    """Three ways in, side by side as tabs."""
    turn = st.session_state.setdefault(IMPORTED, 0)
    as_zip, as_folder, weights = st.tabs(["Zip file", "Folder", "Weights of others"])
    with as_zip:
        file = st.file_uploader(
            "A run as a zip file",
            type="zip",
            key=f"zip-{turn}",
            help="What the button Download gives here and `miii pack RUN --out FILE.zip` in a shell, of at most 50 MB.",
        )
        _add("zip", None if file is None else partial(_unzipped, file))
    with as_folder:
        files = st.file_uploader(
            "A run's folder",
            type=["json", "jsonl", "safetensors"],
            accept_multiple_files="directory",
            key=f"folder-{turn}",
            help="Drop the folder that `miii train` wrote, on a laptop or a cluster: its config, its metrics and its snapshots, "
            "of at most 100 MB together.",
        )
        _add("folder", partial(_unfolded, files) if files else None)
    with weights:
        _weights(turn)


def _weights(turn: int) -> None:
    write.text(
        "Weights of a HookedTransformer of **TransformerLens** 1 to 3 that calculates with pairs of numbers: tokens 0 to $p - 1$, and "
        "“=” as token $p$, without norms or with LayerNorm. A file of weights does not say what it was trained on, so please do."
    )
    kinds = _kinds()
    file = st.file_uploader(
        "Weights",
        type=list(kinds),
        key=f"weights-{turn}",
        help="At most 50 MB. "
        + (
            "A .pt file is read by torch's restricted loader, which takes tensors alone."
            if "pt" in kinds
            else "A shared server reads .safetensors alone, for a .pt file is a program as much as data; `miii import` reads both."
        ),
    )
    with st.container(horizontal=True, gap="small"):
        operation = st.selectbox(
            "Trained on",
            [name for name in get_args(Operation) if name != "expr"],
            key="weights-task",
            width=160,
            help="What the answer is: a + b, a - b, a * b, a^2 + ab + b^2, or a control; formulas of your own go by the command line.",
        )
        p = st.number_input(
            "Modulus p",
            value=113,
            step=1,
            key="weights-p",
            width=140,
            help=f"From 2 to {LIMIT}, as everywhere in the app.",
        )
        act = st.selectbox("Activation", ACTIVATIONS, key="weights-act", width=140, help="What its neurons do")
        causal = st.toggle(
            "Causal", True, key="weights-causal", help="Whether a position sees only itself and those before it"
        )
        lnpre = st.toggle(
            "LNPre", False, key="weights-lnpre", help="Whether it has LayerNorms without weights, which no file shows"
        )
    _add("weights", None if file is None else partial(_imported, file, operation, p, act, causal, lnpre))


def _kinds() -> tuple[str, ...]:
    """Return the endings of the files of weights that this server reads."""
    return SAFE if settings.read().shared else OWN


def _unzipped(file: UploadedFile) -> runs.Run:
    settings.check_disk(file.size)
    return runs.unpack(file.getvalue(), taken=_taken(), limits=settings.upload())


def _unfolded(files: list[UploadedFile]) -> runs.Run:
    settings.check_disk(sum(file.size for file in files))
    return runs.unpack_files({file.name: file.getbuffer() for file in files}, taken=_taken(), limits=settings.upload())


def _imported(file: UploadedFile, operation: str, p: int, act: str, causal: bool, lnpre: bool) -> runs.Run:
    values: dict[str, Any] = {
        "operation": operation,
        "p": p,
    }  # an empty field gives no p, which the task says in a sentence
    task = ModularAddition(**values, train_fraction=None)
    stem, ending = Path(file.name).stem[:60], Path(file.name).suffix.lower()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{printable(stem)}{printable(ending)}"
        path.write_bytes(file.getbuffer())
        out = runs.free_folder(f"{task.name}-imported", _taken())
        try:
            run, extras = transformer_lens.import_run(
                path, out, task, act, causal, allow_pt="pt" in _kinds(), limits=settings.upload(), lnpre=lnpre
            )
        except InputError as error:  # where it lies for a moment says nothing to its owner
            raise InputError(str(error).replace(f"{folder}/", "")) from None
    found = transformer_lens.accuracies(run)
    notes = [f"Accuracy over all pairs, as {task.name}: {found[operation]:.1%}."]
    notes += [transformer_lens.left_out(extras)] if extras else []
    st.session_state[NOTE] = " ".join(notes)
    if warning := transformer_lens.doubt(run, found):
        st.session_state[DOUBT] = f"{run.name}: {warning}"
    return run


def _add(kind: str, make: Callable[[], runs.Run] | None) -> None:
    st.button(
        "Add to the runs",
        key=f"add-{kind}",
        icon=":material/add:",
        disabled=make is None,
        on_click=_take_in,
        args=(make, kind == "weights"),
        help="Checks everything, and makes a run of it only if all is right.",
    )


def _take_in(make: Callable[[], runs.Run], again: bool) -> None:
    """What the button does; ``again``: a refused file may be right with another task or modulus, and stays."""
    try:
        run = make()
        rights.set_owner(run.name)
    except InputError as error:
        st.session_state[WRONG] = str(error)
        # else the next file would take the place of this one, and Streamlit sometimes loses one that does
        st.session_state[IMPORTED] += not again
    else:
        st.session_state[IMPORTED] += 1
        st.session_state[CHOSEN] = st.session_state[RUN] = run.name
        st.session_state[MESSAGES] = f"{run.name} is here, and is now the run that every page shows."


def _taken() -> list[str]:
    return [job.name for job in registry().all()]
