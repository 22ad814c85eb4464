"""What the app shows of a kind of task, as one value: each kind has a ``VIEW`` in ``pages/_tasks/<kind>/view.py``."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar

import pandas as pd

from miii.jobs import Job
from miii.plots.style import Chart
from miii.runs import Run
from miii.tasks import TaskConfig
from pages._parts.attention import patterns

T = TypeVar("T", bound=TaskConfig)
Row = Mapping[str, float]  #: the numbers of an evaluation


class Story(NamedTuple):
    """Title and introduction of the Train page."""

    title: str
    text: str


class Preset(NamedTuple):
    """Values that controls beside the name of the task set in the form.

    Attributes:
        name: part of the keys of the widgets that start from it, so that another preset brings its own defaults.
        defaults: what widgets of the form start from, by option.
        changes: options that have their widget here.
    """

    name: str = ""
    defaults: Mapping[str, Any] = MappingProxyType({})
    changes: Mapping[str, Any] = MappingProxyType({})


class Measure(NamedTuple):
    """A number of an evaluation, with the help of its label."""

    label: str
    value: str
    help: str | None = None


class Curve(NamedTuple):
    """The figure over the steps that says most about a kind of task.

    Attributes:
        make: draws it for a run, by name: the function of a cell.
        live: draws it from metrics and the number of steps, while the run trains.
    """

    make: Callable[[str], Chart]
    live: Callable[[pd.DataFrame, int], Chart]
    alt: str


class Picture(NamedTuple):
    """A figure of the single examples, beside the curves.

    Attributes:
        show: shows it for a run on a task at a step.
        live: shows it for the newest evaluation of a job on a task.
    """

    show: Callable[[Run, Any, int], None]
    live: Callable[[Job | None, Any], None]


@dataclass(frozen=True)
class TaskView(Generic[T]):
    """All that the app says and shows of a kind of task.

    Attributes:
        about: what its networks learn, as in "primes-10 learns which integers are prime".
        home: the page that shows what they learned, by file.
        story: title and introduction of the Train page; ``stories`` has those of single tasks, by name.
        main: options that the form shows at once; ``hidden``: those that it does not show.
        preset: shows controls beside the task's name, given that name.
        required: by the task's name, values for the options that it leaves open.
        check: raises InputError for a task that is too large for the app.
        criterion: what ``TaskConfig.learned`` asks for, in words.
        measures: the numbers that count, of an evaluation; ``caption``: a sentence below them.
        curve, picture: figures of the Train page beside loss and accuracy.
        accuracy: whether the accuracy of both splits has a figure of its own.
        data: the Data page below the choice of a task, given its name.
        follow: the page Try it; None if it cannot follow an example of the task.
        inside: the page Sieve, given a function that chooses the step; None if it does not measure the task.
        attention: the page Attention below its introduction.
    """

    about: str
    home: str
    story: Story
    main: tuple[str, ...]
    criterion: str
    measures: Callable[[T, Row], Sequence[Measure]]
    data: Callable[[str], None]
    stories: Mapping[str, Story] = field(default_factory=lambda: MappingProxyType({}))
    hidden: tuple[str, ...] = ()
    preset: Callable[[str], Preset] = lambda name: Preset()
    required: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: MappingProxyType({}))
    check: Callable[[T], None] = lambda task: None
    caption: Callable[[Row], str] = lambda row: ""
    curve: Curve | None = None
    picture: Picture | None = None
    accuracy: bool = True
    follow: Callable[[Run, T, int], None] | None = None
    inside: Callable[[Run, T, Callable[[Run], int]], None] | None = None
    attention: Callable[[Run, T, int], None] = patterns.show


def view_of(kind: str) -> TaskView[Any]:
    """Return the view of a kind of task."""
    return import_module(f"pages._tasks.{kind}.view").VIEW


def share(value: float | None) -> str:
    """Return a share as a percentage, or a dash where it is missing."""
    return "–" if value is None or math.isnan(value) else f"{value:.1%}"


def area(value: float | None) -> str:
    """Return an area under a curve, or a dash where it is missing."""
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"
