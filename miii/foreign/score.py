"""Compare the networks that a file may hold by their answers."""

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from miii.expression import MISSING
from miii.foreign.candidate import Candidate
from miii.foreign.claim import LIKELY, best_of, tables
from miii.model import fast
from miii.model.transformer import Transformer
from miii.tasks.modular import prompts

PAIRS: Final = 512  #: pairs on which candidates are compared
MANY: Final = 8  #: above this number, candidates are screened on fewer pairs first
SCREEN: Final = 96  #: pairs of the screening
KEPT: Final = 4  #: most candidates of each activation that pass it
BEHIND: Final = 0.25  #: most accuracy that they may lack to the best of all
WORK: Final = 2_000_000_000  #: fewer pairs if the network has many weights: multiply-adds of a comparison
TIE: Final = 0.003  #: difference in accuracy on these pairs that decides nothing
CLEAR: Final = 0.1  #: difference in margin that decides
FLAT: Final = 1.02  #: ratio of slopes that decides nothing: then the likelier activation is taken


@dataclass(frozen=True)
class Score:
    """How well a candidate answers its likeliest operation, on some pairs.

    Attributes:
        margin: first percentile of the margin of the right answer, in standard deviations of the logits.
    """

    accuracy: float
    loss: float
    margin: float


def best(candidates: list[Candidate]) -> tuple[Candidate, tuple[str, ...], float]:
    """Return the candidate whose answers fit an operation best, activations that answer as well, and its accuracy.

    For each activation, settings are compared by accuracy, then by loss. Activations are compared by accuracy, then by
    margin, then by ``slope``: a wrong one may lower the loss by scaling the logits. The first candidate is taken if
    none fits.
    """
    first = candidates[0]
    if len(candidates) > MANY:
        screened = [(score(candidate, SCREEN), candidate) for candidate in candidates]
        top = max(found.accuracy for found, _ in screened)
        if top < LIKELY / 4:
            return first, (), top
        candidates = _likeliest([pair for pair in screened if pair[0].accuracy >= top - BEHIND])
    winners: dict[str | None, tuple[Score, Candidate]] = {}
    for found, candidate in [(score(candidate), candidate) for candidate in candidates]:
        act = candidate.settings.act
        if act not in winners or (found.accuracy, -found.loss) > (winners[act][0].accuracy, -winners[act][0].loss):
            winners[act] = (found, candidate)
    top = max(found.accuracy for found, _ in winners.values())
    if top < LIKELY / 2:
        return first, (), top
    close = {act: pair for act, pair in winners.items() if pair[0].accuracy >= top - TIE}
    widest = max(found.margin for found, _ in close.values())
    left = [candidate for found, candidate in close.values() if found.margin >= widest - CLEAR]
    slopes = [slope(candidate) for candidate in left] if len(left) > 1 else [0.0]
    chosen = next(candidate for candidate, at in zip(left, slopes, strict=True) if at <= FLAT * min(slopes))
    return chosen, tuple(act for act in close if act is not None and act != chosen.settings.act), top


def _likeliest(scored: list[tuple[Score, Candidate]]) -> list[Candidate]:
    """Return the best candidates of each activation, in their order."""
    kept = []
    for act in {candidate.settings.act for _, candidate in scored}:
        own = [index for index, (_, candidate) in enumerate(scored) if candidate.settings.act == act]
        kept += sorted(own, key=lambda index: (-scored[index][0].accuracy, scored[index][0].loss))[:KEPT]
    return [scored[index][1] for index in sorted(kept)]


@torch.no_grad()
def pooled(candidate: Candidate) -> tuple[float, str]:
    """Return the accuracy if the mean over positions is read, of logits or of the stream, and the operation."""
    model = candidate.model()
    tokens, rows = _some(candidate, SCREEN)
    resid = model.embed(tokens)
    for block in model.blocks:
        resid = block(resid)
    known = tables(candidate.p)
    read = (model.unembed(resid).mean(1), model.unembed(resid.mean(1)))
    found = [best_of(logits.argmax(1), [each[rows] for each in known.values()]) for logits in read]
    return max((accuracy, list(known)[index]) for index, accuracy in found)


@torch.no_grad()
def score(candidate: Candidate, pairs: int = PAIRS) -> Score:
    """Return how well a candidate answers its likeliest operation, on at most this many pairs."""
    logits, right, accuracy = _answers(candidate, candidate.model(), pairs)
    loss = torch.nn.functional.cross_entropy(logits, right).item()
    margin = logits.gather(1, right[:, None])[:, 0] - logits.scatter(1, right[:, None], -torch.inf).amax(1)
    spread = margin.quantile(0.01).item() / max(logits.std().item(), 1e-30)
    finite = all(math.isfinite(value) for value in (loss, spread))
    return Score(accuracy, loss, spread) if finite else Score(0.0, math.inf, -math.inf)


def slope(candidate: Candidate) -> float:
    """Return the norm of the loss's gradient in the weights, per nat of loss.

    Training ends where the gradients of the pairs cancel. With another activation they do so less. Among networks that
    answer everything, this tells ReLU from GELU. The rule is our own.
    """
    model = candidate.model().double().requires_grad_(True)
    with torch.enable_grad():
        logits, right, _ = _answers(candidate, model)
        loss = torch.nn.functional.cross_entropy(logits, right)
        gradients = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    squares = [  # zeros are no weights of the file, but fill up matrices of networks without attention
        gradient[weight != 0].square().sum().item()
        for gradient, weight in zip(gradients, model.parameters(), strict=True)
        if gradient is not None
    ]
    return math.sqrt(math.fsum(squares)) / max(loss.item(), 1e-300)


def _answers(candidate: Candidate, model: Transformer, pairs: int = PAIRS) -> tuple[Tensor, Tensor, float]:
    """Return logits and right answers of some pairs under the likeliest operation, and the accuracy."""
    tokens, rows = _some(candidate, pairs)
    logits = fast.answer_logits(model, fast.plan(tokens)).double()
    labels = [each[rows] for each in tables(candidate.p).values()]
    index, accuracy = best_of(logits.argmax(1), labels)
    known = labels[index] != MISSING
    return logits[known], labels[index][known], accuracy


def _some(candidate: Candidate, pairs: int) -> tuple[Tensor, Tensor]:
    """Return prompts of at most this many pairs, and their indices a * p + b."""
    p, s = candidate.p, candidate.settings
    weights = sum(value.numel() for value in candidate.weights.values())
    few = min(pairs, max(64, WORK // weights))
    rows = torch.randperm(p * p, generator=torch.Generator().manual_seed(0))[:few]
    return prompts(rows // p, rows % p, p, bool(s.equals), bool(s.separate), bool(s.operator)), rows
