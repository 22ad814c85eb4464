"""Train on sequences of consecutive integers, as a generator of steps."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from miii import numbers, platform
from miii.errors import InputError
from miii.sparse.network import GridConfig, GridNetwork, build


@dataclass(frozen=True)
class Step:
    """One step. ``loss`` is the batch's weighted cross-entropy in nats; ``seconds`` count from the first step.

    ``network`` is the network in training and changes with the next step.
    """

    config: GridConfig
    step: int
    seconds: float
    loss: float
    network: GridNetwork
    last: bool


def train(config: GridConfig) -> Iterator[Step]:
    """Train step by step, from step 1. Sequences start anywhere in the training range.

    Sets torch's threads. Deterministic for one config and machine.

    Raises:
        InputError: at the first step, if the training range has no prime or no composite.

    Source: weighted cross-entropy as in Lee and Kim (without their resampling of 5%, which they do not specify); AdamW
    (arXiv 1711.05101); the one-cycle schedule of Smith and Topin (arXiv 1708.07120).
    """
    torch.set_num_threads(config.threads)
    platform.keep_freed_memory()
    labels = torch.from_numpy(numbers.is_prime(torch.arange(config.low, config.middle).numpy())).long()
    if not 0 < labels.sum() < len(labels):
        raise InputError("low and n_train must give training integers of both kinds, primes and composites.")
    network = build(config)
    optimizer = torch.optim.AdamW(network.parameters(), config.lr, weight_decay=config.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.lr, total_steps=config.steps + 1, pct_start=0.1, cycle_momentum=False
    )
    loss_of = nn.CrossEntropyLoss(weight=torch.tensor([1.0, config.prime_weight]))
    generator = torch.Generator().manual_seed(config.seed)
    began = time.perf_counter()
    for step in range(1, config.steps + 1):
        first = torch.randint(config.n_train - config.length + 1, (config.batch_size, 1), generator=generator)
        rows = first + torch.arange(config.length)
        loss = loss_of(network(config.low + rows).flatten(0, 1), labels[rows].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        seconds = time.perf_counter() - began
        yield Step(config, step, seconds, loss.item(), network, step == config.steps)
