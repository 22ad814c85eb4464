"""Every valid pair of block and mixer, and every loss and optimizer, lowers the training loss."""

import itertools
import math

import miii
from miii.metrics import LOSSES
from miii.model.wiring import BLOCKS, MIXERS, refusal

PAIRS = [pair for pair in itertools.product(BLOCKS, MIXERS) if refusal(*pair, "auto", True) is None]
TASK = miii.ModularAddition(p=31, train_fraction=0.3)
SMALL = {"d_model": 32, "d_mlp": 64}
STEPS = 8


def losses(**changes) -> list[float]:
    """The training loss before and after some steps."""
    settings = {"steps": STEPS, "eval_every": STEPS, "snapshots": 1, "threads": 1, "schedule": "constant"}
    config = miii.recipe(task=TASK, **settings | {"optimizer": miii.AdamW(lr=3e-3, weight_decay=0.1)} | changes)
    steps = list(miii.train(config))
    assert all(weight.isfinite().all() for weight in steps[-1].weights.values())
    return [step.evaluation.train_loss for step in steps if step.evaluation is not None]


def test_every_pair_trains_without_a_nan():
    for block, mixer in PAIRS:
        before, after = losses(model=miii.ModelConfig(**SMALL, block=block, mixer=mixer))
        assert math.isfinite(after)
        assert after < before


def test_every_optimizer_lowers_every_loss():
    for optimizer, loss in itertools.product(["adamw", "muon", "slow-gradient", "orthogonal-gradient"], LOSSES):
        chosen = miii.OPTIMIZERS[optimizer](lr=1e-2, weight_decay=0.0)
        before, after = losses(model=miii.ModelConfig(**SMALL), loss=loss, optimizer=chosen)
        assert after < before
