"""Estimate a run's memory, operations and disk space from its config, without building anything.

Estimates sum the large arrays that training and each analysis hold at once, with coefficients fitted to measurements.
To measure again, run ``python -m benchmarks cost``. Tests require estimates within a factor of 2.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from miii.model.config import ModelConfig
from miii.model.mixers import block_type
from miii.model.wiring import BLOCKS
from miii.tasks.task import Sizes, TaskConfig
from miii.training import snapshot_steps
from miii.training.config import RunConfig
from miii.training.evaluation import CHUNK, EVERYWHERE_FACTOR, MAX_EXAMPLES, MAX_PER_SPLIT
from miii.training.optim import SGD, Muon

IDLE = 15_000_000  #: overhead in bytes: thread stacks, allocator reserve, a chart
RATE = 1.5e10  #: operations per second, one thread of a small server
EXPONENT = 5  #: Newton-Schulz iterations of Muon


@dataclass(frozen=True)
class Cost:
    """Estimated cost.

    Attributes:
        nbytes: peak memory in bytes, on top of an idle process.
        flops: floating-point operations in matrix products; a multiply-add counts as two.
        disk: largest size of the run's folder in bytes.
        step_flops: operations per step; a step cannot be interrupted.
    """

    nbytes: int
    flops: float
    disk: int = 0
    step_flops: float = 0.0

    @property
    def seconds(self) -> float:
        """Estimated seconds on one thread of a small server."""
        return self.flops / RATE

    @property
    def step_seconds(self) -> float:
        """Estimated seconds per step."""
        return self.step_flops / RATE


Weights = dict[str, float]

#: Cost coefficients by task kind and page: values held per activation value; forward passes over all examples through
#: the last block ("passes") and earlier blocks ("deep"); extra passes per head ("a head").
_WHOLE: dict[str, Weights] = {
    "attention": {"head": 13, "stream": 1, "neuron": 1, "below": 1, "passes": 4, "deep": 3, "a head": 0.8},
    "fourier": {"stream": 0.5, "neuron": 0.2, "logit": 4, "below": 1, "passes": 1.5, "deep": 1},
    "neurons": {"stream": 1, "neuron": 6.5, "below": 1, "passes": 5, "deep": 5},
    "circuits": {
        "head": 40,
        "stream": 4,
        "neuron": 4,
        "logit": 1,
        "below": 2,
        "passes": 20,
        "deep": 20,
        "a head": 8,
        "examples": 12_000,
    },
    "formula": {"stream": 1, "neuron": 6, "logit": 4, "below": 1, "passes": 9, "deep": 9},
    "progress": {"stream": 1, "neuron": 7, "logit": 2, "below": 1, "passes": 6, "deep": 6},
    "try": {"stream": 0.2, "neuron": 0.1, "logit": 1, "passes": 1.5, "deep": 1.5},
}
_LOOKED: dict[str, Weights] = {"attention": {"pattern": 0.25, "passes": 0.1}, "try": {"pattern": 0.25, "passes": 0.1}}
#: Costs by task kind, where measured; other kinds use the shared costs. ``examples`` is set where it is fixed.
ANALYSES: dict[str, dict[str, Weights]] = {
    "modular": _WHOLE,
    "primes": _LOOKED | {"sieve": {"stream": 0.9, "neuron": 0.3, "logit": 1, "below": 0.1, "passes": 8, "deep": 1.5}},
    "residues": _LOOKED | {"sieve": {"logit": 1, "neuron": 0.1, "passes": 1.2, "deep": 1.2}},
    "miu": _LOOKED | {"sieve": {"pattern": 1, "passes": 2, "deep": 2}},
    "frames": _LOOKED | {"frames": {"stream": 0.5, "below": 0.6, "passes": 4, "deep": 4}},
}
SEEN = {"frames": 6_000}  #: examples an analysis holds at once; 50,000 by default
AVERAGED = 2_000  #: examples over which attention is averaged


class _Forward(NamedTuple):
    """Multiply-adds of one example's forward pass, and values kept for its backward pass."""

    macs: float
    kept: float


def parameters(config: RunConfig) -> int:
    """Count the network's weights, excluding biases and gains."""
    model, sizes = config.model, config.task.sizes
    declared = block_type(model).weights(model, sizes.n_ctx).values()
    block = sum(math.prod(weight.shape) for weight in declared if weight is not None and weight.kind == "map")
    block += 6 * model.d_model**2 if model.mixer == "gru" else 0
    return model.n_layers * block + model.d_model * (sizes.d_vocab + sizes.d_vocab_out + sizes.n_ctx)


def training(config: RunConfig) -> Cost:
    """Return the cost of training to the last step, including evaluations and the run's folder."""
    model, sizes, weights = config.model, config.task.sizes, parameters(config)
    batch = min(config.batch_size or sizes.examples, config.task.max_train)
    evaluated = _evaluated(sizes)
    forward = _forward(model, sizes)
    optimizer = {SGD: 1, Muon: 2.5}.get(type(config.optimizer), 2)
    positions = sizes.n_ctx if sizes.everywhere else 1
    resident = _data(sizes) + weights * (4 + 4 + 4 * optimizer + 8 + 4 + 2)
    step = 4 * batch * forward.kept * 1.15
    at_once = min(evaluated, CHUNK // 8 if sizes.everywhere else CHUNK)
    evaluation = 8 * at_once * forward.kept / model.n_layers / 2 + 8 * evaluated * positions * sizes.d_vocab_out * 2
    evaluations = 1 + math.ceil(config.steps / config.eval_every)
    step_flops = 6 * (batch * forward.macs + _shared(model, sizes)) + _update(config)
    chunks = math.ceil(evaluated / at_once)
    evaluation_flops = 2 * (evaluated * forward.macs + chunks * _shared(model, sizes))
    flops = config.steps * step_flops + evaluations * evaluation_flops
    # 2 bytes per weight in a snapshot, 4 in the last, plus the training state
    disk = weights * (2 * len(snapshot_steps(config.steps, config.snapshots)) + 2 + 4 * (1 + optimizer))
    disk += 400 * evaluations
    return Cost(round(IDLE + resident + max(step, evaluation)), flops, round(disk), step_flops)


def data(task: TaskConfig) -> Cost:
    """Return the cost of building and showing a task's data."""
    return Cost(round(IDLE + _data(task.sizes)), 0.0)


def pages(config: RunConfig) -> dict[str, Cost]:
    """Return the cost of each page that analyzes a run, by URL name."""
    model, sizes = config.model, config.task.sizes
    seen = min(sizes.examples, SEEN.get(config.task.kind, 50_000))
    below = (model.n_layers - 1) * sizes.n_ctx
    sites = {
        "head": 2 * model.n_heads,
        "stream": sizes.n_ctx * model.d_model,
        "neuron": model.d_mlp,
        "logit": sizes.d_vocab_out,
        "below": below * (model.d_model + model.d_mlp / 2),
    }
    last = _forward(model.model_copy(update={"n_layers": 1}), sizes).macs
    deep = _forward(model, sizes).macs - last
    patterns = min(sizes.examples, AVERAGED) * model.n_layers * model.n_heads * sizes.n_ctx**2
    data = 8 * sizes.examples * (sizes.n_ctx + sizes.targets + 2)
    found = {}
    for page, weights in ANALYSES.get(config.task.kind, _LOOKED).items():
        examples = weights.get("examples", seen)
        arrays = examples * sum(weights.get(site, 0.0) * size for site, size in sites.items())
        arrays += weights.get("pattern", 0.0) * patterns
        more = weights.get("a head", 0) * model.n_layers * model.n_heads
        macs = (weights["passes"] + more) * last + (weights.get("deep", 0.0) + more) * deep
        found[page] = Cost(round(IDLE + data + 12 * parameters(config) + 4 * arrays), 2 * examples * macs)
    return found


def _evaluated(sizes: Sizes) -> int:
    """Return the number of examples in an evaluation."""
    share = EVERYWHERE_FACTOR if sizes.everywhere else 1
    if sizes.examples <= MAX_EXAMPLES // share:
        return sizes.examples
    return min(sizes.examples, 2 * MAX_PER_SPLIT // share + sizes.validation)


def _data(sizes: Sizes) -> float:
    """Return the bytes of a task's arrays and distinct tokens."""
    return 8.0 * sizes.examples * (5 * sizes.n_ctx + sizes.targets + 8 + (sizes.n_ctx if sizes.everywhere else 0))


def _forward(model: ModelConfig, sizes: Sizes) -> _Forward:
    """Estimate one example's forward pass; the first block's queries, keys and values are shared by all."""
    d, m, h, n, out = model.d_model, model.d_mlp, model.n_heads, sizes.n_ctx, sizes.d_vocab_out
    mixing = {"gru": 6 * d * d, "attention": 2 * d * d}.get(model.mixer, 0)
    projected = 2 * d * d if BLOCKS[model.block].projections else 0
    everywhere = sizes.everywhere
    block_macs = n * (mixing + projected + 2 * d * m + 2 * n * d)
    block_kept = n * (12 * d + 3 * m) + 4 * h * n * n
    at = n if everywhere else 1
    last_macs = at * (d * m + (d * m + d * d + d * out if out > d or not model.plain else (m + d) * out))
    if model.n_layers > 1 or model.mixer == "gru":
        last_macs += n * (mixing + projected)
    last_kept = 2 * n * d + at * (2 * d + 3 * m + 2 * h * n + 2 * out)
    if model.mixer == "gru":
        last_kept += 12 * n * d
    return _Forward((model.n_layers - 1) * block_macs + last_macs, (model.n_layers - 1) * block_kept + last_kept)


def _shared(model: ModelConfig, sizes: Sizes) -> float:
    """Return the multiply-adds shared by all examples of a call: distinct tokens and weight products."""
    d, m, out = model.d_model, model.d_mlp, sizes.d_vocab_out
    distinct = sizes.distinct or min(sizes.examples, sizes.d_vocab) * sizes.n_ctx
    return 3 * distinct * d * d + (d * d * m + (m * d * out if out <= d else 0) if model.plain else 0)


def _update(config: RunConfig) -> float:
    """Return the operations of an optimizer step beyond gradients: Muon's orthogonalization."""
    if not isinstance(config.optimizer, Muon):
        return 0.0
    d, m = config.model.d_model, config.model.d_mlp
    small, large = min(d, m), max(d, m)
    square, wide = 4 * 6 * d**3, 2 * (4 * small**2 * large + 2 * small**3)
    return float(EXPONENT * config.model.n_layers * (square + wide))
