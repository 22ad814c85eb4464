"""Recognize a network: its layout, its sizes, and what its file does not record."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from miii.errors import InputError
from miii.expression import LARGEST_P
from miii.foreign import dense
from miii.foreign.candidate import Candidate, as_float, listed, times
from miii.foreign.claim import LIKELY, PROMPT
from miii.foreign.dense import Chain
from miii.foreign.fallbacks import FALLBACKS, candidates_of, check_pooling
from miii.foreign.fit import Fit, fit
from miii.foreign.layouts import LAYOUTS
from miii.foreign.score import best
from miii.foreign.settings import Settings, check_positions, from_config, unknown_act
from miii.foreign.unwrap import Contents, printable
from miii.model.block import ACTIVATIONS
from miii.model.config import ModelConfig
from miii.model.transformer import Transformer
from miii.tasks import ModularAddition

NAMES: Final = (*(layout.name for layout in LAYOUTS), dense.NAME)  #: all layouts
OWN: Final = "miii"  #: the layout of miii's own names, and the model type in a config that miii wrote
SURE: Final = 0.99  #: accuracy below which rarer settings are tried ...
GAIN: Final = 0.02  #: ... and taken if they are more accurate by this much


@dataclass(frozen=True)
class Recognized:
    """A network, and how it was read from its file.

    Attributes:
        model: the network, in float32.
        settings: what the file does not record, as given or recognized.
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
        return {name: bool(getattr(self.settings, name)) for name in PROMPT}

    def lines(self) -> dict[str, str]:
        """Return what was recognized, in words by name."""
        config, s = self.model.config, "s" * (self.model.config.n_layers > 1)
        found = {
            "layout": self.layout,
            "sizes": f"{config.n_layers} block{s}, d_model {config.d_model}, d_mlp {config.d_mlp}",
            "block": ", ".join(
                [config.block, *[config.mixer] * (config.mixer != "attention"), *["RMSNorm"] * (config.norm == "rms")]
            ),
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
    check_positions(contents.config)
    found = _fitted(state, layout, given.p or hints.p)
    candidates = candidates_of(found, given, hints)
    if (largest := max(candidate.p for candidate in candidates)) > LARGEST_P:
        raise InputError(f"p must be at most {LARGEST_P} (the file has {largest}).")
    chosen, rivals, accuracy = best(candidates)
    for more in FALLBACKS:
        others = more(found, given, hints, chosen) if accuracy < SURE else []
        if others and (better := best(others))[2] > max(accuracy + GAIN, LIKELY / 2):
            candidates, (chosen, rivals, accuracy) = candidates + others, better
    if accuracy < LIKELY / 2 and isinstance(found, Fit):
        check_pooling(candidates)
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
    skip = ("n_heads", "post") if isinstance(found, Chain) else ("twice",)
    sources = {name: source for name, source in sources.items() if name not in skip}
    notes = list(contents.notes)
    for what, there, used in _sizes(found, chosen):
        extra = there - used
        notes += [f"{extra} extra {what}{'s were' if extra > 1 else ' was'} cut."] if extra > 0 else []
    if (act := unknown_act(contents.config)) is not None and given.act is None:
        notes.append(f"The activation {printable(act)} is none of {', '.join(ACTIVATIONS)}, so one was guessed.")
    if not isinstance(found, Chain) and chosen.settings.n_heads is not None:
        width, own = found.d_head(chosen.settings.n_heads), chosen.config.d_head
        notes += [f"Heads of {width} were filled up to {own} with zeros."] if width != own else []
        notes += _unrecorded(found, chosen, given.or_else(hints))
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
    task = ModularAddition(**{name: config[name] for name in ("p", *PROMPT) if name in config})
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
        model_config.attn_coeff, False, False, task.operator, False,
    )  # fmt: skip
    ignored = tuple(printable(name) for name in state if name not in wanted)
    sources = dict.fromkeys(("p", "n_heads"), str(contents.origin))
    return Recognized(OWN, model.requires_grad_(False).eval(), settings, sources, ignored, contents.notes)


def another(state: Mapping[str, Tensor], like: Recognized) -> Transformer:
    """Return the network of another snapshot, read as the first was.

    Raises:
        InputError: the tensors do not fit.
    """
    model = candidates_of(_fitted(state, like.layout, like.p), like.settings, Settings())[0].model()
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
    closest = min(fits, key=lambda each: (len(each.missing) + len(each.misfits), len(each.missing)))
    if name is None and closest.missing and not any(each.places.keys() & {"blocks.0.W_Q"} for each in fits):
        try:
            return _chain(state, p)
        except InputError:
            if not any(re.search("attn|attention|qkv", name) for name in state):  # nothing like a transformer
                raise
    closest.check()
    return closest


def _chain(state: Mapping[str, Tensor], p: int | None) -> Chain:
    """Return the chain with this modulus; if it is unknown, the one that answers most, or else the first.

    A modulus below the number of logits must be likely.
    """
    found = dense.chains(state)
    found = [each for each in found if p in (None, each.p) and each.p <= LARGEST_P] or found[:1]
    if len(found) == 1:
        return found[0]
    shares = [best(list(each.candidates(Settings())))[2] for each in found]
    bars = [LIKELY / 2 if each.p in each.maps[-1].weight.shape else LIKELY for each in found]
    likely = [(share, -i) for i, (share, bar) in enumerate(zip(shares, bars, strict=True)) if share > bar]
    return found[-max(likely)[1]] if likely else found[0]


def _unrecorded(found: Fit, chosen: Candidate, known: Settings) -> list[str]:
    """Return sentences about what the file lacks and how it was read."""
    settings = chosen.settings
    notes = ["There is no MLP: one neuron with weights of 0 stands for that of each block."] if found.bare else []
    if settings.rms and known.epsilon is None and found.layout.rms is None:
        notes.append(f"RMSNorms add {settings.epsilon:g} to the mean square, which the file does not record.")
    if settings.sinusoidal:
        notes.append("No positions are stored: sinusoids were added.")
    elif "W_pos" not in found.places:
        notes.append("No positions are stored: none were added, so rotary and other computed ones are left out.")
    return [*notes, *["Embeddings were multiplied by the square root of d_model."] * bool(settings.scaled)]


def _sizes(found: Fit | Chain, chosen: Candidate) -> tuple[tuple[str, int, int], ...]:
    """Return what the file has more of than the task may need: name, number there, number used."""
    if isinstance(found, Chain):
        return (("logit", found.maps[-1].weight.shape[1], found.p),)
    return ("token", found.axes["v"], chosen.settings.vocabulary), ("logit", found.axes["o"], chosen.p)
