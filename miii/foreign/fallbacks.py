"""Rarer readings of a network, tried in this order where the usual ones answer too little."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from miii.errors import InputError
from miii.expression import LARGEST_P
from miii.foreign import dense
from miii.foreign.candidate import PADDING, Candidate
from miii.foreign.claim import LIKELY
from miii.foreign.dense import Chain
from miii.foreign.fit import Fit
from miii.foreign.score import SCREEN, pooled, score
from miii.foreign.settings import Settings
from miii.model.block import ACTIVATIONS
from miii.numbers import primes_below

SMALL: Final = 10  #: a smaller p is answered by chance too often to be guessed


def candidates_of(found: Fit | Chain, given: Settings, hints: Settings) -> list[Candidate]:
    """Return the candidates that fit what is given, and as many of the hints as possible."""
    try:
        return list(found.candidates(given.or_else(hints)))
    except InputError:
        own = Settings(**{n: v for n, v in hints.known().items() if n in ("act", "attn_coeff")})
        return list(found.candidates(given.or_else(own)))


def _other_norms(found: Fit | Chain, given: Settings, hints: Settings, chosen: Candidate) -> list[Candidate]:
    """Return the candidates whose norms stand after each sum instead of before each part, or the other way around."""
    if isinstance(found, Chain) or given.post is not None or not (found.normed and found.layout.post):
        return []
    return candidates_of(found, replace(given, post=not found.post), hints)


def _padded(found: Fit | Chain, given: Settings, hints: Settings, chosen: Candidate) -> list[Candidate]:
    """Return the candidates of the likeliest modulus below the number of tokens, if nothing tells the modulus.

    Some vocabularies are padded, such as to a multiple of 64. Only primes are tried.
    """
    if isinstance(found, Chain) or given.p or hints.p or found.axes["v"] > found.axes["o"]:
        return []
    v, tried = found.axes["v"], replace(given, act=chosen.settings.act)
    moduli = [p for p in primes_below(min(v - 1, LARGEST_P + 1)) if p > max(v - PADDING, SMALL)]
    scored = [
        (score(each, SCREEN).accuracy, p) for p in moduli for each in candidates_of(found, replace(tried, p=p), hints)
    ]
    accuracy, p = max(scored, default=(0.0, 0))
    return candidates_of(found, replace(given, p=p), hints) if accuracy > LIKELY / 4 else []


def _mixed(found: Fit | Chain, given: Settings, hints: Settings, chosen: Candidate) -> list[Candidate]:
    """Return the candidates with other shares of softmax in the attention, if the layout may have any."""
    known = given.or_else(hints).attn_coeff is not None
    if isinstance(found, Chain) or known or not found.layout.mixed or chosen.settings.equals:
        return []
    like = replace(chosen.settings, causal=None)
    return [each for n in range(1, 20) for each in found.candidates(replace(like, attn_coeff=n / 20))]


def _rare(found: Fit | Chain, given: Settings, hints: Settings, chosen: Candidate) -> list[Candidate]:
    """Return the candidates with activations that are rarer, if nothing tells the activation."""
    if given.or_else(hints).act is not None:
        return []
    usual = dense.ACTS if isinstance(found, Chain) else found.layout.acts
    like = replace(chosen.settings, n_heads=None) if isinstance(found, Chain) else chosen.settings
    return [each for act in ACTIVATIONS if act not in usual for each in found.candidates(replace(like, act=act))]


def _positions(found: Fit | Chain, given: Settings, hints: Settings, chosen: Candidate) -> list[Candidate]:
    """Return the candidates whose embeddings are scaled, or whose positions are computed in code."""
    if isinstance(found, Chain) or not found.layout.loose or (given.scaled, given.sinusoidal) != (None, None):
        return []
    computed = "W_pos" not in found.places
    forms = [replace(given, scaled=scaled, sinusoidal=computed) for scaled in (False, True) if scaled or computed]
    return [each for form in forms for each in candidates_of(found, form, hints)]


#: Each returns the candidates to try, none if they do not fit the file or what is given.
FALLBACKS: Final[tuple[Callable[[Fit | Chain, Settings, Settings, Candidate], list[Candidate]], ...]] = (
    _other_norms, _positions, _padded, _mixed, _rare,
)  # fmt: skip


def check_pooling(candidates: list[Candidate]) -> None:
    """Check that the answer is read at the last position, of candidates that answer too little there.

    Raises:
        InputError: the mean over all positions answers.
    """
    seeing = [candidate for candidate in candidates if not candidate.settings.causal]  # all positions, as encoders do
    share, operation = max(map(pooled, seeing), default=(0.0, ""))
    if share > LIKELY / 2:
        raise InputError(
            f"answers must be read at the last position (this network answers {share:.0%} of {operation} if its output "
            "is averaged over all positions, which miii's networks do not do: train one that is read at the last)."
        )
