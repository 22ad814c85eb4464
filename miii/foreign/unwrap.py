"""Find the networks in what a file holds: unwrap, strip prefixes, and tell histories from single networks."""

import argparse
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from miii.errors import InputError
from miii.foreign import names
from miii.foreign.canonical import canonical

TENSORS: Final = 5_000  #: maximum tensors of a network
LONGEST: Final = 500  #: maximum characters of a name
STATES: Final = 500  #: maximum snapshots of a history; more are thinned
NODES: Final = 100_000  #: maximum entries searched for networks
DEEPEST: Final = 5  #: maximum nesting
#: Names of networks, the likeliest first, and of what is none.
WRAPPERS: Final = ("model_state_dict", "model_state", "state_dict", "model", "net", "network", "weights", "params")
OTHERS: Final = re.compile(r"optim|sched|scaler|rng|^opt$|grad", re.IGNORECASE)
CONFIG: Final = re.compile("conf|cfg|param|arg", re.IGNORECASE)
EARLY: Final = re.compile(r"init|start|untrained|random|before", re.IGNORECASE)  #: names of untrained networks
STEPPED: Final = re.compile(r"((?:[a-z_.-]*(?:step|epoch|iter|ckpt|checkpoint)[a-z_.-]*)?)(\d{1,12})", re.IGNORECASE)
STEPS: Final = ("step", "epoch", "steps", "epochs", "iteration", "iter", "global_step")


@dataclass(frozen=True)
class Contents:
    """The networks in a file or folder.

    Attributes:
        states: state dicts by step, ascending; a single network has step 0.
        own: numbers, text and switches beside the tensors, such as ``p``.
        beside: the same of the JSON file ``origin`` beside the file, if there is one.
        ignored: printable names of everything else.
        notes: what was done, in sentences.
    """

    states: Mapping[int, Mapping[str, Tensor]]
    own: Mapping[str, Any] = field(default_factory=dict)
    beside: Mapping[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    origin: str | None = None

    @property
    def config(self) -> dict[str, Any]:
        """All that is known beside the tensors; the file itself counts more than the one beside it."""
        return dict(self.beside) | dict(self.own)

    @property
    def history(self) -> bool:
        """Whether there are several networks."""
        return len(self.states) > 1

    @property
    def last(self) -> Mapping[str, Tensor]:
        """The last network's tensors by name."""
        return self.states[max(self.states)]


def unwrap(loaded: object, file: str) -> Contents:
    """Return the networks in what a file holds.

    Args:
        file: the file's name, for errors.

    Raises:
        InputError: there is no network, or one has too many or no dense tensors.
    """
    places = list(_places(loaded))
    histories = [(path, states) for path, states in places if isinstance(states, list)]
    singles = [(path, state) for path, state in places if isinstance(state, dict)]
    if histories:
        path, states = histories[0]
        steps = _steps(loaded, path, states)
        found = dict(sorted(zip(steps, (_tensors(state) for state in states), strict=True)))
    elif singles:
        path, state = min(singles, key=lambda place: _rank(place[0]))
        found = {0: _tensors(state)}
    else:
        raise InputError(f"{file} must hold the tensors of a network by name (it holds {_described(loaded)}).")
    notes: list[str] = []
    if len(found) > STATES:
        notes.append(f"Of {len(found):,} networks, {STATES} are kept, evenly spaced.")
        found = thinned(found)
    stripped: dict[int, dict[str, Tensor]] = {}
    for step, state in found.items():
        stripped[step], prefix = names.stripped(state)
        if prefix and step == max(found):
            notes.append(f"The prefix {printable(prefix)} was removed from the names.")
    for name, value in [item for state in stripped.values() for item in state.items()]:
        if len(name) > LONGEST:  # patterns of names take long on them
            raise InputError(f"names of tensors must have at most {LONGEST} characters (got {printable(name)}).")
        check_dense(name, value)
    heads = None
    for step, state in stripped.items():
        stripped[step], heads = canonical(state)
    if path:
        notes.append(f"What is under {printable('.'.join(map(str, path)))} was read.")
    config = ({} if heads is None else {"n_heads": heads}) | _config(loaded, path)
    return Contents(stripped, config, {}, _ignored(loaded, path), tuple(notes))


def thinned(states: Mapping[int, Any]) -> dict[int, Any]:
    """Return at most ``STATES`` of the states, evenly spaced by index, with the first and the last."""
    steps = sorted(states)
    kept = [steps[round(i * (len(steps) - 1) / (STATES - 1))] for i in range(STATES)] if len(steps) > STATES else steps
    return {step: states[step] for step in kept}


def printable(name: str) -> str:
    """Return a name from a file, made safe to print: no control characters, no markup, at most 103 characters."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "?", name[:100])
    return safe if len(name) <= 100 else f"{safe}..."


def check_dense(name: str, value: Tensor) -> None:
    """Check that a tensor is dense and has data of its own.

    Raises:
        InputError: the tensor is nested, on the meta device, quantized, sparse, or repeats one number.
    """
    kinds = {"nested": value.is_nested, "meta": value.is_meta, "quantized": value.is_quantized}
    kinds["sparse"] = not value.is_nested and str(value.layout) != "torch.strided"
    for kind, it_is in kinds.items():
        if it_is:
            raise InputError(f"{printable(name)} must be a dense tensor that holds its numbers (got a {kind} one).")
    if value.nbytes > value.untyped_storage().nbytes():  # a small file could exhaust memory
        raise InputError(f"{printable(name)} must have all its numbers in the file (got one number repeated).")


def numbers_of(path: Path) -> list[int]:
    """Return the numbers in a file's name, the likeliest step first: 1200 and 7 for ``p7_step_1200_acc_0.9.pt``."""
    text = re.sub(r"\d+\.\d+", "", path.stem) or path.stem
    named = re.findall(r"(?:step|epoch|iter\w*|ckpt|checkpoint)\D?(\d{1,12})", text, re.IGNORECASE)
    return [int(number) for number in (*reversed(named), *reversed(re.findall(r"\d{1,12}", text)))]


def _is_state(value: object) -> bool:
    return (
        isinstance(value, dict)
        and sum(isinstance(n, str) and isinstance(each, Tensor) and each.ndim >= 2 for n, each in value.items()) >= 2
    )


def _places(loaded: object) -> Iterator[tuple[tuple[str, ...], dict | list]]:
    """Yield paths to state dicts and to lists of them, breadth first."""
    level: list[tuple[tuple[str, ...], object]] = [((), loaded)]
    seen: set[int] = set()  # a file may hold a dict in itself
    for _ in range(DEEPEST):
        below: list[tuple[tuple[str, ...], object]] = []
        for path, value in level:
            if id(value) in seen or len(seen) > NODES:
                continue
            seen.add(id(value))
            if isinstance(value, dict) and _is_state(value):
                yield path, value
            if isinstance(value, dict) and (keys := _step_keys(value)):
                yield path, [value[key] for key in keys.values()]
            elif isinstance(value, dict):
                below += [
                    ((*path, name), each)
                    for name, each in value.items()
                    if isinstance(name, str) and not OTHERS.search(name) and isinstance(each, dict | list | tuple)
                ]
            elif isinstance(value, list | tuple):
                found = [each for each in value if _inner(each) is not None]
                if len(found) in {1, len(value)} - {0}:  # one network beside other things, or a history
                    yield (path, found) if len(found) > 1 else (path, found[0])
        level = below


def _step_keys(holder: dict) -> dict[int, Any]:
    """Return the keys of a history by step, ascending, as of ``{0: state, 100: state}`` or ``{"epoch_0": state}``.

    Empty if an entry is no network, the names differ in more than the number, or there are fewer than two.
    """
    found: dict[int, Any] = {}
    stems = set()
    for key, state in holder.items():
        match = STEPPED.fullmatch(str(key)) if type(key) in (int, str) else None
        if match is None or _inner(state) is None:
            return {}
        stems.add(match[1])
        found[int(match[2])] = key
    return dict(sorted(found.items())) if len(found) == len(holder) > 1 and len(stems) == 1 else {}


def _inner(state: object) -> dict | None:
    """Return the state dict itself or one level inside, as in ``{"epoch": 3, "model": state}`` or ``(3, state)``."""
    if _is_state(state):
        return state  # type: ignore[return-value]
    if isinstance(state, list | tuple) and len(state) == 2:
        return next((each for each in state if _is_state(each)), None)
    if isinstance(state, dict):
        for name in (*WRAPPERS, *(n for n in list(state)[:50] if isinstance(n, str) and not OTHERS.search(n))):
            if _is_state(state.get(name)):
                return state[name]
    return None


def _rank(path: Sequence[str]) -> tuple[int, int]:
    """Sort networks: the outermost first, then by name; one from the start of training last."""
    last = path[-1] if path else ""
    if EARLY.search(last):
        return len(path), len(WRAPPERS) + 1
    return len(path), WRAPPERS.index(last) if last in WRAPPERS else len(WRAPPERS)


def _tensors(state: object) -> dict[str, Tensor]:
    inner = _inner(state)
    assert inner is not None
    found = {name: value for name, value in inner.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if len(found) > TENSORS:
        raise InputError(f"network must have at most {TENSORS:,} tensors (got {len(found):,}).")
    return found


def _at(loaded: Any, path: Sequence[str]) -> Any:
    for name in path:
        loaded = loaded[name]
    return loaded


def _steps(loaded: object, path: Sequence[str], states: list) -> list[int]:
    """Return the step of each state: in it, as the key of a dict, from a list beside it, or its index."""
    holder = _at(loaded, path)
    if isinstance(holder, dict):
        return list(_step_keys(holder))
    own = [
        next((s[name] for name in STEPS if type(s.get(name)) is int), None)
        if isinstance(s, dict)
        else next((n for n in s if type(n) is int), None)
        for s in states
    ]
    beside: list[Any] = [own]
    if path:
        siblings = _at(loaded, path[:-1])
        beside += [v for n, v in siblings.items() if isinstance(n, str) and any(step in n.lower() for step in STEPS)]
    for steps in beside:
        numbers = steps.tolist() if isinstance(steps, Tensor) and steps.ndim == 1 else steps
        if not isinstance(numbers, list | tuple | range) or len(numbers) != len(states):
            continue
        if all(type(n) is int and 0 <= n < 10**12 for n in numbers) and len(set(numbers)) == len(numbers):
            return list(numbers)
    return list(range(len(states)))


def _config(loaded: object, path: Sequence[str]) -> dict[str, Any]:
    """Return plain values on the way to the network, and those of dicts called config or the like beside it."""
    found: dict[str, Any] = {}
    for depth in range(len(path) + 1):
        holder = _at(loaded, path[:depth])
        if not isinstance(holder, dict):
            break
        for name, value in list(holder.items())[:1000]:
            if isinstance(value, argparse.Namespace | types.SimpleNamespace):
                value = vars(value)
            if isinstance(name, str) and isinstance(value, dict) and CONFIG.search(name):
                found |= {n: v for n, v in list(value.items())[:1000] if isinstance(n, str) and _plain(v)}
            elif isinstance(name, str) and _plain(value):
                found[name] = value
    return found


def _plain(value: object) -> bool:
    return isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) < 1000)


def _ignored(loaded: object, path: Sequence[str]) -> tuple[str, ...]:
    """Return the names of what lies beside the network."""
    names: list[str] = []
    for depth in range(len(path) + 1):
        holder = _at(loaded, path[:depth])
        if isinstance(holder, dict):
            own = path[depth] if depth < len(path) else None
            names += [
                printable(name) if isinstance(name, str) else type(name).__name__
                for name, value in holder.items()
                if name != own and not (depth == len(path) and (isinstance(value, Tensor) or _step_keys(holder)))
            ]
    return tuple(names)


def _described(loaded: object) -> str:
    if isinstance(loaded, dict):
        names = [printable(name) if isinstance(name, str) else type(name).__name__ for name in list(loaded)[:4]]
        shown = [f"{type(value).__name__} under {name}" for name, value in zip(names, loaded.values(), strict=False)]
        more = f" and {len(loaded) - 4} more" if len(loaded) > 4 else ""
        return (", ".join(shown) + more) or "an empty dict"
    return f"a {type(loaded).__name__}"
