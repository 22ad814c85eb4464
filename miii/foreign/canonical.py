"""Bring a state dict into the form of torch's modules: ``weight`` [out, in] and ``bias``, all heads in one map."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from miii.foreign.names import NORM

#: Names of a weight's length and direction, by which ``weight_norm`` replaces it.
APART: Final = (("weight_g", "weight_v"), ("parametrizations.weight.original0", "parametrizations.weight.original1"))
GAINS: Final = {"gamma": "weight", "scale": "weight", "g": "weight", "beta": "bias"}  #: of norms
HEAD: Final = re.compile(
    r"(.*?)(?:\w*_)?heads?\.(\d{1,3})\.((?:w_?|to_?)?(?:q|k|v|query|key|value)(?:_proj)?\.(?:weight|bias))",
    re.IGNORECASE,
)


def canonical(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int | None]:
    """Return dense tensors by torch's usual names, and the number of heads if each has maps of its own.

    Weights in two parts are multiplied (``weight_norm``); gains of norms are called ``weight``; Flax's ``kernel`` [in,
    out] is transposed, and its ``embedding`` renamed; queries, keys and values of single heads are joined.
    """
    found = dict(state)
    for length, direction in APART:
        for name in [name for name in state if name.endswith(f".{direction}")]:
            home = name.removesuffix(direction)
            g, v = state.get(f"{home}{length}"), state[name]
            if g is not None and v.ndim > 1 and g.numel() == len(v) and g.is_floating_point() and v.is_floating_point():
                whole = v / v.flatten(1).norm(dim=1).view(-1, *[1] * (v.ndim - 1)) * g.view(-1, *[1] * (v.ndim - 1))
                del found[name], found[f"{home}{length}"]
                found[f"{home}weight"] = whole
    return _joined({_renamed(name, value): _as_linear(name, value) for name, value in found.items()})


def _renamed(name: str, value: Tensor) -> str:
    home, dot, last = name.rpartition(".")
    if value.ndim == 1 and last in GAINS and NORM.search(f"{home}."):
        return f"{home}.{GAINS[last]}"
    return f"{home}{dot}weight" if last in ("kernel", "embedding") and dot and value.ndim == 2 else name


def _as_linear(name: str, value: Tensor) -> Tensor:
    return value.T if name.endswith(".kernel") and value.ndim == 2 else value


def _joined(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], int | None]:
    """Return the maps of single heads as one, in the place of the first; and the number of heads."""
    maps: dict[str, dict[int, Tensor]] = defaultdict(dict)
    for name, value in state.items():
        if match := HEAD.fullmatch(name):
            maps[f"{match[1]}{match[3]}"][int(match[2])] = value
    counts = {len(heads) for heads in maps.values()}
    whole = all(
        sorted(heads) == list(range(len(heads))) and len({(each.shape, each.dtype) for each in heads.values()}) == 1
        for heads in maps.values()
    )
    if len(counts) != 1 or not whole or maps.keys() & state.keys():
        return state, None
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        match = HEAD.fullmatch(name)
        joined = f"{match[1]}{match[3]}" if match else name
        if match and joined not in found:
            found[joined] = torch.cat([maps[joined][i] for i in range(len(maps[joined]))])
        elif not match:
            found[name] = value
    return found, counts.pop()
