"""Format an integer as a product of primes."""

from collections.abc import Mapping


def product(factors: Mapping[int, int]) -> str:
    """Return LaTeX for prime factors and their exponents (``numbers.factors``)."""
    return r" \cdot ".join(f"{q}^{{{k}}}" if k > 1 else str(q) for q, k in factors.items())
