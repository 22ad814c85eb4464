"""Estimated costs against built tasks, counted operations and measurements."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import miii
from benchmarks import cost as measuring
from miii import cost, runs
from miii.training import train

SHIPPED = ("add-113", "primes-10", "residues-113", "miu-24", "frames-10", "primes-10-assisted")
MOST = 2  #: largest factor between an estimate and the truth


def test_sizes_match_the_built_tasks():
    tasks = [runs.shipped(name).config.task for name in SHIPPED]
    tasks += [
        miii.Primes(
            low=100, high=2_000, base=7, candidates="coprime", residues=(3, 5), split="residue", tokens="place"
        ),
        miii.Primes(low=100, high=10**6, sample=300, leading_zeros=False),
        miii.Frames(low=100, high=400, frames=3, largest_step=2, predict="label"),
        miii.MIU(longest=5, longest_test=9, n=200),
        miii.Residues(p=7, control="digits"),
    ]
    for task in tasks:
        built, sizes = task.build(), task.sizes
        assert len(built.labels) <= sizes.examples <= 1.2 * len(built.labels), task
        found = (built.n_ctx, built.d_vocab, built.d_vocab_out, len(built.targets), built.next_tokens is not None)
        assert found == (sizes.n_ctx, sizes.d_vocab, sizes.d_vocab_out, sizes.targets, sizes.everywhere), task
        assert int(built.step_mask.sum()) <= task.max_train
        assert int(built.step_mask.sum()) == task.n_train
        if built.val_mask is not None:
            assert int(built.val_mask.sum()) == sizes.validation or task.split == "residue"


def test_parameters_match_the_network():
    for name in SHIPPED:
        run = runs.shipped(name)
        held = sum(weight.numel() for weight in run.model().parameters())
        assert cost.parameters(run.config) == pytest.approx(held, rel=0.03)


@pytest.mark.slow
def test_operations_match_counted_ones():
    small = [{"p": 23}, {"kind": "primes", "low": 100, "high": 2_000}, {"kind": "residues", "p": 23}]
    shapes = [{}, {"n_layers": 2}, {"block": "pre-norm"}, {"d_model": 64, "d_mlp": 256}]
    optimizers = ["adamw", "muon"]
    for task in small:
        for shape in shapes:
            for optimizer in optimizers if not shape else optimizers[:1]:
                config = miii.RunConfig(
                    task=task, model=shape, optimizer={"name": optimizer}, steps=3, eval_every=2, precision="float32"
                )
                with FlopCounterMode(display=False) as counter:
                    list(train(config))
                ratio = cost.training(config).flops / counter.get_total_flops()
                assert 1 / MOST < ratio < MOST, (config, ratio)


def test_known_giants_cost_too_much_for_a_shared_server():
    """These runs take 5 to 10 GB, in training or on a page."""
    primes = [int(q) for q in miii.numbers.primes_below(1000)]
    trained = [
        {"task": {"kind": "primes", "low": 10**6, "high": 1_700_000, "base": 2}},
        {"task": {"kind": "primes", "residues": primes}},
    ]
    for config in trained:
        assert cost.training(miii.RunConfig(**config)).nbytes > 4e9
    wide = miii.RunConfig(task={"p": 211}, model={"n_heads": 256, "d_model": 256, "d_mlp": 6000})
    assert all(cost.pages(wide)[page].nbytes > 2e9 for page in ("neurons", "circuits"))
    assert cost.pages(wide)["attention"].nbytes > 1e9
    assert cost.pages(miii.RunConfig(**trained[1]))["sieve"].nbytes > 4e9
    deep = miii.RunConfig(task={"p": 211}, model={"n_layers": 24})
    assert cost.training(deep).step_seconds > 5
    assert cost.pages(deep)["attention"].seconds > 60
    large = miii.RunConfig(model={"d_model": 1024, "d_mlp": 4096}, snapshots=1000, steps=10_000)
    assert cost.training(large).disk > 9e9
    for name in ("add-113", "primes-10", "miu-24", "frames-10"):
        assert all(page.nbytes < 2.5e8 and page.seconds < 60 for page in cost.pages(runs.shipped(name).config).values())


@pytest.mark.slow
def test_memory_and_disk_match_measurements():
    for what, config in measuring.CASES[:1]:
        _check(what, config)


@pytest.mark.slow
def test_memory_and_disk_of_every_case_match_measurements():
    for what, config in measuring.CASES:
        _check(what, config)


def _check(what, config):
    found, told = measuring.measured(what, config), measuring.estimated(what, config)
    for name in ("nbytes", "disk", "flops"):
        if name in found and getattr(told, name):
            assert 1 / MOST < getattr(told, name) / found[name] < MOST, (what, config, name, told, found)


def test_memory_is_read_in_bytes():
    assert 10**8 < miii.hardware.available_memory() < 10**13
    assert torch.get_num_threads() == 1
