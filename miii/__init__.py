"""miii: mechanistic interpretability on irreducible integers.

Train a small transformer on number theory, and see what it learned::

    import miii

    config = miii.RunConfig(task=miii.ModularAddition(p=113))
    run = miii.runs.record("runs/mine", miii.train(config))
    acts = miii.capture(run.model(), run.task().tokens)

Everything is loaded at its first use, so that ``import miii`` costs next to nothing beside torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from miii import analysis as analysis
    from miii import jobs as jobs
    from miii import plots as plots
    from miii import reports as reports
    from miii import runs as runs
    from miii import sparse as sparse
    from miii import transformer_lens as transformer_lens
    from miii.errors import InputError
    from miii.model.config import ModelConfig
    from miii.model.tap import SITES, capture, identity, intervene, zero_head
    from miii.model.transformer import Transformer, answer
    from miii.tasks import KINDS, MIU, TASKS, Frames, ModularAddition, Primes, Residues, Target, Task
    from miii.training import Step, train
    from miii.training.config import RECIPES, RunConfig, recipe
    from miii.training.evaluation import Evaluation
    from miii.training.optim import OPTIMIZERS, SGD, AdamW, Muon

_HOMES = {
    "miii.training.config": ("RECIPES", "RunConfig", "recipe"),
    "miii.errors": ("InputError",),
    "miii.model.tap": ("SITES", "capture", "identity", "intervene", "zero_head"),
    "miii.model.config": ("ModelConfig",),
    "miii.model.transformer": ("Transformer", "answer"),
    "miii.training.optim": ("OPTIMIZERS", "SGD", "AdamW", "Muon"),
    "miii.tasks": ("KINDS", "MIU", "TASKS", "Frames", "ModularAddition", "Primes", "Residues", "Target", "Task"),
    "miii.training.evaluation": ("Evaluation",),
    "miii.training": ("Step", "train"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = ("analysis", "jobs", "plots", "reports", "runs", "sparse", "transformer_lens")

__all__ = [
    "KINDS",
    "MIU",
    "OPTIMIZERS",
    "RECIPES",
    "SGD",
    "SITES",
    "TASKS",
    "AdamW",
    "Evaluation",
    "Frames",
    "InputError",
    "ModelConfig",
    "ModularAddition",
    "Muon",
    "Primes",
    "Residues",
    "RunConfig",
    "Step",
    "Target",
    "Task",
    "Transformer",
    "analysis",
    "answer",
    "capture",
    "identity",
    "intervene",
    "jobs",
    "plots",
    "recipe",
    "reports",
    "runs",
    "sparse",
    "train",
    "transformer_lens",
    "zero_head",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(import_module(_HOME_OF[name]), name)
    elif name in _MODULES:
        value = import_module(f"miii.{name}")
    else:
        raise AttributeError(f"module 'miii' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
