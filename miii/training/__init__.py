"""Training: a config, a generator of steps, and what each of them is evaluated by."""

from miii.training.loop import Diverged, Step, build_model, snapshot_steps, state_shapes, train

__all__ = ["Diverged", "Step", "build_model", "snapshot_steps", "state_shapes", "train"]
