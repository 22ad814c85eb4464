"""A training step of ``miii.train``, in the precision that is given by name."""

import itertools
import sys
from typing import Any

from benchmarks.worker import Answer, Prepared, Request, serve


def prepare(precision: str) -> Prepared:
    """Begin the default recipe, to be asked for steps; evaluations lie outside the measured seconds."""
    import torch

    import miii
    from miii import hardware

    config = step_config(precision)
    training = miii.train(config)
    next(training)  # step 0: the network before training

    def repetition(request: Request) -> Answer:
        """As many steps as learning rates are given (miii sets the same by itself): the seconds of each."""
        taken = list(itertools.islice(training, len(request["lr"])))
        return {"seconds": [step.step_seconds for step in taken]}

    dtype = hardware.precision(config.precision, config.device)
    return {"threads": torch.get_num_threads(), "dtype": str(dtype).removeprefix("torch.")}, repetition


def step_config(precision: str) -> Any:
    """The default recipe in some precision, with nothing between its steps."""
    import miii

    return miii.recipe(precision=precision, device="cpu", eval_every=10**6, snapshots=1)


if __name__ == "__main__":
    serve(lambda: prepare(sys.argv[1]))
