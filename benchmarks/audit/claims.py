"""A claim of a report, recomputed; and the network that it is about, in NumPy."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from benchmarks.table import ROOT

HOME = ROOT / "checkpoints"
EXACT = 2e-3  #: tolerance where nothing is drawn: a few examples may round to the other side
DRAWN = 0.03  #: where examples are drawn anew

Array = np.ndarray


@dataclass(frozen=True)
class Claim:
    """A number of a report, and its second value."""

    what: str
    claimed: float
    recomputed: float
    tolerance: float = EXACT

    @property
    def agrees(self) -> bool:
        """Whether both values agree within the tolerance."""
        return math.isclose(self.claimed, self.recomputed, rel_tol=0, abs_tol=self.tolerance)

    def text(self) -> str:
        """Return both values."""
        return f"claimed {self.claimed:.5g}, recomputed {self.recomputed:.5g}"


def read(name: str, file: str) -> dict[str, Any]:
    """Return a JSON file of a shipped run."""
    return json.loads((HOME / name / file).read_text())


def last_row(name: str) -> dict[str, Any]:
    """Return the last evaluation of a shipped run."""
    return json.loads((HOME / name / "metrics.jsonl").read_text().splitlines()[-1])


@dataclass(frozen=True)
class Network:
    """A plain transformer without norms, in float64: softmax attention, then neurons, both added to the stream."""

    weights: dict[str, Array]
    layers: int
    causal: bool
    act: Callable[[Array], Array]

    @classmethod
    def of(cls, name: str) -> "Network":
        """Read the last weights of a shipped run.

        Raises:
            ValueError: its blocks are not plain, or its activation is unknown here.
        """
        config = read(name, "config.json")["model"]
        if (config["block"], config["mixer"]) != ("plain", "attention"):
            raise ValueError(f"{name} is not a plain transformer: block {config['block']}, mixer {config['mixer']}.")
        files = sorted((HOME / name / "snapshots").glob("*.safetensors"), key=lambda path: int(path.stem))
        acts = {"relu": lambda x: np.maximum(x, 0), "square": np.square, "sigmoid": lambda x: 1 / (1 + np.exp(-x))}
        weights = {key: value.astype(np.float64) for key, value in load_file(files[-1]).items()}
        return cls(weights, config["n_layers"], config["causal"], acts[config["act"]])

    def w(self, name: str, layer: int = 0) -> Array:
        """Return a block's weight; 0 for a missing bias."""
        return self.weights.get(f"blocks.{layer}.{name}", np.zeros(()))

    def positions(self, n: int) -> Array:
        """Return the vectors of the first n positions."""
        if "W_step" in self.weights:
            return (self.weights["W_step"][:, None] + self.weights["W_slot"]).reshape(-1, self.width)[:n]
        return self.weights["W_pos"][:n] if "W_pos" in self.weights else np.zeros((n, self.width))

    @property
    def width(self) -> int:
        """The width of the residual stream."""
        return self.weights["W_E"].shape[1]

    def attention(self, x: Array, layer: int) -> tuple[Array, Array]:
        """Return the pattern [example, head, query, key] and the values [example, head, key, d_head]."""
        q, k, v = (
            np.einsum("npd,hde->nhpe", x, self.w(f"W_{which}", layer)) + self._bias(f"b_{which}", layer)
            for which in "QKV"
        )
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1])
        if self.causal:
            scores[..., np.triu(np.ones(scores.shape[-2:], dtype=bool), 1)] = -np.inf
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        return scores / scores.sum(-1, keepdims=True), v

    def _bias(self, name: str, layer: int) -> Array:
        value = self.w(name, layer)
        return value[:, None] if value.ndim else value

    def mid(self, x: Array, layer: int) -> Array:
        """Return the residual stream after attention."""
        pattern, v = self.attention(x, layer)
        return x + np.einsum("nhqe,hed->nqd", pattern @ v, self.w("W_O", layer)) + self.w("b_O", layer)

    def after(self, mid: Array, layer: int) -> Array:
        """Return the residual stream after the neurons."""
        post = self.act(mid @ self.w("W_in", layer) + self.w("b_in", layer))
        return mid + post @ self.w("W_out", layer) + self.w("b_out", layer)

    def unembed(self, x: Array) -> Array:
        """Return the logits."""
        return x @ self.weights["W_U"] + self.weights.get("b_U", 0.0)

    def embed(self, tokens: Array) -> Array:
        """Return the residual stream before the first block."""
        return self.weights["W_E"][tokens] + self.positions(tokens.shape[1])

    def last_input(self, tokens: Array) -> Array:
        """Return the input of the last block, at every position."""
        x = self.embed(tokens)
        for layer in range(self.layers - 1):
            x = self.after(self.mid(x, layer), layer)
        return x

    def last_mid(self, tokens: Array, chunk: int = 2000) -> Array:
        """Return the stream before the last neurons, at the last position."""
        parts = [tokens[i : i + chunk] for i in range(0, len(tokens), chunk)]
        return np.concatenate([self.mid(self.last_input(part), self.layers - 1)[:, -1] for part in parts])

    def answer(self, tokens: Array) -> Array:
        """Return the logits at the last position."""
        return self.unembed(self.after(self.last_mid(tokens), self.layers - 1))

    def everywhere(self, tokens: Array, chunk: int = 1000) -> Array:
        """Return the logits at every position."""
        last = self.layers - 1
        parts = [tokens[i : i + chunk] for i in range(0, len(tokens), chunk)]
        return np.concatenate([self.unembed(self.after(self.mid(self.last_input(p), last), last)) for p in parts])


def auc(score: Array, positive: Array) -> float:
    """Return the chance that a positive scores above a negative, ties counting half, by counting."""
    low, high = np.sort(score[~positive]), score[positive]
    below, equal = np.searchsorted(low, high, "left"), np.searchsorted(low, high, "right")
    return float((below + equal).sum() / 2 / (len(low) * len(high)))


def shipped(*names: str) -> list[str]:
    """Return which of these runs have a report and weights here."""
    return [n for n in names if (HOME / n / "report.json").exists() and any(Path(HOME / n / "snapshots").glob("*.s*"))]
