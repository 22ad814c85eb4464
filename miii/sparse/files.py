"""A trained network as a folder: ``config.json``, ``weights.safetensors``, ``result.json`` and ``report.json``."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from miii.errors import InputError
from miii.runs.atomic import atomic_folder, write_atomically, write_json
from miii.runs.files import read_json
from miii.runs.read import check_fit
from miii.sparse.evaluation import Scores, evaluate
from miii.sparse.network import GridConfig, GridNetwork, evidence
from miii.sparse.training import Step


@dataclass(frozen=True)
class Grid:
    """A folder opened for reading."""

    folder: Path
    config: GridConfig

    @property
    def scores(self) -> Scores:
        """The scores on both ranges, from the report."""
        return report(self.folder)

    def network(self) -> GridNetwork:
        """The network after the last step.

        Raises:
            InputError: the weights cannot be read, or do not fit the config.
        """
        path, network = self.folder / "weights.safetensors", GridNetwork(self.config)
        try:
            weights = load_file(path)
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} is not a readable safetensors file ({error}).") from None
        check_fit(path, {name: tuple(value.shape) for name, value in network.state_dict().items()}, weights)
        network.load_state_dict(weights)
        return network.requires_grad_(False).eval()


def score(network: GridNetwork) -> Scores:
    """Score a network on the ranges of its config."""
    config = network.config
    train = evidence(network, config.low, config.middle).numpy()
    test = evidence(network, config.middle, config.end).numpy()
    return evaluate(train, test, np.arange(config.low, config.end))


def save(folder: str | Path, last: Step) -> Grid:
    """Score a network after its last step and save it.

    Raises:
        InputError: ``folder`` exists or cannot be written.
    """
    folder = Path(folder)
    if os.path.lexists(folder):
        raise InputError(f"folder must not exist yet (got {str(folder)!r}).")
    network = last.network.eval()
    found = score(network).to_json()
    try:
        with atomic_folder(folder) as making:
            write_json(making / "config.json", last.config.model_dump(mode="json"))
            write_json(making / "result.json", {"steps": last.step, "seconds": round(last.seconds, 1)})
            write_json(making / "report.json", found)
            weights = making / "weights.safetensors"
            write_atomically(weights, lambda path: save_file(network.state_dict(), path))
            shutil.copymode(making / "config.json", weights)  # safetensors writes for the owner only
            (making / "snapshots").rmdir()
    except OSError as error:
        raise InputError(f"{folder} could not be written: {error.strerror or error}.") from None
    return open(folder)


def open(folder: str | Path) -> Grid:
    """Open a folder that ``save`` wrote.

    Raises:
        InputError: the folder does not exist, or its config cannot be read.
    """
    folder = Path(folder)
    return Grid(folder, GridConfig(**read_json(folder / "config.json")))


def report(folder: Path) -> Scores:
    """Read the ``report.json`` of a folder from ``save``, or of a run judged by ``of_digits``.

    Reads nothing else, since opening a run on three million integers takes a second and much memory.

    Raises:
        InputError: the file cannot be read, or is a different kind of report.
    """
    path = folder / "report.json"
    try:
        return Scores.from_json(read_json(path))
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} must be the report of a judge of primes ({error!r}).") from None
