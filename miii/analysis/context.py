"""What the labels of frames can be told by without any arithmetic: the last digit, and the labels before."""

import numpy as np

from miii import metrics
from miii.runs.read import finite
from miii.tasks import Task


def context(task: Task, base: int) -> dict[str, float | None]:
    """What labels can be told without any arithmetic on the integer: areas under the ROC curve on the held-out side.

    ``digit``: by the share of primes in training with the same last digit. ``labels``: with the same step and labels
    of the frames before, too, of which some say whether 3 divides the last integer. ``..._coprime``: of the integers
    coprime to the base alone.
    """
    assert task.frame is not None
    label, train = task.labels.numpy(), task.train_mask.numpy()
    held, coprime = ~train, task.facts["coprime"].numpy() == 1
    digit = task.facts["last"].numpy() % base
    before = task.tokens[:, task.frame - 1 :: task.frame].numpy()
    keys = {"digit": digit[:, None], "labels": np.column_stack([digit, task.facts["step"].numpy(), before])}
    found = {}
    for name, key in keys.items():
        which = np.unique(key, axis=0, return_inverse=True)[1].ravel()
        count = np.bincount(which[train], minlength=which.max() + 1)
        primes = np.bincount(which[train], label[train], minlength=which.max() + 1)
        share = ((primes + label[train].mean()) / (count + 1))[which]  # of what training lacks: the overall share
        found[name] = finite(metrics.auc(share[held], label[held] == 1))
        found[f"{name}_coprime"] = finite(metrics.auc(share[held & coprime], label[held & coprime] == 1))
    return found
