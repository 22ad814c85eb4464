"""The app's view of a task kind: each kind has a ``VIEW`` in ``pages/_tasks/<kind>/view.py``."""

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
CONFIDENCE = "Its share of the exponentials of the logits (softmax)"


class Story(NamedTuple):
    """Title and introduction of the Train page."""

    title: str
    text: str


class Preset(NamedTuple):
    """Form values set by controls next to the task's name.

    Attributes:
        defaults: initial values of the form's widgets, by option.
        changes: options with a widget here.
    """

    defaults: Mapping[str, Any] = MappingProxyType({})
    changes: Mapping[str, Any] = MappingProxyType({})


class Measure(NamedTuple):
    """A metric with the help text of its label."""

    label: str
    value: str
    help: str | None = None


class Curve(NamedTuple):
    """The main figure over training steps for a task kind.

    Attributes:
        make: draws it for a run, by name; the function of a cell.
        live: draws it from metrics and the number of steps, while the run trains.
    """

    make: Callable[[str], Chart]
    live: Callable[[pd.DataFrame, int], Chart]
    alt: str


class Picture(NamedTuple):
    """A figure of single examples, next to the curves.

    Attributes:
        show: shows it for a run on a task at a step.
        live: shows it for the latest evaluation of a job on a task.
    """

    show: Callable[[Run, Any, int], None]
    live: Callable[[Job | None, Any], None]


@dataclass(frozen=True)
class TaskView(Generic[T]):
    """Everything the app shows about a task kind.

    Attributes:
        about: what its networks learn, as in "primes-10 learns which integers are prime".
        home: the page with their analysis, by file; ``more``: further pages for this kind alone, in reading order.
        story: title and introduction of the Train page; ``stories`` has overrides by task name.
        main: options shown at the top of the form; ``hidden``: options not shown.
        preset: shows controls next to the task's name, given that name.
        required: values of required options, by task name.
        check: raises InputError for a task that is too large for the app.
        criterion: the condition of ``TaskConfig.learned``, in words.
        measures: the main metrics of an evaluation; ``caption``: a sentence below them.
        curve, picture: figures of the Train page next to loss and accuracy.
        accuracy: whether to plot the accuracy of both splits separately.
        data: shows the Data page below the task picker, given the task's name.
        follow: shows the page Follow an input; None if the task is not supported.
        fourier: shows the page Fourier, as ``inside``; None if the page is that of modular arithmetic, or not supported.
        inside: shows the page Sieve, given a function that returns the step; None if the task is not supported.
        attention: shows the page Attention below its introduction.
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
    more: tuple[str, ...] = ()
    follow: Callable[[Run, T, int], None] | None = None
    fourier: Callable[[Run, T, Callable[[Run], int]], None] | None = None
    inside: Callable[[Run, T, Callable[[Run], int]], None] | None = None
    attention: Callable[[Run, T, int], None] = patterns.show

    @property
    def pages(self) -> tuple[str, ...]:
        """The pages that fit such a run, by file, in reading order."""
        follow = () if self.follow is None else ("try",)
        return ("data", "train", *follow, "attention", self.home, *self.more, "paper")

    def after(self, page: str) -> str | None:
        """Return the page to read after another, by file; None if that page does not fit such a run."""
        pages = (*self.pages, "train")
        return pages[pages.index(page) + 1] if page in pages else None


def view_of(kind: str) -> TaskView[Any]:
    """Return the view of a kind of task."""
    return import_module(f"pages._tasks.{kind}.view").VIEW


def vectors(run: Run) -> str:
    """Write how the network reads tokens."""
    return f"Each **token**, and each position, has a vector of {run.config.model.d_model} numbers."


def share(value: float | None) -> str:
    """Format a share as a percentage, or a dash if missing."""
    return "–" if value is None or math.isnan(value) else f"{value:.1%}"


def logit(value: float) -> str:
    """Format a logit, or a difference of logits, with a true minus."""
    return f"{value:.2f}".replace("-", "−")


def area(value: float | None) -> str:
    """Format an AUC, or a dash if missing."""
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"
