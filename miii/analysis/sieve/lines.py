"""Residues modulo several primes in one sum: each prime has lines of its own, on which digits add up modulo a turn."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.sieve.addition import CROSSES, KEEPS, Addition, Condition
from miii.analysis.sieve.interventions import Crossing, Sides
from miii.analysis.sieve.sums import Sum, sum_of_split
from miii.model.transformer import Transformer
from miii.runs.read import finite
from miii.tasks import MIU, Primes, Task

AGREES = 0.97  #: least agreement of a line on the contributions of training
AGREEMENT = 0.9  #: bound of the verdict, on held-out sums
HELD = 0.98  #: share of the contributions' variance in the searched dimensions
SHARES = ("follows", "stays", "random", "turn")  #: of predicted residues
STARTS, STEPS = 400, 120  #: of the search for a line


@dataclass(frozen=True)
class Line:
    """A direction along which a sum measures ``multiplier`` * n modulo q.

    Attributes:
        direction: its product with a sum, in turns: a residue r is ``multiplier`` * r / q of a turn.
        agreement: length of the mean of exp(2 pi i error) over held-out sums: 1 if every sum is where its residue is.
    """

    q: int
    multiplier: int
    direction: Float[Tensor, " d_model"] = field(repr=False, compare=False)
    agreement: float


@dataclass(frozen=True)
class Lines:
    """The lines of one prime, and what moving sums along them changes.

    Attributes:
        chance: the best agreement on training contributions after permuting residues among the digits of each place.
        steps: what each digit adds at each place along the first line, in steps of 1 / q of a turn, up to a constant of
            the place; NaN if it does not occur. On a perfect line, ``multiplier`` * residue plus a multiple of q.
        steering: moves n modulo q. The control moves it to another residue of the same class, or moves the residue
            modulo another prime.
        follows: share of sums whose predicted residue modulo q is the new one; None without residues as targets.
        stays: share of predicted residues modulo the other primes that do not change.
        random: ``follows`` of a random move as long, in the same dimensions.
        turn: share of predicted residues modulo q that a whole turn along the first line, toward the middle, keeps.
    """

    q: int
    layer: int
    lines: tuple[Line, ...]
    chance: float
    steps: Float[np.ndarray, "place digit"] = field(repr=False, compare=False)
    steering: Crossing
    follows: float | None
    stays: float | None
    random: float | None
    turn: float | None

    @property
    def agreement(self) -> float:
        """The lowest agreement of its lines; NaN without one."""
        return min((line.agreement for line in self.lines), default=math.nan)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The conditions of the verdict: agreement >= 0.9, moves cross in >= 0.95, controls in <= 0.05."""
        return (
            Condition("agreement on lines", self.agreement, AGREEMENT, True),
            Condition("moves along lines", self.steering.accuracy, CROSSES, True),
            Condition("control of moves", self.steering.control, KEEPS, False),
        )

    @property
    def adds(self) -> bool:
        """Whether all conditions hold."""
        return all(each.holds for each in self.conditions)

    def to_json(self) -> dict[str, Any]:
        """Return the measures by name; None for NaN."""
        return {
            "multipliers": [line.multiplier for line in self.lines],
            "agreement": finite(self.agreement),
            "agreement_chance": finite(self.chance),
            "steering_accuracy": finite(self.steering.accuracy),
            "steering_control": finite(self.steering.control),
            "residue_follows": self.follows,
            "other_residues_stay": self.stays,
            "residue_follows_random": self.random,
            "residue_kept_by_a_turn": self.turn,
        }


@dataclass(frozen=True)
class Contributions:
    """The mean contribution of each digit at each place, without the place's mean, in the fewest dimensions.

    Attributes:
        values: coordinates.
        basis: orthonormal rows that span the dimensions.
        cell: the place and the digit.
        parts: digit * base^place.
    """

    values: Float[Tensor, "cell dim"]
    basis: Float[Tensor, "dim d_model"]
    cell: Int[np.ndarray, "cell 2"]
    parts: Int[np.ndarray, " cell"]

    @classmethod
    def of(cls, sums: Sum) -> "Contributions":
        """Average the contributions of each digit at each place."""
        rows, cells, parts = [], [], []
        for place in range(sums.symbol.shape[1]):
            symbols, first, which = np.unique(sums.symbol[:, place], return_index=True, return_inverse=True)
            member = torch.nn.functional.one_hot(torch.from_numpy(which), len(symbols)).to(sums.added.dtype)
            mean = (member.T @ sums.added[:, place]) / member.sum(0)[:, None]
            rows.append(mean - mean.mean(0))
            cells += [(place, int(symbol)) for symbol in symbols]
            parts += sums.parts[first, place].tolist()
        table = torch.cat(rows)
        _, s, basis = torch.linalg.svd(table, full_matrices=False)
        share = (s.square().cumsum(0) / s.square().sum().clamp_min(1e-30)).tolist()
        size = 1 + next((i for i, held in enumerate(share) if held >= HELD), len(share) - 1)
        return cls(table @ basis[:size].T, basis[:size], np.array(cells), np.array(parts))

    def permuted(self, generator: np.random.Generator) -> Int[np.ndarray, " cell"]:
        """Return ``parts``, permuted within each place."""
        parts = self.parts.copy()
        for place in np.unique(self.cell[:, 0]):
            here = np.flatnonzero(self.cell[:, 0] == place)
            parts[here] = parts[generator.permutation(here)]
        return parts


@torch.enable_grad()
def search(
    table: Contributions, turns: Float[np.ndarray, " cell"], seed: int = 0
) -> tuple[float, Float[Tensor, " dim"]]:
    """Find a direction in which digits contribute given turns, up to whole turns and a constant for each place.

    Of the directions that agree well enough, the shortest; otherwise the one that agrees best.

    Args:
        turns: the wanted contribution of each digit, in turns.

    Returns:
        The agreement (1 is perfect) and the direction.
    """
    generator = torch.Generator().manual_seed(seed)
    place = torch.nn.functional.one_hot(torch.from_numpy(table.cell[:, 0])).to(table.values.dtype)
    wanted = torch.from_numpy(turns).to(table.values.dtype)
    unit = 1 / table.values.square().mean().sqrt().clamp_min(1e-12)
    w = torch.randn(STARTS, table.values.shape[1], generator=generator) * torch.rand(STARTS, 1, generator=generator)
    w = (w * unit).requires_grad_(True)
    optimizer = torch.optim.Adam([w], lr=0.015 * float(unit))
    for _ in range(STEPS):
        angle = 2 * math.pi * (w @ table.values.T - wanted)
        agreement = torch.hypot(angle.cos() @ place, angle.sin() @ place).sum(1) / len(turns)
        optimizer.zero_grad()
        (-agreement.sum()).backward()
        optimizer.step()
    agreement, w = agreement.detach(), w.detach()
    good = torch.where(agreement >= AGREES, w.norm(dim=1), math.inf)
    best = good.argmin() if good.isfinite().any() else agreement.argmax()
    return float(agreement[best]), w[best]


def find_lines(table: Contributions, moduli: Sequence[int], seed: int = 0) -> list[tuple[int, int, Tensor]]:
    """Return independent lines of some primes, the shortest first: q, multiplier, and direction in turns.

    There are at most as many as dimensions. A line of q that is a sum of lines found before is left out.
    """
    found = []
    for q in moduli:
        for k in range(1, max(2, (q + 1) // 2)):
            agreement, w = search(table, k * table.parts % q / q, seed)
            found += [(float(w.norm()), q, k, w)] if agreement >= AGREES else []
    chosen: list[tuple[int, int, Tensor]] = []
    span = torch.zeros(0, table.values.shape[1])
    for length, q, k, w in sorted(found, key=lambda each: each[0]):
        rest = w - w @ span.T @ span
        if float(rest.norm()) > 0.1 * length and len(chosen) < table.values.shape[1]:
            chosen.append((q, k, w))
            span = torch.cat([span, rest[None] / rest.norm()])
    return chosen


@torch.no_grad()
def move(
    model: Transformer, task: Task, sums: Sum, lines: Sequence[Line], q: int, seed: int = 0
) -> tuple[Crossing, dict[str, float | None]]:
    """Move sums along the lines of q by a residue, the shorter way round on each line, and along no other line.

    Args:
        sums: held-out integers.
        lines: of all primes.

    Returns:
        How often the evidence crosses, and the shares ``follows``, ``stays``, ``random`` and ``turn`` of ``Lines``.
    """
    generator = np.random.default_rng(seed)
    dual = torch.linalg.pinv(torch.stack([line.direction for line in lines]))
    others = tuple(dict.fromkeys(line.q for line in lines if line.q != q))
    sides, n = Sides.of(model, sums, q, others), sums.n

    def along(p: int, by: np.ndarray) -> Tensor:
        turns = [(line.multiplier * by / p + 0.5) % 1 - 0.5 if line.q == p else 0.0 * by for line in lines]
        return torch.from_numpy(np.stack(turns, 1)).to(dual.dtype) @ dual.T

    def change(of: bool, to: bool) -> tuple[np.ndarray, Tensor]:
        rows = np.flatnonzero(sides.own(of))
        p = q if of != to or not others else others[int(generator.integers(len(others)))]
        now, target = n[rows] % p, generator.integers(1, p, len(rows))
        by = (0 if to and p == q else target) - now
        rows, by = rows[by != 0], by[by != 0]
        return rows, sums.resid[torch.from_numpy(rows)] + along(p, by)

    shares: dict[str, float | None] = dict.fromkeys(SHARES)
    residues = {target.name: task.logits_of(target.name) for target in task.extra_targets}
    if f"mod {q}" in residues:
        by = generator.integers(1, q, len(n))
        step = along(q, by)
        aside = torch.from_numpy(generator.normal(size=(len(n), dual.shape[1]))).to(dual.dtype) @ dual.T
        aside = aside * (step.norm(dim=1) / aside.norm(dim=1))[:, None]
        first = next(i for i, line in enumerate(lines) if line.q == q)
        at = sums.resid @ lines[first].direction
        turned = torch.where(at > at.median(), -1.0, 1.0)[:, None] * dual[:, first]
        moves = (step, aside, 0 * step, turned)
        moved, other, plain, around = (sums.logits(model, sums.resid + each) for each in moves)

        def read(logits: Tensor, p: int) -> np.ndarray:
            return np.asarray(logits[:, residues[f"mod {p}"]].argmax(1))

        shares["follows"] = float((read(moved, q) == (n + by) % q).mean())
        shares["random"] = float((read(other, q) == (n + by) % q).mean())
        shares["turn"] = float((read(around, q) == read(plain, q)).mean())
        kept = [(read(moved, p) == read(plain, p)).mean() for p in others if f"mod {p}" in residues]
        shares["stays"] = float(np.mean(kept)) if kept else None
    return sides.crossing(model, change), shares


def measure_lines(
    model: Transformer, task: Task, config: Primes | MIU, added: Sequence[Addition], seen: Sequence[int]
) -> tuple[Lines, ...]:
    """Measure the lines of every sieved prime, in the block that ``measure_addition`` found.

    Means of residue classes say little here: digits of one residue may differ by whole turns and by other residues.

    Args:
        seen: the sieved primes; if there is only one, nothing is measured.

    Raises:
        InputError: as ``sum_of_split``.
    """
    found = []
    for layer in sorted({each.layer for each in added if each.q in seen and len(seen) > 1}):
        moduli = [each.q for each in added if each.q in seen and each.layer == layer]
        fitted, held_out = (sum_of_split(model, task, config, side, layer=layer) for side in (True, False))
        table, total = Contributions.of(fitted), held_out.added.sum(1)
        lines = []
        for q, k, w in find_lines(table, moduli):
            direction = w @ table.basis
            error = (total @ direction).double().numpy() - k * (held_out.n % q) / q
            lines.append(Line(q, k, direction, float(abs(np.exp(2j * np.pi * error).mean()))))
        for q in moduli:
            own = tuple(line for line in lines if line.q == q)
            k = own[0].multiplier if own else 1
            chance, _ = search(table, k * table.permuted(np.random.default_rng(0)) % q / q)
            steps = np.full((held_out.symbol.shape[1], int(table.cell[:, 1].max()) + 1), np.nan)
            if own:
                steps[tuple(table.cell.T)] = q * _turns(table, own[0])
            crossing, shares = move(model, task, held_out, lines, q) if own else (_nothing(q), {})
            found.append(Lines(q, layer, own, chance, steps, crossing, *map(shares.get, SHARES)))
    return tuple(sorted(found, key=lambda each: each.q))


def _turns(table: Contributions, line: Line) -> Float[np.ndarray, " cell"]:
    """Return what each digit adds along a line, without its place's constant."""
    turns = (table.values @ table.basis @ line.direction).double().numpy()
    for place in np.unique(table.cell[:, 0]):
        here = table.cell[:, 0] == place
        error = np.exp(2j * np.pi * (turns - line.multiplier * (table.parts % line.q) / line.q)[here]).mean()
        turns[here] -= np.angle(error) / (2 * np.pi)
    return turns


def _nothing(q: int) -> Crossing:
    nan = math.nan
    return Crossing(q, nan, nan, nan, nan, nan, 0, nan, ())
