"""A run is a folder: written while it trains, readable at any moment, by anyone.

    config.json                    the RunConfig
    provenance.json                versions, processor, precision, threads, date
    metrics.jsonl                  a line an evaluation, appended
    snapshots/<step>.safetensors   weights; float16 on the way, float32 at the end
    resume.safetensors             what resuming needs; absent from finished runs
    result.json                    written when the run has ended
    report.json                    what was measured of the last network, where someone kept it

Every file but ``metrics.jsonl`` is written beside its place and moved there, so that a reader never sees half of one.
"""

from miii.runs.bundle import pack, unpack, unpack_files, write_pack
from miii.runs.change import discard, rename, restore, trash
from miii.runs.checks import LIMITS, Limits, check_size
from miii.runs.find import Broken, broken, broken_row, every, free_folder, homes, new_folder, open, row, shipped, tidy
from miii.runs.manage import adopt, ship, thin
from miii.runs.read import Run
from miii.runs.write import follow, provenance, record, resume, save_report, summary

__all__ = [
    "LIMITS",
    "Broken",
    "Limits",
    "Run",
    "adopt",
    "broken",
    "broken_row",
    "check_size",
    "discard",
    "every",
    "follow",
    "free_folder",
    "homes",
    "new_folder",
    "open",
    "pack",
    "provenance",
    "record",
    "rename",
    "restore",
    "resume",
    "row",
    "save_report",
    "ship",
    "shipped",
    "summary",
    "thin",
    "tidy",
    "trash",
    "unpack",
    "unpack_files",
    "write_pack",
]
