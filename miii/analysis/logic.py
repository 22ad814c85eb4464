"""Logic functions as programs and as networks of two layers, each checked on its whole truth table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

Function = Callable[..., bool]

#: The matrix that equation 3 of the draft paper applies twice.
PRINTED_MATRIX: Final = ((0, -1), (1, 1))


def printed_program(a: bool, b: bool, c: bool) -> bool:
    """The program that the draft paper prints under the name xor. Source: the draft paper, section 2."""
    return not (a and b and c) and not (not a and not b and not c)


def xor(*inputs: bool) -> bool:
    """Whether an odd number of the inputs is true. Source: the definition."""
    return sum(inputs) % 2 == 1


def not_all_equal(*inputs: bool) -> bool:
    """Whether the inputs are not all the same. Source: the definition."""
    return len(set(inputs)) > 1


def inputs(n: int) -> Int[np.ndarray, "rows n"]:
    """All 2^n inputs as 0 and 1, counting up."""
    return np.arange(2**n)[:, None] >> np.arange(n)[::-1] & 1


def truth(function: Function, n: int) -> Bool[np.ndarray, " rows"]:
    """The function's value at each of ``inputs(n)``."""
    return np.array([function(*map(bool, row)) for row in inputs(n)])


def printed_network() -> Float[np.ndarray, "rows 2"]:
    """Equation 3's sigmoid at each of the four inputs, before its two numbers are compared with 0.

    Nothing stands between the two matrices, so they are one linear map, their product; and a sigmoid is above 0
    whatever it is given.

    Source: the draft paper, equation 3.
    """
    W = np.array(PRINTED_MATRIX)
    return 1 / (1 + np.exp(-(inputs(2) @ (W @ W).T).astype(np.float64)))


@dataclass(frozen=True)
class TwoLayers:
    """A network that says ``second . relu(first x + bias) + threshold > 0``.

    Source: Minsky and Papert 1969: one layer cannot compute xor; two can.
    """

    first: tuple[tuple[int, ...], ...]
    bias: tuple[int, ...]
    second: tuple[int, ...]
    threshold: float

    def hidden(self) -> Int[np.ndarray, "rows hidden"]:
        """What the hidden units give at each of the inputs."""
        return np.maximum(0, inputs(len(self.first[0])) @ np.array(self.first).T + np.array(self.bias))

    def output(self) -> Float[np.ndarray, " rows"]:
        """The number that is compared with 0, at each of the inputs."""
        return self.hidden() @ np.array(self.second) + self.threshold

    def computes(self, function: Function) -> bool:
        """Whether it says what the function says at every input."""
        return bool(((self.output() > 0) == truth(function, len(self.first[0]))).all())


def not_all_equal_network(n: int) -> TwoLayers:
    """Not all equal of n inputs, with the program's two clauses as hidden units: none is true, all are true.

    Of two inputs that is xor.
    """
    return TwoLayers(first=((-1,) * n, (1,) * n), bias=(1, 1 - n), second=(-1, -1), threshold=0.5)


def xor_network(n: int) -> TwoLayers:
    """Xor of n inputs: hidden units with a kink at each count of true ones, which draw a zigzag through 0, 1, 0, 1 ..."""
    return TwoLayers(
        first=((1,) * n,) * n,
        bias=tuple(-count for count in range(n)),
        second=(1, *(2 * (-1) ** count for count in range(1, n))),
        threshold=-0.5,
    )
