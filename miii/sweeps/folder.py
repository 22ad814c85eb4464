"""A sweep as a folder: create, extend, open and list it, and read its runs as a table."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from miii import runs
from miii.errors import InputError, quoted
from miii.runs.atomic import remove_leftovers, write_json
from miii.runs.files import find_json
from miii.runs.read import METRICS, SWEEP, finite
from miii.sweeps import claims
from miii.sweeps.finish import failure
from miii.sweeps.grid import grid
from miii.training import flat
from miii.training.config import RunConfig

if TYPE_CHECKING:
    import pandas as pd

VERSIONS: Final = ("miii", "commit", "torch", "python", "system", "date")  #: what ``sweep.json`` keeps of a provenance
KNOWN: Final = ("base", "grid", "seeds", "versions")  #: the fields of ``sweep.json``
ENDED: Final = ("done", "diverged", "failed")  #: the states of runs that no engine trains


@dataclass(frozen=True)
class Sweep:
    """A sweep's folder, opened for reading.

    Attributes:
        base: the config that the grid changes.
        grid: the values of each option, as given.
        seeds: the seeds of every setting.
        versions: of miii, its commit, torch and Python, with the date of creation.
    """

    folder: Path
    base: RunConfig
    grid: Mapping[str, Sequence[Any]]
    seeds: Sequence[int]
    versions: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @cached_property
    def configs(self) -> dict[str, RunConfig]:
        """The config of every run by the name of its folder.

        Raises:
            InputError: see ``grid``.
        """
        try:
            return grid(self.base, {**self.grid, "seed": self.seeds})
        except InputError:
            raise
        except (TypeError, ValueError, RecursionError, OverflowError):  # a hostile value may raise anything
            raise InputError(f"grid must hold values of its options in {self.folder / SWEEP}.") from None

    @property
    def varying(self) -> list[str]:
        """The options with more than one value."""
        return [name for name, values in self.grid.items() if len(values) > 1]

    def rows(self) -> list[dict[str, Any]]:
        """Return one dict per run: run, options that vary, seed, changed, status, the last metrics, reason.

        The status is done, diverged, stopped (it can be resumed), unfinished (its process died), running, failed (the
        reason says why), corrupt, or waiting.
        """
        found = []
        for name, config in self.configs.items():
            options = flat.values(config)
            changes = {option: options[option] for option in self.varying}
            changed = ", ".join(f"{option}={flat.text(value)}" for option, value in changes.items())
            told = {option: flat.text(v) if isinstance(v, tuple) else v for option, v in changes.items()}
            row = {"run": name, **told, "seed": config.task.seed, "changed": changed or "-"}
            found.append(row | self._outcome(name))
        return found

    def table(self) -> "pd.DataFrame":
        """Return ``rows`` as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def curves(self, metric: str) -> "pd.DataFrame":
        """Return a metric at every evaluation: run, changed, seed, step, value.

        Raises:
            InputError: no run has the metric.
        """
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for row in self.rows():
            if row["status"] in ("waiting", "failed", "corrupt"):
                continue
            kept = {name: row[name] for name in ("run", "changed", "seed")}
            measured = runs.Run(self.folder / row["run"], self.configs[row["run"]]).rows()
            rows += [kept | {"step": each["step"], "value": each[metric]} for each in measured if metric in each]
        if not rows:
            raise InputError(f"metric must be one that a run of the sweep has (got {quoted(metric)}).")
        return pd.DataFrame(rows)

    def counts(self) -> dict[str, int]:
        """Return the number of runs by status."""
        found: dict[str, int] = {}
        for row in self.rows():
            found[row["status"]] = found.get(row["status"], 0) + 1
        return found

    def _outcome(self, name: str) -> dict[str, Any]:
        place = self.folder / name
        try:
            stamp = (place / "result.json").stat().st_mtime_ns
        except OSError:
            stamp = None
        row = _read(place) if stamp is None else dict(_read_ended(place, stamp))
        if stamp is None or row["status"] not in ENDED:
            if row["status"] != "corrupt" and claims.held(place):
                row["status"] = "running"
            elif (reason := failure(place)) is not None:
                row |= {"status": "failed", "reason": reason}
        return row


def _read(place: Path) -> dict[str, Any]:
    """Return the status, metrics and reason of a run."""
    empty = {"status": "waiting", "steps": None, "grokked_at": None, **dict.fromkeys(METRICS[3:]), "reason": None}
    if not os.path.lexists(place):
        return empty
    try:
        run = runs.open(place)
        row = runs.row(run)
        rows = run.rows() if row["status"] != "corrupt" else []
    except InputError as error:
        return empty | {"status": "corrupt", "reason": str(error)}
    last = {name: finite(value) for name, value in (rows[-1] if rows else {}).items() if name not in METRICS[:3]}
    known = {name: row[name] for name in ("status", "steps", "grokked_at", "seconds")}
    return empty | known | last | {"reason": row["reason"]}


@lru_cache(maxsize=20_000)
def _read_ended(place: Path, stamp: int) -> dict[str, Any]:
    return _read(place)


def create(
    folder: str | Path,
    base: RunConfig,
    choices: Mapping[str, Sequence[Any]],
    seeds: int | Sequence[int] = 1,
    threads: int | None = None,
) -> Sweep:
    """Create a sweep, or open and extend one: new values and seeds are added to those of the folder.

    Args:
        choices: the values of each option.
        seeds: a number of seeds, from 0, or the seeds themselves.
        threads: processor threads of each run, if ``base`` leaves them open; a folder's sweep keeps its own, because
            results are the same to the bit only at the same number of threads.

    Raises:
        InputError: an option or a value is invalid, or the folder holds something else.
    """
    if "seed" in choices:
        raise InputError("grid must not contain seed: use --seeds.")
    folder = Path(folder)
    before = open(folder) if is_sweep(folder) else None
    if base.threads is None and threads is not None:
        base = flat.change(base, {"threads": threads if before is None else before.base.threads})
    base = flat.change(base, {"seed": 0})
    chosen = {name: list(values) for name, values in choices.items()}
    own = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if before is not None:
        if before.base != base or list(before.grid) != list(chosen):
            raise InputError(f"{folder} holds another sweep; choose another folder, or pass the options of that sweep.")
        chosen = {name: _union(before.grid[name], values) for name, values in chosen.items()}
        own = sorted({*before.seeds, *own})
    versions = {name: value for name, value in runs.provenance(base).items() if name in VERSIONS}
    sweep = Sweep(folder, base, chosen, own, versions if before is None else before.versions)
    for name, config in sweep.configs.items():  # before anything is written
        place = (folder / name).absolute()
        if before is None and os.path.lexists(place) and runs.open(place).config != config:
            raise InputError(f"{place} holds a run with another config; choose another folder for this sweep.")
    if before is None or (before.grid, before.seeds) != (chosen, own):
        _write(sweep)
    return sweep


def _union(before: Sequence[Any], more: Sequence[Any]) -> list[Any]:
    known = {str(value) for value in before}  # 0.01 from a script is "0.01" from the command line
    return [*before, *(value for value in more if str(value) not in known)]


def _write(sweep: Sweep) -> None:
    values = {
        "base": sweep.base.model_dump(mode="json"),
        "grid": dict(sweep.grid),
        "seeds": list(sweep.seeds),
        "versions": dict(sweep.versions),
    }
    try:
        sweep.folder.mkdir(parents=True, exist_ok=True)
        write_json(sweep.folder / SWEEP, values)
    except OSError as error:
        raise InputError(f"{sweep.folder} could not be written: {error.strerror or error}.") from None


def is_sweep(folder: str | Path) -> bool:
    """Return whether a folder holds a sweep."""
    return (Path(folder) / SWEEP).is_file()


def open(name_or_folder: str | Path) -> Sweep:
    """Open a sweep by folder, or by name in ``runs`` and ``checkpoints``.

    Raises:
        InputError: there is no such sweep, or its ``sweep.json`` cannot be read.
    """
    given = Path(name_or_folder)
    places = [given, *(home / given for home in runs.homes())]
    folder = next((place for place in places if is_sweep(place)), None)
    if folder is None:
        if given.is_dir():
            raise InputError(f"{given} is a folder without a {SWEEP}, so not a sweep, or not yet one.")
        raise InputError(f"sweep must be the name or the folder of a sweep (got {quoted(str(given))}).")
    return Sweep(folder, **parse(folder / SWEEP, find_json(folder / SWEEP) or {}))


def parse(path: str | Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked content of a ``sweep.json``.

    Raises:
        InputError: a field is missing or has the wrong type.
    """
    wrong = [name for name in KNOWN if name not in values] or [name for name in values if name not in KNOWN]
    if wrong:
        raise InputError(f"{path} must hold {', '.join(KNOWN)} and nothing else ({quoted(wrong[0])} is not right).")
    lists, seeds = values["grid"], values["seeds"]
    plain = (str, int, float, bool, type(None))
    if (
        not isinstance(lists, dict)
        or "seed" in lists
        or not all(
            isinstance(value, list) and value and all(isinstance(each, plain) for each in value)
            for value in lists.values()
        )
    ):
        raise InputError(f"grid must hold a list of values by option in {path}.")
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int for seed in seeds):
        raise InputError(f"seeds must be a list of integers in {path}.")
    if not isinstance(values["versions"], dict) or not isinstance(values["base"], dict):
        raise InputError(f"base and versions must be JSON objects in {path}.")
    try:
        base = RunConfig(**values["base"])
    except InputError as error:
        raise InputError(f"{path} is not a sweep's: {error}") from None
    except (TypeError, ValueError, RecursionError, OverflowError):
        raise InputError(f"base must be a run's config in {path}.") from None
    return {"base": base, "grid": lists, "seeds": seeds, "versions": values["versions"]}


def _written(folder: Path) -> float:
    """Return when a sweep was written; 0 if it vanished meanwhile."""
    try:
        return (folder / SWEEP).stat().st_mtime
    except OSError:
        return 0.0


def every() -> list[Sweep]:
    """Return the sweeps in ``runs``, newest first, then the shipped ones; skip those that cannot be read."""
    found: dict[str, Sweep] = {}
    for home in runs.homes():
        remove_leftovers(home)
        places = [path.parent for path in home.glob(f"*/{SWEEP}") if not path.parent.name.startswith(".")]
        for place in sorted(places, key=lambda place: (-_written(place), place.name)):
            try:
                found.setdefault(place.name, open(place.absolute()))
            except InputError:  # the page and the command line report it when it is asked for
                continue
    return list(found.values())
