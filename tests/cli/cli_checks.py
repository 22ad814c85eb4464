"""Checks that the tests of the command line share."""

import json
from typing import Any

NETWORK = ["--d-model=8", "--n-heads=2", "--d-mlp=16", "--threads=1", "--precision=float32"]
TINY = ["--p=11", "--train-fraction=0.5", *NETWORK]
#: Flags of a small task of each kind.
TASK_FLAGS = {
    "add": "--p 11 --train-fraction 0.5",
    "primes": "--low 100 --high 999 --batch-size 64",
    "residues": "--p 11",
    "gcd": "--pairs 200 --tests 20 --largest 4 --high 400 --batch-size 64",
    "miu": "--longest 5 --longest-test 8 --n 200",
    "frames": "--low 100 --high 399 --frames 3 --largest-step 3 --batch-size 64",
}


def sentence(code: int, out: str, err: str) -> str:
    """Return the error, after checking that nothing else was printed: no progress bar, no trace, nothing on stdout."""
    assert (code, out) == (2, "")
    assert err.startswith("miii: ")
    assert err.endswith(".\n")
    assert err.count("\n") == 1, err
    return err.removeprefix("miii: ")


def strict_json(text: str) -> Any:
    """Parse JSON by its standard, without Python's NaN and Infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)
