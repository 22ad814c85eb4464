"""An integer as the product of its primes, as pages write it."""

from collections.abc import Mapping


def product(factors: Mapping[int, int]) -> str:
    """LaTeX, from the prime factors and how often each divides (``numbers.factors``)."""
    return r" \cdot ".join(f"{q}^{{{k}}}" if k > 1 else str(q) for q, k in factors.items())
