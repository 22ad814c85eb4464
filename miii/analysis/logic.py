"""Logic functions as programs and as two-layer networks, checked on the whole truth table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

Function = Callable[..., bool]

#: The matrix that equation 3 of the draft paper applies twice.
PRINTED_MATRIX: Final = ((0, -1), (1, 1))


def printed_program(a: bool, b: bool, c: bool) -> bool:
    """Return the output of the draft paper's program named xor. Source: the draft paper, section 2."""
    return not (a and b and c) and not (not a and not b and not c)


def xor(*inputs: bool) -> bool:
    """Return whether an odd number of the inputs is true."""
    return sum(inputs) % 2 == 1


def not_all_equal(*inputs: bool) -> bool:
    """Return whether the inputs are not all the same."""
    return len(set(inputs)) > 1


def inputs(n: int) -> Int[np.ndarray, "rows n"]:
    """Return all 2^n inputs as 0 and 1, counting up."""
    return np.arange(2**n)[:, None] >> np.arange(n)[::-1] & 1


def truth(function: Function, n: int) -> Bool[np.ndarray, " rows"]:
    """Return the function's value at each of ``inputs(n)``."""
    return np.array([function(*map(bool, row)) for row in inputs(n)])


def printed_network() -> Float[np.ndarray, "rows 2"]:
    """Return the sigmoid of equation 3 at each of the four inputs, before its two values are compared with 0.

    Without a nonlinearity between them, the two matrices are one linear map. A sigmoid is always above 0.

    Source: the draft paper, equation 3.
    """
    W = np.array(PRINTED_MATRIX)
    return 1 / (1 + np.exp(-(inputs(2) @ (W @ W).T).astype(np.float64)))


@dataclass(frozen=True)
class TwoLayers:
    """A network that computes ``second . relu(first x + bias) + threshold > 0``.

    Source: Minsky and Papert 1969: one layer cannot compute xor; two can.
    """

    first: tuple[tuple[int, ...], ...]
    bias: tuple[int, ...]
    second: tuple[int, ...]
    threshold: float

    def hidden(self) -> Int[np.ndarray, "rows hidden"]:
        """Return the hidden units at each of the inputs."""
        return np.maximum(0, inputs(len(self.first[0])) @ np.array(self.first).T + np.array(self.bias))

    def output(self) -> Float[np.ndarray, " rows"]:
        """Return the value compared with 0, at each of the inputs."""
        return self.hidden() @ np.array(self.second) + self.threshold

    def computes(self, function: Function) -> bool:
        """Return whether the network equals the function at every input."""
        return bool(((self.output() > 0) == truth(function, len(self.first[0]))).all())


def not_all_equal_network(n: int) -> TwoLayers:
    """Return a network for "not all equal" of n inputs; its two hidden units are "none is true" and "all are true".

    For two inputs this is xor.
    """
    return TwoLayers(first=((-1,) * n, (1,) * n), bias=(1, 1 - n), second=(-1, -1), threshold=0.5)


def xor_network(n: int) -> TwoLayers:
    """Return a network for xor of n inputs: hidden units add a kink at each count of true inputs, forming a zigzag."""
    return TwoLayers(
        first=((1,) * n,) * n,
        bias=tuple(-count for count in range(n)),
        second=(1, *(2 * (-1) ** count for count in range(1, n))),
        threshold=-0.5,
    )
