"""Fit a file's tensors to a layout: which tensor is which weight, and the sizes that their shapes imply."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import einops
import torch
from torch import Tensor

from miii.errors import InputError
from miii.foreign import names, parts
from miii.foreign.candidate import (
    AXES,
    Candidate,
    State,
    as_float,
    forms,
    listed,
    listed_shapes,
    rescaled,
    room,
    sinusoids,
    solve,
    squeezed,
    widened,
)
from miii.foreign.layouts import Layout, Place
from miii.foreign.settings import Settings
from miii.foreign.unwrap import printable
from miii.model.block import RMS_EPSILON
from miii.model.config import ModelConfig

HEADS: Final = (4, 1, 2, 8, 16, 3, 6, 12)  #: numbers of heads to try if the file does not tell, the likeliest first
NEEDED: Final = ("W_E", "W_pos", "W_U", "#.W_Q", "#.W_K", "#.W_V", "#.W_O")
MLP: Final = ("#.W_in", "#.W_out")  #: all blocks have one, or none has


@dataclass(frozen=True)
class Fit:
    """A file's tensors in a layout.

    Attributes:
        places: name in the file and place in the layout, by miii's name.
        missing: weights that the file lacks.
        misfits: what does not fit, in words.
        bare: whether blocks have no MLP: then a neuron without weights stands for it.
    """

    layout: Layout
    state: State
    n_layers: int
    normed: bool
    places: Mapping[str, tuple[str, Place]]
    missing: tuple[str, ...]
    misfits: tuple[str, ...]
    axes: Mapping[str, int]
    bare: bool = False

    @property
    def post(self) -> bool:
        """Whether the norms are likely to stand after each sum: if there is no last one."""
        return self.normed and self.layout.post and "ln_final.w" not in self.places

    @cached_property
    def used(self) -> frozenset[str]:
        """The names of the file's tensors that the network needs, and of buffers without weights."""
        return frozenset({name for name, _ in self.places.values()} | {*filter(parts.BUFFERS.fullmatch, self.state)})

    def check(self) -> None:
        """Check that the tensors are a network that miii has.

        Raises:
            InputError: a weight is missing, a shape does not fit, or a part has no counterpart in miii.
        """
        unused = [name for name in self.state if name not in self.used]
        parts.check_names(unused)
        if self.missing:
            raise InputError(
                f"file must hold every weight of a network in the layout {self.layout.name} "
                f"(it lacks {listed(self.missing)}; it holds {listed_shapes(self.state) or 'nothing'})."
            )
        if self.misfits:
            raise InputError(f"{self.misfits[0]}.")
        parts.check_blocks(self.state, unused)

    def candidates(self, given: Settings) -> Iterator[Candidate]:
        """Yield the networks that the file may hold, the likeliest first.

        Raises:
            InputError: given settings contradict the shapes, or a weight is unusable.
        """
        a, layout = self.axes, self.layout
        prompts = forms(a["v"], a.get("n"), a["o"], given, self.places["W_E"][0])
        acts = layout.acts[: 1 if self.bare else None] if given.act is None else (given.act,)
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
        post = self.post if given.post is None or not self.normed else given.post
        for n_heads in self._heads(given.n_heads):
            whole = self._weights(n_heads)
            for form, (lnpre, rms), c, causal, act in itertools.product(
                prompts, self._norms(given, lnpres), coefficients, causals, acts
            ):
                settings = replace(
                    form,
                    act=act,
                    n_heads=n_heads,
                    causal=causal and c == 1,
                    attn_coeff=c,
                    lnpre=lnpre,
                    twice=False,
                    post=post,
                    rms=rms,
                    epsilon=(given.epsilon or layout.epsilon) if rms else None,
                    scaled=bool(given.scaled),
                    sinusoidal=bool(given.sinusoidal),
                )
                yield self._candidate(settings, whole)

    def _candidate(self, settings: Settings, whole: dict[str, Tensor]) -> Candidate:
        p, n_ctx, d = settings.p, settings.n_ctx, self.axes["d"]
        assert p is not None
        config, weights = self.config(settings), dict(whole)
        weights["W_E"] = whole["W_E"][: settings.vocabulary]
        if settings.equals_first:
            weights["W_E"] = torch.cat([whole["W_E"][:p], whole["W_E"][[p + 1, p]]])
        if settings.scaled:
            weights["W_E"] = math.sqrt(d) * weights["W_E"]
        if "W_pos" in whole:
            weights["W_pos"] = whole["W_pos"][:n_ctx]
        else:
            weights["W_pos"] = sinusoids(n_ctx, d) if settings.sinusoidal else torch.zeros(n_ctx, d)
        for name in ("W_U", "b_U"):
            if name in whole:
                weights[name] = whole[name][..., :p]
        for i in range(self.n_layers) if self.bare else ():
            weights |= {f"blocks.{i}.W_in": torch.zeros(d, 1), f"blocks.{i}.W_out": torch.zeros(1, d)}
            if settings.post:  # the norm of attention's sum is the last of a block
                own = [w for w in "wb" if f"blocks.{i}.ln1.{w}" in weights]
                weights |= {f"blocks.{i}.ln2.{w}": weights.pop(f"blocks.{i}.ln1.{w}") for w in own}
        if config.norm_kind != "none":
            blocks = [f"blocks.{i}.{ln}" for i in range(self.n_layers) for ln in ("ln1", "ln2")]
            for ln in (*blocks, *["ln_final"] * config.normed_last):
                weights.setdefault(f"{ln}.w", torch.ones(d))
                weights.setdefault(f"{ln}.b", torch.zeros(d))
        if settings.rms:
            weights = {name: value for name, value in weights.items() if not name.endswith(".b")}
            if not settings.post and settings.epsilon:
                weights = rescaled(weights, math.sqrt(RMS_EPSILON / settings.epsilon), config.normed_last)
        return Candidate(config, settings, widened(weights, *self._room(settings)))

    def config(self, settings: Settings) -> ModelConfig:
        """Return the architecture.

        Raises:
            InputError: a size is beyond miii's.
        """
        biased = {name.rpartition(".")[2] for name in self.places}
        everywhere = biased & {"b_U", "b_Q", "b_K", "b_V", "b_O"}
        d_model, n_heads, _ = self._room(settings)
        normed, last = self.normed or bool(settings.lnpre), bool(settings.lnpre) or "ln_final.w" in self.places
        return ModelConfig(
            n_layers=self.n_layers,
            d_model=d_model,
            n_heads=n_heads,
            d_mlp=self.axes.get("m", 1),
            act=settings.act,
            causal=settings.causal,
            attn_coeff=settings.attn_coeff,
            block="vaswani" if settings.post else "pre-norm" if normed else "plain",
            norm="rms" if settings.rms else "auto",
            last_norm="auto" if last == (normed and not settings.post) else "yes" if last else "no",
            biases="all" if everywhere else "mlp" if biased & {"b_in", "b_out"} else "none",
        )

    def _norms(self, given: Settings, lnpres: Sequence[bool]) -> list[tuple[bool, bool]]:
        """Return what the norms may be: whether they have no weights, and whether they are RMSNorms."""
        if not self.normed:
            return [(lnpre, lnpre and bool(given.rms)) for lnpre in lnpres]
        biased = any(name.endswith(".b") for name in self.places)
        if biased and given.rms:
            raise InputError("rms must be no for a file whose norms have biases, since RMSNorms have none.")
        rms = False if biased else self.layout.rms if given.rms is None else given.rms
        return [(False, kind) for kind in ((True, False) if rms is None else (rms,))]

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
    for name in ours:
        place = layout.place(name)
        assert place is not None
        if (theirs := next((each for each in state if place.names.fullmatch(each)), None)) is not None:
            places[name] = (theirs, place)
    places |= names.by_shape(layout, state, places, n_layers)
    if layout.tied and "W_U" not in places and "W_E" in places:
        places["W_U"] = (places["W_E"][0], replace(places["W_E"][1], axes="o d"))
    normed = any(name.endswith(".w") for name in places)
    bare = _bare(state, places)
    wanted = [n for each in (*NEEDED, *(() if bare else MLP)) for n in _each(each, n_layers)]
    if normed:
        wanted += [n for each in ("#.ln1.w", "#.ln2.w")[: 1 if bare else 2] for n in _each(each, n_layers)]
        wanted += [] if layout.post else ["ln_final.w"]
    optional = ("W_pos",) if layout.loose else ()
    missing = tuple(_readable(layout, name) for name in wanted if name not in (*places, *optional))
    axes, misfits = solve(places, state)
    return Fit(layout, state, n_layers, normed, places, missing, misfits, axes, bare)


def _bare(state: State, places: Mapping[str, tuple[str, Place]]) -> bool:
    """Return whether a network has attention alone: all of it is there, and no other matrix is."""
    used = {theirs for theirs, _ in places.values()}
    matrices = [name for name, value in state.items() if value.ndim > 1 and not parts.BUFFERS.fullmatch(name)]
    attends = {"W_E", "W_U", "blocks.0.W_Q", "blocks.0.W_O"} <= places.keys()
    return attends and not any("W_in" in name or "W_out" in name for name in places) and used >= {*matrices}


def _each(name: str, n_layers: int) -> list[str]:
    return [f"blocks.{i}.{name[2:]}" for i in range(n_layers)] if name[0] == "#" else [name]


def _readable(layout: Layout, name: str) -> str:
    """Return the name in the layout if it has only one there, else miii's."""
    place = layout.place(name)
    if place is None:
        return name
    theirs = re.sub(r"\(([^()|]*)\)\?", r"\1", place.names.pattern.replace("\\", ""))
    return theirs if re.fullmatch(r"[\w.]+", theirs) else name
