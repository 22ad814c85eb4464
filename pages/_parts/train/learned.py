"""What there is to learn in each kind of task, and how far a run has got."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from miii import plots, runs
from miii.plots.style import Chart
from miii.tasks import AnyTask, named
from miii.tasks.primes import SIEVED
from miii.training.evaluation import accuracy, grokked, reached
from pages._kit.draw import draw

Row = Mapping[str, float]

#: The title of the Train page and the words below it, by the kind of task that is chosen in the form, or by its name.
STORIES = {
    "modular": (
        "Watch a network learn to add",
        r"""
A small transformer is shown a part of all sums $a + b \bmod p$ and asked for the rest. First it **memorizes**: it gets the
pairs that it is shown right, and the others wrong. Then it **groks**: it finds a way to add, and the pairs it has never seen
fall into place. Press Start.
""",
    ),
    "expr": (
        "Watch a network learn a formula of yours",
        r"""
A small transformer is shown the values of a formula at a part of all pairs $(a, b)$, modulo $p$, and asked for the rest. It
**groks** some formulas and only learns others by heart, and the share of the pairs decides which: modulo 59 (seed 0), half of them are
enough for $a + b$, while $3a - b + 7$ is learned by heart from half, and grokked from 0.7. Type one, and press Start.
""",
    ),
    "primes": (
        "Watch a network learn to sieve",
        r"""
A small transformer is shown the digits of an integer and told one bit: prime or not. Nobody tells it of factors. A last digit
gives the multiples of 2 and 5 away; a multiple of 3 can only be told from **the sum of all digits** modulo 3. So the question is when
it tells primes from numbers whose smallest prime factor is 3. Press Start.
""",
    ),
    "residues": (
        "Watch a network learn residues",
        r"""
A number $n = x_0 + p\,x_1$ is shown as its two digits, and asked are its residues modulo **every prime below** $p$, all at
once. The loss of each question is divided by the logarithm of its modulus. Press Start.
""",
    ),
    "miu": (
        "Watch a network solve the MIU puzzle",
        r"""
Is a string of M, I and U a theorem of Hofstadter's puzzle? Only if its number of I's is **not divisible by 3**, whatever the
rules of derivation look like. The network is told theorem or not, and then asked about longer strings than any that it has
seen. Press Start.
""",
    ),
    "frames": (
        "Watch a network write integers",
        r"""
A sequence of frames: a condition $+d$, the digits of an integer, and whether it is prime; the next frame has the integer that is
$d$ larger. A small causal decoder predicts **the next token**, so to be right it has to **add, with carries**, the first digit
first. The integers that it is tested on occur in no training sequence. Press Start.
""",
    ),
}


def story(task: str) -> tuple[str, str]:
    """What the Train page says of a task, by its name in ``TASKS``."""
    return STORIES[task] if task in STORIES else STORIES[named(task)]


def numbers(run: runs.Run, rows: Sequence[Row]) -> None:
    """How well the network does now, in what counts for its task, and since when it has got it."""
    last, kind = rows[-1], run.config.task.kind
    if run.config.task.train_fraction is None:
        with st.container(horizontal=True):
            st.metric("Accuracy on all pairs", f"{last['accuracy']:.1%}", border=True)
            st.metric("Loss on all pairs", f"{last['loss']:.2g}", border=True, help="Mean cross-entropy in nats")
        st.caption("The split is unknown: the weights do not say which pairs trained them.")
        return
    since = next((row for row in rows if grokked(row)), None)
    with st.container(horizontal=True):
        for label, value, about in _measures(run.config.task, last):
            st.metric(label, value, border=True, help=about)
        if run.imported:
            return
        what = reached(last).capitalize()
        st.metric(f"{what} at step", f"{since['step']:,.0f}" if since else "not yet", border=True, help=SINCE[kind])
        seconds = f"{since['seconds']:.1f}" if since else "not yet"
        st.metric("Seconds until then", seconds, border=True, help="Wall clock")
    if kind == "primes":
        st.caption(
            f"Accuracy says little here: most integers are composite, so “not prime” is right most of the time and long the best "
            f"guess (now {last['test_accuracy']:.1%} of the test integers are answered right). The areas under the ROC curve ask "
            "whether primes get a higher score than composites, wherever the threshold; 0.5 is chance. They are measured on "
            "integers of the training half that no step is taken on."
        )


#: What counts as having learned the rule, by the kind of task; see ``grokked`` and ``reached``.
SINCE = {
    "modular": "The first evaluated step with 99 % test accuracy",
    "primes": f"The first evaluated step with both areas at {SIEVED[0]:.2f} and {SIEVED[1]:.2f}",
    "residues": "The first evaluated step with 99 % of the test numbers right for every prime that is trained",
    "miu": "The first evaluated step with 99 % test accuracy, longer strings included",
    "frames": "The first evaluated step with 99 % of the held-out integers right in all digits; of labels alone, with 99 % of those",
}


def _measures(task: AnyTask, row: Row) -> list[tuple[str, str, str | None]]:
    """Label, value and help of what is shown of an evaluation."""
    kind = task.kind
    if kind == "primes":
        return [
            ("ROC AUC", _area(row.get("auc")), f"Of primes against all composites; {SIEVED[0]:.2f} is asked for"),
            (
                "AUC against multiples of 3",
                _area(row.get("auc_3")),
                f"Smallest prime factor 3; {SIEVED[1]:.2f} is asked for",
            ),
        ]
    if kind == "frames":
        shown: list[tuple[str, str, str | None]] = [
            ("Label, ROC AUC", _area(row.get("auc")), "Of the last label on held-out sequences"),
            (
                "Beyond the last digit",
                _area(row.get("auc_coprime")),
                "ROC AUC of the integers coprime to the base alone",
            ),
        ]
        if "digits" not in row:  # asked for labels alone
            return shown
        return [
            ("Digits", _share(row.get("digits")), "Right on held-out sequences, given the true frames before"),
            ("Integers", _share(row.get("integers")), "Right in all digits; 99 % is asked for"),
            *shown,
        ]
    train = ("Training accuracy", _share(row.get("train_accuracy")), None)
    match kind:
        case "residues":
            value, of = accuracy(task, row)
            mean = (of.capitalize(), _share(value), "Mean test accuracy over those that are trained")
            every = ("All residues right", _share(row.get("test_accuracy")), "Test numbers with no residue wrong")
            worst = _share(row.get("accuracy_worst"))
            return [train, mean, every, ("Worst prime", worst, "Test accuracy of the worst of the trained primes")]
        case "miu":
            as_long = (AS_LONG, _share(row.get("accuracy_as_long")), "Strings as long as those in training")
            if "accuracy_longer" not in row:
                return [train, as_long]
            return [train, as_long, (LONGER, _share(row["accuracy_longer"]), "Strings longer than any in training")]
    return [train, ("Test accuracy", _share(row.get("test_accuracy")), "On pairs it has never been shown")]


AS_LONG, LONGER = "Test, as long", "Test, longer"  #: accuracies on strings of MIU, on every page


def _area(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.1%}"


def figure(kind: str, metrics: pd.DataFrame, steps: int) -> None:
    """The figure that says most about a kind of task; modular arithmetic has its grid of pairs."""
    if kind == "primes":
        chart: Chart = plots.sieving(metrics, steps)
        alt = "Area under the ROC curve over the steps: primes against all composites, and by smallest factor."
    elif kind == "residues":
        chart, alt = plots.by_prime(metrics), "Share of right answers over the steps, a row for each prime modulus."
    elif kind == "miu":
        chart = plots.by_length(metrics, steps)
        alt = "Accuracy over the steps: training, test strings as long, and longer ones."
    elif kind == "frames":
        chart = plots.by_token(metrics, steps)
        alt = "Digits, integers and labels over the steps: shares right, and areas under the ROC curve."
    else:
        return
    draw(chart, key="measure", alt=alt)
