"""Where each head looks: for one input, and over all of them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.errors import InputError
from miii.model.tap import capture
from miii.model.transformer import Transformer

CHUNK = 1024  #: examples run at a time: more need more memory and are no faster


def pattern(model: Transformer, tokens: Int[Tensor, " pos"], layer: int = 0) -> Float[Tensor, "head query key"]:
    """The attention pattern of every head for one input: each row sums to 1.

    Raises:
        InputError: there is no such layer.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 1.
    """
    _check(model, layer)
    with torch.no_grad():
        return capture(model, tokens[None], {f"{layer}.pattern"})[f"{layer}.pattern"][0]


@dataclass(frozen=True)
class OverInputs:
    """What the last position attends to, over all examples: ``weight[head, key, example]``, summing to 1 over keys.

    Source: Nanda et al. 2023 (arXiv 2301.05217), figure 5.
    """

    layer: int
    weight: Float[Tensor, "head key examples"]

    def mean(self) -> Float[Tensor, "head key"]:
        """The mean over the examples."""
        return self.weight.mean(-1)


def over_inputs(model: Transformer, tokens: Int[Tensor, "examples pos"], layer: int = 0) -> OverInputs:
    """Attention from the last position of every example, for all heads.

    Raises:
        InputError: there is no such layer.

    Source: Nanda et al. 2023, figure 5.
    """
    _check(model, layer)
    name = f"{layer}.pattern"
    with torch.no_grad():
        chunks = [capture(model, chunk, {name})[name][:, :, -1] for chunk in tokens.split(CHUNK)]
    return OverInputs(layer, torch.cat(chunks).permute(1, 2, 0).contiguous())


def _check(model: Transformer, layer: int) -> None:
    if not 0 <= layer < model.config.n_layers:
        raise InputError(f"layer must be in 0 .. {model.config.n_layers - 1} (got {layer}).")
