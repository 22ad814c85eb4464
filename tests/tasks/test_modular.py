"""Modular arithmetic against double loops in plain Python."""

import itertools
from typing import get_args

import pytest
import torch

import miii
from miii.expression import EXAMPLE, MASKED
from miii.tasks import KINDS, TASKS, ModularAddition, Operation
from miii.tasks.modular import grid_of

FORMULAS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "quadratic": lambda a, b: a**2 + a * b + b**2,
}
SIZES = [2, 3, 4, 7, 12]
PRIMES = [2, 3, 7]
OPERATIONS = get_args(Operation)


def config(operation="add", **changes):
    expression = {"expression": EXAMPLE} if operation == "expr" else {}
    return ModularAddition(operation=operation, **expression | changes)


def build(operation="add", p=7, **changes):
    return config(operation, p=p, **{"train_fraction": 0.5} | changes).build()


def table(task, p):
    return task.labels.reshape(p, p).tolist()


def test_labels_are_those_of_a_double_loop():
    for p, operation in itertools.product([*SIZES, 113], FORMULAS):
        expected = [[FORMULAS[operation](a, b) % p for b in range(p)] for a in range(p)]
        assert table(build(operation, p), p) == expected


def test_every_pair_stands_there_once_with_the_equals_sign():
    for p, operation in itertools.product(SIZES, OPERATIONS):
        if operation == "div" and p not in PRIMES:
            continue
        task, first = build(operation, p), int(operation == "div")
        assert task.tokens.tolist() == [[a, b, p] for a in range(p) for b in range(first, p)]
        assert task.labels.shape == task.train_mask.shape == (p * (p - first),)
        assert 0 <= task.labels.min() <= task.labels.max() < p
        assert (task.d_vocab, task.d_vocab_out, task.n_ctx) == (p + 1, p, 3)
        assert task.token_names == (*map(str, range(p)), "=")


def test_a_token_of_the_operation_may_stand_between(one_sentence):
    plain, task = config(p=7), config(p=7, operator=True)
    built = task.build()
    assert [built.token_names[token] for token in built.tokens[5 * 7 + 3]] == ["5", "op", "3", "="]
    assert (built.d_vocab, built.n_ctx) == (task.sizes.d_vocab, task.sizes.n_ctx) == (9, 4)
    assert torch.equal(built.labels, plain.build().labels)
    own = config(p=7, operator=True, separate=True).build()
    assert [own.token_names[token] for token in own.tokens[5 * 7 + 3]] == ["5", "op", "b3", "="]
    with one_sentence("operator must be false"):
        config(p=7, operator=True, equals=False)


def test_the_split_has_the_size_it_says():
    for p, fraction, n in [(113, 0.3, 3830), (7, 0.5, 24), (2, 0.25, 1), (3, 0.99, 8)]:
        task = ModularAddition(p=p, train_fraction=fraction)
        assert task.n_train == n
        assert task.build().train_mask.sum().item() == n


def test_an_unknown_split_marks_no_pair_and_changes_no_answer():
    for p, operation in itertools.product(PRIMES, OPERATIONS):
        unknown = config(operation, p=p, train_fraction=None, seed=3)
        known = config(operation, p=p, train_fraction=0.5, seed=3)
        assert (unknown.n_train, unknown.build().split_known, known.build().split_known) == (0, False, True)
        assert not unknown.build().train_mask.any()
        assert torch.equal(unknown.build().labels, known.build().labels)
        assert ModularAddition(**unknown.model_dump(mode="json")) == unknown


def test_the_seed_draws_the_split_and_the_controls_alone():
    for operation in OPERATIONS:
        first, again, other = (build(operation, 23, seed=seed) for seed in (0, 0, 1))
        for name in ("train_mask", "labels"):
            assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(first.train_mask, other.train_mask)
        assert torch.equal(first.labels, other.labels) != (operation in ("shuffled", "relabeled"))
        assert operation == "div" or torch.equal(first.train_mask, build("add", 23).train_mask)


def test_the_split_is_random_over_the_pairs():
    # each row and each column of the table gives about its share, over many seeds
    drawn = torch.stack([build(p=13, train_fraction=0.3, seed=seed).train_mask for seed in range(200)]).double()
    share = drawn.reshape(200, 13, 13).mean(0)
    assert share.mean().item() == pytest.approx(50 / 169)
    assert (share - 50 / 169).abs().max() < 5 * (0.3 * 0.7 / 200) ** 0.5


def test_shuffled_keeps_how_often_each_answer_occurs_and_nothing_else():
    added, shuffled = build("add", 23), build("shuffled", 23)
    assert torch.equal(added.labels.bincount(), shuffled.labels.bincount())
    agree = (added.labels == shuffled.labels).double().mean().item()
    assert agree < 4 / 23  # chance is 1/23
    for p in (7, 23):
        with pytest.raises((AssertionError, StopIteration)):
            renaming(table(build("shuffled", p), p))


def renaming(c: list[list[int]]) -> list[int]:
    """The names of 0, 1, 2, ...: found from the table alone, as the multiples of an element of full order."""
    p = len(c)
    zero = next(e for e in range(p) if all(c[e][b] == b for b in range(p)))
    for one in range(p):
        names = [zero]
        while len(names) < p:
            names.append(c[names[-1]][one])
        if len(set(names)) == p:
            return names
    raise AssertionError("no element generates the table: it is no addition")


def test_relabeled_is_addition_under_other_names():
    for p in [2, 4, 7, 12, 23]:
        c = table(build("relabeled", p, seed=5), p)
        name = renaming(c)
        assert sorted(name) == list(range(p))
        assert all(c[name[i]][name[j]] == name[(i + j) % p] for i in range(p) for j in range(p))
    assert not torch.equal(build("relabeled", 23).labels, build("add", 23).labels)


def test_a_task_s_name_says_its_kind_and_what_else_it_is():
    assert list(TASKS) == [*OPERATIONS, "primes", "residues", "gcd", "miu", "frames", "sequences", "group", "table"]
    for operation in OPERATIONS:
        assert config(operation, p=7, seed=4).name == f"{operation}-7"
    for name in TASKS:
        more = {"expr": {"expression": EXAMPLE}, "table": {"csv": "0,1\n1,0"}}.get(name, {})
        task = miii.RunConfig(task=TASKS[name] | more).task
        assert type(task) is KINDS[TASKS[name]["kind"]]
        assert (task.kind, task.task_name) == (TASKS[name]["kind"], name)


def test_one_target_is_the_answer():
    task = build()
    (target,) = task.targets
    assert (target.name, target.size, target.weight) == ("answer", 7, 1.0)
    assert torch.equal(target.labels, task.labels)
    assert task.logits_of("answer") == slice(0, 7)
    assert torch.equal(task.step_mask, task.train_mask)


def test_a_balanced_split_has_as_many_training_pairs_of_each_answer():
    for operation, (p, fraction) in itertools.product(["add", "sub", "relabeled"], [(7, 0.3), (12, 0.5), (113, 0.3)]):
        balanced = ModularAddition(operation=operation, p=p, train_fraction=fraction, balanced=True)
        task = balanced.build()
        counts = torch.bincount(task.labels[task.train_mask], minlength=p)
        assert counts.sum() == balanced.n_train
        assert counts.max() - counts.min() <= 1


def test_balancing_changes_the_split_alone_and_the_seed_still_draws_it():
    plain, balanced = (ModularAddition(p=23, balanced=value).build() for value in (False, True))
    assert torch.equal(plain.labels, balanced.labels)
    assert not torch.equal(plain.train_mask, balanced.train_mask)
    other = ModularAddition(p=23, balanced=True, seed=1).build()
    assert not torch.equal(other.train_mask, balanced.train_mask)


def test_an_answer_with_few_pairs_gives_all_it_has():
    task = ModularAddition(operation="quadratic", p=11, train_fraction=0.8, balanced=True).build()
    counts, trained = torch.bincount(task.labels), torch.bincount(task.labels[task.train_mask], minlength=11)
    least = trained[trained < counts]
    assert ((trained == counts) | (trained >= least.max() - 1)).all()


# ---- custom tasks ----


def test_a_custom_task_has_the_labels_that_its_expression_says():
    for p in [2, 7, 12, 113]:
        expected = [[(a * b + 3 * a) % p for b in range(p)] for a in range(p)]
        assert table(build("expr", p, expression="(a*b + 3*a) % p"), p) == expected


def test_an_expression_for_an_operation_gives_the_same_task():
    expressions = {"add": "a + b", "sub": "a - b", "mul": "a*b", "div": MASKED, "quadratic": "a**2 + a*b + b**2"}
    for operation, expression in expressions.items():
        own, custom = build(operation, 23, seed=3), build("expr", 23, seed=3, expression=expression)
        assert torch.equal(own.labels, custom.labels)
        assert torch.equal(own.train_mask, custom.train_mask)


def test_pairs_without_an_answer_are_left_out_of_sizes_split_and_table():
    for fields, kept in [
        ({"operation": "div"}, [(a, b) for a in range(7) for b in range(1, 7)]),
        (
            {"operation": "expr", "expression": "a / (a - b) where a > b + 1"},
            [(a, b) for a in range(7) for b in range(a - 1)],
        ),
    ]:
        for equals, separate in itertools.product([True, False], repeat=2):
            given = ModularAddition(
                p=7, train_fraction=0.4, equals=equals, separate=separate, balanced=equals, **fields
            )
            task = given.build()
            assert [(a, b - 7 * separate) for a, b in task.tokens[:, :2].tolist()] == kept
            assert given.n_pairs == given.sizes.examples == len(task.labels) == len(task.train_mask) == len(kept)
            assert given.n_train == int(0.4 * len(kept)) == task.train_mask.sum()
            values = grid_of(task, task.labels, 7)
            for pair, c in zip(kept, task.labels.tolist(), strict=True):
                divisor = pair[1] if given.operation == "div" else pair[0] - pair[1]
                assert values[pair] == c == pair[0] * pow(divisor, 5, 7) % 7
            assert (values == -1).sum() == 49 - len(kept)
    assert ModularAddition(operation="div", p=7).description == "a / b mod 7, where b ≠ 0"
    assert config("expr", p=7, expression=MASKED).description == "a / b mod 7, where b != 0"


def test_a_custom_task_knows_whether_it_is_a_sum_of_multiples():
    for expression, p, found in [
        ("a + b", 59, (1, 1, 0)),
        ("b - a", 59, (-1, 1, 0)),
        ("3*a - 2*b + 70", 59, (3, -2, 11)),
        ("a/2 + b", 59, (-29, 1, 0)),
        ("3*a + b", 12, None),  # 3 a has only four values
        ("b + 3", 59, None),
        ("a*b", 59, None),
    ]:
        task = config("expr", expression=expression, p=p)
        assert task.modular_sum == found
        assert task.multipliers == ((1, 1) if found is None else found[:2])
    for operation, multipliers in (("add", (1, 1)), ("sub", (1, -1)), ("mul", (1, 1))):
        assert ModularAddition(operation=operation).multipliers == multipliers


def test_a_custom_task_that_is_none_is_one_sentence(one_sentence):
    for fields, words in [
        ({"operation": "expr"}, ["expression is required for the task expr", "(a*b + 3*a) % p"]),
        ({"operation": "mul", "expression": "a*b"}, ["expression must be none for the task mul", "'a*b'"]),
        ({"operation": "expr", "expression": "a - a"}, ["expression must depend on a or b modulo 7", "'a - a'"]),
        ({"operation": "expr", "expression": "a + 7/p"}, ["divide by what has an inverse modulo 7", "divisor 0"]),
        ({"operation": "expr", "expression": "x + 1"}, ["expression must be made of a, b, p", "'x'"]),
        ({"operation": "expr", "expression": 3}, ["expression must be text"]),
        ({"operation": "expr", "expression": "a + b where a == b + 6"}, ["each side", "the 1 pairs"]),
        ({"operation": "div", "p": 12}, ["p must be prime for the task div", "(got 12)"]),
    ]:
        with one_sentence(*words):
            ModularAddition(**{"p": 7} | fields).build()
        with one_sentence(*words):  # as a run's file is read
            miii.RunConfig(task={"p": 7, **fields}).task.build()


def test_a_config_without_later_fields_opens():
    """Version 0.1.0 wrote neither ``kind`` nor ``expression`` and the fields of the prompt."""
    before = {"operation": "add", "p": 113, "train_fraction": 0.3, "balanced": False, "seed": 0}
    assert ModularAddition(**before) == ModularAddition()
    later = {"kind": "modular", "expression": None, "equals": True, "separate": False, "operator": False}
    assert ModularAddition().model_dump(mode="json") == before | later
    custom = config("expr", p=7)
    assert miii.RunConfig.model_validate_json(miii.RunConfig(task=custom).model_dump_json()).task == custom
