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
        "Watch a network learn to add, then look inside.",
        own_runs=True,
        addresses=("home", "start"),  # the default page has only the bare address
    ),
    Entry(
        "paper",
        "Paper",
        "article",
        "Questions, results and negative results, with every figure from a shipped run.",
        own_runs=True,
        addresses=("paper", "results"),  # old links use /results
    ),
    Entry(
        "train",
        "Train",
        "play_circle",
        "Train a network and watch it learn.",
        TRAIN,
    ),
    Entry(
        "data",
        "Data",
        "grid_on",
        "The examples of a task: inputs, tokens, answers and split.",
        TRAIN,
    ),
    Entry(
        "symbolic",
        "Symbolic",
        "join_inner",
        "A formula or logic function as a program, and as a network.",
        TRAIN,
        own_runs=True,
    ),
    Entry(
        "try",
        "Follow an input",
        "route",
        "One input through the network: tokens, attention, neurons, logits, prediction.",
        INSIDE,
    ),
    Entry(
        "attention",
        "Attention",
        "visibility",
        "Where each attention head looks, for one input and on average.",
        INSIDE,
    ),
    Entry(
        "fourier",
        "Fourier",
        "graphic_eq",
        "The circles and frequencies that a network uses to add.",
        INSIDE,
    ),
    Entry(
        "neurons",
        "Neurons",
        "hub",
        "The frequency and phases of each neuron.",
        INSIDE,
    ),
    Entry(
        "formula",
        "Formula",
        "function",
        "The network as a formula: is it modular addition?",
        INSIDE,
    ),
    Entry(
        "circuits",
        "Circuits",
        "account_tree",
        "The connections that produce the prediction.",
        INSIDE,
    ),
    Entry(
        "progress",
        "Progress",
        "trending_up",
        "Progress measures and the phases of training.",
        INSIDE,
    ),
    Entry(
        "sieve",
        "Sieve",
        "filter_alt",
        "Primes, residues, gcd and MIU: does the network sum residues? Which divisors does it know?",
        OTHERS,
    ),
    Entry(
        "frames",
        "Frames",
        "view_carousel",
        "The integers and labels that a network writes, frame by frame.",
        OTHERS,
    ),
    Entry(
        "sequences",
        "Sequences",
        "format_list_numbered",
        "Kinds and next terms of integer sequences, from residues.",
        OTHERS,
    ),
    Entry(
        "sparse",
        "Sparse grid",
        "grid_4x4",
        "Lee and Kim's sparse encoding of primes, compared with trial division.",
        OTHERS,
        own_runs=True,
    ),
    Entry(
        "runs",
        "Runs",
        "inventory_2",
        "All runs: find, rename, delete, import, download.",
        RUNS,
    ),
    Entry(
        "sweeps",
        "Sweeps",
        "tune",
        "Many runs at once: a metric over two options, and curves over seeds.",
        RUNS,
        own_runs=True,
    ),
    Entry(
        "phases",
        "Phase diagram",
        "grid_view",
        "A grid of networks over two options: which comprehend, grok or memorize?",
        RUNS,
        own_runs=True,
    ),
    Entry(
        "trainability",
        "Trainability",
        "blur_on",
        "Which learning rates train a network, and how fractal the boundary is.",
        RUNS,
        own_runs=True,
    ),
    Entry(
        "compare",
        "Compare",
        "balance",
        "Architectures on equal terms: which ones grok, how soon, and by the same algorithm?",
        RUNS,
        own_runs=True,
    ),
)


def entry(file: str) -> Entry:
    """Return the entry of a script."""
    return next(page for page in PAGES if page.file == file)
