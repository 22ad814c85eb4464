"""Fit a file's tensors to a layout: which tensor is which weight, and the sizes that their shapes imply."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import einops
import torch
from torch import Tensor

from miii.errors import InputError
from miii.foreign import names
from miii.foreign.candidate import (
    AXES,
    Candidate,
    State,
    as_float,
    forms,
    listed,
    listed_shapes,
    room,
    solve,
    squeezed,
    widened,
)
from miii.foreign.layouts import Layout, Place
from miii.foreign.settings import Settings
from miii.foreign.unwrap import printable
from miii.model.config import ModelConfig

BUFFERS: Final = re.compile(r"(.+\.)?(attn|attention|self_attn)\.(mask|IGNORE|bias|masked_bias|tril|causal_mask)")
#: Parts of other networks that miii's do not have, and what can be read.
PARTS: Final = {
    r"\.mlp\.[Wb]_gate|gate_proj": ("a gated MLP", "plain MLPs"),
    r"experts": ("a mixture of experts", "plain MLPs"),
    r"rotary|inv_freq|(^|\.)rope\.": ("rotary position embeddings", "learned positions, or none,"),
}
HEADS: Final = (4, 1, 2, 8, 16, 3, 6, 12)  #: numbers of heads to try if the file does not tell, the likeliest first
NEEDED: Final = ("W_E", "W_pos", "W_U", "#.W_Q", "#.W_K", "#.W_V", "#.W_O", "#.W_in", "#.W_out")


@dataclass(frozen=True)
class Fit:
    """A file's tensors in a layout.

    Attributes:
        places: name in the file and place in the layout, by miii's name.
        missing: weights that the file lacks.
        misfits: what does not fit, in words.
    """

    layout: Layout
    state: State
    n_layers: int
    normed: bool
    places: Mapping[str, tuple[str, Place]]
    missing: tuple[str, ...]
    misfits: tuple[str, ...]
    axes: Mapping[str, int]

    @property
    def block(self) -> str:
        """The block that the norms imply."""
        if not self.normed:
            return "plain"
        return "pre-norm" if "ln_final.w" in self.places or not self.layout.post else "vaswani"

    @cached_property
    def used(self) -> frozenset[str]:
        """The names of the file's tensors that the network needs, and of buffers without weights."""
        return frozenset(name for name, _ in self.places.values()) | {n for n in self.state if BUFFERS.fullmatch(n)}

    def check(self) -> None:
        """Check that the tensors are a network that miii has.

        Raises:
            InputError: a weight is missing, a shape does not fit, or a part has no counterpart in miii.
        """
        _check_parts(self)
        if self.missing:
            raise InputError(
                f"file must hold every weight of a network in the layout {self.layout.name} "
                f"(it lacks {listed(self.missing)}; it holds {listed_shapes(self.state) or 'nothing'})."
            )
        if self.misfits:
            raise InputError(f"{self.misfits[0]}.")

    def candidates(self, given: Settings) -> Iterator[Candidate]:
        """Yield the networks that the file may hold, the likeliest first.

        Raises:
            InputError: given settings contradict the shapes, or a weight is unusable.
        """
        a, layout = self.axes, self.layout
        prompts = forms(a["v"], a.get("n"), a["o"], given, self.places["W_E"][0])
        acts = layout.acts if given.act is None else (given.act,)
        masks = self._masks()
        causals: Sequence[bool] = (layout.causal, not layout.causal) if self.n_layers > 1 else (layout.causal,)
        if masks is not None and (layout.lnpre or not masks):
            causals = (masks,)
        causals = causals if given.causal is None else (given.causal,)
        coefficients: Sequence[float] = (1.0, 0.0) if layout.mixed else (1.0,)
        coefficients = coefficients if given.attn_coeff is None else (given.attn_coeff,)
        lnpres = (False, True) if layout.lnpre and not self.normed else (False,)
        if "h" in a and a["hk"] > a["d"]:
            lnpres = (False,)  # there is no room for the heads
        lnpres = lnpres if given.lnpre is None else (given.lnpre,)
        if given.lnpre and self.normed:
            raise InputError("lnpre must be false for a file that holds norms' weights.")
        for n_heads in self._heads(given.n_heads):
            whole = self._weights(n_heads)
            for form, lnpre, c, causal, act in itertools.product(prompts, lnpres, coefficients, causals, acts):
                settings = replace(
                    form, act=act, n_heads=n_heads, causal=causal and c == 1, attn_coeff=c, lnpre=lnpre, twice=False
                )
                yield self._candidate(settings, whole)

    def _candidate(self, settings: Settings, whole: dict[str, Tensor]) -> Candidate:
        p, lnpre = settings.p, settings.lnpre
        assert p is not None
        config = self.config(settings)
        weights, n_ctx = dict(whole), settings.n_ctx
        weights["W_E"] = whole["W_E"][: settings.vocabulary]
        if settings.equals_first:
            weights["W_E"] = torch.cat([whole["W_E"][:p], whole["W_E"][[p + 1, p]]])
        weights["W_pos"] = whole["W_pos"][:n_ctx] if "W_pos" in whole else torch.zeros(n_ctx, self.axes["d"])
        for name in ("W_U", "b_U"):
            if name in whole:
                weights[name] = whole[name][..., :p]
        if lnpre:
            d = self.axes["d"]
            for ln in ("ln_final", *(f"blocks.{i}.{ln}" for i in range(self.n_layers) for ln in ("ln1", "ln2"))):
                weights |= {f"{ln}.w": torch.ones(d), f"{ln}.b": torch.zeros(d)}
        return Candidate(config, settings, widened(weights, *self._room(settings)))

    def config(self, settings: Settings) -> ModelConfig:
        """Return the architecture.

        Raises:
            InputError: a size is beyond miii's.
        """
        biased = {name.rpartition(".")[2] for name in self.places}
        everywhere = biased & {"b_U", "b_Q", "b_K", "b_V", "b_O"}
        d_model, n_heads, _ = self._room(settings)
        return ModelConfig(
            n_layers=self.n_layers,
            d_model=d_model,
            n_heads=n_heads,
            d_mlp=self.axes["m"],
            act=settings.act,
            causal=settings.causal,
            attn_coeff=settings.attn_coeff,
            block="pre-norm" if settings.lnpre else self.block,
            biases="all" if everywhere else "mlp" if biased & {"b_in", "b_out"} else "none",
        )

    def _heads(self, given: int | None) -> tuple[int, ...]:
        if "h" in self.axes:
            if given not in (None, self.axes["h"]):
                raise InputError(f"n_heads must be {self.axes['h']}, as in the file (got {given}).")
            return (self.axes["h"],)
        width = self.axes["hk"]
        if given is not None:
            ModelConfig(d_model=width, n_heads=given)  # checks that it divides d_model
            return (given,)
        return tuple(n for n in HEADS if width % n == 0)

    def d_head(self, n_heads: int) -> int:
        """Return the width of a head in the file."""
        return self.axes["k"] if "h" in self.axes else self.axes["hk"] // n_heads

    def _room(self, settings: Settings) -> tuple[int, int, int]:
        assert settings.n_heads is not None
        k = self.d_head(settings.n_heads)
        return room(self.axes["d"], settings.n_heads, k, self.normed or bool(settings.lnpre))

    def _weights(self, n_heads: int) -> dict[str, Tensor]:
        found = {}
        for name, (theirs, place) in self.places.items():
            value = as_float(theirs, squeezed(self.state[theirs], len(place.dims)))
            axes = AXES[name.rpartition(".")[2]]
            stacked, named = place.index is not None, [axis for part in place.dims for axis in part]
            sizes = {axis: size for axis, size in (("h", n_heads), ("s", 3)) if axis in named}
            value = einops.rearrange(value, f"{place.axes} -> {'s ' if stacked else ''}{axes}", **sizes)
            found[name] = (value[place.index] if stacked else value).contiguous()
        if self.normed:  # norms without biases
            for name, value in list(found.items()):
                if name.endswith(".w"):
                    found.setdefault(f"{name[:-1]}b", torch.zeros_like(value))
        return found

    def _masks(self) -> bool | None:
        """Return whether stored masks are causal; None if there are none."""
        found = None
        for name, value in self.state.items():
            n = value.shape[-1] if value.ndim >= 2 else 0
            if not (name.endswith("attn.mask") and n > 1 and value.shape[-2:] == (n, n)):
                continue
            seen = value.cpu().reshape(-1, n, n)[0] != 0
            if torch.equal(seen, torch.ones(n, n).tril().bool()):
                found = True
            elif seen.all():
                found = False
            else:
                raise InputError(
                    f"{printable(name)} must let a position see itself and all before it (local attention cannot be "
                    "read)."
                )
        return found


def fit(layout: Layout, state: State) -> Fit:
    """Fit a file's tensors to a layout, whether or not they are all there."""
    state = names.numbered(layout, state)
    n_layers = names.n_blocks(layout, state)
    if n_layers > 24:
        return Fit(layout, state, 1, False, {}, (), (f"n_layers must be at most 24 (got {n_layers})",), {})
    ours = [n for n in layout.tensors if n[0] != "#"]
    ours += [f"blocks.{i}.{n[2:]}" for i in range(n_layers) for n in layout.tensors if n[0] == "#"]
    places: dict[str, tuple[str, Place]] = {}
    by_name = list(state)
    for name in ours:
        place = layout.place(name)
        assert place is not None
        theirs = next((each for each in by_name if place.names.fullmatch(each)), None)
        if theirs is not None:
            places[name] = (theirs, place)
    places |= names.by_shape(layout, state, places, n_layers)
    if layout.tied and "W_U" not in places and "W_E" in places:
        places["W_U"] = (places["W_E"][0], replace(places["W_E"][1], axes="o d"))
    normed = any(name.endswith(".w") for name in places)
    wanted = [n for each in NEEDED for n in _each(each, n_layers)]
    if normed:
        wanted += [n for each in ("#.ln1.w", "#.ln2.w") for n in _each(each, n_layers)]
        wanted += [] if layout.post else ["ln_final.w"]
    if normed and layout.rms:
        wanted += [f"{name[:-1]}b" for name in wanted if name.endswith(".w")]
    optional = ("W_pos",) if layout.loose else ()
    missing = tuple(_readable(layout, name) for name in wanted if name not in (*places, *optional))
    axes, misfits = solve(places, state)
    return Fit(layout, state, n_layers, normed, places, missing, misfits, axes)


def _each(name: str, n_layers: int) -> list[str]:
    return [f"blocks.{i}.{name[2:]}" for i in range(n_layers)] if name[0] == "#" else [name]


def _readable(layout: Layout, name: str) -> str:
    """Return the name in the layout if it has only one there, else miii's."""
    place = layout.place(name)
    if place is None:
        return name
    theirs = re.sub(r"\(([^()|]*)\)\?", r"\1", place.names.pattern.replace("\\", ""))
    return theirs if re.fullmatch(r"[\w.]+", theirs) else name


def _check_parts(found: Fit) -> None:
    unused = [name for name in found.state if name not in found.used]
    for name in unused:
        if names.NORM.search(name):
            raise InputError(
                f"{printable(name)} belongs to a norm that miii's networks lack: only norms on the input of attention "
                "and MLP and at the end, or after each, can be read."
            )
        for pattern, (part, others) in PARTS.items():
            if re.search(pattern, name):
                raise InputError(
                    f"{printable(name)} belongs to {part}, which miii's networks do not have: only {others} can be "
                    "read."
                )
    if found.layout.rms and found.normed and not any(name.endswith(".b") for name in found.places if "ln" in name):
        raise InputError(
            "ln_final.w has no bias ln_final.b beside it, so the norms are RMSNorms, which cannot be read exactly: "
            "TransformerLens adds 1e-5 to the mean square and miii 1e-6; LayerNorms (LN) can be read."
        )
