"""Write the runs of an ensemble while they train, each to its own folder."""

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

from miii.runs.find import open
from miii.runs.state import load_state
from miii.runs.write import RESUME_EVERY, follow, resumed
from miii.training import Diverged, Step, ensemble
from miii.training.config import RunConfig

Item = Step | Diverged | None


def follow_together(
    configs: Mapping[Path, RunConfig],
    stop: Callable[[], bool] = lambda: False,
    check: Callable[[Path], object] = lambda folder: None,
) -> Generator[tuple[Path, Step | Exception], None, None]:
    """Train networks of one shape together, write each as a run, and yield each step with its folder.

    Folders that exist are resumed; all must have stopped at the same step. A run that diverges or cannot be written
    yields the error, and leaves the others alone. Closing the generator stops all; they can be resumed.

    Args:
        configs: of one ``ensemble.shape_of``, by the run's folder.
        check: called with a folder before each write; if it raises, the run ends with this error, unwritten.

    Raises:
        InputError: see ``ensemble.train``.
    """
    exist = {folder: os.path.lexists(folder) for folder in configs}
    states = [load_state(open(folder.absolute())) if there else None for folder, there in exist.items()]
    feeds = {folder: _Feed(folder, there, check) for folder, there in exist.items()}
    every = RESUME_EVERY * max(1, len(configs) / 4)  # or writing would take a tenth of the time
    writers = {folder: follow(folder, feed, every) for folder, feed in feeds.items()}
    try:
        for found in ensemble.train(list(configs.values()), states, stop):
            for folder, item in zip(configs, found, strict=True):
                if folder in writers and item is not None:
                    try:
                        step = feeds[folder].write(writers[folder], item)
                    except Exception as error:
                        del writers[folder]
                        yield folder, error
                        continue
                    if step.last:
                        del writers[folder]
                    yield folder, step
    finally:
        for writer in writers.values():
            writer.close()


class _Feed(Iterator[Step]):
    """The steps of one network, handed over one at a time."""

    def __init__(self, folder: Path, resumes: bool, check: Callable[[Path], object]) -> None:
        self.item: Item = None
        self.folder, self.resumes, self.check = folder, resumes, check

    def __next__(self) -> Step:
        item, self.item = self.item, None
        if item is None:
            raise StopIteration
        self.check(self.folder)
        if isinstance(item, Diverged):
            raise item
        return resumed(item) if self.resumes else item

    def write(self, writer: Generator[Step, None, None], item: Step | Diverged) -> Step:
        """Write a step, and the result after the last one.

        Raises:
            InputError: the run cannot be written.
            Diverged: the network diverged; the result says where.
        """
        self.item = item
        step = next(writer)
        if step.last:
            next(writer, None)
        return step
