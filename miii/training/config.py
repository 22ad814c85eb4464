"""Config of a training run, the source of the command line, the app's form and the run's JSON."""

from typing import Any, Literal

from pydantic import Field, model_validator

from miii.errors import Frozen, InputError
from miii.metrics import LossName
from miii.model.config import ModelConfig
from miii.tasks import AnyTask, ModularAddition
from miii.training.optim import AdamW, Optimizer


class RunConfig(Frozen):
    """Everything that determines a run's weights on a given type of machine.

    Defaults are the ``fast`` recipe of modular arithmetic.

    Raises:
        InputError: a field is unknown or out of range, or the batch is larger than the training split.
    """

    task: AnyTask = ModularAddition()
    model: ModelConfig = ModelConfig()
    optimizer: Optimizer = AdamW()
    loss: LossName = Field("cross-entropy", description="training loss, in nats except squared")
    steps: int = Field(400, ge=1, le=10_000_000, description="most training steps; the schedule spans them")
    steps_after_grok: int | None = Field(
        None,
        ge=0,
        description="stop this many steps after test accuracy reaches 0.99 (primes: once the validation AUCs show that "
        "it sieves by 3); none trains to the last step",
    )
    until_accuracy: float | None = Field(
        None, gt=0, le=1, description="stop once training and test accuracy both reach this; none trains on"
    )
    seconds: float | None = Field(None, gt=0, description="stop after this many seconds; none sets no limit")
    schedule: Literal["constant", "cosine", "linear", "trapezoid", "half"] = Field(
        "cosine",
        description="decay of the learning rate; trapezoid: in the last fifth of the steps, half: in the second half",
    )
    warmup_steps: int = Field(10, ge=0, description="steps over which the learning rate rises from 0")
    batch_size: int | None = Field(None, ge=1, description="training examples per step; none takes all")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of neurons or dimensions set to 0 at each step")
    dropout_site: Literal["neurons", "residual"] = Field(
        "neurons",
        description="where dropout applies: the last block's neurons, or the residual stream after every mixer and MLP",
    )
    dropout_shared: bool = Field(False, description="use one dropout mask per step for all examples")
    dropout_steps: int | None = Field(
        None, ge=1, description="use dropout in this many first steps; none uses it throughout"
    )
    eval_every: int = Field(20, ge=1, description="measure loss and accuracy every this many steps")
    snapshots: int = Field(40, ge=1, le=1000, description="approximate number of snapshots, evenly spaced in log step")
    precision: Literal["auto", "float32", "bfloat16", "float64"] = Field(
        "auto", description="auto picks bfloat16 if the hardware supports it; float64 is slower and rounds less"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto picks a GPU if there is one")
    threads: int | None = Field(None, ge=1, le=1024, description="processor threads; none keeps torch's default")

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
        # an upper bound; training checks again once the split is drawn
        if self.batch_size is not None and self.batch_size > self.task.max_train:
            raise InputError(
                f"batch_size must be at most the {self.task.max_train} training examples (got {self.batch_size})."
            )
        return self


#: Recipes of modular arithmetic, as changes to ``RunConfig``. Every task kind has the recipe ``fast``.
RECIPES = ModularAddition.recipes


def _surely_trains(task: AnyTask) -> float:
    """Return a lower bound on the training examples: half the share, since blocks and classes drop some."""
    exact = task.max_train < task.sizes.examples
    return task.max_train if exact else task.sizes.examples * (task.train_fraction or 0) / 2


def recipe(name: str = "fast", **changes: Any) -> RunConfig:
    """Return a recipe's config with some fields changed, as in ``recipe("literature", task=ModularAddition(p=59))``.

    Recipes belong to the task (``TaskConfig.recipe_fields``). If a recipe's batch exceeds the training split, the batch
    is the whole split.

    Raises:
        InputError: the task kind has no such recipe, or a change is invalid.
    """
    if "task" in changes:  # a dict is accepted too
        changes["task"] = RunConfig(task=changes["task"]).task
    task = changes.get("task", ModularAddition())
    if name not in task.recipes:
        raise InputError(f"recipe must be {' or '.join(task.recipes)} for {task.kind} (got {name!r}).")
    base = task.recipe_fields(name)
    if "task" in changes and base.get("batch_size", 0) > _surely_trains(task):
        base["batch_size"] = None
    return RunConfig(**{**base, **changes})
