"""Networks without attention: embeddings of two operands, added or side by side, then linear maps.

Such a network is a chain: tables [p, d] of the operands' embeddings (shared, separate, or none for one-hot inputs),
then maps with an activation after each but the last, whose outputs are the logits. miii holds it in blocks
``feed-forward``, whose mixer adds (``mean``, with the first map doubled) or concatenates.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from miii.errors import InputError
from miii.foreign.candidate import Candidate, State, as_float, listed_shapes, times
from miii.foreign.layouts import LAYOUTS
from miii.foreign.settings import Settings
from miii.foreign.unwrap import printable
from miii.model.config import ModelConfig

NAME: Final = "dense"
ABOUT: Final = "networks without attention: embeddings or one-hot inputs, then linear maps"
ACTS: Final = ("relu", "gelu", "square", "tanh")
TABLE: Final = re.compile(
    r"(.*\.)?(\w*[Ee]mb\w*|wte|tok\w*|table\w*|W_E\w*|W_[xyab]\d?|E_?[xyab12]?)(\.\d)?(\.weight|\.W_E)?"
)
LAST: Final = re.compile(r"(.*\.)?(unembed\w*(\.\w+)?|W_U|head\w*\.weight|readout\w*\.weight|decoder\w*\.weight)")
WIDEST: Final = 4096  #: as in ``ModelConfig.d_model``
#: Parts of other networks, by patterns of names.
PARTS: Final = {
    r"(^|[._])(ln|bn|\w*norm)_?\w*\.|running_mean": "a norm",
    r"weight_(ih|hh)": "a recurrent network",
    r"(^|\.)pos\w*(\.|$)": "an embedding of positions",
}
MASK: Final = re.compile(r"(.*\.)?(mask\w*|IGNORE)")


@dataclass(frozen=True)
class Linear:
    """A linear map of the file: weight [in, out] and bias [out]."""

    name: str
    weight: Tensor
    bias: Tensor | None


@dataclass(frozen=True)
class Chain:
    """A network without attention.

    Attributes:
        tables: embeddings [p, d] of a and of b, the same tensor if shared; of one-hot inputs, the first map's rows.
        added: whether the embeddings are added; otherwise they are side by side.
        maps: the linear maps after the embedding; of one-hot inputs, the first is None.
    """

    p: int
    tables: tuple[Tensor, Tensor]
    added: bool
    maps: tuple[Linear, ...]
    one_hot: bool
    used: frozenset[str]
    first_bias: Tensor | None = None

    def candidates(self, given: Settings) -> Iterator[Candidate]:
        """Yield the networks that the file may hold, the likeliest first.

        Raises:
            InputError: the given modulus or a given attention contradicts the file, or a size is beyond miii's.
        """
        if given.p not in (None, self.p):
            raise InputError(f"p must be {self.p}, as the file's last map has {self.p} outputs (got {given.p}).")
        for name, none in (
            ("equals", False),
            ("separate", False),
            ("operator", False),
            ("lnpre", False),
            ("attn_coeff", 1.0),
        ):
            if getattr(given, name) not in (None, none) and name != "separate":
                raise InputError(f"{name} must be unset for a network without attention (got {getattr(given, name)}).")
        bias = self.first_bias if self.one_hot else self.maps[0].bias
        twices = (False, True) if self.added and not self.one_hot and bias is not None else (False,)
        twices = twices if given.twice is None else (given.twice,)
        for twice, act in itertools.product(twices, ACTS if given.act is None else (given.act,)):
            yield self._candidate(act, twice)

    def _candidate(self, act: str, twice: bool) -> Candidate:
        """Return the network: embeddings in W_E, the first map in W_in, identities between maps in W_out."""
        x, y = (as_float("table", table) for table in self.tables)
        shared = self.tables[0] is self.tables[1]
        maps = list(self.maps)
        if self.one_hot:  # inputs choose rows of the first map, so these are the embedding
            maps.insert(0, Linear("one-hot", torch.eye(x.shape[1]), self.first_bias))
        hidden, last = maps[:-1], maps[-1]
        widths = [m.weight.shape[1] for m in hidden]
        m = max(widths)
        summed = self.added and shared
        d = x.shape[1] if summed else 2 * max(x.shape[1], y.shape[1])
        d = max(d, m + m % 2 if not summed else m)
        half = d // 2
        weights = {"W_E": torch.zeros(self.p, d)}
        weights["W_E"][:, : x.shape[1]] = x
        first = hidden[0].weight
        if summed:
            first = 2 * first  # the mixer takes the mean of two
        else:
            weights["W_E"][:, half : half + y.shape[1]] = y
            parts = (first, first) if self.added or self.one_hot else (first[: x.shape[1]], first[x.shape[1] :])
            first = torch.zeros(d, first.shape[1])
            first[: x.shape[1]], first[half : half + y.shape[1]] = parts
        biased = any(each.bias is not None for each in maps)
        for layer, each in enumerate(hidden):
            W_in, W_out, b_in = torch.zeros(d, m), torch.zeros(m, d), torch.zeros(m)
            given = first if layer == 0 else each.weight
            W_in[: given.shape[0], : given.shape[1]] = given
            n = widths[layer]
            W_out[:n, :n] = torch.eye(n)
            if each.bias is not None:
                b_in[:n] = each.bias * (1 + (twice and layer == 0))
            weights |= {f"blocks.{layer}.W_in": W_in, f"blocks.{layer}.W_out": W_out}
            if biased:
                weights[f"blocks.{layer}.b_in"] = b_in
        W_U = torch.zeros(d, self.p)
        W_U[: last.weight.shape[0]] = last.weight[:, : self.p]
        weights["W_U"] = W_U
        if last.bias is not None:
            weights["b_U"] = last.bias[: self.p]
        config = ModelConfig(
            n_layers=len(hidden),
            d_model=d,
            n_heads=1 if summed else 2,
            d_mlp=m,
            act=act,
            biases="all" if last.bias is not None else "mlp" if biased else "none",
            positions="none",
            causal=False,
            block="feed-forward",
            mixer="mean" if summed else "concatenation",
        )
        settings = Settings(self.p, False, False, act, config.n_heads, False, 1.0, False, twice)
        return Candidate(config, settings, weights)


def chains(state: State) -> list[Chain]:
    """Return the chains that a file's tensors may be: two if the first map may be read in both directions.

    Raises:
        InputError: the tensors are no such chain.
    """
    usable = {name: value for name, value in state.items() if not MASK.fullmatch(name) and value.is_floating_point()}
    matrices = {name: value for name, value in usable.items() if value.ndim == 2}
    for name in state:
        for pattern, part in PARTS.items():
            if re.search(pattern, name, re.IGNORECASE):
                raise InputError(
                    f"{printable(name)} belongs to {part}, which miii's networks without attention do not have: only "
                    "embeddings and linear maps can be read."
                )
    if any(value.ndim > 2 for value in usable.values()) or len(matrices) < 2 or len(matrices) > 30:
        raise _no_chain(state, "it needs two or more matrices and no others")
    if max(max(value.shape) for value in matrices.values()) > WIDEST:
        raise _no_chain(state, f"its matrices must have at most {WIDEST} rows and columns")
    tables = [name for name in matrices if TABLE.fullmatch(name) and not LAST.fullmatch(name)]
    names = [name for name in matrices if name not in tables]
    names.sort(key=lambda name: LAST.fullmatch(name) is not None)  # stable: unembeddings may come earlier in the file
    if len(tables) > 2 or not names:
        raise _no_chain(state, "it needs at most two tables of embeddings, and a map after them")
    outs = matrices[names[-1]].shape
    moduli = dict.fromkeys([*outs, *(out - extra for extra in (1, 2) for out in outs if tables)])
    found = [each for p in moduli if (each := _with(state, matrices, tables, names, p)) is not None]
    if not found and not tables and len(names) > 2:
        found = [each for p in moduli if (each := _two_maps(state, matrices, names, p)) is not None]
    if not found:
        raise _no_chain(state, "their shapes do not follow one another")
    for linear in found[0].maps:
        if (bias := _bias_of(linear.name)) in state and bias not in found[0].used:
            got = times(state[bias].shape)
            raise InputError(f"{printable(bias)} must be {linear.weight.shape[1]}, as its map needs it (got {got}).")
    return found


def _two_maps(state: State, matrices: Mapping[str, Tensor], names: Sequence[str], p: int) -> Chain | None:
    """Return the chain with a first map for each one-hot operand, or None if the shapes do not follow one another."""
    first, second, *rest = names
    shape = matrices[first].shape
    if p < 2 or shape != matrices[second].shape or p not in shape:
        return None
    rows = [as_float(n, matrices[n] if shape[0] == p else matrices[n].T) for n in (first, second)]
    maps = _oriented(state, matrices, rest, rows[0].shape[1], p, shape[0] != p)
    biases = {n: as_float(n, state[n]) for n in map(_bias_of, (first, second)) if n in state and n not in names}
    if maps is None or any(bias.shape != rows[0].shape[1:] for bias in biases.values()):
        return None
    used = frozenset([first, second, *biases, *(n for m in maps for n in (m.name, _bias_name(state, m)) if n)])
    bias = torch.stack([*biases.values()]).sum(0) if biases else None
    return Chain(p, (rows[0], rows[1]), False, tuple(maps), True, used, bias)


def _with(
    state: State, matrices: Mapping[str, Tensor], tables: Sequence[str], names: Sequence[str], p: int
) -> Chain | None:
    """Return the chain with p logits, or None if the shapes do not follow one another."""
    if p < 2:
        return None
    embedded: list[Tensor] = []
    transposed = False
    for name in tables:
        value = matrices[name]
        size = next((p + n for n in range(3) if p + n in value.shape), 0)  # with "=" or others that are never read
        if not size:
            return None
        transposed |= value.shape[0] != size
        embedded.append(value[:p] if value.shape[0] == size else value[:, :p].T)
    if embedded:
        x, y = embedded[0], embedded[-1]
        for added, width in ((False, x.shape[1] + y.shape[1]), (True, x.shape[1])):
            if added and x.shape[1] != y.shape[1]:
                continue
            maps = _oriented(state, matrices, names, width, p, transposed)
            if maps is not None and len(maps) >= 2:
                used = frozenset([*tables, *(n for m in maps for n in (m.name, _bias_name(state, m)) if n)])
                return Chain(p, (x, y), added, tuple(maps), False, used)
        return None
    for added, width in ((False, 2 * p), (True, p)):
        maps = _oriented(state, matrices, names, width, p, transposed)
        if maps is not None and len(maps) >= 2:
            rows = maps[0].weight
            pair = (rows, rows) if added else (rows[:p], rows[p:])
            used = frozenset(n for m in maps for n in (m.name, _bias_name(state, m)) if n)
            return Chain(p, pair, added, tuple(maps[1:]), True, used, maps[0].bias)
    return None


def _oriented(
    state: State, matrices: Mapping[str, Tensor], names: Sequence[str], width: int, p: int, transposed: bool
) -> list[Linear] | None:
    """Return the maps as [in, out] from this width to p logits; None if the shapes do not follow one another.

    A square map is [out, in] if it is a module's ``weight``, or if other maps of the file are.
    """
    shapes = [tuple(matrices[name].shape) for name in names]
    flipped: list[bool | None] = []
    at = width
    for shape in shapes:
        forward, backward = shape[0] == at, shape[1] == at
        if not forward and not backward:
            return None
        flipped.append(None if forward and backward else backward)
        at = shape[1] if forward else shape[0]
    if not p <= at <= p + 2:  # logits beyond p belong to "=" or others
        return None
    known = [flip for flip in flipped[:-1] if flip is not None]
    found = []
    for name, flip in zip(names, flipped, strict=True):
        usual = name.endswith("weight") or (any(known) if known else transposed)
        weight = as_float(name, matrices[name])
        weight = weight.T if (usual if flip is None else flip) else weight
        bias = state.get(_bias_of(name)) if _bias_of(name) != name else None
        fits = bias is not None and bias.shape == (weight.shape[1],)
        found.append(Linear(name, weight, as_float(_bias_of(name), bias) if bias is not None and fits else None))
    return found


def _bias_of(name: str) -> str:
    home, dot, last = name.rpartition(".")
    if last == "weight":
        return f"{home}{dot}bias"
    return f"{home}{dot}{re.sub('^[Ww]', 'b', last)}"


def _bias_name(state: State, linear: Linear) -> str | None:
    return _bias_of(linear.name) if linear.bias is not None else None


def _no_chain(state: State, why: str) -> InputError:
    layouts = ", ".join((*(layout.name for layout in LAYOUTS), NAME))
    return InputError(
        f"file must hold a network in a layout that miii knows: {layouts}; as one without attention, {why} (it holds "
        f"{listed_shapes(state) or 'nothing'}; --layout forces one, and its error tells what is missing)."
    )
