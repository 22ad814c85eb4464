"""miii: mechanistic interpretability on irreducible integers.

Train a small transformer on number theory, and see what it learned::

    import miii

    config = miii.RunConfig(task=miii.ModularAddition(p=113))
    run = miii.runs.record("runs/mine", miii.train(config))
    acts = miii.capture(run.model(), run.task().tokens)

Names are imported on first use, so ``import miii`` is fast; ``__init__.pyi`` lists them.
"""

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"


def _homes() -> dict[str, str]:
    """Return the module of each public name, from the stub file."""
    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text())
    lines = [line for line in stub.body if isinstance(line, ast.ImportFrom)]
    return {name.name: str(line.module) for line in lines for name in line.names}


_HOMES = _homes()
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'miii' has no attribute {name!r}")
    home = _HOMES[name]
    value = import_module(f"miii.{name}") if home == "miii" else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
