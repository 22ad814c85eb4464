"""A network that a file may hold, and helpers to describe its tensors."""

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from miii.errors import InputError
from miii.foreign.layouts import Place
from miii.foreign.settings import Settings
from miii.foreign.unwrap import printable
from miii.model.config import ModelConfig
from miii.model.transformer import Transformer
from miii.numbers import primes_below

State = Mapping[str, Tensor]

#: Accepted dtypes, converted to float32.
KINDS: Final = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
PADDING: Final = 64  #: most tokens beyond those of the task, if p is known
#: Axes of miii's own weights.
AXES: Final = {
    "W_E": "v d",
    "W_pos": "n d",
    "W_U": "d o",
    "b_U": "o",
    **{f"W_{x}": "h d k" for x in "QKV"},
    **{f"b_{x}": "h k" for x in "QKV"},
    "W_O": "h k d",
    "b_O": "d",
    "W_in": "d m",
    "b_in": "m",
    "W_out": "m d",
    "b_out": "d",
    "w": "d",
    "b": "d",
}


@dataclass(frozen=True)
class Candidate:
    """A network that the file may hold, given its settings.

    Attributes:
        settings: all of them known.
        weights: by miii's names, in float32.
    """

    config: ModelConfig
    settings: Settings
    weights: Mapping[str, Tensor]

    @property
    def p(self) -> int:
        """The modulus."""
        assert self.settings.p is not None
        return self.settings.p

    def model(self) -> Transformer:
        """Return the network."""
        model = Transformer(self.config, self.settings.vocabulary, self.p, self.settings.n_ctx)
        zeros = {name: torch.zeros_like(value) for name, value in model.state_dict().items() if ".b_" in f".{name}"}
        kept = {name: value for name, value in model.state_dict().items() if name == "W_pos"}
        model.load_state_dict(kept | zeros | dict(self.weights))
        return model.requires_grad_(False).eval()


def forms(v: int, n: int | None, o: int, given: Settings, embedding: str) -> list[Settings]:
    """Return the possible moduli and prompts of a network with v tokens, n positions and o logits.

    Args:
        n: None if the network does not tell positions apart.
        given: may name a modulus below the number of tokens, if the rest are padding.
        embedding: the name of the embedding in the file, for errors.

    Raises:
        InputError: none is possible, or none has the given modulus.
    """
    found = []
    for equals, separate in ((True, False), (False, False), (True, True), (False, True)):
        p = (v - equals) // (1 + separate)
        fits = p >= 2 and p * (1 + separate) + equals == v and (o == p or o >= v)
        asked = given.p or (o if o < p and not separate else v)  # fewer logits than tokens: these are the answers
        if asked >= 2 and 0 < v - asked * (1 + separate) - equals <= PADDING and (o == asked or o >= v):
            p, fits = asked, True  # tokens beyond those of the task
        if fits and (n is None or (n >= 3 if equals else n == 2 or (n > 2 and o == p))):
            found.append(Settings(p=p, equals=equals, separate=separate, operator=False, equals_first=False))
    asked = given.p or min(o, v - 2)  # a op b =
    likely = given.p or given.operator or o == asked or primes_below(asked + 1)[-1:] == (asked,)
    if (n is None or n >= 4) and likely and asked >= 2 and 0 <= v - asked - 2 <= PADDING and o >= asked:
        like = Settings(p=asked, equals=True, separate=False, operator=True)
        found += [replace(like, equals_first=False), replace(like, equals_first=True)]
    sizes = f"{embedding} has {v} tokens, the file has {n or 'no'} positions and {o} logits"
    if not found:
        raise InputError(
            'd_vocab must be p, or p + 1 with "=" as token p, with p or d_vocab logits, and n_ctx at least 3 with "=" '
            f"and 2 without; or p + 2 with a token of the operation, and n_ctx at least 4 ({sizes})."
        )
    matching = [
        form
        for form in found
        if all(
            getattr(given, name) in (None, getattr(form, name))
            for name in ("p", "equals", "separate", "operator", "equals_first")
        )
    ]
    if n is not None and n > 2 and any(form.equals for form in matching):  # positions beyond those used are rare
        matching = [form for form in matching if form.equals]
    if not matching:
        known = " or ".join(dict.fromkeys(str(form.p) for form in found))
        raise InputError(f"p must be {known}: {sizes} (got {given.p}).")
    return matching


def room(d: int, h: int, k: int, normed: bool) -> tuple[int, int, int]:
    """Return d_model, heads and d_head of a network of miii's that has room for h heads of k: there d = h k.

    Raises:
        InputError: d_model would have to grow, and norms forbid that.
    """
    for n in range(h, d + 1):
        if d % n == 0 and d // n >= k:
            return d, n, d // n
    if normed:
        raise InputError(
            f"n_heads times d_head must be at most d_model in a network with norms (got {h} x {k} and {d})."
        )
    k = max(k, math.ceil(d / h))
    return h * k, h, k


def widened(weights: Mapping[str, Tensor], d: int, h: int, k: int) -> dict[str, Tensor]:
    """Return the weights of the same network with zeros up to d_model d and h heads of k.

    Queries grow by sqrt(k / d_head), by which the scores of wider heads are divided more.
    """
    found = {}
    for name, value in weights.items():
        last, sizes = name.rpartition(".")[2], {"d": d, "h": h, "k": k}
        short = [sizes.get(axis, size) - size for axis, size in zip(AXES[last].split(), value.shape, strict=True)]
        factor = math.sqrt(k / value.shape[-1]) if last in ("W_Q", "b_Q") else 1.0
        found[name] = torch.nn.functional.pad(factor * value, [n for each in reversed(short) for n in (0, each)])
    return found


def rescaled(weights: Mapping[str, Tensor], factor: float, normed_last: bool) -> dict[str, Tensor]:
    """Return the weights of a network whose residual stream is multiplied by a factor.

    Where all that reads the stream has norms, this changes no logit, except that a norm adds ``factor**2`` times less
    to the mean square.
    """
    written = ("W_E", "W_pos", "W_O", "b_O", "W_out", "b_out")
    found = {name: value * factor if name.rpartition(".")[2] in written else value for name, value in weights.items()}
    return found if normed_last else found | {"W_U": found["W_U"] / factor}


def sinusoids(n: int, d: int) -> Tensor:
    """Return position embeddings [n, d] that are computed in code: sines in even and cosines in odd columns.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), section 3.5.
    """
    angles = torch.arange(n)[:, None] * 10_000 ** (-torch.arange(0, d, 2) / d)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :d]


def squeezed(value: Tensor, rank: int) -> Tensor:
    """Return a tensor without axes of size 1 beyond this number of axes."""
    while value.ndim > rank and 1 in value.shape:
        value = value.squeeze(value.shape.index(1))
    return value


def solve(places: Mapping[str, tuple[str, Place]], state: State) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the sizes of the axes, each as most tensors have it, and what contradicts them.

    The axis ``hk`` is all heads side by side.
    """
    votes: dict[str, Counter[int]] = defaultdict(Counter)
    misfits, ranked = [], []
    for theirs, place in places.values():
        shape = squeezed(state[theirs], len(place.dims)).shape
        if len(shape) != len(place.dims):
            misfits.append(f"{printable(theirs)} must have the axes {place.axes} (got {times(shape)})")
            continue
        ranked.append((theirs, place, shape))
        for part, size in zip(place.dims, shape, strict=True):
            votes["".join(part).removeprefix("s")][size // (3 if part[0] == "s" else 1)] += 1
    axes = {axis: sizes.most_common(1)[0][0] for axis, sizes in votes.items()}
    axes.setdefault("o", axes.get("v", 0))
    if "h" in axes and "k" in axes:
        axes["hk"] = axes["h"] * axes["k"]
    for theirs, place, shape in ranked:
        wanted = [axes["".join(part).removeprefix("s")] * (3 if part[0] == "s" else 1) for part in place.dims]
        if wanted != list(shape):
            misfits.append(f"{printable(theirs)} must be {times(wanted)} (got {times(shape)})")
        elif 0 in shape:
            misfits.append(f"{printable(theirs)} must hold at least one number (got {times(shape)})")
    return axes, tuple(misfits)


def as_float(name: str, value: Tensor) -> Tensor:
    """Return a weight in float32.

    Raises:
        InputError: it holds no floating-point numbers, or one that is not finite.
    """
    if value.dtype not in KINDS:
        kinds = ", ".join(str(kind).removeprefix("torch.") for kind in KINDS)
        raise InputError(f"{printable(name)} must be one of {kinds} (got {str(value.dtype).removeprefix('torch.')}).")
    value = value.detach().cpu().float()
    if not value.isfinite().all():
        raise InputError(f"{printable(name)} must hold numbers that are finite in float32 (got NaN or infinity).")
    return value


def times(shape: Sequence[int]) -> str:
    """Return a shape in words: 4 x 128 x 32."""
    return " x ".join(map(str, shape)) or "a single number"


def listed_shapes(state: State, limit: int = 5) -> str:
    """Return the first names of a state dict with their shapes."""
    shown = [f"{printable(name)} {times(value.shape)}" for name, value in itertools.islice(state.items(), limit)]
    return listed([*shown, *[""] * max(0, len(state) - limit)], limit)


def listed(names: Sequence[str], limit: int = 8) -> str:
    """Return names as in a sentence, and how many more there are."""
    shown = list(names[:limit])
    if len(names) > limit:
        return f"{', '.join(shown)} and {len(names) - limit} more"
    return " and ".join(part for part in (", ".join(shown[:-1]), *shown[-1:]) if part)
