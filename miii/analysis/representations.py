"""Which irreducible representations of a group does a network compose with?"""

from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii import metrics
from miii.analysis.activations import last_logits
from miii.analysis.irreps import group_of
from miii.analysis.modular.criteria import Criterion, decide, shortfall
from miii.model.transformer import Transformer
from miii.tasks import Table, Task

SHUFFLES = 20  #: relabellings of the pairs' answers behind the null
LEAST = 0.01  #: least share of the variance that a key representation's character explains
RANDOM = 5  #: random subspaces of the control
#: Bounds of the verdict.
WITHIN, SAME_ANSWER, KEPT, LOST = 0.8, 0.99, 0.9, 0.5


@dataclass(frozen=True)
class Part:
    """What one representation has to do with a network's answers; shares and accuracies are of held-out pairs.

    Attributes:
        logits: share of the centered logits' variance that is a sum of its matrix elements, as functions of c.
        explained: share of that variance that its character explains, as w chi(a b c^-1), w fitted
            on training pairs.
        without, only: accuracy with its part of the embedding removed, and with that part alone.
    """

    name: str
    dimension: int
    logits: float
    explained: float
    key: bool
    without: float
    only: float


@dataclass(frozen=True)
class Report:
    """The verdict on a network that composes a group.

    Attributes:
        verdict: such as "composition by [4,1] and [2,1,1,1]"; "memorized" or "none".
        reason: why it is not a composition; empty if it is one.
        parts: all representations but the trivial one.
        null: largest share that a character explains if the pairs' answers are shuffled.
        accuracy: on all pairs.
        within: share of the held-out logits' variance that is a sum of the key representations' matrix elements.
        explained, same_answer: the sum of the key characters against the network, on held-out pairs.
        kept, removed: test accuracy if the embedding has only the key representations, and without them.
        random_kept: test accuracy with random subspaces of the same dimension kept; mean of ``RANDOM``.
    """

    verdict: str
    reason: str
    criteria: tuple[Criterion, ...]
    parts: tuple[Part, ...]
    null: float
    accuracy: float
    train_accuracy: float
    test_accuracy: float
    within: float
    explained: float
    same_answer: float
    kept: float
    removed: float
    random_kept: float

    @property
    def composes(self) -> bool:
        """Whether all criteria pass."""
        return all(criterion.passed for criterion in self.criteria)

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self) | {name: [asdict(each) for each in getattr(self, name)] for name in ("criteria", "parts")}


@torch.no_grad()
def analyze(model: Transformer, task: Task, config: Table) -> Report:
    """Measure which representations a network composes with, and return the verdict.

    A representation is *key* if its character explains more of the held-out logits than any does with shuffled answers,
    and at least ``LEAST``.

    Raises:
        InputError: the table is not that of a group; a logit is not finite.

    Source: the group Fourier transform of Chughtai et al. 2023 (arXiv 2302.03025), section 4: logits are sums of
    characters chi(a b c^-1). By cosets (Stander et al. 2024, arXiv 2312.06581), a network also concentrates on
    representations; these measures do not tell the two apart.
    """
    group = group_of(config)
    irreps = tuple(irrep for irrep in group.irreps if not irrep.trivial)
    held = ~task.train_mask
    whole = last_logits(model, task.tokens).double()
    logits = whole - whole.mean(1, keepdim=True)
    total = logits[held].square().sum().clamp_min(torch.finfo(torch.float64).tiny)
    tables = [irrep.character[group.quotient] for irrep in irreps]
    weights = [_fit(logits[~held], task.labels[~held], table) for table in tables]

    def explained(labels: Int[Tensor, " held"]) -> list[float]:
        sums = _sums(logits[held], labels)
        return [
            float((2 * w * (sums * table).sum() - w**2 * len(labels) * table[0].square().sum()) / total)
            for w, table in zip(weights, tables, strict=True)
        ]

    generator = torch.Generator().manual_seed(0)
    labels = task.labels[held]
    null = max(max(explained(labels[torch.randperm(len(labels), generator=generator)])) for _ in range(SHUFFLES))
    shares = explained(labels)
    keys = [share > max(null, LEAST) for share in shares]

    def accuracy(projector: Float[Tensor, "element element"]) -> float:
        return _accuracy(_project(model, projector), task, held)

    every = torch.eye(len(group.product), dtype=torch.float64)
    trivial = every.new_ones(every.shape) / len(every)
    parts = tuple(
        Part(
            irrep.name,
            irrep.dimension,
            float((logits[held] @ irrep.projector).square().sum() / total),
            share,
            key,
            accuracy(every - irrep.projector),
            accuracy(trivial + irrep.projector),
        )
        for irrep, share, key in zip(irreps, shares, keys, strict=True)
    )
    chosen = [(irrep, w) for irrep, w, key in zip(irreps, weights, keys, strict=True) if key]
    kept = sum((irrep.projector for irrep, _ in chosen), trivial)
    rank = round(float(kept.trace()))
    formula = sum((w * irrep.character for irrep, w in chosen), torch.zeros(len(every), dtype=torch.float64))
    same = formula[group.quotient].argmax(1)[task.labels] == whole.argmax(1)
    right = metrics.correct(whole, task.labels).double()
    values = {
        "within": sum(part.logits for part in parts if part.key),
        "explained": sum(share for share, key in zip(shares, keys, strict=True) if key),
        "same_answer": same[held].double().mean().item(),
        "kept": accuracy(kept),
        "removed": accuracy(every - kept + trivial),
        "random_kept": sum(accuracy(_random(len(every), rank, seed)) for seed in range(RANDOM)) / RANDOM,
    }
    splits = right[~held].mean().item(), right[held].mean().item()
    criteria = _weigh(values, splits[1])
    names = [irrep.name for irrep, _ in chosen]
    return Report(
        verdict=decide(criteria, f"composition by {' and '.join(names)}", *splits),
        reason=("no key representation; " if not chosen else "") + shortfall(criteria) if shortfall(criteria) else "",
        criteria=criteria,
        parts=parts,
        null=null,
        accuracy=right.mean().item(),
        train_accuracy=splits[0],
        test_accuracy=splits[1],
        **values,
    )


def _fit(logits: Float[Tensor, "pairs n"], labels: Int[Tensor, " pairs"], table: Float[Tensor, "n n"]) -> float:
    """Return the w of least squared error of w chi(a b c^-1), from the table of chi."""
    return float((_sums(logits, labels) * table).sum() / (len(labels) * table[0].square().sum()))


def _sums(logits: Float[Tensor, "pairs n"], labels: Int[Tensor, " pairs"]) -> Float[Tensor, "n n"]:
    """Return the sum of the logits of all pairs with each answer."""
    n = logits.shape[1]
    return logits.new_zeros(n, n).index_add_(0, labels, logits)


def _weigh(values: dict[str, float], test_accuracy: float) -> tuple[Criterion, ...]:
    least = (
        ("variance within these", values["within"], WITHIN),
        ("same answer", values["same_answer"], SAME_ANSWER),
        ("accuracy with these alone", values["kept"], KEPT),
        ("accuracy lost without these", test_accuracy - values["removed"], LOST),
    )
    beyond = Criterion(
        "accuracy beyond random subspaces",
        values["kept"],
        values["random_kept"],
        values["kept"] > values["random_kept"],
    )
    return (*(Criterion(name, value, bound, value >= bound) for name, value, bound in least), beyond)


def _project(model: Transformer, projector: Float[Tensor, "element element"]) -> Transformer:
    """Return a copy of a network with its operands' embedding projected, as a function of the element."""
    changed = deepcopy(model)
    n = len(projector)
    changed.W_E[:n] = (projector @ model.W_E[:n].double()).to(model.W_E.dtype)
    return changed


def _accuracy(model: Transformer, task: Task, rows: Bool[Tensor, " pairs"]) -> float:
    right = metrics.correct(last_logits(model, task.tokens[rows]), task.labels[rows])
    return right.double().mean().item()


def _random(n: int, rank: int, seed: int) -> Float[Tensor, "n n"]:
    """Return the projector onto the constants and random directions, of a rank in all."""
    drawn = torch.randn(n, rank, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    drawn[:, 0] = 1
    basis = torch.linalg.qr(drawn).Q
    return basis @ basis.T
