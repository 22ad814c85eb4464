"""Steering: move the sum by what another residue of one digit would add; does the network change its mind?"""

import numpy as np
import torch
from torch import Tensor

from miii.analysis.sieve import digits
from miii.analysis.sieve.interchange import Crossing, Sides
from miii.model.transformer import Transformer


@torch.no_grad()
def steer(
    model: Transformer,
    fitted: digits.Sum,
    held_out: digits.Sum,
    q: int,
    others: tuple[int, ...] = (),
    seed: int = 0,
) -> Crossing:
    """Turn the residue: where a digit stands, add the mean contribution of residue r + s and take off that of r.

    The network holds a sum and reads it periodically, so to turn the angle 2 pi n / q is to move the sum by as much as
    s more at one place moves it. r is the digit's own residue digit * base^place mod q; the place is drawn at random
    among all but the last. s makes a non-multiple of a multiple of q, or the reverse; the control moves a non-multiple
    to another non-multiple, and a multiple by nothing but two moves that cancel: s at one place, -s at another.
    Shares are NaN where there is nothing to steer: modulo 2 the control, since there is one kind of non-multiple; all
    of them with one digit; with two the control, since multiples have no second place.

    Args:
        fitted: training integers, from which the mean contributions are taken.
        held_out: the integers that are steered.
        others: the other sieved primes, none of which divides the integers that are looked at.

    Source: activation addition, Turner et al. 2023 (arXiv 2308.10248), along the residues' mean contributions.
    """
    means, occurs = digits.means(fitted, q)
    n, residues, places = held_out.n, held_out.parts % q, held_out.parts.shape[1]
    generator = np.random.default_rng(seed)
    sides = Sides.of(model, held_out, q, others)

    def move(rows: np.ndarray, place: np.ndarray, by: np.ndarray) -> tuple[np.ndarray, Tensor]:
        now = residues[rows, place]
        then = (now + by) % q
        step = means[torch.from_numpy(place), torch.from_numpy(then)] - means[place, now]
        return occurs[place, then], step

    def change(of: bool, to: bool) -> tuple[np.ndarray, Tensor]:
        rows = np.flatnonzero(sides.own(of))
        if places - 1 < (2 if of and to else 1) or (q == 2 and not of and not to):
            return rows[:0], held_out.resid[rows[:0]]
        now = n[rows] % q
        if of:
            by = generator.integers(1, q, len(rows))
        elif to:
            by = -now % q
        else:  # to another residue than its own and than 0
            by = (1 + (now - 1 + generator.integers(1, q - 1, len(rows))) % (q - 1) - now) % q
        order = np.argsort(generator.random((len(rows), places - 1)), axis=1)
        possible, step = move(rows, order[:, 0], by)
        if of and to:
            back, second = move(rows, order[:, 1], -by)
            possible, step = possible & back, step + second
        return rows[possible], (held_out.resid[torch.from_numpy(rows)] + step)[torch.from_numpy(possible)]

    return sides.crossing(model, change)
