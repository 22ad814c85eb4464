"""Training: a config, a generator of steps, and their evaluation."""

from miii.training import ensemble
from miii.training.loop import Diverged, Step, build_model, snapshot_steps, train
from miii.training.state import state_shapes

__all__ = ["Diverged", "Step", "build_model", "ensemble", "snapshot_steps", "state_shapes", "train"]
