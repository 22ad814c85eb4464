"""Positions that a block computes, and the rows it reads, so that examples can share work on the fast path."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding

from miii.model.wiring import ALL

WIDE: Final = 16  #: numbers of a row that is looked up as an embedding


def unchanged(stream: Tensor) -> Tensor:
    """Return the stream unchanged."""
    return stream


@dataclass(frozen=True)
class Where:
    """The positions that a block computes, and how its input is stored.

    Attributes:
        at: the positions to compute, ``wiring.ALL`` or ``wiring.LAST``.
        rows: None for an input [batch, pos, d_model]. Otherwise the input holds distinct rows [distinct, d_model], and
            ``rows`` [batch, pos] indexes them: row-wise functions are computed once per row.
    """

    at: slice = field(default_factory=lambda: ALL)
    rows: Int[Tensor, "batch pos"] | None = None

    def keys(
        self, stream: Tensor, function: Callable[[Tensor], Tensor] = unchanged
    ) -> Float[Tensor, "batch pos *rest"]:
        """Apply a function to the rows, at every position."""
        return function(stream) if self.rows is None else gather(function(stream), self.rows)

    def queries(
        self, stream: Tensor, function: Callable[[Tensor], Tensor] = unchanged
    ) -> Float[Tensor, "batch query *rest"]:
        """Apply a function to the rows, at the positions to compute."""
        if self.rows is None:
            return function(stream[:, self.at])
        return gather(function(stream), self.rows[:, self.at])


ALL_POSITIONS = Where()  #: every position of an input [batch, pos, d_model]


def gather(table: Float[Tensor, "distinct *rest"], index: Int[Tensor, "batch *pos"]) -> Tensor:
    """Return table[index], with a backward pass several times as fast.

    Wide rows are looked up as embeddings: the same bits, and forward five times as fast under ``vmap``.
    """
    if table.ndim > 1 and table[0].numel() >= WIDE:
        return embedding(index, table.flatten(1)).unflatten(-1, table.shape[1:])
    return table.index_select(0, index.flatten()).unflatten(0, index.shape)
