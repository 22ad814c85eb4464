"""A training run, as one frozen value. The command line, the app's form and the run's JSON are all made from it."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from miii.errors import Frozen, InputError
from miii.metrics import LossName
from miii.model.config import ModelConfig
from miii.tasks import AnyTask, Frames, ModularAddition
from miii.training.optim import AdamW, Optimizer


class RunConfig(Frozen):
    """Task, model, optimiser and how long: all that decides a run's weights on one kind of machine.

    The defaults are the recipe ``fast``.

    Raises:
        InputError: a field is unknown or out of range, or the batch is larger than the training split.

    Source: own design; for the recipes see ``RECIPES``.
    """

    task: AnyTask = ModularAddition()
    model: ModelConfig = ModelConfig()
    optimizer: Optimizer = AdamW()
    loss: LossName = Field("cross-entropy", description="what is made small, and reported: in nats but for squared")
    steps: int = Field(400, ge=1, le=10_000_000, description="the schedule's length, and the last step")
    steps_after_grok: int | None = Field(
        None,
        ge=0,
        description="stop this many steps after test accuracy reaches 0.99 (primes: after the validation AUCs say that "
        "it sieves by 3); none trains to the last step",
    )
    seconds: float | None = Field(None, gt=0, description="stop after so many seconds; none does not look at the clock")
    schedule: Literal["constant", "cosine", "linear", "trapezoid", "half"] = Field(
        "cosine",
        description="how the learning rate falls; trapezoid: in the last fifth of the steps, half: in the second half",
    )
    warmup_steps: int = Field(10, ge=0, description="steps over which the learning rate rises from 0")
    batch_size: int | None = Field(None, ge=1, description="training examples a step; none takes all of them")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the last block's neurons silenced at each step")
    dropout_steps: int | None = Field(None, ge=1, description="dropout ends after so many steps; none keeps it up")
    eval_every: int = Field(20, ge=1, description="steps from one evaluation to the next")
    snapshots: int = Field(40, ge=1, le=1000, description="about how many snapshots, spaced evenly in log step")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto takes bfloat16 where the processor has it in hardware"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto takes a GPU where there is one")
    threads: int | None = Field(None, ge=1, le=1024, description="processor threads; none leaves torch's own choice")

    @model_validator(mode="before")
    @classmethod
    def _older(cls, values: Any) -> Any:
        """Configs from before there was an optimiser of this name have its two fields beside the optimiser."""
        if not isinstance(values, Mapping) or "slow_lambda" not in values:
            return values
        values, chosen = dict(values), values.get("optimizer", {"name": "adamw"})
        slow = {name: values.pop(name) for name in ("slow_lambda", "slow_alpha") if name in values}
        if slow["slow_lambda"]:
            if not isinstance(chosen, Mapping) or chosen.get("name") != "adamw":
                raise InputError("slow_lambda must be 0 but for adamw, whose amplified kind is slow-gradient.")
            values["optimizer"] = {**chosen, **slow, "name": "slow-gradient"}
        return values

    @model_validator(mode="after")
    def _frames_fit(self) -> "RunConfig":
        if not isinstance(self.task, Frames):
            if self.model.positions == "frames":
                raise InputError(
                    f"positions must be learned or none for the task {self.task.kind}, which has no frames "
                    "(got 'frames')."
                )
        elif self.task.predict == "everything" and not self.model.causal:
            raise InputError(
                "causal must be true for predict everything: else the next token stands there to be read (got false)."
            )
        return self

    @model_validator(mode="after")
    def _batch_fits(self) -> "RunConfig":
        # by arithmetic: where the split has to be drawn to know more, training looks again
        if self.batch_size is not None and self.batch_size > self.task.most_train:
            raise InputError(
                f"batch_size must be at most the {self.task.most_train} training examples (got {self.batch_size})."
            )
        return self


#: Recipes by name: the fields in which they differ from one another. The task is the user's.
RECIPES: dict[str, dict[str, Any]] = {
    # Groks in seconds; the cosine then keeps the solution and cleans it up. Chosen by search: docs/LOG.md.
    "fast": {},
    # Nanda et al. 2023 (arXiv 2301.05217), section 3 and appendix A, exactly.
    "literature": {
        "optimizer": {"name": "adamw", "lr": 1e-3, "weight_decay": 1.0, "beta1": 0.9, "beta2": 0.98},
        "steps": 40_000,
        "schedule": "constant",
        "warmup_steps": 10,
        "eval_every": 100,
        "precision": "float32",
    },
}


#: The recipe ``fast`` of the other kinds of task. Chosen by search: docs/LOG.md.
FAST: dict[str, dict[str, Any]] = {
    "modular": {},
    "primes": {
        "model": {"n_heads": 1},
        "optimizer": {"name": "muon", "weight_decay": 0.2},
        "precision": "float32",  # in bfloat16 one seed of five does not sieve by 3 in 2,000 steps
        "batch_size": 1024,
        "steps": 2000,
        "steps_after_grok": 0,
        "warmup_steps": 30,
        "eval_every": 50,
    },
    "residues": {
        "model": {"d_model": 256, "d_mlp": 1024},
        "optimizer": {
            "name": "muon",
            "lr": 0.04,
            "weight_decay": 0.3,
            "embedding": True,
            "adamw_lr": 0.01,
            "adamw_weight_decay": 1.0,
        },
        "batch_size": 1024,
        "steps": 7000,
        "schedule": "trapezoid",
        "dropout": 0.2,
        "dropout_steps": 1500,
        "warmup_steps": 30,
        "eval_every": 250,
    },
    "miu": {
        "model": {"positions": "none"},
        "optimizer": {"name": "muon", "weight_decay": 0.01},
        "batch_size": 512,
        "steps": 3000,
        "warmup_steps": 30,
        "eval_every": 50,
    },
    "frames": {
        "model": {"n_layers": 2, "d_model": 64, "d_mlp": 256, "positions": "frames"},
        "optimizer": {"name": "muon", "weight_decay": 0.01},
        "batch_size": 256,
        "steps": 500,
        "warmup_steps": 30,
        "eval_every": 25,
    },
}


def _surely_trains(task: AnyTask) -> float:
    """How many examples train for certain, by arithmetic: half of the share, for blocks and classes leave some out."""
    exact = task.most_train < task.sizes.examples
    return task.most_train if exact else task.sizes.examples * (task.train_fraction or 0) / 2


def recipe(name: str = "fast", **changes: Any) -> RunConfig:
    """The recipe's config with some fields changed, as in ``recipe("literature", task=ModularAddition(p=59))``.

    What ``fast`` is depends on the kind of task; the others are modular arithmetic's.

    Raises:
        InputError: the recipe is unknown or not one of the task's kind, or a change does not fit.

    Source: ``RECIPES``, ``FAST``.
    """
    if name not in RECIPES:
        raise InputError(f"recipe must be one of {', '.join(RECIPES)} (got {name!r}).")
    if "task" in changes:  # a dict is welcome as well
        changes["task"] = RunConfig(task=changes["task"]).task
    kind = changes["task"].kind if "task" in changes else "modular"
    if kind != "modular" and name != "fast":
        raise InputError(f"recipe must be fast for {kind} (got {name!r}, which is modular arithmetic's).")
    base = FAST[kind] if name == "fast" else RECIPES[name]
    if "task" in changes and base.get("batch_size", 0) > _surely_trains(changes["task"]):
        base = base | {"batch_size": None}  # a recipe's batch that is larger than a small task: all of it
    return RunConfig(**{**base, **changes})
