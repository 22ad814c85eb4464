"""Primes from a sparse grid: each integer is a single 1 in 150 x 150 x 150 zeros, read by a convolution.

The grid is the integer's three digits in base 150, and is never built: a convolution of a single 1 is a lookup.
"""

from miii.sparse import encoding, files, judge, network, training

__all__ = ["encoding", "files", "judge", "network", "training"]
