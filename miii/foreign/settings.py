"""What a file of weights does not record: activation, heads, attention, tokens."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from miii.errors import InputError
from miii.model.block import ACTIVATIONS

LARGEST: Final = 1_000_000  #: bytes of a JSON file that is read


@dataclass(frozen=True)
class Settings:
    """What shapes and names do not tell; None where unknown.

    Attributes:
        p: the modulus.
        equals, separate, operator: see ``ModularAddition``.
        equals_first: whether "=" is token p and the operation token p + 1, instead of the other way around.
        act, n_heads, causal, attn_coeff: see ``ModelConfig``.
        lnpre: whether there are LayerNorms without weights (TransformerLens' LNPre).
        post: whether LayerNorms stand after each sum, instead of before each part.
        rms: whether norms are RMSNorms.
        epsilon: what RMSNorms add to the mean square.
        scaled: whether embeddings are multiplied by the square root of d_model before positions are added.
        sinusoidal: whether positions are computed instead of stored.
        twice: whether the first bias counts twice, since its map is applied to each operand before the sum.
    """

    p: int | None = None
    equals: bool | None = None
    separate: bool | None = None
    act: str | None = None
    n_heads: int | None = None
    causal: bool | None = None
    attn_coeff: float | None = None
    lnpre: bool | None = None
    twice: bool | None = None
    operator: bool | None = None
    equals_first: bool | None = None
    post: bool | None = None
    rms: bool | None = None
    epsilon: float | None = None
    scaled: bool | None = None
    sinusoidal: bool | None = None

    def __post_init__(self) -> None:
        if self.act is not None and self.act not in ACTIVATIONS:
            raise InputError(f"act must be one of {', '.join(map(repr, ACTIVATIONS))} (got {self.act!r}).")

    @property
    def vocabulary(self) -> int:
        """The number of tokens of the task."""
        return (self.p or 0) * (1 + bool(self.separate)) + bool(self.operator) + bool(self.equals)

    @property
    def n_ctx(self) -> int:
        """The number of tokens of a prompt."""
        return 2 + bool(self.operator) + bool(self.equals)

    def known(self) -> dict[str, Any]:
        """Return the known settings by name."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}

    def or_else(self, other: "Settings") -> "Settings":
        """Return these settings, and the other's where these are unknown."""
        return replace(other, **self.known())


#: Names of settings in other people's configs.
NAMES: Final = {
    "p": ("p", "P", "C", "mod", "modulus", "prime"),
    "equals": ("equals", "eqn_sign"),
    "separate": ("separate", "diff_vocab"),
    "operator": ("operator",),
    "act": ("act", "act_fn", "act_type", "activation", "activation_function", "hidden_act", "nonlinearity"),
    "n_heads": ("n_heads", "num_heads", "n_head", "nhead", "heads", "num_attention_heads"),
    "causal": ("causal", "is_causal"),
    "attn_coeff": ("attn_coeff",),
    "epsilon": ("rms_norm_eps", "norm_eps", "norm_epsilon", "eps"),
}
NORMS: Final = ("normalization_type", "norm_type", "norm", "normalization")  #: of a norm's kind
ROTARY: Final = ("rotary_dim", "rotary_pct", "rope_theta", "rope_base", "use_rope", "rope", "rotary", "use_rotary")
#: Names of activations in other people's configs, without case and punctuation.
ACTS: Final = {
    "relu": "relu",
    "gelu": "gelu",
    "tanh": "tanh",
    "square": "square",
    "quadratic": "square",
    "quad": "square",
    "x2": "square",
    "gelunew": "gelu-tanh",
    "gelutanh": "gelu-tanh",
    "gelupytorchtanh": "gelu-tanh",
    "silu": "silu",
    "swish": "silu",
    "sigmoid": "sigmoid",
    "identity": "identity",
    "linear": "identity",
}


def from_config(config: Mapping[str, Any]) -> Settings:
    """Return the settings that a config names, whatever it calls them; others and odd values are skipped."""
    found: dict[str, Any] = {}
    for name, theirs in NAMES.items():
        value = next((config[one] for one in theirs if one in config), None)
        if name == "act" and isinstance(value, str):
            found[name] = _act(value)
        elif name in ("p", "n_heads") and type(value) is int and 0 < value < 10**6:
            found[name] = value
        elif (
            name in ("equals", "separate", "operator", "causal") and value in (0, 1, True, False) and value is not None
        ):
            found[name] = bool(value)
        elif name == "attn_coeff" and isinstance(value, int | float) and 0 <= value <= 1:
            found[name] = float(value)
        elif name == "epsilon" and isinstance(value, float) and 0 < value < 0.1:
            found[name] = value
    kind = next((config[name] for name in NORMS if isinstance(config.get(name), str | None) and name in config), "")
    if kind is None or kind in ("LN", "LNPre", "RMS", "RMSPre"):  # TransformerLens
        found["lnpre"] = str(kind).endswith("Pre")
    if kind:
        found["rms"] = "rms" in kind.lower()
    return Settings(**found)


def check_positions(config: Mapping[str, Any]) -> None:
    """Check that a config names no rotary positions, of which a file holds no trace.

    Raises:
        InputError: it does.
    """
    kind = str(config.get("positional_embedding_type", config.get("pos_type", ""))).lower()
    named = next((name for name in ROTARY if config.get(name)), None)
    if named or "rot" in kind or "rope" in kind:
        raise InputError(
            f"positions must be learned, sinusoidal or none (the config has {named or kind!r}, so they are rotary, "
            "which miii's networks do not have)."
        )


def unknown_act(config: Mapping[str, Any]) -> str | None:
    """Return the activation that a config names, if miii has none such."""
    named = next((config[name] for name in NAMES["act"] if name in config), None)
    return named if isinstance(named, str) and _act(named) is None else None


def _act(name: str) -> str | None:
    return ACTS.get("".join(letter for letter in name.lower() if letter.isalnum()))


def beside(path: Path) -> tuple[dict[str, Any], str | None]:
    """Return the config in a JSON file beside a file of weights, and its name; empty and None if there is none.

    Tried for ``model_x.pt``: model_x.json, config_x.json, x.json, config.json.
    """
    stem = path.stem
    for name in dict.fromkeys(
        (stem, stem.replace("model", "config"), f"config_{stem}", stem.rpartition("_")[2], "config")
    ):
        try:
            place = path.with_name(f"{name}.json")
            if place.is_file() and place.stat().st_size <= LARGEST:
                found = json.loads(place.read_text())
                if isinstance(found, dict):
                    return found, place.name
        except (OSError, ValueError, RecursionError):
            continue
    return {}, None
