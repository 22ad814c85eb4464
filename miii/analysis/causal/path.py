"""The path of one input through the last block: tokens, heads, neurons, logits, and what each gives the next."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.errors import InputError
from miii.model.tap import capture, must_be_finite, sites
from miii.model.transformer import Transformer

CHUNK = 512  #: forward passes at once


@dataclass(frozen=True)
class InputPath:
    """What each part of the last block adds to the next, for one input at the last position.

    Every number below is a difference between the forward pass and one with a part set to zero. In a plain block it is
    exactly that part's summand.

    Attributes:
        attention: each head's weight on each position; without a pattern, the share of each position in the change of
            the head's output when the position's values are set to zero.
        neurons: those with the largest effect on the logit of the first answer, largest first.
        activation: theirs.
        read: what each head adds to the input of each neuron.
        answers: the answers shown, the prediction first.
        written: what each neuron adds to the logit of each answer, above the mean of all answers.
        logits: of these answers, above the mean of all.
        probability: their softmax, over all answers.
        total: what all neurons of the block add to the logit of the first answer, above the mean.

    Source: Transformer Explainer (Cho et al. 2024, arXiv 2408.04619) for the picture; direct logit attribution
    (Elhage et al. 2021) for the numbers.
    """

    attention: Float[Tensor, "head pos"]
    neurons: Int[Tensor, " neuron"]
    activation: Float[Tensor, " neuron"]
    read: Float[Tensor, "head neuron"]
    answers: Int[Tensor, " answer"]
    written: Float[Tensor, "neuron answer"]
    logits: Float[Tensor, " answer"]
    probability: Float[Tensor, " answer"]
    total: float


@torch.no_grad()
def input_path(
    model: Transformer, tokens: Int[Tensor, " pos"], where: slice, neurons: int = 8, answers: int = 4
) -> InputPath:
    """Follow one input through the last block.

    Args:
        where: the logits of the target.
        neurons, answers: how many to return, at most.

    Raises:
        InputError: ``neurons`` or ``answers`` is below 1, or an activation is not finite.
    """
    for name, count in (("neurons", neurons), ("answers", answers)):
        if count < 1:
            raise InputError(f"{name} must be at least 1 (got {count}).")
    site = f"{len(model.blocks) - 1}."
    patterned = "pattern" in sites(model.config)
    names = {f"{site}{name}" for name in ("v", "z", "mlp_pre", "mlp_post", *["pattern"] * patterned)}
    whole = capture(model, tokens[None], names | {"logits"})
    z, pre, post = (whole[site + name][0, -1] for name in ("z", "mlp_pre", "mlp_post"))
    every = _without(model, tokens, site + "mlp_post", len(post), "logits", where)
    effect = _centered(whole["logits"][0, -1, where].double()) - _centered(every.double())
    logits = whole["logits"][0, -1, where].double()
    chosen = logits.argsort(descending=True, stable=True)[:answers]
    top = effect[:, chosen[0]].abs().argsort(descending=True, stable=True)[:neurons]
    read = pre - _without(model, tokens, site + "z", len(z), site + "mlp_pre", slice(None))
    return InputPath(
        whole[site + "pattern"][0, :, -1] if patterned else _influence(model, tokens, site, z),
        top,
        post[top],
        read[:, top],
        chosen,
        effect[top][:, chosen],
        _centered(logits)[chosen],
        logits.softmax(0)[chosen],
        float(effect[:, chosen[0]].sum()),
    )


def _centered(logits: Float[Tensor, "*rows answers"]) -> Float[Tensor, "*rows answers"]:
    return logits - logits.mean(-1, keepdim=True)


def _without(
    model: Transformer, tokens: Int[Tensor, " pos"], site: str, parts: int, read: str, where: slice
) -> Float[Tensor, "part value"]:
    """Return activations at the last position with each head or neuron of a site set to zero there."""
    found = []
    for part in torch.arange(parts).split(CHUNK):
        rows = torch.arange(len(part))
        kept: dict[str, Tensor] = {}

        def change(name: str, value: Tensor, part: Tensor = part, rows: Tensor = rows, kept: dict = kept) -> Tensor:
            if name == site:
                value = value.clone()
                value[rows, -1, part] = 0
            if name == read:
                kept[name] = value[:, -1, where]
            return value

        model(tokens.expand(len(part), *tokens.shape), tap=change)
        found.append(must_be_finite(kept[read], read))
    return torch.cat(found)


def _influence(
    model: Transformer, tokens: Int[Tensor, " pos"], site: str, z: Float[Tensor, "head d_head"]
) -> Float[Tensor, "head pos"]:
    """Return the share of each position in the change of each head's output when its values are set to zero."""
    n = len(tokens)
    kept: dict[str, Tensor] = {}

    def change(name: str, value: Tensor) -> Tensor:
        if name == site + "v":
            value = value.clone()
            value[torch.arange(n), torch.arange(n)] = 0
        if name == site + "z":
            kept[name] = value[:, -1]
        return value

    model(tokens.expand(n, *tokens.shape), tap=change)
    size = (z - kept[site + "z"]).norm(dim=-1).T
    return size / size.sum(1, keepdim=True).clamp_min(torch.finfo(size.dtype).tiny)
