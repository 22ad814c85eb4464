"""Time a training step of ``miii.train`` in a given precision."""

import itertools
import sys
from typing import Any

from benchmarks.sides.worker import Answer, Prepared, Request, serve


def prepare(precision: str) -> Prepared:
    """Start the default recipe; evaluations are not timed."""
    import torch

    import miii
    from miii import hardware

    config = step_config(precision)
    training = miii.train(config)
    next(training)  # step 0: the network before training

    def repetition(request: Request) -> Answer:
        """Run one step per learning rate (miii sets the same rates itself) and return the seconds of each."""
        taken = list(itertools.islice(training, len(request["lr"])))
        return {"seconds": [step.step_seconds for step in taken]}

    dtype = hardware.precision(config.precision, config.device)
    return {"threads": torch.get_num_threads(), "dtype": str(dtype).removeprefix("torch.")}, repetition


def step_config(precision: str) -> Any:
    """Return the default recipe in a precision, without evaluations between steps."""
    import miii

    return miii.recipe(precision=precision, device="cpu", eval_every=10**6, snapshots=1)


if __name__ == "__main__":
    serve(lambda: prepare(sys.argv[1]))
