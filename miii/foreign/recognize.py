"""Recognize a network: its layout, its sizes, and what its file does not record."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from miii.errors import InputError
from miii.expression import LARGEST_P, MISSING
from miii.foreign import dense
from miii.foreign.candidate import PADDING, Candidate, as_float, listed, listed_shapes, times
from miii.foreign.claim import LIKELY, best_of, tables
from miii.foreign.dense import Chain
from miii.foreign.fit import Fit, fit
from miii.foreign.layouts import LAYOUTS
from miii.foreign.settings import Settings, from_config
from miii.foreign.unwrap import Contents, printable
from miii.model import fast
from miii.model.config import ModelConfig
from miii.model.transformer import Transformer
from miii.numbers import primes_below
from miii.tasks import ModularAddition

NAMES: Final = (*(layout.name for layout in LAYOUTS), dense.NAME)  #: all layouts
OWN: Final = "miii"  #: the layout of miii's own names, and the model type in a config that miii wrote
PAIRS: Final = 512  #: pairs on which candidates are compared
WORK: Final = 2_000_000_000  #: fewer pairs if the network has many weights: multiply-adds of a comparison
TIE: Final = 0.003  #: difference in accuracy on these pairs that decides nothing
SURE: Final = 0.99  #: accuracy below which rarer settings are tried ...
GAIN: Final = 0.02  #: ... and taken if they are more accurate by this much
CLEAR: Final = 0.1  #: difference in margin that decides; otherwise the likelier activation is taken


@dataclass(frozen=True)
class Recognized:
    """A network, and how it was read from its file.

    Attributes:
        model: the network, in float32.
        settings: all that the file does not record, known now.
        sources: where each of these comes from: "given", "the file", the name of a JSON file, "shapes" or "guessed".
        ignored: printable names of what was not used.
        notes: what was changed, in sentences.
    """

    layout: str
    model: Transformer
    settings: Settings
    sources: Mapping[str, str]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def p(self) -> int:
        """The modulus."""
        assert self.settings.p is not None
        return self.settings.p

    @property
    def prompt(self) -> dict[str, bool]:
        """The fields of ``ModularAddition`` that describe the prompt."""
        return {"equals": bool(self.settings.equals), "separate": bool(self.settings.separate)}

    def lines(self) -> dict[str, str]:
        """Return what was recognized, in words by name."""
        config, s = self.model.config, "s" * (self.model.config.n_layers > 1)
        found = {
            "layout": self.layout,
            "sizes": f"{config.n_layers} block{s}, d_model {config.d_model}, d_mlp {config.d_mlp}",
            "block": config.block if config.mixer == "attention" else f"{config.block}, {config.mixer}",
        }
        shown = {name: value for name, value in self.settings.known().items() if name in self.sources}
        found |= {name: f"{value} ({self.sources[name]})" for name, value in shown.items()}
        return found | {"ignored": listed(self.ignored) or "nothing"}


def recognize(contents: Contents, given: Settings = Settings(), layout: str | None = None) -> Recognized:  # noqa: B008
    """Return the network in a file.

    What the file does not record is taken from ``given``, from a config in the file or beside it, or else guessed: the
    candidate whose answers fit an operation best, at the lowest loss.

    Args:
        layout: forces a layout; None tries all.

    Raises:
        InputError: the file is in no known layout, or contradicts ``given``.
    """
    state = contents.last
    if contents.config.get("model_type") == OWN and layout in (None, OWN):
        return _exported(contents)
    hints = from_config(contents.config)
    found = _fitted(state, layout, given.p or hints.p)
    candidates = _candidates(found, given, hints)
    if (largest := max(candidate.p for candidate in candidates)) > LARGEST_P:
        raise InputError(f"p must be at most {LARGEST_P} (the file has {largest}).")
    chosen, rivals, accuracy = _best(candidates)
    for more in (_padded, _mixed):
        others = more(found, given.or_else(hints), chosen) if accuracy < SURE else []
        if others and (better := _best(others))[2] > accuracy + GAIN:
            candidates, (chosen, rivals, accuracy) = candidates + others, better
    spread = {name: {getattr(each.settings, name) for each in candidates} for name in Settings.__dataclass_fields__}
    sources: dict[str, str] = {}
    for name, value in chosen.settings.known().items():
        if getattr(given, name) is not None:
            sources[name] = "given"
        elif len(spread[name]) > 1:
            also = f"{' and '.join(rivals)} answer{'s' * (len(rivals) == 1)} as well"
            rival = f"; {also}" if name == "act" and rivals else ""
            sources[name] = f"guessed{rival}"
        elif getattr(hints, name) == value:
            sources[name] = contents.origin if contents.origin and name not in _own(contents) else "the file"
        elif name in ("p", "n_heads"):
            sources[name] = "shapes"
    skip = ("n_heads",) if isinstance(found, Chain) else ("twice",)
    sources = {name: source for name, source in sources.items() if name not in skip}
    notes = list(contents.notes)
    for what, there, used in _sizes(found, chosen):
        extra = there - used
        notes += [f"{extra} extra {what}{'s were' if extra > 1 else ' was'} cut."] if extra > 0 else []
    names = state if isinstance(found, Chain) else found.state
    unused = tuple(printable(name) for name in names if name not in found.used)
    name = dense.NAME if isinstance(found, Chain) else found.layout.name
    return Recognized(name, chosen.model(), chosen.settings, sources, (*unused, *contents.ignored), tuple(notes))


def _exported(contents: Contents) -> Recognized:
    """Return a network of miii's own, with the architecture in its config.

    Raises:
        InputError: the config is invalid, or the tensors do not fit it.
    """
    fields, config, state = ModelConfig.model_fields, contents.config, contents.last
    task = ModularAddition(**{name: config[name] for name in ("p", "equals", "separate") if name in config})
    model_config = ModelConfig(**{name: config[name] for name in fields if name in config})
    sizes = task.sizes
    with torch.device("meta"):
        wanted = Transformer(model_config, sizes.d_vocab, sizes.d_vocab_out, sizes.n_ctx).state_dict()
    for name, empty in wanted.items():
        if name not in state or state[name].shape != empty.shape:
            got = times(state[name].shape) if name in state else "nothing"
            raise InputError(f"{name} must be {times(empty.shape)}, as {contents.origin} tells (got {got}).")
    model = Transformer(model_config, sizes.d_vocab, sizes.d_vocab_out, sizes.n_ctx)
    model.load_state_dict({name: as_float(name, state[name]) for name in wanted})
    settings = Settings(
        task.p, task.equals, task.separate, None, model_config.n_heads, model_config.causal,
        model_config.attn_coeff, False, False,
    )  # fmt: skip
    ignored = tuple(printable(name) for name in state if name not in wanted)
    sources = dict.fromkeys(("p", "n_heads"), str(contents.origin))
    return Recognized(OWN, model.requires_grad_(False).eval(), settings, sources, ignored, contents.notes)


def another(state: Mapping[str, Tensor], like: Recognized) -> Transformer:
    """Return the network of another snapshot, read as the first was.

    Raises:
        InputError: the tensors do not fit.
    """
    model = _candidates(_fitted(state, like.layout, like.p), like.settings, Settings())[0].model()
    if model.config != like.model.config:
        raise InputError("history must hold networks of one architecture.")
    return model


def _own(contents: Contents) -> set[str]:
    """Return the settings that the file itself names, not the JSON file beside it."""
    return set(from_config(contents.own).known())


def _fitted(state: Mapping[str, Tensor], name: str | None, p: int | None) -> Fit | Chain:
    if name is not None and name not in NAMES:
        raise InputError(f"layout must be one of {', '.join(NAMES)} (got {name!r}).")
    if name == dense.NAME:
        return _chain(state, p)
    fits = [fit(layout, state) for layout in LAYOUTS if name in (None, layout.name)]
    best = min(fits, key=lambda each: (len(each.missing) + len(each.misfits), len(each.missing)))
    if name is None and best.missing and not any(each.places.keys() & {"blocks.0.W_Q"} for each in fits):
        try:
            return _chain(state, p)
        except InputError:
            if not any(re.search("attn|attention|qkv", name) for name in state):  # nothing like a transformer
                raise _unknown(state) from None
    best.check()
    return best


def _chain(state: Mapping[str, Tensor], p: int | None) -> Chain:
    """Return the chain with this modulus; if it is unknown, the one that answers more."""
    found = dense.chains(state)
    found = [each for each in found if p in (None, each.p) and each.p <= LARGEST_P] or found[:1]
    return found[0] if len(found) == 1 else max(found, key=lambda each: _best(list(each.candidates(Settings())))[2])


def _unknown(state: Mapping[str, Tensor]) -> InputError:
    return InputError(
        f"file must hold a network in a layout that miii knows: {', '.join(NAMES)} (it holds "
        f"{listed_shapes(state) or 'nothing'}; --layout forces one, and its error tells what is missing)."
    )


def _candidates(found: Fit | Chain, given: Settings, hints: Settings) -> list[Candidate]:
    """Return the candidates that fit what is given, and as many of the hints as possible."""
    try:
        return list(found.candidates(given.or_else(hints)))
    except InputError:
        own = Settings(**{n: v for n, v in hints.known().items() if n in ("act", "attn_coeff")})
        return list(found.candidates(given.or_else(own)))


@dataclass(frozen=True)
class _Score:
    """How well a candidate answers its likeliest operation, on some pairs.

    Attributes:
        margin: first percentile of the margin of the right answer, in standard deviations of the logits.
    """

    accuracy: float
    loss: float
    margin: float


def _padded(found: Fit | Chain, known: Settings, chosen: Candidate) -> list[Candidate]:
    """Return the candidates of the likeliest modulus below the number of tokens, if nothing tells the modulus.

    Some vocabularies are padded, such as to a multiple of 64. Only primes are tried.
    """
    if isinstance(found, Chain) or known.p is not None or found.axes["v"] > found.axes["o"]:
        return []
    v, scored = found.axes["v"], []
    for p in primes_below(min(v - 1, LARGEST_P + 1)):
        if p > max(v - PADDING, 4):
            tried = found.candidates(replace(known, p=p, act=chosen.settings.act))
            scored += [(_score(each).accuracy, p) for each in tried]
    accuracy, p = max(scored, default=(0.0, 0))
    return list(found.candidates(replace(known, p=p))) if accuracy > LIKELY / 4 else []


def _mixed(found: Fit | Chain, known: Settings, chosen: Candidate) -> list[Candidate]:
    """Return the candidates with other shares of softmax in the attention, if the layout may have any."""
    if isinstance(found, Chain) or not found.layout.mixed or known.attn_coeff is not None or chosen.settings.equals:
        return []
    like = replace(chosen.settings, causal=None)
    return [each for n in range(1, 20) for each in found.candidates(replace(like, attn_coeff=n / 20))]


def _best(candidates: list[Candidate]) -> tuple[Candidate, tuple[str, ...], float]:
    """Return the candidate whose answers fit an operation best, other activations that answer as well, and its accuracy.

    For each activation, settings are compared by accuracy, then by loss. Activations are compared by accuracy, then by
    margin: a wrong one may lower the loss by scaling the logits. The first candidate is taken if none fits.
    """
    scored = [(_score(candidate), candidate) for candidate in candidates]
    winners: dict[str | None, tuple[_Score, Candidate]] = {}
    for score, candidate in scored:
        act = candidate.settings.act
        if act not in winners or (score.accuracy, -score.loss) > (winners[act][0].accuracy, -winners[act][0].loss):
            winners[act] = (score, candidate)
    top = max(score.accuracy for score, _ in winners.values())
    if top < LIKELY / 2:
        return candidates[0], (), top
    close = {act: pair for act, pair in winners.items() if pair[0].accuracy >= top - TIE}
    widest = max(score.margin for score, _ in close.values())
    best = next(candidate for score, candidate in close.values() if score.margin >= widest - CLEAR)
    return best, tuple(act for act in close if act is not None and act != best.settings.act), top


@torch.no_grad()
def _score(candidate: Candidate) -> _Score:
    p, s = candidate.p, candidate.settings
    weights = sum(value.numel() for value in candidate.weights.values())
    few = min(PAIRS, max(64, WORK // weights))
    rows = torch.randperm(p * p, generator=torch.Generator().manual_seed(0))[:few]
    a, b = rows // p, rows % p
    prompt = [a, b + p * bool(s.separate), torch.full_like(a, p * (1 + bool(s.separate)))][: 2 + bool(s.equals)]
    logits = fast.answer_logits(candidate.model(), fast.plan(torch.stack(prompt, 1))).double()
    labels = [each[rows] for each in tables(p).values()]
    index, accuracy = best_of(logits.argmax(1), labels)
    known = labels[index] != MISSING
    logits, right = logits[known], labels[index][known][:, None]
    loss = torch.nn.functional.cross_entropy(logits, right[:, 0]).item()
    margin = logits.gather(1, right)[:, 0] - logits.scatter(1, right, -torch.inf).amax(1)
    spread = margin.quantile(0.01).item() / max(logits.std().item(), 1e-30)
    finite = all(math.isfinite(value) for value in (loss, spread))
    return _Score(accuracy, loss, spread) if finite else _Score(0.0, math.inf, -math.inf)


def _sizes(found: Fit | Chain, chosen: Candidate) -> tuple[tuple[str, int, int], ...]:
    """Return what the file has more of than the task may need: name, number there, number used."""
    if isinstance(found, Chain):
        return ()
    s = chosen.settings
    vocabulary = chosen.p * (1 + bool(s.separate)) + bool(s.equals)
    return ("token", found.axes["v"], vocabulary), ("logit", found.axes["o"], chosen.p)
