"""What depends on the kind of task: when it is learned, and how a run on it is described."""

import math

import numpy as np

from miii import GCD, KINDS, MIU, Frames, ModularAddition, Primes, Residues, Sequences
from miii.tasks import AnyTask, Task
from miii.tasks.primes import SIEVED

LEARNED = [
    (ModularAddition(), {"test_accuracy": 0.99}, True),
    (ModularAddition(), {"test_accuracy": 0.9899}, False),
    (ModularAddition(), {"test_accuracy": math.nan}, False),
    (MIU(), {"test_accuracy": 0.99, "accuracy_as_long": 0.99, "accuracy_longer": 0.5}, True),
    (MIU(), {"test_accuracy": 0.98, "accuracy_as_long": 1.0, "accuracy_longer": 1.0}, False),
    (Residues(), {"test_accuracy": 0.2, "accuracy_worst": 0.99, "accuracy_2": 1.0}, True),
    (Residues(), {"test_accuracy": 1.0, "accuracy_worst": 0.98, "accuracy_2": 1.0}, False),
    (GCD(largest=20), {f"accuracy_{k}": float(k < 3) for k in range(1, 21)}, True),
    (GCD(largest=20), {f"accuracy_{k}": float(k < 2) for k in range(1, 21)}, False),
    (Primes(), {"test_accuracy": 0.9, "auc": 0.90, "auc_3": 0.99, "auc_7": 0.5}, True),
    (Primes(), {"test_accuracy": 1.0, "auc": 0.8999, "auc_3": 1.0}, False),
    (Primes(), {"test_accuracy": 1.0, "auc": 1.0, "auc_3": 0.9899}, False),
    (Primes(), {"test_accuracy": 1.0, "auc": 1.0, "auc_3": math.nan}, False),
    (Frames(), {"test_accuracy": 0.5, "integers": 0.99}, True),
    (Frames(), {"test_accuracy": 1.0, "integers": 0.989}, False),
    (Frames(predict="label"), {"test_accuracy": 0.99, "auc": 0.5}, True),
    (Sequences(), {"test_accuracy": 0.5, "macro_f1": 0.93}, True),
    (Sequences(), {"test_accuracy": 1.0, "macro_f1": 0.9299}, False),
    (Sequences(target="similarity"), {"test_accuracy": 0.9}, True),
]


def test_learned():
    for task, row, learned in LEARNED:
        assert task.learned(row) is learned, (task.kind, row)
    assert SIEVED == (0.90, 0.99)


def test_milestones():
    digits, labels = Residues(control="digits"), Frames(predict="label")
    tasks = [ModularAddition(), Primes(), Residues(), digits, GCD(), MIU(), Frames(), labels]
    assert [task.milestone for task in tasks] == [
        "grokked",
        "sieves by 3",
        "answers every residue",
        "answers both digits",
        "learns the base's divisors",
        "recognizes theorems",
        "predicts integers",
        "predicts labels",
    ]


def test_headline_of_a_listing():
    row = {"test_accuracy": 0.5}
    residues = {"accuracy_2": 0.5, "accuracy_3": 1.0, "accuracy_5": 0.25, "test_accuracy": 0.1}
    digits = {"accuracy_x0": 0.5, "accuracy_x1": 1.0}
    cases: list[tuple[AnyTask, dict[str, float], tuple[str, str]]] = [
        (ModularAddition(), row, ("50.0%", "accuracy on test pairs")),
        (ModularAddition(train_fraction=None), {"accuracy": 0.75}, ("75.0%", "accuracy on all pairs")),
        (Primes(), {**row, "auc": 0.9345}, ("0.934", "ROC AUC")),
        (Residues(p=5), {**residues, "accuracy_2": 0.5}, ("75.0%", "mean accuracy over primes")),
        (Residues(p=7, masked=(2,)), residues, ("62.5%", "mean accuracy over primes")),
        (Residues(p=5, control="digits"), digits, ("75.0%", "mean accuracy over digits")),
        (GCD(), {**row, "learned": 13.0}, ("13", "learned divisors")),
        (MIU(), {**row, "accuracy_longer": 0.9}, ("90.0%", "accuracy on longer strings")),
        (MIU(), row, ("50.0%", "accuracy on test strings")),
        (Frames(), row, ("50.0%", "accuracy on last labels")),
        (Frames(), {**row, "integers": 0.97}, ("97.0%", "integers predicted")),
        (Sequences(), {"macro_f1": 0.75}, ("0.750", "macro F1 on held-out families")),
        (Sequences(target="next"), row, ("50.0%", "accuracy on held-out rule families")),
    ]
    for task, given, expected in cases:
        found = task.headline(given)
        assert (found.text, found.name) == expected, task
    for build in KINDS.values():
        missing = build().headline({})
        assert math.isnan(missing.value)
        assert missing.text == "–"


def test_descriptions():
    tasks = [
        ModularAddition(operation="sub", p=7),
        ModularAddition(operation="expr", expression="a*b", p=7),
        Primes(low=10, high=2_000, base=6),
        Primes(shuffled=True),
        Residues(p=11),
        Residues(p=11, control="shuffled"),
        Residues(p=11, control="digits"),
        GCD(operands="log"),
        MIU(),
        Frames(),
    ]
    assert [task.description for task in tasks] == [
        "a − b mod 7",
        "a*b mod 7",
        "prime or not, 10 to 2,000 in base 6",
        "prime or not, 10,000 to 99,999 in base 10, labels in random order",
        "residues modulo every prime below 11",
        "residues modulo every prime below 11, labels in random order",
        "the two digits in base 11",
        "gcd of log-uniform integers up to 1,000,000 in base 10",
        "theorems of MIU, up to 24 letters",
        "4 frames, 1,000 to 9,999 in base 10",
    ]
    assert all(build.summary for build in KINDS.values())


def test_what_the_app_shows_is_scored():
    for task in [KINDS[kind]() for kind in KINDS if kind != "sequences"] + [Sequences(n=600)]:
        built: Task = task.build()
        rows = (~built.train_mask).nonzero()[:50, 0].numpy()
        shape = [built.n_ctx, built.d_vocab_out] if built.next_tokens is not None else [built.d_vocab_out]
        logits = np.zeros((50, *shape))
        assert {*task.shown} <= task.scores(built, logits, rows).keys()
        assert task.frame == built.frame
