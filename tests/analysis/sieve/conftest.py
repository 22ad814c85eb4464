"""Integers whose digits are added by networks of known weights."""

import pytest

import miii
from miii.tasks import Task


@pytest.fixture(scope="session")
def integers() -> miii.Primes:
    """Four digits, a token of its own for each digit at each place."""
    return miii.Primes(low=1000, high=9999, tokens="place")


@pytest.fixture(scope="session")
def built(integers) -> Task:
    """The task of these integers."""
    return integers.build()


@pytest.fixture(scope="session")
def untrained(integers, built) -> miii.Transformer:
    """A network of random weights of a usual shape."""
    config = miii.ModelConfig(d_model=16, n_heads=2, d_mlp=32)
    model = miii.Transformer(config, built.d_vocab, built.d_vocab_out, built.n_ctx, seed=0)
    return model.requires_grad_(False)
