"""Follow one input through a network: attention, neurons, logits, and the waves that make up the logits."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.activations import last_logits
from miii.analysis.modular.fourier import basis
from miii.errors import InputError
from miii.model.tap import capture, sites
from miii.model.transformer import Transformer
from miii.tasks import Task
from miii.tasks.miu import BLANK, LETTER_I, LETTER_U

FLAT = 0.01  #: waves below this share of the highest are left out


@dataclass(frozen=True)
class ForwardPass:
    """What a network computes for one input at the last position.

    Attributes:
        tokens: the input.
        patterns: each head's attention to each position, by block; empty for mixers without a pattern.
        pre, post: the neurons of the last block, before and after their activation function.
        logits: for all targets of the task.

    Source: after Transformer Explainer (Cho et al. 2024, arXiv 2408.04619).
    """

    tokens: Int[Tensor, " pos"]
    patterns: tuple[Float[Tensor, "head pos"], ...]
    pre: Float[Tensor, " neuron"]
    post: Float[Tensor, " neuron"]
    logits: Float[Tensor, " d_vocab_out"]


def tokens_of(task: Task, shown: str) -> Int[Tensor, " pos"]:
    """Return the tokens of an input written as names with spaces between, such as ``"5 8 ="``.

    Raises:
        InputError: the task has no such token, or its inputs have a different length.
    """
    names = shown.split()
    unknown = [name for name in names if name not in task.token_names]
    if unknown or len(names) != task.n_ctx:
        raise InputError(
            f"input must be {task.n_ctx} of the task's tokens, {task.token_names[0]} to {task.token_names[-1]}, with "
            f"spaces between (got {shown!r})."
        )
    return torch.tensor([task.token_names.index(name) for name in names])


@torch.no_grad()
def forward_pass(model: Transformer, tokens: Int[Tensor, " pos"]) -> ForwardPass:
    """Run the network on one input.

    Raises:
        InputError: a logit is not finite.
    """
    last = len(model.blocks) - 1
    layers = range(len(model.blocks)) if "pattern" in sites(model.config) else ()
    patterns = [f"{layer}.pattern" for layer in layers]
    acts = capture(model, tokens[None], {*patterns, f"{last}.mlp_pre", f"{last}.mlp_post", "logits"})
    pre, post, logits = (acts[name][0, -1] for name in (f"{last}.mlp_pre", f"{last}.mlp_post", "logits"))
    if not logits.isfinite().all():
        raise InputError("model must give finite logits to be followed (got infinite or undefined ones).")
    return ForwardPass(tokens, tuple(acts[name][0, :, -1] for name in patterns), pre, post, logits)


@dataclass(frozen=True)
class Prediction:
    """A predicted answer, its logits and probabilities.

    Attributes:
        logits: minus their mean over answers, in float64.
        probability: the softmax.
        answer, runner_up: the answers with the largest and the second largest logit.
    """

    logits: Float[Tensor, " answers"]
    probability: Float[Tensor, " answers"]
    answer: int
    runner_up: int

    @property
    def lead(self) -> float:
        """The answer's logit minus the runner-up's."""
        return float(self.logits[self.answer] - self.logits[self.runner_up])


def predict(logits: Float[Tensor, " answers"]) -> Prediction:
    """Return the prediction from the logits of one target; the first answer wins a tie."""
    exact = logits.double()
    first, second = exact.argsort(descending=True, stable=True)[:2].tolist()
    return Prediction(exact - exact.mean(), exact.softmax(0), first, second)


@dataclass(frozen=True)
class Waves:
    """The logits of one input over answers c in Z_p as a sum of waves, one for each frequency k = 1 .. p // 2.

    A wave of frequency k has k crests. A network that adds on circles writes waves that all have a crest at the correct
    answer and agree nowhere else, so their sum is largest there.

    Attributes:
        wave: over frequencies they sum to the logits minus their mean.
        amplitude: the height of a crest, in logits.
        phase: in radians; a wave is amplitude * cos(2 pi k c / p - phase).
        peak: the answer at which each wave is largest; the first in a tie.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4.2, for one input.
    """

    wave: Float[Tensor, "frequency answers"]
    amplitude: Float[Tensor, " frequency"]
    phase: Float[Tensor, " frequency"]
    peak: Int[Tensor, " frequency"]

    def lead(self, answer: int, other: int) -> Float[Tensor, " frequency"]:
        """Return how many logits each wave adds to one answer over another."""
        return self.wave[:, answer] - self.wave[:, other]

    def agreement(self, answer: int) -> Float[Tensor, " frequency"]:
        """Return the height of each wave at an answer relative to its crest: -1 to 1; 0 for a flat wave."""
        return self.wave[:, answer] / self.amplitude.clamp_min(torch.finfo(torch.float64).tiny)

    def crest(self, answer: int) -> Float[Tensor, " frequency"]:
        """Return the position of each wave's crest nearest to an answer, with decimals."""
        p = self.wave.shape[1]
        turn = 2 * math.pi / p * torch.arange(1, len(self.wave) + 1).double()
        off = self.phase - turn * answer
        return answer + torch.atan2(off.sin(), off.cos()) / turn

    def strongest(self, count: int) -> list[int]:
        """Return the frequencies of the highest waves, in descending order, except those below 1% of the highest."""
        high = int((self.amplitude >= FLAT * self.amplitude.max()).sum())
        return (self.amplitude.argsort(descending=True, stable=True)[: min(count, high)] + 1).tolist()


def waves(logits: Float[Tensor, " answers"]) -> Waves:
    """Split the logits of one input, answers 0 .. p - 1, by their frequency over answers, in float64."""
    p = len(logits)
    rows = basis(p)[1:]
    even = rows.new_zeros(2 * (p // 2) - len(rows), p)  # for even p, the last frequency has no sine
    pairs = torch.cat([rows, even]).view(p // 2, 2, p)
    coefficients = pairs @ logits.double()
    wave = (coefficients[..., None] * pairs).sum(1)
    scaled = coefficients * pairs[:, :1, 0]  # column 0 undoes the normalization: cosines are 1 there
    amplitude, phase = scaled.norm(dim=1), torch.atan2(scaled[:, 1], scaled[:, 0])
    # keep rounding from breaking ties
    peak = (wave >= wave.max(1, keepdim=True).values - 1e-9 * amplitude[:, None]).int().argmax(1)
    return Waves(wave, amplitude, phase, peak)


@dataclass(frozen=True)
class NeuronWrites:
    """What each neuron of the last block writes to the logits: its activation times its row of W_out W_U.

    Attributes:
        added: to the logit of an answer, minus that of another answer or the mean of all.
        frequency: the k of the largest wave over answers that the neuron writes; 0 if it writes nothing.
        share: that wave's share of the power written over answers, without the mean.

    Source: direct logit attribution, Elhage et al. 2021; the neuron-logit map of Nanda et al. 2023
    (arXiv 2301.05217), section 4.2.
    """

    added: Float[Tensor, " neuron"]
    frequency: Int[Tensor, " neuron"]
    share: Float[Tensor, " neuron"]

    def strongest(self, count: int) -> list[int]:
        """Return the neurons with the largest contributions in absolute value, largest first."""
        return self.added.abs().argsort(descending=True, stable=True)[:count].tolist()


@torch.no_grad()
def neuron_writes(
    model: Transformer, post: Float[Tensor, " neuron"], where: slice, answer: int, other: int | None
) -> NeuronWrites:
    """Split the logit of an answer by the neurons that write to it.

    Args:
        post: the neurons' activations at the last position.
        where: the logits of the target.
        answer: one of its answers.
        other: the answer to subtract; None subtracts the mean of all.

    Raises:
        InputError: the blocks are not plain, so neurons do not write directly to the logits.
    """
    model.config.must_be_plain("neurons' direct writing to the logits")
    rows = (model.blocks[-1].W_out @ model.W_U[:, where]).double()
    rows = rows - rows.mean(1, keepdim=True)
    toward = rows[:, answer] - (0 if other is None else rows[:, other])
    answers = rows.shape[1]
    coefficients = basis(answers)[1:] @ rows.T
    squares = torch.cat([coefficients.square(), rows.new_zeros(2 * (answers // 2) - len(coefficients), len(rows))])
    power = squares.view(answers // 2, 2, -1).sum(1)
    total = power.sum(0)
    share, best = (power / total.clamp_min(torch.finfo(torch.float64).tiny)).max(0)
    return NeuronWrites(post.double() * toward, torch.where(total > 0, best + 1, 0), share)


def wrong_examples(model: Transformer, task: Task) -> Int[Tensor, " rows"]:
    """Return the examples that the network gets wrong, by the task's first target."""
    logits = last_logits(model, task.tokens)[:, task.logits_of(task.name)]
    return (logits.argmax(1) != task.labels).nonzero()[:, 0]


def prefixes(tape: Int[Tensor, " pos"]) -> Int[Tensor, "letters pos"]:
    """Return the tapes of an MIU string's first letter, first two letters, and so on; later positions are blank."""
    letters = (tape == LETTER_I) | (tape == LETTER_U)
    seen = letters.cumsum(0)
    counts = torch.arange(1, int(letters.sum()) + 1)
    return torch.where(letters & (seen > counts[:, None]), BLANK, tape)
