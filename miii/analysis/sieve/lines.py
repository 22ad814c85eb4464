"""Residues modulo several primes in one sum: each prime has lines of its own, on which digits add up modulo a turn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from miii.analysis.sieve.addition import CROSSES, KEEPS, Addition, Condition
from miii.analysis.sieve.interventions import Crossing, Sides
from miii.analysis.sieve.line_search import Contributions, find_lines, search
from miii.analysis.sieve.sums import Sum, sum_of_split
from miii.model.transformer import Transformer
from miii.runs.read import finite
from miii.tasks import MIU, Primes, Task

AGREEMENT = 0.9  #: bound of the verdict, on held-out sums
FARTHEST = 1000  #: steps that a report may hold
SHARES = ("follows", "stays", "random", "turn")  #: of predicted residues


@dataclass(frozen=True)
class Line:
    """A direction along which a sum measures ``multiplier`` * n modulo q.

    Attributes:
        direction: its product with a sum, in turns: a residue r is ``multiplier`` * r / q of a turn. Empty if read
            from a report.
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
        """Return the measures by name; None for NaN. Steps are rounded to thousandths."""
        return {
            "block": self.layer,
            "multipliers": [line.multiplier for line in self.lines],
            "agreements": [line.agreement for line in self.lines],
            "steps": [[finite(round(step, 3)) for step in place] for place in self.steps.tolist()],
            "agreement": finite(self.agreement),
            "agreement_chance": finite(self.chance),
            "steering_accuracy": finite(self.steering.accuracy),
            "steering_control": finite(self.steering.control),
            "residue_follows": self.follows,
            "other_residues_stay": self.stays,
            "residue_follows_random": self.random,
            "residue_kept_by_a_turn": self.turn,
        }

    @classmethod
    def from_json(cls, q: int, values: Mapping[str, Any]) -> "Lines":
        """Read what ``to_json`` returned. Lines have no direction, and the crossing has only its two shares.

        Raises:
            KeyError, TypeError, ValueError: the values are incomplete, or not of their kinds.
        """
        pairs = zip(values["multipliers"], values["agreements"], strict=True)
        shares = [values[name] for name in ("agreement_chance", "steering_accuracy", "steering_control")]
        chance, accuracy, control = (math.nan if share is None else float(share) for share in shares)
        steps = np.array(values["steps"], dtype=float)
        if steps.ndim != 2 or not (np.isnan(steps) | (abs(steps) < FARTHEST)).all():
            raise ValueError(f"steps must have a row of numbers below {FARTHEST} for each place.")
        names = ("residue_follows", "other_residues_stay", "residue_follows_random", "residue_kept_by_a_turn")
        return cls(
            q,
            int(values["block"]),
            tuple(Line(q, int(k), torch.empty(0), float(agreement)) for k, agreement in pairs),
            chance,
            steps,
            replace(_nothing(q), accuracy=accuracy, control=control),
            *(None if values[name] is None else float(values[name]) for name in names),
        )


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
