"""Residues modulo q inside a network: variance explained, plane, heads and probes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.activations import collect
from miii.analysis.sieve.factors import draw_rows
from miii.analysis.sieve.sums import Sum, means, subspace
from miii.model.tap import sites
from miii.model.transformer import Transformer
from miii.tasks import Task

if TYPE_CHECKING:
    import pandas as pd

RENAMINGS = 20  #: random renamings of the digits, for the share explained by chance
SITES = ("resid_pre", "z", "resid_mid", "mlp_post", "resid_post")  #: sites of a block to probe
PROBED = 3000  #: integers of each split
RIDGE = 1e-2  #: penalty, for features scaled to variance 1


@dataclass(frozen=True)
class Explained:
    """The share of the contributions' variance that the residue modulo q explains, weighted by effect on the output.

    Attributes:
        by_place: at each place, the most significant digit first.
        share: over all places, weighted by their variance.
        pooled: the same with one mean per residue instead of one per residue and place. If q is at least the base,
            only this share can be below 1.
        chance: ``share`` after randomly permuting residues among the symbols of each place.
        by_digit: share explained by the digit itself; the rest comes from other digits, through attention's softmax.

    Shares of contributions without variance are NaN.

    Source: R^2 of a one-way analysis of variance.
    """

    q: int
    by_place: tuple[float, ...]
    share: float
    pooled: float
    chance: float
    by_digit: float


def explained(sums: Sum, metric: Float[Tensor, "d_model d_model"], q: int, seed: int = 0) -> Explained:
    """Split each place's variance by the residue of its contribution to n.

    Args:
        metric: weight of each direction, such as ``sensitivity``.
        seed: seed of the renamings.
    """
    added, M = sums.added, metric.double()
    mean, places = added.mean(0), range(added.shape[1])
    # for each place: the residue of each symbol's contribution, and each integer's symbol
    symbols = [np.unique(sums.symbol[:, i], return_index=True, return_inverse=True) for i in places]
    residues = [(sums.parts[first, i] % q, which) for i, (_, first, which) in zip(places, symbols, strict=True)]
    generator = np.random.default_rng(seed)
    renamed = [[generator.permutation(of) for of, _ in residues] for _ in range(RENAMINGS)]
    total, between, by_digit, by_chance = [], [], 0.0, 0.0
    counts, totals = np.zeros(q), torch.zeros(q, added.shape[-1], dtype=torch.float64)
    for i, (of, which) in zip(places, residues, strict=True):  # one place at a time, to save memory
        x = (added[:, i] - mean[i]).double()
        total.append(_squares(x, M))
        between.append(_between(x, of[which], M))
        by_digit += _between(x, which, M)
        by_chance += sum(_between(x, names[i][which], M) for names in renamed)
        pooled = sums.parts[:, i] % q
        counts += np.bincount(pooled, minlength=q)
        totals.index_add_(0, torch.from_numpy(pooled), x)
    pooled_means = totals / torch.from_numpy(counts.clip(1))[:, None]
    pooled_between = float((((pooled_means @ M) * pooled_means).sum(1) * torch.from_numpy(counts)).sum())
    return Explained(
        q=q,
        by_place=tuple(_share(b, t) for b, t in zip(between, total, strict=True)),
        share=_share(sum(between), sum(total)),
        pooled=_share(pooled_between, sum(total)),
        chance=_share(by_chance / RENAMINGS, sum(total)),
        by_digit=_share(by_digit, sum(total)),
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")


def _squares(x: Tensor, metric: Tensor) -> float:
    return float(((x @ metric) * x).sum())


def _between(x: Tensor, classes: np.ndarray, metric: Tensor) -> float:
    """Return the sum of squares between classes of ``x``, which has mean 0."""
    found = 0.0
    for name in np.unique(classes):
        mine = x[torch.from_numpy(classes == name)]
        found += len(mine) * _squares(mine.mean(0, keepdim=True), metric)
    return found


@dataclass(frozen=True)
class Plane:
    """The mean contribution of every digit, in the two directions in which residues differ most.

    ``table`` has one row for each digit at each place: ``place`` (0 is the most significant), ``digit``, ``residue`` of
    digit * base^place modulo q, ``x``, ``y``, and the number of ``integers``. The mean over integers is 0 at every
    place. Modulo 2 there is one direction and ``y`` is 0.

    Attributes:
        share: share of the contributions' variance in the plane; NaN if they do not vary.
        first: the share in the first direction alone.

    Source: principal components of the class means.
    """

    q: int
    table: "pd.DataFrame"
    share: float
    first: float


def plane(fitted: Sum, held_out: Sum, q: int) -> Plane:
    """Return the plane: directions from training integers (``fitted``), points from held-out ones."""
    import pandas as pd

    directions = subspace(*means(fitted, q))[:, :2]
    directions = torch.nn.functional.pad(directions, (0, 2 - directions.shape[1])).double()
    rows, inside, total = [], np.zeros(2), 0.0
    for place in range(held_out.parts.shape[1]):
        symbols, first, which = np.unique(held_out.symbol[:, place], return_index=True, return_inverse=True)
        count, center = _class_means(held_out.added[:, place], which, len(symbols))
        xy = center @ directions
        inside += (count @ xy.square()).numpy()
        total += float((count * center.square().sum(1)).sum())
        residues = held_out.parts[first, place] % q
        points = zip(symbols.tolist(), residues.tolist(), xy.tolist(), count.tolist(), strict=True)
        rows += [
            {"place": place, "digit": digit, "residue": residue, "x": x, "y": y, "integers": int(n)}
            for digit, residue, (x, y), n in points
        ]
    shares = inside / total if total > 0 else np.full(2, np.nan)
    return Plane(q, pd.DataFrame(rows), share=float(shares.sum()), first=float(shares[0]))


@dataclass(frozen=True)
class Heads:
    """What each head of the last block reads and adds at the last position.

    Attributes:
        attends: mean attention to each position, the last position last.
        adds: share of the variance between residues that a head adds from a place. The shares sum to 1; the share is
            negative for a head that works against the others. All are 0 if nothing varies.

    Source: Elhage et al. 2021 ("A Mathematical Framework for Transformer Circuits"), the QK and OV circuits.
    """

    q: int
    attends: Float[Tensor, "head pos"]
    adds: Float[Tensor, "head place"]


def heads(sums: Sum, metric: Float[Tensor, "d_model d_model"], q: int) -> Heads:
    """Divide the variance between residues at each place among the heads.

    A residue's mean at a place is a sum over heads, so its square is the sum of each head's product with all of them.

    Source: a decomposition of variance into covariances.
    """
    M, residues = metric.double(), sums.parts % q
    adds = torch.zeros(sums.weighted.shape[1:3], dtype=torch.float64)
    W_O = sums.W_O.double()
    for place in range(adds.shape[1]):
        here, which = np.unique(residues[:, place], return_inverse=True)
        count, center = _class_means(sums.weighted[:, :, place].flatten(1), which, len(here))
        by_head = torch.einsum("rhd,hdm->rhm", center.unflatten(1, sums.weighted.shape[1::2]), W_O)
        adds[:, place] = torch.einsum("r,rhd,de,re->h", count, by_head, M, by_head.sum(1))
    total = adds.sum()
    shares = adds / total if total > 0 else torch.zeros_like(adds)
    return Heads(q, sums.pattern.mean(0), shares.to(sums.weighted.dtype))


def _class_means(
    values: Float[Tensor, "integers size"], which: Int[np.ndarray, " integers"], n: int
) -> tuple[Float[Tensor, " classes"], Float[Tensor, "classes size"]]:
    """Return the size of each of n classes, and its mean minus the mean of all, in float64."""
    member = torch.nn.functional.one_hot(torch.from_numpy(which), n).to(values.dtype)
    count, total = member.sum(0).double(), (member.T @ values).double()
    return count, total / count[:, None] - total.sum(0) / count.sum()


@dataclass(frozen=True)
class Probes:
    """R^2 of linear probes for cos and sin of 2 pi k n / q, fitted on training and tested on held-out integers.

    ``table`` has one row for each site, position, q and harmonic k = 1 .. q // 2: columns ``site``, ``pos``, ``q``,
    ``k``, ``r2``. A negative R^2 is worse than predicting the mean.

    Source: Alain and Bengio 2016 (arXiv 1610.01644).
    """

    table: "pd.DataFrame"

    def best(self, q: int) -> float:
        """Return the largest R^2 for a modulus over sites, positions and harmonics."""
        return float(self.table.loc[self.table.q == q, "r2"].max())


def probe(model: Transformer, task: Task, moduli: Sequence[int], seed: int = 0) -> Probes:
    """Fit one ridge regression for all moduli at every site of every block and every position.

    For MIU strings, residues are those of the number of I's.

    Source: Alain and Bengio 2016 (arXiv 1610.01644).
    """
    import pandas as pd
    from sklearn.linear_model import Ridge
    from sklearn.metrics import r2_score

    train, test = (draw_rows(task, which, PROBED, seed) for which in (True, False))
    n = task.facts["n" if "n" in task.facts else "I"].numpy()
    names = [(q, k) for q in moduli for k in range(1, q // 2 + 1)]
    has = [site for site in SITES if site in sites(model.config)]
    targets = {True: waves(n[train], names), False: waves(n[test], names)}
    rows = []
    for site in (f"{layer}.{site}" for layer in range(len(model.blocks)) for site in has):
        # one site at a time, to save memory
        both = [collect(model, task.tokens[some], {site})[site].flatten(2) for some in (train, test)]
        for pos in range(task.n_ctx):
            x, held = (values[:, pos].double().numpy() for values in both)
            mean, scale = x.mean(0), x.std(0)
            scale = np.where(scale > 0, scale, 1)
            fitted = Ridge(alpha=RIDGE * len(x)).fit((x - mean) / scale, targets[True])
            r2 = r2_score(targets[False], fitted.predict((held - mean) / scale), multioutput="raw_values")
            for (q, k), (of_cos, of_sin) in zip(names, r2.reshape(len(names), 2), strict=True):
                # modulo 2 the sine is 0 everywhere
                value = of_cos if 2 * k == q else (of_cos + of_sin) / 2
                rows.append({"site": site, "pos": pos, "q": q, "k": k, "r2": value})
    return Probes(pd.DataFrame(rows))


def waves(n: Int[np.ndarray, " integers"], names: Sequence[tuple[int, int]]) -> Float[np.ndarray, "integers waves"]:
    """Return cos and sin of 2 pi k n / q for each (q, k), side by side."""
    angle = np.stack([2 * np.pi * k * (n % q) / q for q, k in names], axis=1)
    return np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(len(n), -1)
