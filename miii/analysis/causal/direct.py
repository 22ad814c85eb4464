"""Direct logit attribution: what each part of a network writes directly to the logits."""

from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.activations import chunks
from miii.analysis.causal.attention import at_end, centered
from miii.model.block import add_bias
from miii.model.transformer import Transformer


def head_logits(
    model: Transformer, tokens: Int[Tensor, "examples pos"], layer: int = 0
) -> Float[Tensor, "head examples d_vocab_out"]:
    """Return what each head writes directly to the logits of every example: z W_O W_U, minus the mean over answers.

    Raises:
        InputError: there is no such layer, or the blocks are not plain.

    Source: direct logit attribution, Elhage et al. 2021 and Wang et al. 2022 (arXiv 2211.00593), section 3.1.
    """
    z, _ = at_end(model, tokens, layer)
    model.config.must_be_plain("direct writing to the logits")
    with torch.no_grad():
        to_logits = model.blocks[layer].W_O @ centered(model.W_U)
        return einsum(z, to_logits, "examples head d, head d out -> head examples out")


@dataclass(frozen=True)
class Contributions:
    """What each part of a network adds to the logit of the correct answer, minus the mean over answers.

    The parts are the token and position embedding at the last position, every head, every MLP (with its b_out) and the
    remaining biases. Their values sum to the network's own centered logit.

    Attributes:
        names: "embedding", "head 0.1" (layer 0, head 1), "MLP 0", ..., "biases".
        values: in logits (nats), by example.

    Source: direct logit attribution, Elhage et al. 2021 and Wang et al. 2022 (arXiv 2211.00593), section 3.1.
    """

    names: tuple[str, ...]
    values: Float[Tensor, "part examples"]

    def mean(self) -> Float[Tensor, " part"]:
        """Return the mean over examples, in logits."""
        return self.values.mean(1)

    def total(self) -> float:
        """Return the mean of the network's centered logit of the correct answer."""
        return self.values.sum(0).mean().item()

    def of(self, kind: str) -> float:
        """Return the mean of all parts of a kind together, in logits: "head", "MLP", "embedding" or "biases"."""
        chosen = [i for i, name in enumerate(self.names) if name.split()[0] == kind]
        return self.values[chosen].sum(0).mean().item()


def contributions(
    model: Transformer, tokens: Int[Tensor, "examples pos"], labels: Int[Tensor, " examples"]
) -> Contributions:
    """Split the centered logit of the correct answer among the parts of the network.

    ``of("MLP") / total()`` is the MLP's share of the answer.

    Raises:
        InputError: the blocks are not plain.

    Source: direct logit attribution, Elhage et al. 2021; Nanda et al. 2023 (arXiv 2301.05217), appendix A, find that
    the logits come from the MLP.
    """
    model.config.must_be_plain("direct writing to the logits")
    directions = centered(model.W_U.detach()).T  # by answer: the direction that raises its logit above the mean
    names = ["embedding"]
    for layer in range(model.config.n_layers):
        names += [f"head {layer}.{head}" for head in range(model.config.n_heads)] + [f"MLP {layer}"]
    values = [_written(model, tokens[rows], directions[labels[rows]], labels[rows]) for rows in chunks(model, tokens)]
    return Contributions((*names, "biases"), torch.cat(values, dim=1))


@torch.no_grad()
def _written(
    model: Transformer, tokens: Tensor, along: Float[Tensor, "examples d_model"], answers: Tensor
) -> Float[Tensor, "part examples"]:
    """Return what each part writes along each example's direction."""
    rows = [((model.W_E[tokens[:, -1]] + model.places()[tokens.shape[1] - 1]) * along).sum(-1)]
    for layer, block in enumerate(model.blocks):
        z, resid = at_end(model, tokens, layer)
        heads = einsum(z, block.W_O, "examples head d, head d m -> head examples m")
        mlp = block.mlp(add_bias(resid + heads.sum(0), block.b_O))
        rows += [*(heads * along).sum(-1), (mlp * along).sum(-1)]
    return torch.stack([*rows, _written_by_biases(model, along, answers)])


def _written_by_biases(model: Transformer, along: Tensor, answers: Tensor) -> Tensor:
    """Return the contribution of every block's b_O and of b_U; zeros for a model without biases."""
    constant = torch.zeros_like(model.W_E[0])
    for block in model.blocks:
        constant = add_bias(constant, block.b_O)
    written = along @ constant
    return written if model.b_U is None else written + (model.b_U - model.b_U.mean())[answers]
