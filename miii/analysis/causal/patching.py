"""Activation patching: which activations, put from one run into another, carry the answer over.

The corruption is another example with another answer: for addition another pair with another sum. The clean run answers
one example of a couple, the corrupted run the other. What is measured is the normalised logit difference: the logit of
the clean answer less that of the corrupted answer, mean over the couples, scaled so that the corrupted run has 0 and
the clean run 1.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.errors import InputError
from miii.model.tap import SITES, capture, intervene
from miii.model.transformer import Transformer
from miii.tasks import Task

#: Sites whose rows have a head axis, and where it is. "pos" of scores and pattern is the query's.
HEAD_AXIS = {"q": 2, "k": 2, "v": 2, "z": 2, "scores": 1, "pattern": 1}


@dataclass(frozen=True)
class Couples:
    """Indices of clean examples, and for each of a corrupted one with another answer."""

    clean: Int[Tensor, " couples"]
    corrupt: Int[Tensor, " couples"]


def partners(labels: Int[Tensor, " examples"], seed: int = 0) -> Int[Tensor, " examples"]:
    """For every example another one with another label, drawn uniformly among all those.

    Raises:
        InputError: all labels are the same.

    Source: interchange with another answer as in Wang et al. 2022 (arXiv 2211.00593), section 3; own draw.
    """
    counts = torch.bincount(labels)
    if int(counts.max()) == len(labels):
        raise InputError(f"labels must hold at least two different answers (got {int(labels[0])} alone).")
    order, own = labels.argsort(stable=True), counts[labels]
    generator = torch.Generator().manual_seed(seed)
    drawn = (torch.rand(len(labels), generator=generator, dtype=torch.float64) * (len(labels) - own)).long()
    # in the order of the labels an example's own label is one block: what is drawn from its start on is beyond it
    start = (counts.cumsum(0) - counts)[labels]
    return order[drawn + (drawn >= start) * own]


def corruption(labels: Int[Tensor, " examples"], n: int = 256, seed: int = 0) -> Couples:
    """A seeded sample of ``n`` clean examples, or all where there are fewer, each with a partner of another label.

    Raises:
        InputError: ``n`` is below 1, or all labels are the same.

    Source: Wang et al. 2022, section 3: the corrupted input has another answer; own draw.
    """
    if n < 1:
        raise InputError(f"n must be at least 1 (got {n}).")
    clean = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[:n]
    return Couples(clean, partners(labels, seed)[clean])


@dataclass(frozen=True)
class Metric:
    """The normalised logit difference of a set of couples: 0 for the corrupted run, 1 for the clean one.

    Attributes:
        clean, corrupt: the mean logit difference in either run, in logits (nats).

    Source: Wang et al. 2022, section 3; Heimersheim and Nanda 2024 (arXiv 2404.15255).
    """

    clean_answers: Int[Tensor, " couples"]
    corrupt_answers: Int[Tensor, " couples"]
    clean: float
    corrupt: float

    def difference(self, logits: Float[Tensor, "couples pos d_vocab_out"]) -> float:
        """The logit of the clean answer less that of the corrupted one, where it is read; mean over the couples."""
        last, each = logits[:, -1].double(), torch.arange(len(logits))
        return (last[each, self.clean_answers] - last[each, self.corrupt_answers]).mean().item()

    def __call__(self, logits: Float[Tensor, "couples pos d_vocab_out"]) -> float:
        """Normalised; not a number where both runs have the same difference."""
        scale = self.clean - self.corrupt
        return (self.difference(logits) - self.corrupt) / scale if scale else math.nan


@dataclass(frozen=True)
class Runs:
    """The clean and the corrupted run of a set of couples: their tokens and every activation by name."""

    tokens: Mapping[str, Int[Tensor, "couples pos"]]
    acts: Mapping[str, Mapping[str, Tensor]]
    metric: Metric


def both_runs(model: Transformer, task: Task, couples: Couples) -> Runs:
    """Run the network on both examples of every couple and keep all activations."""
    tokens = {"clean": task.tokens[couples.clean], "corrupt": task.tokens[couples.corrupt]}
    with torch.no_grad():
        acts = {name: capture(model, some) for name, some in tokens.items()}
    raw = Metric(task.labels[couples.clean], task.labels[couples.corrupt], 1.0, 0.0)
    ends = {name: raw.difference(some["logits"]) for name, some in acts.items()}
    return Runs(tokens, acts, Metric(raw.clean_answers, raw.corrupt_answers, **ends))


@dataclass(frozen=True)
class Patch:
    """One activation that was patched, and the normalised logit difference that it gave.

    Attributes:
        site: a name of ``SITES``.
        layer: None for sites outside the blocks.
        pos: the position; of scores and pattern the query's.
        head: None where all heads were patched at once, or there are none.
    """

    site: str
    layer: int | None
    pos: int
    head: int | None
    value: float


@dataclass(frozen=True)
class Sweep:
    """Every patch, and the mean logit difference of the unpatched runs, in logits (nats)."""

    patches: tuple[Patch, ...]
    clean: float
    corrupt: float


def sweep(model: Transformer, task: Task, couples: Couples | None = None) -> Sweep:
    """Patch the clean run's activations into the corrupted run: each site at each position, and head by head.

    Every site of ``SITES`` is patched but pos_embed, which is the same in both runs. 1 means that this activation alone
    carries the whole answer over, 0 that it carries none of it.

    Args:
        couples: ``corruption(task.labels)`` unless given.

    Source: Meng et al. 2022 (arXiv 2202.05262), section 2; Heimersheim and Nanda 2024 (arXiv 2404.15255), and
    TransformerLens' ``generic_activation_patch``.
    """
    runs = both_runs(model, task, couples or corruption(task.labels))
    clean = runs.acts["clean"]
    patches = []
    for name in (name for name in clean if name != "pos_embed"):
        before, _, site = name.rpartition(".")
        heads = [None, *range(model.config.n_heads)] if site in HEAD_AXIS else [None]
        for pos in range(task.n_ctx):
            for head in heads:
                where = rows(site, pos, head)
                with torch.no_grad():
                    logits = intervene(model, runs.tokens["corrupt"], {name: put(clean[name], where)})
                patches.append(Patch(site, int(before) if before else None, pos, head, runs.metric(logits)))
    return Sweep(tuple(patches), runs.metric.clean, runs.metric.corrupt)


def rows(site: str, pos: int | None, head: int | None) -> tuple[slice | int, ...]:
    """The index of one position and one head within an activation; None stands for all of them."""
    index: list[slice | int] = [slice(None)] * 3
    index[SITES[site].index("query" if "query" in SITES[site] else "pos")] = slice(None) if pos is None else pos
    if head is not None:
        index[HEAD_AXIS[site]] = head
    return tuple(index)


def put(values: Tensor, where: tuple[slice | int, ...]) -> Callable[[Tensor], Tensor]:
    """A change for ``intervene`` that takes ``values`` at one index and leaves the rest."""

    def change(met: Tensor) -> Tensor:
        out = met.clone()
        out[where] = values[where]
        return out

    return change
