"""What a network that was asked for primes learned: which factors it sees, and what each digit adds to see them."""

from miii.analysis.sieve import (
    beside,
    circuit,
    depth,
    digits,
    heads,
    interchange,
    numbers,
    plane,
    probes,
    report,
    steering,
    suspect,
)

__all__ = [
    "beside",
    "circuit",
    "depth",
    "digits",
    "heads",
    "interchange",
    "numbers",
    "plane",
    "probes",
    "report",
    "steering",
    "suspect",
]
