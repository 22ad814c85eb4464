"""What a network is trained on, as a value."""

from dataclasses import dataclass

from jaxtyping import Bool, Int
from torch import Tensor


@dataclass(frozen=True)
class Task:
    """Every example of a task, in a fixed order, and which of them train.

    The answer is read at the last position.

    Source: own design; see the tasks that build it for theirs.
    """

    tokens: Int[Tensor, "examples pos"]
    labels: Int[Tensor, " examples"]
    train_mask: Bool[Tensor, " examples"]
    d_vocab: int
    d_vocab_out: int
    token_names: tuple[str, ...]

    @property
    def n_ctx(self) -> int:
        """How many positions an example has."""
        return self.tokens.shape[1]

    @property
    def split_known(self) -> bool:
        """Whether it is known which examples train: of imported weights it may not be, and none is marked then."""
        return bool(self.train_mask.any())
