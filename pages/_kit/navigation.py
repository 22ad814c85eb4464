"""The pages of the app, in the order of its navigation."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A page of the navigation.

    Attributes:
        file: name of its script in ``pages``, also its URL name.
        icon: a Material Symbol.
        section: its heading in the navigation.
        own_runs: the page picks its own runs, so it offers no comparison.
        addresses: its URL names, if not ``file``; only the first is in the navigation.
    """

    file: str
    title: str
    icon: str
    help: str
    section: str = ""
    own_runs: bool = False
    addresses: tuple[str, ...] = ()


TRAIN, INSIDE, OTHERS, RUNS = "Train", "Look inside", "Primes and sequences", "Runs"

PAGES = (
    Entry(
        "start",
        "Start",
        "home",
        "Watch a network learn to add.",
        own_runs=True,
        addresses=("home", "start"),  # the default page has only the bare address
    ),
    Entry(
        "paper",
        "Paper",
        "article",
        "Results and negative results.",
        own_runs=True,
        addresses=("paper", "results"),  # old links use /results
    ),
    Entry(
        "train",
        "Train",
        "play_circle",
        "Watch a network learn.",
        TRAIN,
    ),
    Entry(
        "data",
        "Data",
        "grid_on",
        "A task's examples, tokens and split.",
        TRAIN,
    ),
    Entry(
        "symbolic",
        "Symbolic",
        "join_inner",
        "One function as program and network.",
        TRAIN,
        own_runs=True,
    ),
    Entry(
        "try",
        "Follow an input",
        "route",
        "One input, from tokens to prediction.",
        INSIDE,
    ),
    Entry(
        "attention",
        "Attention",
        "visibility",
        "Where each head looks.",
        INSIDE,
    ),
    Entry(
        "fourier",
        "Fourier",
        "graphic_eq",
        "Frequencies that a network adds with.",
        INSIDE,
    ),
    Entry(
        "neurons",
        "Neurons",
        "hub",
        "Each neuron's frequency and phases.",
        INSIDE,
    ),
    Entry(
        "formula",
        "Formula",
        "function",
        "The network as a formula.",
        INSIDE,
    ),
    Entry(
        "circuits",
        "Circuits",
        "account_tree",
        "The connections behind a prediction.",
        INSIDE,
    ),
    Entry(
        "progress",
        "Progress",
        "trending_up",
        "Measures and phases of training.",
        INSIDE,
    ),
    Entry(
        "sieve",
        "Sieve",
        "filter_alt",
        "Which divisors a network knows.",
        OTHERS,
    ),
    Entry(
        "frames",
        "Frames",
        "view_carousel",
        "Integers, frame by frame.",
        OTHERS,
    ),
    Entry(
        "sequences",
        "Sequences",
        "format_list_numbered",
        "Kinds and next terms.",
        OTHERS,
    ),
    Entry(
        "sparse",
        "Sparse grid",
        "grid_4x4",
        "A sparse encoding of primes.",
        OTHERS,
        own_runs=True,
    ),
    Entry(
        "runs",
        "Runs",
        "inventory_2",
        "Find, compare and import runs.",
        RUNS,
    ),
    Entry(
        "sweeps",
        "Sweeps",
        "tune",
        "Many runs over options and seeds.",
        RUNS,
        own_runs=True,
    ),
    Entry(
        "phases",
        "Phase diagram",
        "grid_view",
        "Which settings comprehend, grok or memorize.",
        RUNS,
        own_runs=True,
    ),
    Entry(
        "trainability",
        "Trainability",
        "blur_on",
        "Which learning rates train a network.",
        RUNS,
        own_runs=True,
    ),
    Entry(
        "compare",
        "Compare",
        "balance",
        "Which architectures grok, how soon.",
        RUNS,
        own_runs=True,
    ),
)


def entry(file: str) -> Entry:
    """Return the entry of a script."""
    return next(page for page in PAGES if page.file == file)
