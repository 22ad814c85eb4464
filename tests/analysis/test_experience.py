"""What carries over: AUCs of networks that are right, and wrong where training left something out."""

import numpy as np
import pytest
import torch

import miii
from miii.analysis import experience
from miii.errors import InputError
from miii.tasks.integers import residue_counts


def primes(**changes):
    return miii.Primes(low=1000, high=3999, tokens="place", **changes)


def test_an_adder_is_right_on_every_split_and_an_untrained_network_on_none(residue_adder):
    for changes in ({}, {"split": "range"}, {"split": "residue"}, {"withheld": ("2-1-1",)}):
        config = primes(**changes)
        task = config.build()
        found = experience.sieving(residue_adder(config, 3), task, config)
        assert found["like_3"] == found["beyond_3"] == 1
        assert 0.5 < found["like"] < 1
        zero = residue_adder(config, 3)
        with torch.no_grad():
            zero.W_U.zero_()
        assert experience.sieving(zero, task, config)["beyond_3"] == 0.5


def test_withheld_counts_are_what_is_judged(residue_adder):
    """A network that answers prime wherever training saw no digits with these counts."""
    config = primes(withheld=("2-1-1",))
    task = config.build()
    n = task.facts["n"].numpy()
    model = residue_adder(config, 3)
    mixed = (residue_counts(n, config, 3) == (2, 1, 1)).all(1)
    sums = residue_counts(n, config, 3) @ np.arange(3)
    block = model.blocks[0]
    with torch.no_grad():  # a spike at the sum 3, which these integers have
        at = int((block.b_in + 3).abs().argmin())
        for offset, bend in ((-1, 4.0), (0, -8.0), (1, 4.0)):
            block.W_out[at + offset, 2] += bend
    assert set(sums[mixed]) == {3}
    found = experience.sieving(model, task, config)
    assert found["beyond_3"] == 0
    assert found["like_3"] > 0.4


def test_trials_are_kept_and_summarized(tmp_path):
    trials = [
        experience.Trial(
            "splits", name, seed, 100 + seed, 9, {"task": {"kind": "primes"}}, {"beyond": value, "like": None}
        )
        for name, values in (("range", (0.5, 0.7, 0.9)), ("random", (1.0, 1.0, 1.0)))
        for seed, value in enumerate(values)
    ]
    place = tmp_path / "trials.jsonl"
    experience.save(place, trials)
    assert set(map(str, experience.load(place))) == set(map(str, trials))
    rows = experience.bands(trials, "splits").to_dict("records")
    assert rows[0] == {
        "name": "range",
        "measure": "beyond",
        "examples": 101,
        "low": 0.5,
        "median": 0.7,
        "high": 0.9,
        "seeds": 3,
    }
    assert len(rows) == 2
    assert experience.bands(trials, "other").empty
    place.write_text("{}")
    for path in (place, tmp_path / "nowhere"):
        with pytest.raises(InputError, match="one trial a line"):
            experience.load(path)
