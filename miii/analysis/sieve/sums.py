"""The sum that a block's neurons read at the last position, split into attention's contribution from each digit."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii import numbers
from miii.analysis.activations import collect
from miii.analysis.sieve.factors import draw_rows
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.model.where import Where
from miii.model.wiring import ALL, LAST
from miii.tasks import MIU, Primes, Task
from miii.tasks.integers import withheld
from miii.tasks.miu import LETTER_I

MOST = 6000  #: integers to run per split


@dataclass(frozen=True)
class Sum:
    """One attention's output at the last position, split by head and by source position.

    Attributes:
        n: the integer, coprime to the base; of an MIU string the number of its I's.
        symbol: the digit or letter at each place.
        parts: each place's contribution to ``n``: digit * base^place, or 1 for an I. They sum to ``n``.
        weighted: the values of each head at each place, times its attention to them.
        W_O: the output weights of each head.
        pattern: each head's attention from the last position to each position.
        resid: ``resid_mid`` at the last position: the sum, as the neurons read it.
        layer: the block.
        others: the next block's input at the other positions; None after the last block.

    Source: Elhage et al. 2021 ("A Mathematical Framework for Transformer Circuits"), the OV circuit.
    """

    n: Int[np.ndarray, " integers"]
    symbol: Int[np.ndarray, "integers place"]
    parts: Int[np.ndarray, "integers place"]
    weighted: Float[Tensor, "integers head place d_head"]
    W_O: Float[Tensor, "head d_head d_model"]
    pattern: Float[Tensor, "integers head pos"]
    resid: Float[Tensor, "integers d_model"]
    layer: int
    others: Float[Tensor, "integers place d_model"] | None

    def rows(self, rows: Bool[np.ndarray, " integers"] | Int[np.ndarray, " some"] | slice) -> "Sum":
        """Return the sums of some integers."""
        at = torch.from_numpy(np.arange(len(self.n))[rows])
        tensors = {name: getattr(self, name)[at] for name in ("weighted", "pattern", "resid")}
        tensors |= {} if self.others is None else {"others": self.others[at]}
        return replace(self, n=self.n[rows], symbol=self.symbol[rows], parts=self.parts[rows], **tensors)

    def logits(
        self,
        model: Transformer,
        resid: Float[Tensor, "some d_model"] | None = None,
        rows: Int[np.ndarray, " some"] | None = None,
    ) -> Float[Tensor, "some d_vocab_out"]:
        """Return the logits, computed from sums by the rest of the network.

        Args:
            resid: the sums to read; None reads the integers' own.
            rows: the integers whose other positions later blocks read; None takes all, in order.
        """
        last = model.blocks[self.layer].from_mid(self.resid if resid is None else resid)  # type: ignore[operator]
        if self.others is not None:
            others = self.others if rows is None else self.others[torch.from_numpy(rows)]
            stream, later = torch.cat([others, last[:, None]], dim=1), model.blocks[self.layer + 1 :]
            for block in later:
                stream = block(stream, where=Where(LAST if block is later[-1] else ALL))
            last = stream[:, -1]
        return model.unembed(last)

    def evidence(
        self,
        model: Transformer,
        resid: Float[Tensor, "some d_model"] | None = None,
        rows: Int[np.ndarray, " some"] | None = None,
    ) -> Float[Tensor, " some"]:
        """Return the logit of prime minus the logit of composite; arguments as of ``logits``."""
        return _yes_no(self.logits(model, resid, rows))

    @cached_property
    def added(self) -> Float[Tensor, "integers place d_model"]:
        """The contribution of each place, from all heads together.

        Contributions sum to attention's output, up to a constant and the last position's own contribution.
        """
        return torch.einsum("nhpd,hdm->npm", self.weighted, self.W_O)


@torch.no_grad()
def split_sum(
    model: Transformer,
    tokens: Int[Tensor, "integers pos"],
    n: Int[np.ndarray, " integers"],
    symbol: Int[np.ndarray, "integers place"],
    parts: Int[np.ndarray, "integers place"],
    layer: int | None = None,
) -> Sum:
    """Run the network on integers and split the sum. The split is exact: attention is linear in its values.

    Args:
        layer: the block; None takes the last.

    Raises:
        InputError: an activation is not finite, or the blocks add nothing before their neurons.

    Source: Elhage et al. 2021, the OV circuit.
    """
    layer, config = len(model.blocks) - 1 if layer is None else layer, model.config
    if not can_split(model):
        raise InputError(
            "model must mix positions by attention or the mean, in blocks other than vaswani and sas-p, for its sum to "
            f"be split by digits (got block {config.block!r} and mixer {config.mixer!r})."
        )
    pattern, v, resid = (f"{layer}.{site}" for site in ("pattern", "v", "resid_mid"))
    following = {f"{layer + 1}.resid_pre"} if layer + 1 < len(model.blocks) else set()
    acts = collect(model, tokens, {pattern, v, resid, *following}, last={pattern, resid})
    weighted = acts[pattern][:, :, :-1, None] * acts[v][:, :-1].transpose(1, 2)
    width = config.n_heads * config.d_head
    identity = torch.eye(width).view(config.n_heads, config.d_head, width)  # without W_O a head has its own channels
    W_O = model.blocks[layer].W_O if model.blocks[layer].wiring.projections else identity
    others = next((acts[name][:, :-1] for name in following), None)
    return Sum(n, symbol, parts, weighted, W_O, acts[pattern], acts[resid], layer, others)


def can_split(model: Transformer) -> bool:
    """Return whether the blocks' neurons read a plain sum that includes attention's output."""
    wiring = model.blocks[-1].wiring
    return model.config.mixer in ("attention", "mean") and wiring.norm != "post" and not wiring.parallel


def sum_of_split(
    model: Transformer, task: Task, config: Primes | MIU, train: bool, seed: int = 0, layer: int | None = None
) -> Sum:
    """Split the sums of up to 6,000 examples of the training or test split, in random order.

    Integers are coprime to the base, so the last digit does not show that they are composite. Those with withheld
    counts are left out: see ``lattice.generalize``.

    Args:
        layer: the block whose attention is split; None takes the last.

    Raises:
        InputError: as ``split_sum``, or the split has no such integer.
    """
    rows = draw_rows(task, train, len(task.labels), seed)
    if isinstance(config, Primes):
        n = task.facts["n"].numpy()[rows]
        rows = rows[(np.gcd(n, config.base) == 1) & ~withheld(n, config)]
    rows = np.random.default_rng(seed).permutation(rows)[:MOST]
    if not len(rows):
        raise InputError(f"the {'training' if train else 'test'} side must have integers coprime to the base.")
    tokens = task.tokens[rows]
    if isinstance(config, MIU):
        letters = tokens[:, :-1].numpy()
        parts = (letters == LETTER_I).astype(np.int64)
        return split_sum(model, tokens, task.facts["I"].numpy()[rows], letters, parts, layer)
    return _of_integers(model, config, tokens, task.facts["n"].numpy()[rows], layer)


def sum_of(model: Transformer, config: Primes, n: int, layer: int | None = None) -> Sum:
    """Split the sum of one integer, which need not be in the data set.

    Raises:
        InputError: it has more digits than the task's integers, or as ``split_sum``.
    """
    integers = np.array([n])
    return _of_integers(model, config, torch.from_numpy(config.encode(integers)), integers, layer)


def _of_integers(
    model: Transformer, config: Primes, tokens: Tensor, n: Int[np.ndarray, " integers"], layer: int | None
) -> Sum:
    digits = numbers.digits(n, config.base, config.width)
    return split_sum(model, tokens, n, digits, digits * config.base ** np.arange(config.width - 1, -1, -1), layer)


def _yes_no(logits: Float[Tensor, "integers d_vocab_out"]) -> Float[Tensor, " integers"]:
    return logits[:, 1] - logits[:, 0]


def sensitivity(model: Transformer, sums: Sum) -> Float[Tensor, "d_model d_model"]:
    """Return how much the evidence depends on each direction of the sum: the mean outer product of its gradient.

    It does not use residues, so as a metric it does not favor them.

    Source: the active subspace, Constantine 2015.
    """
    x = sums.resid.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(sums.evidence(model, x).sum(), x)
    return gradient.T @ gradient / len(x)


def means(sums: Sum, q: int) -> tuple[Float[Tensor, "place residue d_model"], Bool[np.ndarray, "place residue"]]:
    """Return the mean contribution of each residue modulo q at each place, and which residues occur there."""
    added, residues = sums.added, sums.parts % q
    places = added.shape[1]
    mean, occurs = torch.zeros(places, q, added.shape[-1]), np.zeros((places, q), dtype=bool)
    for place in range(places):
        for residue in range(q):
            rows = residues[:, place] == residue
            if rows.any():
                mean[place, residue], occurs[place, residue] = added[torch.from_numpy(rows), place].mean(0), True
    return mean, occurs


def subspace(
    means: Float[Tensor, "place residue d_model"], occurs: Bool[np.ndarray, "place residue"]
) -> Float[Tensor, "d_model dimensions"]:
    """Return the q - 1 orthonormal directions in which the residues' means differ most, over all places.

    For q = 3 this is a plane. A larger subspace would prove nothing: nine dimensions hold everything about ten digits,
    so interchanging them moves the evidence in any network.

    Source: principal components of the class means.
    """
    centered = []
    for place, here in zip(means, occurs, strict=True):
        mine = place[torch.from_numpy(here)]
        centered.append(mine - mine.mean(0))
    return torch.linalg.svd(torch.cat(centered), full_matrices=False).Vh[: means.shape[1] - 1].T
