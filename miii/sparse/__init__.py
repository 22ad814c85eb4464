"""Primes from a sparse grid: each integer is a single 1 among 150 x 150 x 150 zeros, read by a convolution.

The position is the integer's three digits in base 150. The grid is never built: convolving a single 1 is a lookup.
"""

from miii.sparse import encoding, evaluation, files, network, training

__all__ = ["encoding", "evaluation", "files", "network", "training"]
