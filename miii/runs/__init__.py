"""A run is a folder, readable at any moment while it trains.

    config.json                    the RunConfig
    provenance.json                versions, processor, precision, threads, date
    metrics.jsonl                  one line per evaluation, appended
    snapshots/<step>.safetensors   weights in float16, the last in float32
    resume.safetensors             the training state; absent from finished runs
    result.json                    written at the end of the run
    report.json                    optional report on the last snapshot
    notes.json                     optional notes by step

All files except ``metrics.jsonl`` are written atomically, so readers never see a partial file.
"""

from miii.runs.bundle import pack, unpack, unpack_files, write_pack
from miii.runs.change import discard, rename, restore, trash
from miii.runs.checks import LIMITS, Limits, check_size
from miii.runs.files import nbytes
from miii.runs.find import (
    Broken,
    broken,
    broken_row,
    every,
    free_folder,
    homes,
    new_folder,
    open,
    remove_unfinished,
    row,
    shipped,
)
from miii.runs.manage import create_run, ship, thin
from miii.runs.notes import check_note, load_notes, save_note
from miii.runs.read import Run
from miii.runs.together import follow_together
from miii.runs.write import follow, provenance, record, resume, save_report, summary

__all__ = [
    "LIMITS",
    "Broken",
    "Limits",
    "Run",
    "broken",
    "broken_row",
    "check_note",
    "check_size",
    "create_run",
    "discard",
    "every",
    "follow",
    "follow_together",
    "free_folder",
    "homes",
    "load_notes",
    "nbytes",
    "new_folder",
    "open",
    "pack",
    "provenance",
    "record",
    "remove_unfinished",
    "rename",
    "restore",
    "resume",
    "row",
    "save_note",
    "save_report",
    "ship",
    "shipped",
    "summary",
    "thin",
    "trash",
    "unpack",
    "unpack_files",
    "write_pack",
]
