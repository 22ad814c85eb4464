"""Names that a layout does not list: prefixes, blocks without a number, and tensors known by their shapes alone."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from torch import Tensor

from miii.foreign.layouts import BLOCKS, Layout, Place

PREFIXES: Final = ("module.", "_orig_mod.", "model.", "net.", "network.", "transformer.", "lm.", "self.",
                   "_forward_module.", "_fsdp_wrapped_module.")  # fmt: skip
PART: Final = "._original_component"  #: TransformerLens' bridges put it inside names
COPY: Final = re.compile(r"(?:ema|swa|avg|averaged)\w*\.")  #: prefixes of a running average of the weights
#: Weights outside of blocks that are recognized by their shapes, in the usual order of a file.
MLP: Final = ("#.W_in", "#.b_in", "#.W_out", "#.b_out")
OUTER: Final = ("W_E", "W_pos", "W_U")
FEW: Final = 5  #: most positions of a table that can only be one of positions
BLOCK: Final = r"(\w+\.)?(block|layer|encoder|decoder|transformer|transformer_block|encoder_layer)\."
QUERY: Final = re.compile("(to_)?q(kv)?[._]|in_proj", re.IGNORECASE)
NORM: Final = re.compile(r"(^|\.)(ln[^.]*|[^.]*norm[^.]*)\.", re.IGNORECASE)
ATTENTION: Final = re.compile("att|mha|mhsa|qkv|in_proj", re.IGNORECASE)
#: A block as a pair: attention, then the MLP, perhaps each as the ``fn`` of a norm, as in lucidrains' networks.
PAIR: Final = re.compile(r"((?:\w+\.)?layers\.\d{1,3}\.)([01])\.(?:fn\.)?(.+)")
FIRST_NORM: Final = re.compile(r"att|(^|_)sa(_|\.)|input|1|pre", re.IGNORECASE)


def stripped(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Return the tensors without averaged copies and prefixes that all or most names share, and the prefixes."""
    found = {name.replace(PART, ""): value for name, value in state.items()}
    found = {name: value for name, value in found.items() if not COPY.match(name)} or found
    removed = ""
    while prefix := next(
        (each for each in PREFIXES if sum(name.startswith(each) for name in found) > len(found) / 2), _shared(found)
    ):
        found = {name.removeprefix(prefix): value for name, value in found.items()}
        removed += prefix
    return found, removed


def _shared(state: Mapping[str, Tensor]) -> str:
    """Return the first part of all names, such as ``encoder.``; empty if they differ in it."""
    firsts = {name.partition(".")[0] for name in state if "." in name[:-1]}
    return f"{firsts.pop()}." if len(firsts) == 1 and all("." in name[:-1] for name in state) else ""


def numbered(layout: Layout, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the tensors with the names of blocks completed: ``block.ln1.w`` becomes ``blocks.0.ln1.w``.

    Parts of a ``Sequential`` are numbered alone: ``0.attn.W`` becomes ``blocks.0.attn.W``, and a vector and a matrix
    after the blocks become ``ln_f`` and ``head``; of a pair, ``layers.0.0.to_qkv`` becomes ``layers.0.attn.to_qkv``.
    Unchanged if a block has a number already.
    """
    if not layout.loose:
        return state
    state = _unpaired(state)
    if any(layout.layer_of(name) is not None for name in state):
        return state
    if any(re.match(r"\d{1,3}\.", name) and ATTENTION.search(name) for name in state):
        return dict(_sequential(state))
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


def _unpaired(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return the tensors with the parts of blocks named, if blocks are pairs; a vector first in an MLP is a norm."""
    pairs = {name: match for name in state if (match := PAIR.fullmatch(name))}
    if not any(match[2] == "0" and QUERY.match(match[3]) for match in pairs.values()):
        return state

    def named(name: str) -> str:
        if (match := pairs.get(name)) is None:
            return name
        rest = match[3]
        if rest.startswith("net.0.") and state.get(f"{name.rpartition('.')[0]}.weight", state[name]).ndim == 1:
            rest = rest.replace("net.0", "norm")
        return f"{match[1]}{('attn', 'mlp')[int(match[2])]}.{rest}"

    return {named(name): value for name, value in state.items()}


def _sequential(state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the names and tensors of a ``Sequential`` of blocks, a last norm and a last map."""
    parts = {name: int(name.partition(".")[0]) for name in state if re.match(r"\d{1,3}\.", name)}
    blocks = sorted({number for name, number in parts.items() if ATTENTION.search(name)})
    for name, value in state.items():
        number, rest = parts.get(name), name.partition(".")[2]
        if number is None or rest not in ("weight", "bias"):
            yield (name if number not in blocks else f"blocks.{blocks.index(number)}.{rest}"), value
        elif number < blocks[0]:
            yield f"{'tok_emb' if number == 0 else 'pos_emb'}.{rest}", value
        else:
            weight = state.get(f"{number}.weight", value)
            yield f"{'ln_f' if weight.ndim == 1 else 'head'}.{rest}", value


def n_blocks(layout: Layout, state: Mapping[str, Tensor]) -> int:
    """Return the number of blocks that the names imply, at least 1."""
    found = [layer for name in state if (layer := layout.layer_of(name)) is not None]
    if not found and layout.loose:
        inside = BLOCKS.replace(".", r"\.").replace("#", r"(?P<layer>0|[1-9][0-9]{0,3})")
        found = [int(match["layer"]) for name in state if (match := re.match(inside, name))]
    return 1 + max(found, default=0)


def by_shape(
    layout: Layout, state: Mapping[str, Tensor], places: Mapping[str, tuple[str, Place]], n_layers: int
) -> dict[str, tuple[str, Place]]:
    """Return places for weights whose names a loose layout does not list, known by their shapes and their order."""
    if not layout.loose:
        return {}
    found = dict(places)
    for layer in range(n_layers):
        found |= _in_block(layout, state, found, layer)
    found |= _last_norm(state, found)
    return found | _tables(state, found)


def _in_block(
    layout: Layout, state: Mapping[str, Tensor], places: Mapping[str, tuple[str, Place]], layer: int
) -> dict[str, tuple[str, Place]]:
    """Return places for a block's MLP, two matrices one after the other, and for its two norms."""
    inside = re.compile(BLOCKS.replace(".", r"\.").replace("#", str(layer)))
    used = {theirs for theirs, _ in places.values()}
    free = {name: value for name, value in state.items() if name not in used and inside.match(name)}
    found: dict[str, tuple[str, Place]] = {}
    maps = [n for n, v in free.items() if v.ndim == 2 and not ATTENTION.search(inside.sub("", n, 1))]
    block = f"blocks.{layer}"
    if not {f"{block}.W_in", f"{block}.W_out"} & places.keys() and len(maps) == 2:
        for ours, theirs, axes in zip(("in", "out"), maps, ("m d", "d m"), strict=True):
            found[f"{block}.W_{ours}"] = _place(theirs, axes)
            if (bias := _bias_of(theirs)) in free:
                found[f"{block}.b_{ours}"] = _place(bias, axes[0])
    norms = [n for n, v in free.items() if v.ndim == 1 and n.endswith(".weight") and NORM.search(n)]
    attends_alone = f"{block}.W_in" not in (*places, *found)
    missing = [name for name in ("ln1", "ln2")[: 1 if attends_alone else 2] if f"{block}.{name}.w" not in places]
    if len(norms) == len(missing):
        norms.sort(key=lambda name: FIRST_NORM.search(inside.sub("", name, 1)) is None)
        for ours, theirs in zip(missing, norms, strict=True):
            found |= _norm_places(f"{block}.{ours}", theirs, state)
    return found


def _last_norm(state: Mapping[str, Tensor], places: Mapping[str, tuple[str, Place]]) -> dict[str, tuple[str, Place]]:
    """Return places for a last norm: the only one outside of the blocks, if it is not one of the embedding."""
    used = {theirs for theirs, _ in places.values()}
    free = [
        name for name, value in state.items()
        if name not in used and value.ndim == 1 and name.endswith(".weight") and NORM.search(name)
        and not re.search(r"\.\d+\.|emb|pre|input", name)
    ]  # fmt: skip
    normed = "blocks.0.ln1.w" in places and "ln_final.w" not in places
    return _norm_places("ln_final", free[0], state) if normed and len(free) == 1 else {}


def _norm_places(ours: str, theirs: str, state: Mapping[str, Tensor]) -> dict[str, tuple[str, Place]]:
    found = {f"{ours}.w": _place(theirs, "d")}
    return found | ({f"{ours}.b": _place(_bias_of(theirs), "d")} if _bias_of(theirs) in state else {})


def _tables(state: Mapping[str, Tensor], places: Mapping[str, tuple[str, Place]]) -> dict[str, tuple[str, Place]]:
    """Return places for missing embeddings, positions and unembedding: unused matrices of width d_model, in file order.

    One matrix too few means that there are no positions, or that the unembedding is the embedding.
    """
    missing = [name for name in OUTER if name not in places]
    block = places.get("blocks.0.W_Q")
    if not missing or block is None:
        return {}
    d, used = state[block[0]].shape[-1:], {theirs for theirs, _ in places.values()}
    free = {
        name: value
        for name, value in state.items()
        if name not in used and value.squeeze().ndim == 2 and {*d} & {*value.shape} and not re.search(r"\.\d+\.", name)
    }
    if len(free) == len(missing) - 1:
        few = any(value.squeeze().shape[0] <= FEW for value in free.values())
        missing.remove("W_U" if "W_U" in missing and (few or "W_pos" not in missing) else missing[0])
    if len(free) != len(missing):
        return {}
    found = {}
    for name, (theirs, value) in zip(missing, free.items(), strict=True):
        rows = {"W_E": "v", "W_pos": "n", "W_U": "o"}[name]
        found[name] = _place(theirs, f"{rows} d" if value.shape[-1:] == d else f"d {rows}")
        if name == "W_U" and _bias_of(theirs) in state:
            found["b_U"] = _place(_bias_of(theirs), "o")
    return found


def _bias_of(name: str) -> str:
    return f"{name.removesuffix('weight')}bias"


def _place(name: str, axes: str) -> tuple[str, Place]:
    return name, Place(re.compile(re.escape(name)), axes)
