"""Draw each step's batch and dropout masks from the seed and the step alone."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.errors import InputError
from miii.model.fast import NO_MASKS, Masks
from miii.model.wiring import BLOCKS
from miii.tasks import Task
from miii.training.config import RunConfig


def batches(config: RunConfig, task: Task) -> Callable[[int], Int[Tensor, " batch"]]:
    """Return a function from a step to its examples, independent of earlier steps.

    Each epoch permutes the training examples; with ``task.sampling_weights``, each step samples independently.

    Raises:
        InputError: ``batch_size`` exceeds the number of training examples.
    """
    rows, size = task.step_mask.nonzero()[:, 0], config.batch_size
    if size is not None and size > len(rows):
        raise InputError(f"batch_size must be at most the {len(rows)} training examples (got {size}).")
    if task.sampling_weights is not None:
        return _weighted(rows, task.sampling_weights[rows], size or len(rows), config.task.seed)
    return (lambda step: rows) if size is None else _permuted(rows, size, config.task.seed)


def dropout_masks(config: RunConfig, device: torch.device) -> Callable[[int, int], Masks]:
    """Return a function from a step and batch size to the dropout masks by site: 0 or 1 / keep_prob.

    The function returns no masks without dropout.

    Source: Srivastava et al. 2014 (JMLR 15).
    """
    keep_prob, last = 1 - config.dropout, config.steps if config.dropout_steps is None else config.dropout_steps
    layers = config.model.n_layers
    if config.dropout_site == "neurons":
        sites, width = [f"{layers - 1}.mlp_post"], config.model.d_mlp
    else:
        halves = ("resid_post",) if BLOCKS[config.model.block].parallel else ("resid_mid", "resid_post")
        sites, width = [f"{layer}.{half}" for layer in range(layers) for half in halves], config.model.d_model

    def masks(step: int, examples: int) -> Masks:
        if keep_prob == 1 or step > last:
            return NO_MASKS
        generator, rows = _generator(config.task.seed, step, 1), 1 if config.dropout_shared else examples
        return {
            site: torch.empty(rows, width).bernoulli_(keep_prob, generator=generator).div_(keep_prob).to(device)
            for site in sites
        }

    return masks


def _weighted(
    rows: Int[Tensor, " train"], sampling_weights: Float[Tensor, " train"], size: int, seed: int
) -> Callable[[int], Int[Tensor, " batch"]]:
    cumulative = sampling_weights.double().cumsum(0)

    def batch(step: int) -> Tensor:
        u = torch.rand(size, generator=_generator(seed, step), dtype=torch.float64)
        return rows[torch.searchsorted(cumulative, u * cumulative[-1]).clamp(max=len(rows) - 1)]

    return batch


def _permuted(rows: Int[Tensor, " train"], size: int, seed: int) -> Callable[[int], Int[Tensor, " batch"]]:
    per_epoch = len(rows) // size

    @lru_cache(maxsize=1)
    def permutation(epoch: int) -> Tensor:
        return rows[torch.randperm(len(rows), generator=_generator(seed, epoch))]

    def batch(step: int) -> Tensor:
        epoch, i = divmod(step - 1, per_epoch)
        return permutation(epoch)[i * size : (i + 1) * size]

    return batch


def _generator(*numbers: int) -> torch.Generator:
    # torch's generator on the CPU uses only the lower 32 bits of a seed, so hash all numbers into those
    mixed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    return torch.Generator().manual_seed(mixed)
