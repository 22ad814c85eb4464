"""The sum, taken apart: what each digit adds to the sum, and whether its residue is all that counts."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii import numbers
from miii.analysis.sieve.numbers import side
from miii.errors import InputError
from miii.model.tap import capture
from miii.model.transformer import Transformer
from miii.tasks import MIU, Primes, Task
from miii.tasks.miu import LETTER_I

MOST = 6000  #: integers of a side that are run
CHUNK = 200  #: of them at a time
RENAMINGS = 20  #: of the digits at random, for the share that chance explains


@dataclass(frozen=True)
class Sum:
    """What the last attention adds where the answer is read, split by head and by the place that it comes from.

    Attributes:
        n: the number whose residue is asked: an integer, coprime to the base; of an MIU string the number of its I's.
        symbol: which digit or letter stands at each place.
        parts: what each place adds to ``n``: digit * base^place, or 1 for an I. Over the places they add up to ``n``.
        heard: what each head takes from each place: the values there times the attention to it.
        W_O: how each head writes what it hears.
        pattern: how much each head attends from the answer's position to each position, itself the last.
        resid: ``resid_mid`` at the answer's position: the sum, as the neurons read it.

    Source: Elhage et al. 2021 ("A Mathematical Framework for Transformer Circuits"), the OV circuit.
    """

    n: Int[np.ndarray, " integers"]
    symbol: Int[np.ndarray, "integers place"]
    parts: Int[np.ndarray, "integers place"]
    heard: Float[Tensor, "integers head place d_head"]
    W_O: Float[Tensor, "head d_head d_model"]
    pattern: Float[Tensor, "integers head pos"]
    resid: Float[Tensor, "integers d_model"]

    def rows(self, rows: Bool[np.ndarray, " integers"] | Int[np.ndarray, " some"]) -> "Sum":
        """Some of the integers."""
        at = torch.from_numpy(np.arange(len(self.n))[rows])
        heard, pattern, resid = self.heard[at], self.pattern[at], self.resid[at]
        return Sum(self.n[rows], self.symbol[rows], self.parts[rows], heard, self.W_O, pattern, resid)

    @cached_property
    def added(self) -> Float[Tensor, "integers place d_model"]:
        """The contributions of all heads together.

        Over places they add up to what attention adds, up to a constant and what the answer's own position adds.
        """
        return torch.einsum("nhpd,hdm->npm", self.heard, self.W_O)


@torch.no_grad()
def of(
    model: Transformer,
    tokens: Int[Tensor, "integers pos"],
    n: Int[np.ndarray, " integers"],
    symbol: Int[np.ndarray, "integers place"],
    parts: Int[np.ndarray, "integers place"],
) -> Sum:
    """Run the network on integers and split the sum: exact, since attention is linear in its values.

    Raises:
        InputError: an activation is not finite, or the blocks add nothing up before their neurons.

    Source: Elhage et al. 2021, the OV circuit.
    """
    last, config = len(model.blocks) - 1, model.config
    wiring = model.blocks[last].wiring
    if not splits(model):
        raise InputError(
            "model must mix positions by attention or the mean, in blocks other than vaswani and sas-p, for its sum to "
            f"be split by digits (got block {config.block!r} and mixer {config.mixer!r})."
        )
    chunks = [_heard(model, chunk, last) for chunk in tokens.split(CHUNK)]
    heard, pattern, resid = (torch.cat(part) for part in zip(*chunks, strict=True))
    width = config.n_heads * config.d_head
    own = torch.eye(width).view(config.n_heads, config.d_head, width)  # without W_O a head has channels of its own
    return Sum(n, symbol, parts, heard, model.blocks[last].W_O if wiring.projections else own, pattern, resid)


def splits(model: Transformer) -> bool:
    """Return whether the last block adds up what attention brings before its neurons read it."""
    wiring = model.blocks[-1].wiring
    return model.config.mixer in ("attention", "mean") and wiring.norm != "post" and not wiring.parallel


def _heard(model: Transformer, tokens: Tensor, layer: int) -> tuple[Tensor, Tensor, Tensor]:
    acts = capture(model, tokens, {f"{layer}.{site}" for site in ("pattern", "v", "resid_mid")})
    pattern = acts[f"{layer}.pattern"][:, :, -1].clone()  # a view would keep all the other positions
    heard = pattern.unsqueeze(-1) * acts[f"{layer}.v"].transpose(1, 2)
    return heard[:, :, :-1].clone(), pattern, acts[f"{layer}.resid_mid"][:, -1].clone()


def of_side(model: Transformer, task: Task, config: Primes | MIU, train: bool, seed: int = 0) -> Sum:
    """As ``of``, for up to 6,000 examples of a side; of integers those coprime to the base: what the last digit does
    not tell.

    Raises:
        InputError: as ``of``, or the side has no such integer.
    """
    rows = side(task, train, len(task.labels), seed)
    if isinstance(config, Primes):
        rows = rows[np.gcd(task.facts["n"].numpy()[rows], config.base) == 1]
    rows = np.random.default_rng(seed).permutation(rows)[:MOST]
    if not len(rows):
        raise InputError(f"the {'training' if train else 'test'} side must have integers coprime to the base.")
    tokens = task.tokens[rows]
    if isinstance(config, MIU):
        letters = tokens[:, :-1].numpy()
        return of(model, tokens, task.facts["I"].numpy()[rows], letters, (letters == LETTER_I).astype(np.int64))
    n, places = task.facts["n"].numpy()[rows], config.width
    digits = numbers.digits(n, config.base, places)
    return of(model, tokens, n, digits, digits * config.base ** np.arange(places - 1, -1, -1))


def evidence(model: Transformer, resid: Float[Tensor, "integers d_model"]) -> Float[Tensor, " integers"]:
    """The logit of prime less that of composite, from the sum on: the last MLP and the unembedding."""
    logits = model.unembed(model.blocks[-1].after(resid))
    return logits[:, 1] - logits[:, 0]


def metric(model: Transformer, resid: Float[Tensor, "integers d_model"]) -> Float[Tensor, "d_model d_model"]:
    """How strongly the evidence feels a move of the sum in each direction: the mean of the gradient's outer product.

    Directions that nothing reads count nothing. It knows no residues, so a share of variance measured in it is not
    given by its choice.

    Source: own design; the active subspace of Constantine 2015.
    """
    x = resid.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(evidence(model, x).sum(), x)
    return gradient.T @ gradient / len(resid)


@dataclass(frozen=True)
class Explained:
    """The share of the contributions' variance that the residue modulo q alone explains, as the output feels it.

    Attributes:
        by_place: for each digit's place by itself, the most significant first.
        share: all places, weighted by their variance.
        pooled: the same, when a residue must add the same at every place: a mean for each residue, not for each
            residue and place. Where q is at least the base, this is the one that can fail.
        chance: what ``share`` is when the symbols of every place exchange their residues at random.
        by_digit: what the digit itself explains; the rest comes from the other digits, through attention's softmax.

    Shares of contributions that do not vary are NaN.

    Source: own design; R^2 of a one-way analysis of variance.
    """

    q: int
    by_place: tuple[float, ...]
    share: float
    pooled: float
    chance: float
    by_digit: float


def explained(sums: Sum, metric: Float[Tensor, "d_model d_model"], q: int, seed: int = 0) -> Explained:
    """Split each place's variance between the residues of what the place adds to n."""
    added, M = sums.added, metric.double()
    mean, places = added.mean(0), range(added.shape[1])
    # for each place: which symbol each integer has there, and the residue of what each symbol adds
    symbols = [np.unique(sums.symbol[:, i], return_index=True, return_inverse=True) for i in places]
    residues = [(sums.parts[first, i] % q, which) for i, (_, first, which) in zip(places, symbols, strict=True)]
    generator = np.random.default_rng(seed)
    renamed = [[generator.permutation(of) for of, _ in residues] for _ in range(RENAMINGS)]
    whole, between, by_digit, drawn = [], [], 0.0, 0.0
    sizes, totals = np.zeros(q), torch.zeros(q, added.shape[-1], dtype=torch.float64)
    for i, (of, which) in zip(places, residues, strict=True):  # place by place, since all of them need much memory
        x = (added[:, i] - mean[i]).double()
        whole.append(_size(x, M))
        between.append(_between(x, of[which], M))
        by_digit += _between(x, which, M)
        drawn += sum(_between(x, names[i][which], M) for names in renamed)
        pooled = sums.parts[:, i] % q
        sizes += np.bincount(pooled, minlength=q)
        totals.index_add_(0, torch.from_numpy(pooled), x)
    means = totals / torch.from_numpy(sizes.clip(1))[:, None]
    alike = float((((means @ M) * means).sum(1) * torch.from_numpy(sizes)).sum())
    return Explained(
        q=q,
        by_place=tuple(_share(b, w) for b, w in zip(between, whole, strict=True)),
        share=_share(sum(between), sum(whole)),
        pooled=_share(alike, sum(whole)),
        chance=_share(drawn / RENAMINGS, sum(whole)),
        by_digit=_share(by_digit, sum(whole)),
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")


def _size(x: Tensor, metric: Tensor) -> float:
    return float(((x @ metric) * x).sum())


def _between(x: Tensor, classes: np.ndarray, metric: Tensor) -> float:
    """The sum of squares between classes of ``x``, whose mean over all is 0."""
    found = 0.0
    for name in np.unique(classes):
        mine = x[torch.from_numpy(classes == name)]
        found += len(mine) * _size(mine.mean(0, keepdim=True), metric)
    return found


def means(sums: Sum, q: int) -> tuple[Float[Tensor, "place residue d_model"], Bool[np.ndarray, "place residue"]]:
    """What a digit adds on average, by its place and its residue, and which residues occur there."""
    added, residues = sums.added, sums.parts % q
    places = added.shape[1]
    found, occurs = torch.zeros(places, q, added.shape[-1]), np.zeros((places, q), dtype=bool)
    for i in range(places):
        for r in range(q):
            mine = residues[:, i] == r
            if mine.any():
                found[i, r], occurs[i, r] = added[torch.from_numpy(mine), i].mean(0), True
    return found, occurs
