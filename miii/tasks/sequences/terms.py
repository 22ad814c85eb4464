"""Encode exact integers as tokens of several parts, whose rows of W_E are summed.

Residues are taken of the integer itself, before anything becomes a float.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Int

BLANK, PAD, ASK = range(3)  #: rows of W_E: adds nothing; a position without a term; the last position
SIGN = 3  #: the first of three rows: negative, zero, positive
WHOLE, EIGHTHS = 256, 8  #: classes of log2(1 + |x|): its integer part, capped, and its eighths
PLACES = 16  #: decimal places of the encoding "digits", from the lowest
LARGEST_MODULUS = 42  #: lcm(1 .. 42) is the largest below 2^63

Terms = Literal["residues", "magnitude", "digits", "differences"]
DIFFERENCES = ("Δ", "Δ²")  #: first and second difference
SIZE = {"sign": 3, "magnitude": WHOLE, "eighths": EIGHTHS}  #: classes of a number's size, by part


@dataclass(frozen=True)
class Encoding:
    """The parts of a term: sign and log magnitude, then residues modulo 2 .. ``largest``, or digits.

    "differences" has residues, and sign and log magnitude of the first and second difference to the terms before.

    Source: residues beside the log magnitude as in IntSeqBERT (2026), as one row of W_E for each class.
    """

    terms: Terms
    largest: int

    @cached_property
    def blocks(self) -> dict[str, slice]:
        """Return the rows of W_E by part: sign, magnitude, eighths, and "mod q" or "10^k"."""
        sizes = dict(SIZE)
        if self.terms in ("residues", "differences"):
            sizes |= {f"mod {q}": q for q in range(2, self.largest + 1)}
        if self.terms == "differences":
            sizes |= {f"{order} {part}": size for order in DIFFERENCES for part, size in SIZE.items()}
        if self.terms == "digits":
            sizes |= {f"10^{k}": 10 for k in range(PLACES)}
        found, begin = {}, SIGN
        for name, size in sizes.items():
            found[name] = slice(begin, begin + size)
            begin += size
        return found

    @property
    def rows(self) -> int:
        """Number of rows of W_E."""
        return max(block.stop for block in self.blocks.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each row."""
        found = ["blank", "no term", "?"]
        for name, block in self.blocks.items():
            found += [f"{name}: {i}" for i in range(block.stop - block.start)]
        return tuple(found)

    def encode(self, sequences: Sequence[Sequence[int]], longest: int) -> Int[np.ndarray, "sequences pos part"]:
        """Return the tokens: the terms, positions without a term, and ``ASK`` last; longest + 1 positions."""
        tokens = np.zeros((len(sequences), longest + 1, len(self.blocks)), dtype=np.int16)
        tokens[:, :, 0], tokens[:, -1, 0] = PAD, ASK
        inside = np.arange(longest + 1) < np.array([len(terms) for terms in sequences])[:, None]
        flat = [term for terms in sequences for term in terms]
        parts = self._parts(flat)
        if self.terms == "differences":
            parts += self._differences(sequences)
        tokens[inside] = np.stack(parts, axis=1)
        return tokens

    def _size(self, x: Sequence[int], before: str = "") -> list[np.ndarray]:
        begin = [self.blocks[f"{before}{part}"].start for part in SIZE]
        log = np.array([math.log2(abs(term) + 1) for term in x])
        sign = np.array([(term > 0) - (term < 0) for term in x])
        return [
            begin[0] + 1 + sign,
            begin[1] + np.minimum(log.astype(np.int64), WHOLE - 1),
            begin[2] + (log * EIGHTHS).astype(np.int64) % EIGHTHS,
        ]

    def _differences(self, sequences: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Return the sizes of differences; blank for the first terms, which have none."""
        found, rows = [], [list(terms) for terms in sequences]
        for i, order in enumerate(DIFFERENCES, 1):
            rows = [[b - a for a, b in pairwise(terms)] for terms in rows]
            padded = [
                term for terms, whole in zip(rows, sequences, strict=True) for term in ([0] * i + terms)[: len(whole)]
            ]
            blank = np.array([n < i for whole in sequences for n in range(len(whole))])
            found += [np.where(blank, BLANK, part) for part in self._size(padded, f"{order} ")]
        return found

    def _parts(self, x: Sequence[int]) -> list[np.ndarray]:
        begin = {name: block.start for name, block in self.blocks.items()}
        found = self._size(x)
        if self.terms in ("residues", "differences"):
            common = math.lcm(*range(1, self.largest + 1))
            residue = np.array([term % common for term in x], dtype=np.int64)
            found += [begin[f"mod {q}"] + residue % q for q in range(2, self.largest + 1)]
        if self.terms == "digits":
            low = np.array([abs(term) % 10**PLACES for term in x], dtype=np.int64)
            shown = np.array([abs(term) >= 10**PLACES for term in x])
            for k in range(PLACES):
                digit = begin[f"10^{k}"] + low // 10**k % 10
                found.append(np.where((low >= 10**k) | shown, digit, BLANK))
        return found
