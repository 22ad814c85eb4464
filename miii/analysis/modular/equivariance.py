"""Equivariance: does a shift of one operand act on activations as a rotation?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.activations import collect
from miii.analysis.modular import grid
from miii.model.transformer import Transformer
from miii.tasks import Task

if TYPE_CHECKING:
    import pandas as pd

PAIRS = 3000  #: most pairs to fit a rotation on, and to test it on
SHIFTS = (1, 17)  #: amounts added to an operand
SITES = ("resid_mid", "mlp_post", "mlp_out", "logits")  #: the first three of the last block


@dataclass(frozen=True)
class Equivariance:
    """How well the best rotation predicts the activation of a shifted pair, on held-out pairs.

    Attributes:
        r2: mean over shifts of both operands; 1 is a rotation, 0 no better than the mean over all pairs.
        control: the same with each shift replaced by a random permutation of the operand's values.
    """

    site: str
    r2: float
    control: float


def best_rotation(x: Float[Tensor, "rows d"], y: Float[Tensor, "rows d"]) -> Float[Tensor, "d d"]:
    """Return the orthogonal R that minimizes ||x R - y||.

    Source: Schönemann 1966, "A generalized solution of the orthogonal Procrustes problem".
    """
    U, _, Vh = torch.linalg.svd(x.T @ y)
    return U @ Vh


def rotation_r2(
    values: Float[Tensor, "pairs d"], moved: Int[Tensor, " pairs"], fit: Int[Tensor, " fit"], held: Int[Tensor, " held"]
) -> float:
    """Return the R^2, on the held-out pairs, of the rotation from each pair's activation to its shifted pair's.

    Args:
        values: with the mean over all pairs removed.
        moved: index of each pair's shifted pair.
        fit, held: the pairs on which the rotation is fitted and tested.
    """
    R = best_rotation(values[fit], values[moved[fit]])
    target = values[moved[held]]
    total = target.square().sum()
    return float(1 - (values[held] @ R - target).square().sum() / total) if total > 0 else float("nan")


@torch.no_grad()
def measure(
    model: Transformer, task: Task, shifts: Sequence[int] = SHIFTS, sites: Sequence[str] = SITES, seed: int = 0
) -> tuple[Equivariance, ...]:
    """Fit the rotation of each shift (a + s, b) and (a, b + s) on random pairs; test it on as many others.

    Activations are those of the last position, in their main p + 15 directions. A rotation may be any orthogonal map,
    so a network that holds cos and sin of w a + w b in one plane has R^2 = 1, and one that holds cos w a + cos w b
    there does not.

    Raises:
        InputError: the task does not have all pairs of Z_p.

    Source: Bronstein et al. 2021 (arXiv 2104.13478), section 3.1: rho(g) f(x) = f(g x), with rho orthogonal.
    """
    p, last = grid.modulus(task), len(model.blocks) - 1
    names = {site: site if site == "logits" else f"{last}.{site}" for site in sites}
    found = collect(model, task.tokens, names.values(), last=True)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(p * p, generator=generator)
    half = min(p * p // 2, PAIRS)
    fit, held = order[:half], order[half : 2 * half]
    pairs = torch.arange(p * p).view(p, p)
    n, mixed = torch.arange(p), torch.randperm(p, generator=generator)
    shifted = [pairs.roll(-s % p, operand).flatten() for s in shifts for operand in (0, 1)]
    permuted = [pairs.index_select(operand, mixed).flatten() for operand in (0, 1)]
    results = []
    for site, name in names.items():
        values = found[name].flatten(1)
        values = values - values.mean(1, keepdim=True) if site == "logits" else values
        values = _main(values - values.mean(0), len(n) + 15)
        r2, control = (
            sum(rotation_r2(values, moved, fit, held) for moved in kind) / len(kind) for kind in (shifted, permuted)
        )
        results.append(Equivariance(site, r2, control))
    return tuple(results)


def _main(values: Float[Tensor, "pairs d"], most: int) -> Float[Tensor, "pairs kept"]:
    """Return the values along their main directions, at most ``most``: smaller maps are faster to fit."""
    if values.shape[1] <= most:
        return values
    return values @ torch.linalg.eigh(values.T @ values).eigenvectors[:, -most:]


def over_training(
    networks: Iterable[tuple[int, Transformer]], task: Task, sites: Sequence[str] = SITES
) -> "pd.DataFrame":
    """Return R^2 and control by step and site: columns ``step``, ``site``, ``r2``, ``control``.

    Args:
        networks: the steps and their networks; step 0 is the untrained control.

    Raises:
        InputError: as ``measure``.
    """
    import pandas as pd

    return pd.DataFrame(
        [
            {"step": step, "site": each.site, "r2": each.r2, "control": each.control}
            for step, model in networks
            for each in measure(model, task, SHIFTS[-1:], sites)
        ]
    )
