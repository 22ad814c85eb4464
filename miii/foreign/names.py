"""Names that a layout of modules does not list: blocks without a number, and tables known by their shapes alone."""

import re
from collections.abc import Mapping
from typing import Final

from torch import Tensor

from miii.foreign.layouts import Layout, Place

#: Weights outside of blocks that are recognized by their shapes, in the usual order of a file.
MLP: Final = ("#.W_in", "#.b_in", "#.W_out", "#.b_out")
OUTER: Final = ("W_E", "W_pos", "W_U")
FEW: Final = 5  #: most positions of a table that can only be one of positions
BLOCK: Final = r"(\w+\.)?(block|layer|encoder|decoder|transformer|transformer_block|encoder_layer)\."


def numbered(layout: Layout, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the tensors with the names of a single block completed: ``block.ln1.w`` becomes ``blocks.0.ln1.w``.

    Unchanged if a block has a number already.
    """
    deepest = layout.deepest()
    if not layout.loose or any(deepest.fullmatch(name) for name in state):
        return state
    outer = [place for name in layout.tensors if name[0] != "#" and (place := layout.place(name))]
    inner = {
        name: place for name in layout.tensors if name[0] == "#" and (place := layout.place(f"blocks.0.{name[2:]}"))
    }  # fmt: skip
    found = {}
    for name, value in state.items():
        whole = f"blocks.0.{re.sub(f'^{BLOCK}', '', name)}"
        known = [ours for ours, place in inner.items() if place.names.fullmatch(whole)]
        if all(ours in MLP for ours in known) and any(place.names.fullmatch(name) for place in outer):
            known = []  # fc_out may be the last map of all
        found[whole if known and whole not in state else name] = value
    return found


def by_shape(
    layout: Layout, state: Mapping[str, Tensor], places: Mapping[str, tuple[str, Place]]
) -> dict[str, tuple[str, Place]]:
    """Return places for missing embeddings, positions and unembedding: unused matrices of width d_model, in file order.

    One matrix too few means that there are no positions, or that the unembedding is the embedding.
    """
    missing = [name for name in OUTER if name not in places]
    block = next((theirs for name, (theirs, _) in places.items() if name == "blocks.0.W_in"), None)
    if not layout.loose or not missing or block is None:
        return {}
    d, used = state[block].shape[-1], {theirs for theirs, _ in places.values()}
    free = {
        name: value
        for name, value in state.items()
        if name not in used and value.squeeze().ndim == 2 and d in value.shape and not re.search(r"\.\d+\.", name)
    }
    if len(free) == len(missing) - 1:
        few = any(value.squeeze().shape[0] <= FEW for value in free.values())
        missing.remove("W_U" if "W_U" in missing and (few or "W_pos" not in missing) else missing[0])
    if len(free) != len(missing):
        return {}
    found = {}
    for name, (theirs, value) in zip(missing, free.items(), strict=True):
        rows = {"W_E": "v", "W_pos": "n", "W_U": "o"}[name]
        axes = f"{rows} d" if value.shape[-1] == d else f"d {rows}"
        found[name] = (theirs, Place(re.compile(re.escape(theirs)), axes))
    return found
