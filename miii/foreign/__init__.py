"""Other people's weights: layouts, recognition, import and export."""

from miii.foreign.claim import Fitness, Reading, measure
from miii.foreign.export import FORMATS, to_state_dict, write_file
from miii.foreign.files import KINDS, TORCH, read
from miii.foreign.importing import Claim, Found, examine, import_run, left_out
from miii.foreign.layouts import LAYOUTS, Layout
from miii.foreign.recognize import NAMES, Recognized, recognize
from miii.foreign.sandbox import read_in_sandbox
from miii.foreign.settings import Settings
from miii.foreign.unwrap import Contents, printable, unwrap

__all__ = [
    "FORMATS",
    "KINDS",
    "LAYOUTS",
    "NAMES",
    "TORCH",
    "Claim",
    "Contents",
    "Fitness",
    "Found",
    "Layout",
    "Reading",
    "Recognized",
    "Settings",
    "examine",
    "import_run",
    "left_out",
    "measure",
    "printable",
    "read",
    "read_in_sandbox",
    "recognize",
    "to_state_dict",
    "unwrap",
    "write_file",
]
