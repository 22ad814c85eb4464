"""What heads are made of: their QK and OV circuits, as matrices over tokens.

The circuits of a layer are those on the token embeddings, the direct path: exact for the first layer; in deeper ones
the heads read what earlier blocks wrote, too.
"""

import math

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from miii.errors import InputError
from miii.model.transformer import Transformer

CHUNK = 1024  #: examples run at a time: more need more memory and are no faster


def qk(
    model: Transformer, layer: int = 0, queries: Int[Tensor, " query"] | None = None
) -> Float[Tensor, "head query pos key"]:
    """Score that a query token at the last position gives to a key token at each position, before the softmax.

    Embeddings of tokens and positions, biases and the factor 1 / sqrt(d_head) are included, so that in the first layer
    a softmax over the positions of an example's own tokens is its attention pattern. Without a norm, the position adds
    a constant to a row: the scores at two positions are the same curve, shifted.

    Args:
        queries: the query tokens; all of them unless given.

    Raises:
        InputError: there is no such layer, or the blocks are not plain.

    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits", section on QK and OV circuits.
    """
    check_layer(model, layer)
    model.config.must_be_plain("a head's own matrices")
    block = model.blocks[layer]
    with torch.no_grad():
        asking = torch.arange(len(model.W_E)) if queries is None else queries
        q = block.heads(model.W_E[asking] + model.places()[-1], "Q")
        k = block.heads(model.W_E[None] + model.places()[:, None], "K")
        return einsum(q, k, "query head d, pos key head d -> head query pos key") / math.sqrt(q.shape[-1])


def ov(model: Transformer, layer: int = 0, pos: int | None = None) -> Float[Tensor, "head token d_vocab_out"]:
    """What a head would write to the logits if it attended to one token alone, less the mean over the answers.

    W_E W_V W_O W_U, the tokens' own part; with ``pos``, the token stands at that position, and W_pos and b_V are
    included: then the sum over keys of pattern times this matrix's row is what the first layer's head writes directly.
    The mean over the answers is taken off because softmax does not see it.

    Raises:
        InputError: there is no such layer or position, or the blocks are not plain.

    Source: Elhage et al. 2021, section on QK and OV circuits.
    """
    check_layer(model, layer)
    model.config.must_be_plain("a head's own matrices")
    n_ctx = model.n_ctx
    if pos is not None and not 0 <= pos < n_ctx:
        raise InputError(f"pos must be in 0 .. {n_ctx - 1}, or none (got {pos}).")
    block = model.blocks[layer]
    with torch.no_grad():
        alone = einsum(model.W_E, block.W_V, "token d_model, head d_model d -> token head d")
        v = alone if pos is None else block.heads(model.W_E + model.places()[pos], "V")
        return einsum(v, block.W_O, centred(model.W_U), "token head d, head d m, m out -> head token out")


def check_layer(model: Transformer, layer: int) -> None:
    """Refuse a layer that the model does not have.

    Raises:
        InputError: there is no such layer.
    """
    if not 0 <= layer < model.config.n_layers:
        raise InputError(f"layer must be in 0 .. {model.config.n_layers - 1} (got {layer}).")


def centred(W_U: Float[Tensor, "d_model d_vocab_out"]) -> Float[Tensor, "d_model d_vocab_out"]:
    """W_U less its mean over the answers, which softmax does not see."""
    return W_U - W_U.mean(1, keepdim=True)
