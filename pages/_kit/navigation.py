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


LEARN, INSIDE, BEYOND = "Learn", "Inside", "Beyond sums"

PAGES = (
    Entry(
        "paper",
        "Paper",
        "article",
        "What was asked, what was found and what was not, every figure from a run that came with miii.",
        own_runs=True,
        # the default page has only the bare address; people type /paper, and old links use /results
        addresses=("start", "paper", "results"),
    ),
    Entry(
        "try",
        "Try it",
        "route",
        "Your own numbers, followed through the network: tokens, attention, neurons, logits, answer.",
    ),
    Entry(
        "runs",
        "Runs",
        "inventory_2",
        "All runs: find one, rename it, delete it, carry it to another machine and back.",
    ),
    Entry(
        "train",
        "Train",
        "play_circle",
        "Train a transformer on arithmetic, primes, residues, a puzzle or frames, and watch it live.",
        LEARN,
    ),
    Entry(
        "data",
        "Data",
        "grid_on",
        "What the network is shown: every pair, its answer, its tokens, and which pairs train.",
        LEARN,
    ),
    Entry(
        "symbolic",
        "Symbolic",
        "join_inner",
        "A function as a program and as a network: logic, and a formula that you type.",
        LEARN,
        own_runs=True,
    ),
    Entry(
        "attention",
        "Attention",
        "visibility",
        "Where each head looks, for one input and over all of them.",
        INSIDE,
    ),
    Entry(
        "fourier",
        "Fourier",
        "graphic_eq",
        "The frequencies that the network is made of, and how they arise during training.",
        INSIDE,
    ),
    Entry(
        "neurons",
        "Neurons",
        "hub",
        "What each neuron computes: its frequency, its phases, what it reads and writes.",
        INSIDE,
    ),
    Entry(
        "circuits",
        "Circuits",
        "account_tree",
        "Which edges of the network make the answer: found automatically, checked against the truth.",
        INSIDE,
    ),
    Entry(
        "progress",
        "Progress",
        "trending_up",
        "What accuracy does not show while the network learns, and the phases of its training.",
        INSIDE,
    ),
    Entry(
        "formula",
        "Formula",
        "function",
        "The network as a formula, and the evidence: does it perform modular addition?",
        INSIDE,
    ),
    Entry(
        "sieve",
        "Sieve",
        "filter_alt",
        "What a network on primes, residues or theorems learned: does it sum residues modulo q?",
        BEYOND,
    ),
    Entry(
        "frames",
        "Frames",
        "view_carousel",
        "A network that writes the next integers and their labels, frame by frame: how far is it right?",
        BEYOND,
    ),
    Entry(
        "sparse",
        "Sparse grid",
        "grid_4x4",
        "Primes from a single 1 in 150 x 150 x 150 zeros, and what recalls of 99 % and 79 % are worth.",
        BEYOND,
        own_runs=True,
    ),
    Entry(
        "compare",
        "Compare",
        "balance",
        "Blocks and mixers on equal terms: which of them grok, how soon, and by the same algorithm?",
        BEYOND,
        own_runs=True,
    ),
)


def entry(file: str) -> Entry:
    """Return the entry of a script."""
    return next(page for page in PAGES if page.file == file)
