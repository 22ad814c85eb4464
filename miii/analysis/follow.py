"""One input, followed through a network: where it looks, its neurons, its logits, and which waves argued for them."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.modular.fourier import basis
from miii.errors import InputError
from miii.model import fast
from miii.model.tap import capture, sites
from miii.model.transformer import Transformer
from miii.tasks import Task
from miii.tasks.miu import BLANK, LETTER_I, LETTER_U

FLAT = 0.01  #: of the highest wave, below which another one is not worth a look


@dataclass(frozen=True)
class Through:
    """What a network makes of one input, where the answer is read: at the last position.

    Attributes:
        tokens: what it is shown.
        patterns: for each block, how much each head attends to each position; none where positions exchange
            information by something that has no pattern.
        pre, post: the neurons of the last block, before and after their activation function.
        logits: those of all the task's targets, as they are.

    Source: own design, after Transformer Explainer (Cho et al. 2024, arXiv 2408.04619).
    """

    tokens: Int[Tensor, " pos"]
    patterns: tuple[Float[Tensor, "head pos"], ...]
    pre: Float[Tensor, " neuron"]
    post: Float[Tensor, " neuron"]
    logits: Float[Tensor, " d_vocab_out"]


def tokens_of(task: Task, shown: str) -> Int[Tensor, " pos"]:
    """The tokens whose names are written one after another, with spaces between: ``"5 8 ="``.

    Raises:
        InputError: the task has no such token, or has inputs of another length.
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
def through(model: Transformer, tokens: Int[Tensor, " pos"]) -> Through:
    """Run the network on one input, and write down what ``Through`` has.

    Raises:
        InputError: a logit is not finite: the network has fallen apart.
    """
    last = len(model.blocks) - 1
    layers = range(len(model.blocks)) if "pattern" in sites(model.config) else ()
    patterns = [f"{layer}.pattern" for layer in layers]
    met = capture(model, tokens[None], {*patterns, f"{last}.mlp_pre", f"{last}.mlp_post", "logits"})
    pre, post, logits = (met[name][0, -1] for name in (f"{last}.mlp_pre", f"{last}.mlp_post", "logits"))
    if not logits.isfinite().all():
        raise InputError("model must give finite logits to be followed (got infinite or undefined ones).")
    return Through(tokens, tuple(met[name][0, :, -1] for name in patterns), pre, post, logits)


@dataclass(frozen=True)
class Said:
    """An answer, and what speaks for it.

    Attributes:
        logits: less their mean over the answers, which softmax does not see; in float64.
        probability: the softmax.
        answer, runner_up: the answers of the largest and the second largest logit.
    """

    logits: Float[Tensor, " answers"]
    probability: Float[Tensor, " answers"]
    answer: int
    runner_up: int

    @property
    def lead(self) -> float:
        """The answer's logit less the runner-up's."""
        return float(self.logits[self.answer] - self.logits[self.runner_up])


def said(logits: Float[Tensor, " answers"]) -> Said:
    """What the logits of one target say; of equal ones the first."""
    exact = logits.double()
    first, second = exact.argsort(descending=True, stable=True)[:2].tolist()
    return Said(exact - exact.mean(), exact.softmax(0), first, second)


@dataclass(frozen=True)
class Waves:
    """The logits of one input over the answers c in Z_p, as a sum of waves in c, one of each frequency k = 1 .. p // 2.

    A wave of frequency k has k crests. A network that adds on circles writes, for each frequency that it uses, a wave
    with one of its crests at the right answer: there they agree and nowhere else, so there their sum is largest.

    Attributes:
        wave: over the frequencies they add up to the logits less their mean.
        amplitude: how high each is at a crest, be it at an answer or between two, in logits.
        phase: each is amplitude * cos(2 pi k c / p - phase), in radians.
        peak: the answer that each argues for most; the first of them, where several are equal.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4.2, for one input.
    """

    wave: Float[Tensor, "frequency answers"]
    amplitude: Float[Tensor, " frequency"]
    phase: Float[Tensor, " frequency"]
    peak: Int[Tensor, " frequency"]

    def lead(self, answer: int, other: int) -> Float[Tensor, " frequency"]:
        """By how many logits each argues for one answer against another."""
        return self.wave[:, answer] - self.wave[:, other]

    def agreement(self, answer: int) -> Float[Tensor, " frequency"]:
        """How much of its full height each wave has at an answer: 1 at a crest, -1 in a trough; 0 if it is flat."""
        return self.wave[:, answer] / self.amplitude.clamp_min(torch.finfo(torch.float64).tiny)

    def crest(self, answer: int) -> Float[Tensor, " frequency"]:
        """Where each wave's crest nearest to an answer is, as an answer with decimals."""
        p = self.wave.shape[1]
        turn = 2 * math.pi / p * torch.arange(1, len(self.wave) + 1).double()
        off = self.phase - turn * answer
        return answer + torch.atan2(off.sin(), off.cos()) / turn

    def strongest(self, most: int) -> list[int]:
        """The frequencies k of the highest waves, the highest first; none below a hundredth of the highest."""
        high = int((self.amplitude >= FLAT * self.amplitude.max()).sum())
        return (self.amplitude.argsort(descending=True, stable=True)[: min(most, high)] + 1).tolist()


def waves(logits: Float[Tensor, " answers"]) -> Waves:
    """Split the logits of one input, answers 0 .. p - 1, by their frequency over the answers; in float64.

    Source: as ``Waves``.
    """
    p = len(logits)
    rows = basis(p)[1:]
    even = rows.new_zeros(2 * (p // 2) - len(rows), p)  # an even p has no last sine
    pairs = torch.cat([rows, even]).view(p // 2, 2, p)
    coefficients = pairs @ logits.double()
    wave = (coefficients[..., None] * pairs).sum(1)
    scaled = coefficients * pairs[:, :1, 0]  # at 0 each cosine is 1, before it was made of unit length
    amplitude, phase = scaled.norm(dim=1), torch.atan2(scaled[:, 1], scaled[:, 0])
    # of equal values rounding must not choose
    peak = (wave >= wave.max(1, keepdim=True).values - 1e-9 * amplitude[:, None]).int().argmax(1)
    return Waves(wave, amplitude, phase, peak)


@dataclass(frozen=True)
class Written:
    """What each neuron of the last block writes to the logits here: its activation times its row of W_out W_U.

    Attributes:
        added: to the logit of an answer, less that of another one or the mean of all.
        frequency: of the waves over the answers that the neuron writes, the k of the largest; 0 if it writes nothing.
        share: that wave's share of what it writes over the answers, the mean taken off.

    Source: direct logit attribution, Elhage et al. 2021; the neuron-logit map of Nanda et al. 2023
    (arXiv 2301.05217), section 4.2.
    """

    added: Float[Tensor, " neuron"]
    frequency: Int[Tensor, " neuron"]
    share: Float[Tensor, " neuron"]

    def strongest(self, most: int) -> list[int]:
        """The neurons that add or take off most, the strongest first."""
        return self.added.abs().argsort(descending=True, stable=True)[:most].tolist()


@torch.no_grad()
def written(
    model: Transformer, post: Float[Tensor, " neuron"], where: slice, answer: int, other: int | None
) -> Written:
    """Split what the neurons write to the logit of an answer.

    Args:
        post: the neurons' activations at the last position.
        where: the logits of the target that is asked.
        answer: one of its answers.
        other: another one, whose logit is taken off; None takes off the mean of all.

    Raises:
        InputError: the blocks are not plain, so that neurons do not write straight to the logits.

    Source: as ``Written``.
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
    return Written(post.double() * toward, torch.where(total > 0, best + 1, 0), share)


def wrong(model: Transformer, task: Task) -> Int[Tensor, " rows"]:
    """The examples that the network answers wrong, by its first target."""
    logits = fast.answers(model, task.tokens)[:, task.logits_of(task.name)]
    return (logits.argmax(1) != task.labels).nonzero()[:, 0]


def prefixes(tape: Int[Tensor, " pos"]) -> Int[Tensor, "letters pos"]:
    """The tapes of an MIU string's first letter, its first two, and so on: the places of the letters to come are blank."""
    letters = (tape == LETTER_I) | (tape == LETTER_U)
    come = letters.cumsum(0)
    counts = torch.arange(1, int(letters.sum()) + 1)
    return torch.where(letters & (come > counts[:, None]), BLANK, tape)
