"""Attention one period back: does a network compare terms that are a period apart?"""

from contextlib import suppress
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii.analysis.activations import chunks, collect
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.tasks import Sequences, Task
from miii.tasks.sequences.kinds import KINDS, period_of
from miii.tasks.sequences.task import draw

EXAMPLES = 400  #: periodic sequences that are measured
SHORTEST = 3  #: the shortest period; with 1 and 2 there is no other lag to compare with
PERIODIC = tuple(KINDS).index("periodic")


@dataclass(frozen=True)
class Knockout:
    """The share of periodic sequences called periodic if attention at some lags is cut everywhere in the network.

    Attributes:
        whole: share called periodic by the whole network.
        period: without attention to terms one, two, .. periods before.
        other: without attention to as many other terms: those one place closer.
        attention: share of each head's attention on terms one, two, .. periods before, [layer, head].
        chance: the share of all visible terms (earlier ones and the term itself) that are one, two, .. periods before.
        examples: number of sequences.
    """

    whole: float
    period: float
    other: float
    attention: Float[Tensor, "layer head"]
    chance: float
    examples: int

    def to_json(self) -> dict[str, object]:
        """Return the values for a report."""
        return {**vars(self), "attention": self.attention.tolist()}


def knockout(model: Transformer, task: Task, config: Sequences, examples: int = EXAMPLES) -> Knockout:
    """Cut the attention between terms a multiple of the period apart, on held-out sequences with period 3 or more.

    Raises:
        InputError: no held-out sequence has such a period, or the mixer is not attention.
    """
    if model.config.mixer != "attention":
        raise InputError(f"mixer must be attention to cut some of it (got {model.config.mixer!r}).")
    drawn = draw(config)
    rows: list[int] = []
    periods: list[int] = []
    for row in (~task.train_mask).nonzero()[:, 0].tolist():
        shown = period_of(drawn[row].rule.terms) if drawn[row].kind == "periodic" else 0
        if shown >= SHORTEST and len(rows) < examples:
            rows.append(row)
            periods.append(shown)
    if not rows:
        raise InputError(
            f"n must be large enough for held-out sequences of period {SHORTEST} or more (got {config.n})."
        )
    tokens, length, period = task.tokens[rows], task.facts["length"][rows], torch.tensor(periods)
    at_period, closer = apart(length, period, task.n_ctx), apart(length, period, task.n_ctx, 1)
    sites = [f"{layer}.pattern" for layer in range(model.config.n_layers)]
    acts = collect(model, tokens, sites)
    inside = at_period.any(-1)  # queries with a term a period before
    shares = [(acts[site] * at_period[:, None]).sum(-1).transpose(1, 2)[inside].mean(0) for site in sites]
    visible = torch.arange(task.n_ctx)[None, :, None] >= torch.arange(task.n_ctx) if model.config.causal else None
    seen = torch.ones_like(at_period) if visible is None else visible.expand_as(at_period)
    return Knockout(
        whole=_called(model, tokens, None),
        period=_called(model, tokens, at_period),
        other=_called(model, tokens, closer),
        attention=torch.stack(shares),
        chance=float((at_period.sum(-1)[inside] / seen.sum(-1)[inside]).mean()),
        examples=len(rows),
    )


def report(model: Transformer, task: Task, config: Sequences) -> dict[str, object] | None:
    """Return the values of ``knockout`` for a report; None without attention, or a held-out period of 3 or more."""
    with suppress(InputError):
        return knockout(model, task, config).to_json()
    return None


def apart(
    length: Int[Tensor, " examples"], period: Int[Tensor, " examples"], n_ctx: int, closer: int = 0
) -> Bool[Tensor, "examples query key"]:
    """Return which pairs of terms are a multiple of the period apart, or ``closer`` places less."""
    place = torch.arange(n_ctx)
    lag = place[:, None] - place + closer
    inside = (place[:, None] < length[:, None, None]) & (place < length[:, None, None])
    return inside & (lag % period[:, None, None] == 0) & (lag > 0) & (lag > closer)


@torch.no_grad()
def _called(
    model: Transformer, tokens: Int[Tensor, "examples pos part"], cut: Bool[Tensor, "examples query key"] | None
) -> float:
    """Return the share called periodic without the attention of ``cut``."""
    found = []
    for rows in chunks(model, tokens):

        def tap(name: str, value: Tensor, rows: slice = rows) -> Tensor:
            if cut is None or not name.endswith(".scores"):
                return value
            return value.masked_fill(cut[rows][:, None], -torch.inf)

        logits = model(tokens[rows], tap)[:, -1, 2 * PERIODIC : 2 * PERIODIC + 2]
        found.append(logits[:, 1] > logits[:, 0])
    return float(torch.cat(found).double().mean())
