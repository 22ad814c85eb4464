"""The network: a convolution of the sparse grid, residual blocks, and a small transformer over consecutive integers."""

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from miii.errors import Frozen, InputError
from miii.sparse import encoding


class GridConfig(Frozen):
    """Configure grid, ranges, network and training: everything that determines the weights on one machine.

    The default ranges are a tenth of the paper's, which are in ``PAPER``.

    Raises:
        InputError: a field is unknown or out of range, the kernel does not divide the side, the heads do not divide the
            width, the ranges end beyond the grid, or a sequence is longer than the training range.

    Source: encoding and ranges of Lee and Kim, who publish neither sizes nor weights.
    """

    side: int = Field(encoding.SIDE, ge=2, le=200, description="cells of the grid along each of its three axes")
    low: int = Field(2, ge=2, description="the first integer for training")
    n_train: int = Field(100_000, ge=10, description="how many integers train")
    n_test: int = Field(200_000, ge=10, description="how many integers, right after those, are held out")
    length: int = Field(16, ge=1, le=1024, description="consecutive integers that are read together")
    kernel: int = Field(5, ge=1, description="side of the convolution's kernel, and its stride; it divides the side")
    d_model: int = Field(64, ge=1, le=1024, description="channels of the convolution, and width of all that follows")
    n_blocks: int = Field(2, ge=0, le=24, description="residual blocks on each integer")
    n_layers: int = Field(1, ge=0, le=24, description="layers of the transformer over the sequence")
    n_heads: int = Field(4, ge=1, le=64, description="its attention heads; they divide d_model")
    prime_weight: float = Field(4.0, gt=0, description="what a prime counts in the loss; a composite counts 1")
    lr: float = Field(3e-3, gt=0, le=1, description="the highest learning rate: it rises for a tenth and then falls")
    weight_decay: float = Field(0.01, ge=0, le=100, description="decoupled weight decay, times the learning rate")
    batch_size: int = Field(64, ge=1, description="sequences a step")
    steps: int = Field(1_000, ge=1, le=10_000_000, description="how many")
    threads: int = Field(1, ge=1, le=1024, description="processor threads")
    seed: int = Field(0, ge=0, lt=2**31, description="fixes the initial weights and the batches")

    @model_validator(mode="after")
    def _fits(self) -> "GridConfig":
        if self.side % self.kernel:
            valid = ", ".join(str(k) for k in range(1, self.side + 1) if self.side % k == 0)
            raise InputError(f"kernel must divide side, so be one of {valid} (got {self.kernel}).")
        if self.d_model % self.n_heads:
            raise InputError(f"n_heads must divide d_model (got {self.n_heads} and {self.d_model}).")
        if self.end > self.side**3:
            raise InputError(
                f"low, n_train and n_test must end within the grid's {self.side**3:,} cells (got {self.end:,})."
            )
        if self.length > self.n_train:
            raise InputError(f"length must be at most n_train, {self.n_train:,} (got {self.length}).")
        return self

    @property
    def middle(self) -> int:
        """The first held-out integer."""
        return self.low + self.n_train

    @property
    def end(self) -> int:
        """The first integer after both ranges."""
        return self.middle + self.n_test


#: The paper's ranges.
PAPER = {"n_train": 1_000_000, "n_test": 2_000_000}


class GridConvolution(nn.Module):
    """A three-dimensional convolution with stride equal to its kernel, of a grid with a single 1.

    At the patch of the 1, the convolution is one kernel entry plus the bias. At all other patches it is the bias,
    independent of the integer. So only that patch is computed, and the grid is never built.
    """

    def __init__(self, kernel: int, channels: int) -> None:
        super().__init__()
        self.size = kernel
        self.kernel = nn.Parameter(torch.randn(kernel**3, channels) * channels**-0.5)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, entry: Int[Tensor, "*integers"]) -> Float[Tensor, "*integers channels"]:
        """Return the convolution at the patch of the 1."""
        return nn.functional.embedding(entry, self.kernel) + self.bias

    def weight(self) -> Float[Tensor, "channels 1 kernel kernel kernel"]:
        """Return the kernel in the layout of ``conv3d``."""
        return self.kernel.T.unflatten(1, (1, self.size, self.size, self.size))


class GridNetwork(nn.Module):
    """Two logits, composite and prime, for each integer in a sequence of consecutive integers.

    Adds the kernel entry and an embedding of the patch's place along each axis, applies residual blocks, and runs a
    transformer over the integers of a sequence. Place embeddings start at zero, so a place without training integers
    adds nothing.

    Source: grid sequence, convolution, residual network and transformer of Lee and Kim, with different sizes.
    """

    def __init__(self, config: GridConfig) -> None:
        super().__init__()
        self.config = config
        d, n_patches = config.d_model, config.side // config.kernel
        self.convolution = GridConvolution(config.kernel, d)
        self.places = nn.Parameter(torch.zeros(3, n_patches, d))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.ReLU(), nn.Linear(4 * d, d))
            for _ in range(config.n_blocks)
        )
        self.order = nn.Parameter(torch.randn(config.length, d) * 0.02)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(d, config.n_heads, 4 * d, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(config.n_layers)
        )
        self.head = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 2))

    def forward(self, s: Int[Tensor, "batch length"]) -> Float[Tensor, "batch length 2"]:
        """Return the logits of sequences of at most ``config.length`` consecutive integers."""
        patch, entry = encoding.patches(s, self.config.kernel, self.config.side)
        x = self.convolution(entry)
        for axis, place in zip(patch.unbind(-1), self.places, strict=True):
            x = x + nn.functional.embedding(axis, place)
        for block in self.blocks:
            x = x + block(x)
        x = x + self.order[: s.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def build(config: GridConfig) -> GridNetwork:
    """Return the network with its initial weights, without changing torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return GridNetwork(config)


CHUNK = 128  #: sequences to run at once


@torch.no_grad()
def evidence(network: GridNetwork, low: int, high: int) -> Float[Tensor, " integers"]:
    """Return the logit of prime minus the logit of composite for the integers ``low`` .. ``high`` - 1.

    Raises:
        InputError: a logit is not finite.
    """
    n, length = high - low, network.config.length
    whole = torch.arange(low, low + n // length * length).unflatten(0, (n // length, length))
    rest = torch.arange(low + whole.numel(), high)[None]  # a last, shorter sequence
    logits = [network(rows).flatten(0, 1) for rows in (*whole.split(CHUNK), rest) if rows.numel()]
    found = torch.cat([rows[:, 1] - rows[:, 0] for rows in logits])
    if not found.isfinite().all():
        raise InputError("the network's logits must be finite (got infinite or undefined ones): training diverged.")
    return found
