"""Which parts of its terms a network reads: the modulo spectrum, interchange of residues and magnitudes, lags."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii.analysis.activations import collect, last_logits
from miii.analysis.sequences.kinds import confidences, scores
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.tasks import Sequences, Task
from miii.tasks.sequences.kinds import KINDS
from miii.tasks.sequences.terms import BLANK, DIFFERENCES

if TYPE_CHECKING:
    import pandas as pd

WITH_RESIDUES = ("residues", "differences")  #: encodings of terms that have residues
EXAMPLES = 1500  #: held-out sequences that a spectrum is measured on
TERM, RIDGE = 5, 1e-3  #: the term whose residues are decoded, from 0; the ridge of the linear map, per example


@dataclass(frozen=True)
class Spectrum:
    """F1 scores on held-out sequences, with parts of the terms taken from other sequences.

    Attributes:
        parts: "sign", "size" (magnitude and its eighths), "mod 2", ..
        whole: F1 of each kind on the sequences as they are, [kinds].
        without: the part is taken from another sequence, [parts, kinds].
        alone: of the residues, only this part is kept; sign and size stay, [parts, kinds].
        shuffled: the terms of each sequence in random order, [kinds].
        size_only: all residues blank, [kinds].
    """

    parts: tuple[str, ...]
    whole: Float[np.ndarray, " kinds"]
    without: Float[np.ndarray, "parts kinds"]
    alone: Float[np.ndarray, "parts kinds"]
    shuffled: Float[np.ndarray, " kinds"]
    size_only: Float[np.ndarray, " kinds"]

    @property
    def needed(self) -> Float[np.ndarray, "parts kinds"]:
        """How much F1 each part is worth to each kind: the score lost without it."""
        return self.whole - self.without

    def to_json(self) -> dict[str, object]:
        """Return the values for a report."""
        arrays = {name: getattr(self, name) for name in ("whole", "without", "alone", "shuffled", "size_only")}
        return {"parts": list(self.parts)} | {name: value.round(4).tolist() for name, value in arrays.items()}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Spectrum":
        """Return the spectrum of a report."""
        parts = tuple(found["parts"])
        return cls(parts, **{name: np.array(value) for name, value in found.items() if name != "parts"})


@dataclass(frozen=True)
class Carrier:
    """Whether a kind is read from residues or from sign and size: the share of "yes" after an interchange.

    Pairs are held-out sequences of the same length, one of the kind and one not.

    Attributes:
        yes, no: of the sequences of the kind, and of the others, as they are.
        residues: residues of a sequence of the kind, with sign and size of another.
        size: sign and size of a sequence of the kind, with residues of another.
        pairs: how many.
    """

    kind: str
    yes: float
    no: float
    residues: float
    size: float
    pairs: int


def columns(config: Sequences) -> dict[str, list[int]]:
    """Return the indices of each part within a token."""
    found = {"sign": [0], "size": [1, 2]}
    for i, name in enumerate(config.encoding.blocks):
        if i > 2:
            found.setdefault(name if name.startswith("mod") else name.split()[0], []).append(i)
    return found


def sample(task: Task, examples: int = EXAMPLES) -> Int[Tensor, " rows"]:
    """Return up to ``examples`` held-out sequences, always the same."""
    rows = (~task.train_mask).nonzero()[:, 0]
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))[:examples]]


def spectrum(model: Transformer, task: Task, config: Sequences, examples: int = EXAMPLES) -> Spectrum:
    """Measure the modulo spectrum: take each part of the terms from another sequence of the same length."""
    rows = sample(task, examples)
    tokens, true = task.tokens[rows], _labels(task)[rows].numpy()
    other, parts = tokens[partners(task.facts["length"][rows])], columns(config)

    def f1(changed: Tensor) -> np.ndarray:
        found = scores(confidences(model, changed) > 0.5, true)
        return np.array([found[kind] for kind in KINDS])

    residues = [i for name, where in parts.items() if name not in ("sign", "size", *DIFFERENCES) for i in where]
    blank = tokens.clone()
    blank[:, :-1, residues] = BLANK
    without, alone = [], []
    for where in parts.values():
        changed, kept = tokens.clone(), blank.clone()
        changed[:, :, where], kept[:, :, where] = other[:, :, where], tokens[:, :, where]
        without.append(f1(changed))
        alone.append(f1(kept))
    return Spectrum(
        tuple(parts),
        f1(tokens),
        np.array(without),
        np.array(alone),
        f1(shuffled(tokens, task.facts["length"][rows])),
        f1(blank),
    )


def carriers(model: Transformer, task: Task, config: Sequences, examples: int = EXAMPLES) -> tuple[Carrier, ...]:
    """Interchange residues and sizes between sequences of a kind and others of the same length."""
    rows = (~task.train_mask).nonzero()[:, 0]
    tokens, length, labels = task.tokens[rows], task.facts["length"][rows], _labels(task)[rows]
    size = [i for name in ("sign", "size") for i in columns(config)[name]]
    found = []
    for i, kind in enumerate(KINDS):
        of, others = _pairs(labels[:, i], length, examples)
        from_kind, from_others = tokens[of], tokens[others]
        residues, sizes = from_kind.clone(), from_others.clone()
        residues[:, :, size], sizes[:, :, size] = from_others[:, :, size], from_kind[:, :, size]
        shares = [float((confidences(model, x)[:, i] > 0.5).mean()) for x in (from_kind, from_others, residues, sizes)]
        found.append(Carrier(kind, shares[0], shares[1], shares[2], shares[3], len(of)))
    return tuple(found)


def partners(length: Int[Tensor, " examples"]) -> Int[Tensor, " examples"]:
    """Return for each example another one of the same length, at random; itself if there is none."""
    generator, found = torch.Generator().manual_seed(1), torch.arange(len(length))
    for each in length.unique():
        mine = (length == each).nonzero()[:, 0]
        order = mine[torch.randperm(len(mine), generator=generator)]
        found[order] = order.roll(1)
    return found


def shuffled(
    tokens: Int[Tensor, "examples pos part"], length: Int[Tensor, " examples"]
) -> Int[Tensor, "examples pos part"]:
    """Return the tokens with each sequence's terms in random order."""
    draws = torch.rand(tokens.shape[:2], generator=torch.Generator().manual_seed(2))
    place = torch.arange(tokens.shape[1])
    draws = torch.where(place < length[:, None], draws, 1 + place)  # what follows the terms stays
    return torch.take_along_dim(tokens, draws.argsort(1)[..., None], 1)


def decodability(
    models: Mapping[int, Transformer], task: Task, config: Sequences, examples: int = EXAMPLES
) -> "pd.DataFrame":
    """Return how well a linear map reads the residues of the sixth term from the residual stream at the answer.

    The map is fitted on training sequences and tested on held-out families.

    Args:
        models: networks by step; step 0 is the untrained control.

    Returns:
        One row per modulus: ``part``; a column ``step N`` for each network; ``shuffled`` (residues of other sequences,
        at the last step) and ``magnitude`` (from the term's sign and size alone). All are accuracies.

    Raises:
        InputError: the terms are not encoded as residues.

    Source: linear probes as in Alain and Bengio 2016 (arXiv 1610.01644).
    """
    import pandas as pd

    parts = {name: where[0] for name, where in columns(config).items() if name.startswith("mod")}
    if not parts:
        raise InputError(f"terms must be residues to decode them (got {config.terms!r}).")
    train = task.step_mask.nonzero()[:, 0]
    rows = (
        train[torch.randperm(len(train), generator=torch.Generator().manual_seed(4))[:examples]],
        sample(task, examples),
    )
    blocks = config.encoding.blocks
    labels = {
        part: [task.tokens[some, TERM, j].long() - blocks[part].start for some in rows] for part, j in parts.items()
    }
    mixed = torch.randperm(len(rows[0]), generator=torch.Generator().manual_seed(5))
    sizes = [
        torch.cat([_one_hot(task.tokens[some, TERM, j].long(), task.d_vocab) for j in range(3)], dim=1) for some in rows
    ]
    found: dict[str, list[float]] = {}
    for step, model in models.items():
        site = f"{len(model.blocks) - 1}.resid_post"
        x = [collect(model, task.tokens[some], {site}, last=True)[site] for some in rows]
        found[f"step {step}"] = _decoded(x, list(labels.values()))
        found["shuffled"] = _decoded(x, [[fit[mixed], test] for fit, test in labels.values()])
    found["magnitude"] = _decoded(sizes, list(labels.values()))
    found["shuffled"] = found.pop("shuffled")
    return pd.DataFrame({"part": list(parts)} | found)


def reported(found: Mapping[str, Any]) -> tuple[tuple[Carrier, ...], "pd.DataFrame"]:
    """Return the carriers of a report, and what ``decodability`` returned; without rows if the report has none."""
    import pandas as pd

    carried = tuple(Carrier(kind, *values) for kind, values in found["carriers"].items())
    return carried, pd.DataFrame(found.get("decoded") or [])


def _decoded(x: Sequence[Tensor], labels: Sequence[Sequence[Tensor]]) -> list[float]:
    """Return the test accuracy of ridge regressions on one-hot labels, from the first x and labels to the second."""
    mean, scale = x[0].double().mean(0), x[0].double().std(0)
    fit, test = ((each.double() - mean) / torch.where(scale > 0, scale, 1) for each in x)
    gram = fit.T @ fit + RIDGE * len(fit) * torch.eye(fit.shape[1], dtype=torch.float64)
    sizes = [int(max(own.max(), held.max())) + 1 for own, held in labels]
    y = torch.cat([_one_hot(own, size) for (own, _), size in zip(labels, sizes, strict=True)], dim=1)
    weights = torch.linalg.solve(gram, fit.T @ (y - y.mean(0)))  # one factorization for all labels
    said = (test @ weights + y.mean(0)).split(sizes, dim=1)
    return [float((each.argmax(1) == held).double().mean()) for each, (_, held) in zip(said, labels, strict=True)]


def _one_hot(values: Tensor, size: int) -> Tensor:
    return torch.nn.functional.one_hot(values, size).double()


def _labels(task: Task) -> Bool[Tensor, "examples kinds"]:
    return torch.stack([target.labels for target in task.targets], dim=1) == 1


def _pairs(holds: Tensor, length: Tensor, examples: int) -> tuple[Tensor, Tensor]:
    """Return equally many rows of a kind and of others, pairwise of the same length."""
    generator = torch.Generator().manual_seed(3)
    of: list[Tensor] = []
    others: list[Tensor] = []
    for each in length.unique():
        yes, no = (((length == each) & (holds == side)).nonzero()[:, 0] for side in (True, False))
        count = min(len(yes), len(no))
        for rows, into in ((yes, of), (no, others)):
            into.append(rows[torch.randperm(len(rows), generator=generator)[:count]])
    whole = torch.cat(of), torch.cat(others)
    chosen = torch.randperm(len(whole[0]), generator=generator)[:examples]
    return whole[0][chosen], whole[1][chosen]


def argued(model: Transformer, config: Sequences, terms: Sequence[int], kind: str) -> Float[np.ndarray, "parts terms"]:
    """Return how much the logit of a kind (yes minus no) falls when one part of one term is blank.

    Parts in the order of ``columns``; terms up to ``longest``.
    """
    i = 2 * tuple(KINDS).index(kind)
    (tokens,) = torch.from_numpy(config.encode([terms]))
    parts, shown = list(columns(config).values()), min(len(terms), config.longest)
    changed = tokens.repeat(1 + len(parts) * shown, 1, 1)
    for row, (where, place) in enumerate(itertools.product(parts, range(shown)), 1):
        changed[row, place, where] = BLANK
    logits = last_logits(model, changed).double().numpy()
    lead = logits[:, i + 1] - logits[:, i]
    return (lead[0] - lead[1:]).reshape(len(parts), shown)
