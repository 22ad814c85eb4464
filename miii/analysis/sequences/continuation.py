"""Continue a sequence: predict the next term modulo 2, 3, .. and by size, and combine the residues."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float

from miii.analysis.activations import chunks, last_logits
from miii.analysis.sequences import recurrences
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.tasks import Sequences, TaskConfig
from miii.tasks.sequences import guesses
from miii.tasks.sequences.goals import guess_tokens
from miii.tasks.sequences.named import TERMS, named
from miii.tasks.sequences.task import draw
from miii.tasks.sequences.typed import check_terms

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("polynomial", "periodic", "modulo", "recurrence")  #: kinds of rule that the goal names
GOAL = 0.9  #: share of exact next terms
FLOOR = 1e-4  #: probability that no residue falls below
TRUST = 16  #: a modulus counts by its largest probability to this power; chosen on families for validation
SIZES, PER_SIZE = 3, 64  #: classes of size that are searched, and candidates in each
SMALL = 4096  #: sizes up to this are searched in full


@dataclass(frozen=True)
class Residue:
    """What is predicted modulo one m.

    Attributes:
        modulus: m.
        residue: the most probable residue of the next term, with its ``probability``.
        rule: the rule that the network attends to most, of ``guesses.RULES``.
        used: it determines the combination; a residue that contradicts more probable ones does not.
        agrees: the answer has this residue.
    """

    modulus: int
    residue: int
    probability: float
    rule: str
    used: bool
    agrees: bool


@dataclass(frozen=True)
class Continuation:
    """A predicted next term.

    Attributes:
        term: the answer; None if no term of a probable size has the residues.
        residues: by modulus, from 2.
        smallest, largest: the range of the most probable size, with its ``probability``.
        product: the least common multiple of the moduli that are used.
    """

    term: int | None
    residues: tuple[Residue, ...]
    smallest: int
    largest: int
    probability: float
    product: int


def check(config: TaskConfig) -> Sequences:
    """Return the config if it continues sequences.

    Raises:
        InputError: it is of another task or target.
    """
    if not isinstance(config, Sequences) or config.target != "continuation":
        got = f"target {config.target}" if isinstance(config, Sequences) else config.task_name
        raise InputError(f"run must be on sequences with target continuation (got {got}).")
    return config


def predict(model: Transformer, config: Sequences, terms: Sequence[int]) -> Continuation:
    """Return the predicted next term of a sequence, of which the last ``longest`` terms are read.

    Raises:
        InputError: there are fewer than 2 terms, one is no integer, or the config is of another task or target.
    """
    check_terms(terms, fewest=2)
    return many(model, config, [terms])[0]


def many(model: Transformer, config: Sequences, sequences: Sequence[Sequence[int]]) -> list[Continuation]:
    """Return the predicted next terms of sequences."""
    largest, places = check(config).largest_modulus, [0, *range(2, config.largest_modulus + 1)]
    read = [list(terms[-config.longest :]) for terms in sequences for _ in places]
    tokens = torch.from_numpy(guess_tokens(read, places * len(sequences), largest))
    logits = last_logits(model, tokens).double()
    attended = _attended(model, tokens).reshape(len(sequences), -1)
    found = []
    for i, part in enumerate(logits.view(len(sequences), len(places), -1)):
        size = part[0, largest:].log_softmax(-1).numpy()
        residues = {q: row[:q].log_softmax(-1).numpy() for q, row in zip(places[1:], part[1:], strict=True)}
        found.append(combine(residues, size, [guesses.RULES[j] for j in attended[i, 1:]]))
    return found


def combine(
    residues: dict[int, Float[np.ndarray, " residues"]], size: Float[np.ndarray, " sizes"], rules: Sequence[str]
) -> Continuation:
    """Return the term with the largest score, among those that Chinese remaindering finds.

    The score is the sum of the log probabilities of size and residues; those of a modulus count by its confidence.

    The most probable residue of each modulus enters in the order of confidence, unless it contradicts those before.
    Each combination gives candidates in the most probable classes of size. In a small class, every term is a candidate.

    Args:
        residues: log probabilities by modulus.
        size: log probabilities of ``guesses.size_of``.
        rules: name what each modulus attends to.
    """
    best = {q: int(p.argmax()) for q, p in residues.items()}
    order = sorted(best, key=lambda q: (-round(float(residues[q].max()), 6), -q))
    windows = [guesses.window(int(i)) for i in np.argsort(-size)[:SIZES]]
    whole = [range(low, high + 1) for low, high in windows if high - low < SMALL]
    candidates, used = {y: 0 for terms in whole for y in terms}, list[int]()
    x, product = 0, 1
    for q in order:
        shared = math.gcd(product, q)
        if (best[q] - x) % shared:
            continue
        step = (best[q] - x) // shared * pow(product // shared, -1, q // shared) if q > shared else 0
        x, product = (x + product * step) % math.lcm(product, q), math.lcm(product, q)
        used.append(q)
        candidates[(x + product // 2) % product - product // 2] = len(used)  # whatever the size
        for low, high in windows:
            first = low + (x - low) % product
            if (high - first) // product < PER_SIZE:
                candidates |= dict.fromkeys(range(first, high + 1, product), len(used))
    term = _best(list(candidates), residues, size)
    count = candidates[term] if term is not None else 0
    entries = [
        Residue(
            q,
            best[q],
            float(np.exp(p.max())),
            rule,
            q in used[: count or None],
            term is not None and term % q == best[q],
        )
        for (q, p), rule in zip(residues.items(), rules, strict=True)
    ]
    return Continuation(term, tuple(entries), *windows[0], float(np.exp(size.max())), math.lcm(*used[: count or None]))


def _best(candidates: list[int], residues: dict[int, np.ndarray], size: np.ndarray) -> int | None:
    """Return the candidate with the largest score."""
    if not candidates:
        return None
    floor = math.log(FLOOR)
    total = np.maximum(size[[guesses.size_of(y) for y in candidates]], floor)
    for q, p in residues.items():
        total = total + np.exp(p.max()) ** TRUST * np.maximum(p[[y % q for y in candidates]], floor)
    return candidates[int(total.argmax())]


@torch.no_grad()
def _attended(model: Transformer, tokens: torch.Tensor) -> np.ndarray:
    """Return the rule that gets most attention from the last position, over all heads of the last layer."""
    site, found = f"{len(model.blocks) - 1}.pattern", []
    if model.config.mixer != "attention":
        return np.zeros(len(tokens), dtype=np.int64)
    for rows in chunks(model, tokens):

        def tap(name: str, value: torch.Tensor) -> torch.Tensor:
            if name == site:
                found.append(value[:, :, -1, :-1].sum(1).argmax(-1))
            return value

        model(tokens[rows], tap)
    return torch.cat(found).numpy()


def longest_run(config: Sequences, terms: Sequence[int]) -> int | None:
    """Continue without a network: at each place, the guess of the rule that predicts most terms in a row."""
    places = [0, *range(2, config.largest_modulus + 1)]
    read = [list(terms[-config.longest :])] * len(places)
    tests: list[np.ndarray] = []
    found = []
    for guess, count in (guesses.size(read[:1]), guesses.modulo(read[1:], places[1:])):
        count = np.where(guess < 0, -1, count)
        found += guess[np.arange(len(guess)), count.argmax(1)].tolist()
        tests.append(count.max(1))
    trust = 1 / (3.0 + np.concatenate(tests))  # fewer tests, less trust
    residues = {
        q: np.log(np.where(np.arange(q) == r, 1 - t, t / (q - 1)))
        for q, r, t in zip(places[1:], found[1:], trust[1:], strict=True)
    }
    size = np.log(np.where(np.arange(guesses.SIZES) == found[0], 1 - trust[0], trust[0] / (guesses.SIZES - 1)))
    return combine(residues, size, [""] * len(residues)).term


def by_recurrence(terms: Sequence[int]) -> int | None:
    """Return the next term by the shortest linear recurrence, if terms test it."""
    found = recurrences.shortest(terms)
    return int(found.following) if found.tested > 0 and found.following.denominator == 1 else None


def exact(model: Transformer, config: Sequences, each: int = 100) -> "pd.DataFrame":
    """Return how often the next term is exact, on held-out families, by kind of rule.

    The last term of a sequence is asked for, given those before it.

    Args:
        each: sequences of each kind.

    Returns:
        One row per kind of rule: ``rule``, ``sequences``, and the shares of ``network``, of the rule with the
        ``longest run``, of ``Berlekamp-Massey``, and of the ``last term`` repeated.
    """
    import pandas as pd

    held = draw(config)[config.n_train :]
    rows = []
    for kind in dict.fromkeys(one.kind for one in held):
        terms = [one.rule.terms for one in held if one.kind == kind][:each]
        rows.append({"rule": kind, "sequences": len(terms)} | _shares(model, config, terms))
    return pd.DataFrame(rows)


def on_named(model: Transformer, config: Sequences) -> "pd.DataFrame":
    """Return the next term of each named sequence after ``longest`` terms, by network and Berlekamp-Massey.

    Returns:
        One row per sequence: ``name``, ``predicted``, ``true``, ``correct``, ``recurrence`` (whether Berlekamp-Massey
        is correct), and ``wrong moduli``, those whose most probable residue is wrong.
    """
    import pandas as pd

    count = min(config.longest, TERMS - 1)
    given = [each.terms[:count] for each in named().values()]
    rows = []
    for (name, each), found in zip(named().items(), many(model, config, given), strict=True):
        true = each.terms[count]
        wrong = [str(r.modulus) for r in found.residues if true % r.modulus != r.residue]
        rows.append(
            {
                "name": name,
                "predicted": "none" if found.term is None else str(found.term),
                "true": str(true),
                "correct": found.term == true,
                "recurrence": by_recurrence(each.terms[:count]) == true,
                "wrong moduli": ", ".join(wrong),
            }
        )
    return pd.DataFrame(rows)


def _shares(model: Transformer, config: Sequences, sequences: Sequence[Sequence[int]]) -> dict[str, float]:
    given, true = [terms[:-1] for terms in sequences], [terms[-1] for terms in sequences]
    answers: dict[str, Sequence[int | None]] = {
        "network": [each.term for each in many(model, config, given)],
        "longest run": [longest_run(config, terms) for terms in given],
        "Berlekamp-Massey": [by_recurrence(terms) for terms in given],
        "last term": [terms[-1] for terms in given],
    }
    return {name: float(np.mean([a == b for a, b in zip(each, true, strict=True)])) for name, each in answers.items()}
