"""Notes on the steps of a run, in its folder as ``notes.json``: the text of each step that has one."""

from collections.abc import Mapping
from typing import Any, Final

from miii.errors import InputError, quoted
from miii.runs.atomic import write_json
from miii.runs.change import check_own
from miii.runs.files import find_json
from miii.runs.read import Run

FILE: Final = "notes.json"
LONGEST: Final = 280  #: characters of a note, so that a link can carry it
MOST: Final = 1000  #: notes of a run


def check_note(text: object) -> str:
    """Return a note on one line.

    Raises:
        InputError: it is empty, longer than ``LONGEST`` or has characters that cannot be printed.
    """
    line = " ".join(text.split()) if isinstance(text, str) and len(text) <= 10 * LONGEST else ""
    if not 0 < len(line) <= LONGEST or not line.isprintable():
        raise InputError(f"note must be text of 1 to {LONGEST} characters (got {quoted(text)}).")
    return line


def check_notes(values: Mapping[str, Any]) -> dict[int, str]:
    """Return the notes in the JSON object of ``notes.json``, by step.

    Raises:
        InputError: a key is not a step, a note is invalid, or there are too many.
    """
    if len(values) > MOST:
        raise InputError(f"{FILE} must have at most {MOST} notes (got {len(values)}).")
    for step in values:
        if not (step.isascii() and step.isdecimal() and len(step) <= 18):
            raise InputError(f"{FILE} must have steps as its keys (got {quoted(step)}).")
    return {int(step): check_note(text) for step, text in values.items()}


def load_notes(run: Run) -> dict[int, str]:
    """Return the notes of a run, by step.

    Raises:
        InputError: ``notes.json`` cannot be read or is invalid.
    """
    return check_notes(find_json(run.folder / FILE) or {})


def save_note(run: Run, step: int, text: str) -> None:
    """Write the note on a step of a run in ``runs``; an empty text removes it.

    Raises:
        InputError: the run is shipped, has no such snapshot, or cannot be written, or the note is invalid.
    """
    check_own(run)
    if step not in run.steps:
        raise InputError(f"step must be that of a snapshot of {run.name} (got {step}).")
    notes = load_notes(run) | {step: check_note(text) if text.strip() else ""}
    kept = {str(at): notes[at] for at in sorted(notes) if notes[at]}
    check_notes(kept)
    try:
        write_json(run.folder / FILE, kept)
    except OSError as error:
        raise InputError(f"{run.folder / FILE} could not be written: {error.strerror or error}.") from None
