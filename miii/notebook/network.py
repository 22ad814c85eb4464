"""The network of a run as plain values, for ``network.js``: weights in float16, and the planes of its sum."""

import base64
import copy
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from miii.analysis.modular import grid, keys, steering
from miii.errors import InputError
from miii.model.config import ModelConfig
from miii.model.transformer import Transformer
from miii.runs import Run
from miii.tasks import ModularAddition, Task
from miii.tasks.modular import grid_of

ACTIVATIONS: Final = ("relu", "square", "sigmoid", "tanh", "gelu-tanh")  #: those of ``network.js``
LARGEST: Final = 2_000_000  #: weights; an article stays below 6 MB
SCRIPT: Final = (Path(__file__).parent / "network.js").read_text(encoding="utf-8")
STYLE: Final = (Path(__file__).parent / "network.css").read_text(encoding="utf-8")


def of_run(run: Run, step: int | None) -> dict[str, Any] | None:
    """Return the values of a run's network at a step, the last one if None; None if ``network.js`` cannot run it.

    It runs plain blocks with attention, on modular arithmetic.
    """
    config = run.config.task
    if not isinstance(config, ModularAddition) or config.p > keys.LARGEST_P or not _runs(run.config.model):
        return None
    try:
        return values(run.model(step), run.task())
    except InputError:  # no snapshot, or weights that are not finite
        return None


def _runs(config: ModelConfig) -> bool:
    return config.plain and config.act in ACTIVATIONS and config.positions != "frames"


def values(model: Transformer, task: Task) -> dict[str, Any] | None:
    """Return a network on pairs of Z_p as JSON values, None if its weights are too many or beyond float16,
    or a prompt has four tokens.

    ``planes`` is None without key frequencies. Arrays are little-endian in base64: ``weights`` float16 in the order of
    ``shapes``, ``labels`` int16 with -1 for pairs that are left out, the planes float64.

    Raises:
        InputError: a logit is not finite.
    """
    weights = {name: weight.detach().half() for name, weight in model.state_dict().items()}
    flat = torch.cat([weight.flatten() for weight in weights.values()])
    if len(flat) > LARGEST or task.n_ctx > 3 or not flat.isfinite().all():
        return None
    rounded = copy.deepcopy(model).float()
    rounded.load_state_dict({name: weight.float() for name, weight in weights.items()})
    p, prompt = task.d_vocab_out, task.tokens[0]
    return {
        "p": p,
        "layers": model.config.n_layers,
        "heads": model.config.n_heads,
        "act": model.config.act,
        "causal": model.config.causal,
        "tokens": list(task.token_names),
        "shift": int(prompt[1]) // p * p,  # from b to its token
        "last": int(prompt[2]) if task.n_ctx == 3 else None,  # the token "="
        "shapes": {name: list(weight.shape) for name, weight in weights.items()},
        "weights": _encoded(flat),
        "labels": _encoded(grid_of(task, task.labels, p).short()),
        "planes": _planes(rounded, task),
    }


def _planes(model: Transformer, task: Task) -> dict[str, Any] | None:
    """Return the planes of the key frequencies, found as ``steering`` finds them."""
    try:
        logits = grid.logits(model, task)
        choice = keys.choose(logits, task)
    except InputError:  # logits that are not finite
        return None
    if not choice.frequencies:
        return None
    relabelled, multipliers = choice.relabelling, choice.fit(logits, task).formula.multipliers or (1, 1)
    out = grid.activations(model, task, f"{model.config.n_layers - 1}.mlp_out")[relabelled.rows].double()
    mean, m = out.mean(0), relabelled.m
    found, rows = steering.planes(out - mean, relabelled.sum(multipliers), m), steering.rows_of(choice.frequencies, m)
    operands = []
    for labels, token in zip((relabelled.u, relabelled.v), grid.operands(task), strict=True):
        table = torch.full((task.d_vocab_out,), -1)
        table[token[relabelled.rows]] = labels
        operands.append(table.tolist())
    return {
        "m": m,
        "frequencies": list(choice.frequencies),
        "multipliers": list(multipliers),
        "constant": steering.constant(relabelled, task, multipliers),
        "operands": operands,  # the label of every a and b in Z_m; -1 if it has none
        "answers": relabelled.answers.tolist(),
        "sum": relabelled.words(multipliers),
        "mean": _encoded(mean),
        "write": _encoded(found.write[rows]),
        "read": _encoded(found.read[:, rows].contiguous()),
    }


def _encoded(array: Tensor) -> str:
    values = array.numpy()
    return base64.b64encode(values.astype(values.dtype.newbyteorder("<")).tobytes()).decode()
