"""External weights: state dicts of TransformerLens' HookedTransformer, read, checked and written."""

from miii.transformer_lens.claim import accuracies, doubt, likelier
from miii.transformer_lens.files import import_run, read_file, write_file
from miii.transformer_lens.state import from_state_dict, left_out, to_state_dict

__all__ = [
    "accuracies",
    "doubt",
    "from_state_dict",
    "import_run",
    "left_out",
    "likelier",
    "read_file",
    "to_state_dict",
    "write_file",
]
