"""Training: it learns, the same from the same seed, and only from training integers."""

import json

import pytest
import torch

from miii import numbers
from miii.sparse import evaluation, files, training
from miii.sparse.network import GridConfig

SMALL = GridConfig(
    side=30, kernel=3, n_train=15_000, n_test=10_000, length=8, d_model=32, batch_size=64, steps=250, n_blocks=1
)


@pytest.fixture(scope="module")
def last() -> training.Step:
    """The last step of a short training."""
    short = SMALL.model_copy(update={"steps": 5, "n_train": 1_500, "n_test": 1_000})
    return next(step for step in training.train(short) if step.last)


def test_steps_are_counted():
    steps = list(training.train(SMALL.model_copy(update={"steps": 3})))
    assert [step.step for step in steps] == [1, 2, 3]
    assert [step.last for step in steps] == [False, False, True]
    assert steps[0].seconds <= steps[2].seconds


def test_training_depends_on_the_seed(same):
    def weights(seed: int) -> dict[str, torch.Tensor]:
        config = SMALL.model_copy(update={"steps": 5, "seed": seed})
        return next(step for step in training.train(config) if step.last).network.state_dict()

    assert same(weights(1), weights(1))
    assert not same(weights(1), weights(2))


def test_training_uses_only_training_labels(monkeypatch):
    asked: list[int] = []
    plain = numbers.is_prime

    def is_prime(n):
        asked.extend(n.tolist())
        return plain(n)

    monkeypatch.setattr(numbers, "is_prime", is_prime)
    list(training.train(SMALL.model_copy(update={"steps": 3})))
    assert (min(asked), max(asked)) == (SMALL.low, SMALL.middle - 1)


def test_training_range_without_both_classes_is_an_error(one_sentence):
    between = GridConfig(low=114, n_train=12, length=4)  # 113 and 127 are neighbors among the primes
    with one_sentence("low and n_train", "both kinds"):
        next(training.train(between))


@pytest.mark.slow
def test_small_grid_learns_to_sieve_by_2_3_5():
    """30 = 2 * 3 * 5, so a grid of side 30 gives the same away."""
    found = files.score(next(step for step in training.train(SMALL) if step.last).network)
    exact = evaluation.sieve_recall(SMALL.middle, SMALL.end, (2, 3, 5))
    assert found.sieve_depth == 5
    assert found.test.composites == pytest.approx(exact.composites, abs=0.01)
    assert found.test.primes >= 0.99
    assert {f.q for f in found.factors} >= {2, 3, 5, 7}
    assert next(f.auc for f in found.factors if f.q == 7) < 0.6


def test_saved_network_can_be_opened(last, tmp_path, same):
    kept = files.save(tmp_path / "grid", last)
    again = files.open(tmp_path / "grid")
    assert again.config == last.network.config
    assert same(again.network().state_dict(), last.network.state_dict())
    assert again.scores == kept.scores == files.score(last.network)
    names = ["config.json", "report.json", "result.json", "weights.safetensors"]
    assert sorted(path.name for path in kept.folder.iterdir()) == names


def test_invalid_folder_is_an_error(last, tmp_path, one_sentence):
    (tmp_path / "there").mkdir()
    with one_sentence("folder must not exist yet", "there"):
        files.save(tmp_path / "there", last)
    (tmp_path / "file").write_text("")
    with one_sentence("could not be written"):
        files.save(tmp_path / "file" / "grid", last)
    with one_sentence("must hold a JSON object"):
        files.open(tmp_path / "nowhere")


def test_mismatched_weights_are_an_error(last, tmp_path, one_sentence):
    folder = files.save(tmp_path / "grid", last).folder
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "d_model": 16}))
    with one_sentence("does not fit its config.json"):
        files.open(folder).network()
    (folder / "weights.safetensors").write_bytes(b"corrupt")
    with one_sentence("not a readable safetensors file"):
        files.open(folder).network()
