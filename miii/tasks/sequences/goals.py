"""What a network is asked about sequences: kinds, similarity, next, continuation, unmasking. Each is a ``Goal``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from miii.tasks.sequences import grammar, guesses
from miii.tasks.sequences.kinds import KINDS, decide
from miii.tasks.sequences.terms import ASK, BLANK, PAD, SIGN, Encoding
from miii.tasks.task import Target

if TYPE_CHECKING:
    from miii.tasks.sequences.task import Drawn, Sequences

GoalName = Literal["kinds", "similarity", "next", "continuation", "unmasking"]
UNMASKED = 7  #: largest modulus of the masked term's residues
SIZED = 0.2  #: share of the examples of the continuation that ask for the size
PARTS = 2  #: of a token of the continuation: a rule's guess and its tests


class Examples(NamedTuple):
    """Tokens [examples, pos, parts], the targets, and the terms behind each example, for baselines."""

    tokens: np.ndarray
    targets: tuple[Target, ...]
    terms: list[list[int]]


@dataclass(frozen=True)
class Goal:
    """A question about sequences.

    Attributes:
        about: the question, in words.
        milestone: what a network has achieved that answers it.
        outputs: number of logits, and of targets, given the encoding.
        positions: number of positions, given the most terms of a sequence.
        build: makes the examples.
    """

    about: str
    milestone: str
    outputs: Callable[[Encoding], tuple[int, int]]
    positions: Callable[[int], int]
    build: Callable[["Sequences", Sequence["Drawn"]], Examples]


def _kinds(config: "Sequences", drawn: Sequence["Drawn"]) -> Examples:
    terms = [each.rule.terms for each in drawn]
    columns = labels_of(drawn).T
    targets = [_target(name, 2, column, len(KINDS)) for name, column in zip(KINDS, columns, strict=True)]
    return Examples(config.encoding.encode(terms, config.longest), tuple(targets), terms)


def _similarity(config: "Sequences", drawn: Sequence["Drawn"]) -> Examples:
    """Pair each sequence: half with one of its family, a quarter with another of its kind, a quarter with any."""
    rng, others, same = Random(config.seed + 1), [], []
    for i, each in enumerate(drawn):
        draw, j = rng.random(), _partner(rng, i, config)
        if draw < 0.5:
            length = len(drawn[j].rule.terms)
            others.append(grammar.FORMS[each.kind].draw(rng, each.family, length).terms)
        else:
            j = j if draw < 0.75 else _partner(rng, i, config, 1)
            others.append(drawn[j].rule.terms)
        same.append(draw < 0.5 or drawn[j][:2] == each[:2])
    terms = [each.rule.terms for each in drawn]
    first, second = (config.encoding.encode(each, config.longest) for each in (terms, others))
    tokens = np.concatenate([first[:, :-1], second], axis=1)
    return Examples(tokens, (_target("same family", 2, same),), [a + b for a, b in zip(terms, others, strict=True)])


def _next(config: "Sequences", drawn: Sequence["Drawn"]) -> Examples:
    """Replace the second half of every other sequence by that of another one of the same kind of rule."""
    rng, terms, follows = Random(config.seed + 2), [], []
    for i, each in enumerate(drawn):
        half, whole = len(each.rule.terms) // 2, each.rule.terms
        other = drawn[_partner(rng, i, config)]
        longer = grammar.FORMS[other.kind].draw(rng, other.family, len(whole)).terms
        terms.append(whole if rng.random() < 0.5 else whole[:half] + longer[half:])
        follows.append(terms[-1] == whole)
    return Examples(config.encoding.encode(terms, config.longest), (_target("follows", 2, follows),), terms)


def _unmasking(config: "Sequences", drawn: Sequence["Drawn"]) -> Examples:
    """Hide a term between the first and the last; ask for its sign and its residues."""
    rng, terms = Random(config.seed + 3), [each.rule.terms for each in drawn]
    tokens = config.encoding.encode(terms, config.longest)
    hidden = np.array([rng.randrange(1, len(each) - 1) for each in terms])
    rows = np.arange(len(terms))
    tokens[rows, hidden], tokens[rows, hidden, 0] = BLANK, ASK
    values = [each[i] for each, i in zip(terms, hidden, strict=True)]
    moduli = _unmasked(config.encoding)
    targets = [_target("sign", 3, [1 + (value > 0) - (value < 0) for value in values], 1 + len(moduli))]
    targets += [_target(f"mod {q}", q, [value % q for value in values], 1 + len(moduli)) for q in moduli]
    before = [[*each[:i], *each[i + 1 :]] for each, i in zip(terms, hidden, strict=True)]
    return Examples(tokens, tuple(targets), before)


def _continuation(config: "Sequences", drawn: Sequence["Drawn"]) -> Examples:
    """Hide the last term, and ask for it at one place: modulo some m, or by size."""
    rng, terms = Random(config.seed + 4), [each.rule.terms for each in drawn]
    places = [0 if rng.random() < SIZED else rng.randint(2, config.largest_modulus) for _ in terms]
    tokens = guess_tokens([each[:-1] for each in terms], places, config.largest_modulus)
    labels = [
        each[-1] % q if q else config.largest_modulus + guesses.size_of(each[-1])
        for each, q in zip(terms, places, strict=True)
    ]
    size = config.largest_modulus + guesses.SIZES
    return Examples(tokens, (_target("next term", size, labels),), [each[:-1] for each in terms])


def guess_tokens(terms: Sequence[Sequence[int]], places: Sequence[int], largest: int) -> np.ndarray:
    """Return the tokens that ask for the next term at each place: a modulus up to ``largest``, or 0 for the size.

    Each position is a rule of ``guesses.RULES``; its parts are the rule's guess and its number of tests. The last
    position holds the place.
    """
    guess, tests = (np.zeros((len(terms), len(guesses.RULES)), dtype=np.int64) for _ in range(2))
    at = np.array(places)
    for chosen in (at == 0, at > 0):
        if not chosen.any():
            continue
        some = [each for each, yes in zip(terms, chosen, strict=True) if yes]
        said = guesses.modulo(some, at[chosen].tolist()) if at[chosen][0] else guesses.size(some)
        guess[chosen], tests[chosen] = said[0] + (0 if at[chosen][0] else largest) * (said[0] >= 0), said[1]
    first = {name: block.start for name, block in guess_blocks(largest).items()}
    tokens = np.zeros((len(terms), len(guesses.RULES) + 1, PARTS), dtype=np.int16)
    known = guess != guesses.NONE
    tokens[:, :-1, 0] = np.where(known, first["guess"] + guess, PAD)
    tokens[:, :-1, 1] = np.where(known, first["tests"] + tests, BLANK)
    tokens[:, -1, 0], tokens[:, -1, 1] = ASK, first["place"] + at
    return tokens


def guess_blocks(largest: int) -> dict[str, slice]:
    """Return the rows of W_E of the continuation: guesses (residues, then sizes), tests, places."""
    found, begin = {}, SIGN
    for name, size in (("guess", largest + guesses.SIZES), ("tests", guesses.TESTS + 1), ("place", largest + 1)):
        found[name] = slice(begin, begin + size)
        begin += size
    return found


def labels_of(drawn: Sequence["Drawn"]) -> np.ndarray:
    """Return which of ``KINDS`` hold: [sequences, kinds]."""
    found = decide([each.rule.terms for each in drawn])
    for kind in ("trigonometric", "prime"):
        found[kind] = np.array([each.kind == kind for each in drawn])
    rule = np.array([each.rule.bounded for each in drawn])
    found["bounded"] = rule | found["periodic"] | found["finite"] | found["modulo"]
    return np.stack([found[kind] for kind in KINDS], axis=1)


def _partner(rng: Random, i: int, config: "Sequences", every: int = len(grammar.FORMS)) -> int:
    """Return another example of the same part of the split, by default of the same kind of rule."""
    begin, end = next(part for part in config.parts if part[0] <= i < part[1])
    begin += (i - begin) % every
    return rng.randrange(begin, end, every)


def _target(name: str, size: int, labels: "Sequence[int] | np.ndarray", count: int = 1) -> Target:
    column: Tensor = torch.from_numpy(np.asarray(labels).astype(np.int64))
    return Target(name, size, column, 1 / count)


def _unmasked(encoding: Encoding) -> range:
    return range(2, min(encoding.largest, UNMASKED) + 1)


#: The goals by name: the options of ``Sequences.target``.
GOALS: dict[str, Goal] = {
    "kinds": Goal("kinds of", "names kinds", lambda _: (2 * len(KINDS), len(KINDS)), lambda n: n + 1, _kinds),
    "similarity": Goal("families of pairs of", "compares families", lambda _: (2, 1), lambda n: 2 * n + 1, _similarity),
    "next": Goal("second halves of", "predicts what follows", lambda _: (2, 1), lambda n: n + 1, _next),
    "continuation": Goal(
        "next terms of",
        "continues",
        lambda encoding: (encoding.largest + guesses.SIZES, 1),
        lambda _: len(guesses.RULES) + 1,
        _continuation,
    ),
    "unmasking": Goal(
        "hidden terms of",
        "finds hidden terms",
        lambda encoding: (3 + sum(_unmasked(encoding)), 1 + len(_unmasked(encoding))),
        lambda n: n + 1,
        _unmasking,
    ),
}
