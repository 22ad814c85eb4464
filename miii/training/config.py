"""The config of a training run. The command line, the app's form and the run's JSON are made from it."""

from typing import Any, Literal

from pydantic import Field, model_validator

from miii.errors import Frozen, InputError
from miii.metrics import LossName
from miii.model.config import ModelConfig
from miii.tasks import AnyTask, ModularAddition
from miii.training.optim import AdamW, Optimizer


class RunConfig(Frozen):
    """Everything that determines a run's weights on a given kind of machine.

    The defaults are modular arithmetic's recipe ``fast``.

    Raises:
        InputError: a field is unknown or out of range, or the batch is larger than the training split.
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

    @model_validator(mode="after")
    def _frames_fit(self) -> "RunConfig":
        if self.model.positions == "frames" and self.task.frame is None:
            raise InputError(
                f"positions must be learned or none for the task {self.task.kind}, which has no frames (got 'frames')."
            )
        if self.task.sizes.everywhere and not self.model.causal:
            raise InputError(
                "causal must be true for a task that predicts the next token at every position: otherwise the network "
                "can read it (got false)."
            )
        return self

    @model_validator(mode="after")
    def _batch_fits(self) -> "RunConfig":
        # by arithmetic; training checks again where the split has to be drawn first
        if self.batch_size is not None and self.batch_size > self.task.most_train:
            raise InputError(
                f"batch_size must be at most the {self.task.most_train} training examples (got {self.batch_size})."
            )
        return self


#: The recipes of modular arithmetic: the fields of ``RunConfig`` in which they differ. Every kind of task has ``fast``.
RECIPES = ModularAddition.recipes


def _surely_trains(task: AnyTask) -> float:
    """Return a lower bound of the training examples: half of the share, as blocks and classes leave some out."""
    exact = task.most_train < task.sizes.examples
    return task.most_train if exact else task.sizes.examples * (task.train_fraction or 0) / 2


def recipe(name: str = "fast", **changes: Any) -> RunConfig:
    """Return a recipe's config with some fields changed, as in ``recipe("literature", task=ModularAddition(p=59))``.

    The recipes belong to the kind of task (``TaskConfig.recipes``). A recipe's batch that is larger than a small task
    becomes the whole training split.

    Raises:
        InputError: the kind of task has no such recipe, or a change does not fit.
    """
    if "task" in changes:  # a dict is accepted too
        changes["task"] = RunConfig(task=changes["task"]).task
    task = changes.get("task", ModularAddition())
    if name not in task.recipes:
        raise InputError(f"recipe must be {' or '.join(task.recipes)} for {task.kind} (got {name!r}).")
    base = dict(task.recipes[name])
    if "task" in changes and base.get("batch_size", 0) > _surely_trains(task):
        base["batch_size"] = None
    return RunConfig(**{**base, **changes})
