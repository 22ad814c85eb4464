"""Sequences: exact terms, kinds that hold, families held out whole, and what is typed."""

import math
import time
from random import Random

import numpy as np
import pytest

from miii import Sequences
from miii.analysis import recurrences
from miii.tasks.sequences import grammar, guesses
from miii.tasks.sequences.goals import GOALS, guess_blocks
from miii.tasks.sequences.kinds import KINDS, decide, period_of
from miii.tasks.sequences.named import labels, named
from miii.tasks.sequences.task import draw, f1, labels_of
from miii.tasks.sequences.terms import ASK, BLANK, PAD, SIGN
from miii.tasks.sequences.typed import check_terms, known_kinds, parse, spelled

SMALL = Sequences(n=1200, seed=3)


def test_kinds_that_terms_decide():
    n = range(16)
    cases = {
        "polynomial increasing unique recurrence": [3 * i**2 - 5 for i in n],
        "polynomial unique recurrence": [-(i**3) for i in n],
        "polynomial increasing unique": [i**4 + 10**30 for i in n],  # of order 5
        "increasing unique": [i**5 for i in n],
        "polynomial periodic": [7] * 16,
        "exponential increasing unique recurrence": [5 * 3**i - 4 for i in n],
        "exponential unique recurrence": [(-2) ** i for i in n],
        "periodic modulo": [i * i % 7 for i in n],
        "modulo unique": [3 * i % 31 for i in n],
        "modulo": [5**i % 23 for i in n][:12] + [5**i % 23 for i in range(12, 24)],
        "periodic": [5, 0, 0, 2] * 4,
        "finite": [4, 0, -1, 9] + [0] * 12,
        "recurrence unique": [i if i % 2 else -i for i in n],
        "": [0, 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9],
        "increasing": [1, 1, 2, 5, 14, 42, 132, 429, 1430, 4862, 16796, 58786, 208012],
    }
    for kinds, terms in cases.items():
        found = decide([terms])
        assert {kind for kind, holds in found.items() if holds[0]} == set(kinds.split()), terms
    assert not decide([[*range(1, 16), 99]])["recurrence"][0]  # the last term spoils it
    assert [period_of([1, 2, 3] * 5), period_of([1, 2, 3, 1, 2]), period_of([4] * 9)] == [3, 0, 1]


def test_recurrences_are_those_of_berlekamp_and_massey():
    drawn = [each.rule.terms for each in draw(SMALL)][:120]
    found = decide(drawn)
    for i, terms in enumerate(drawn):
        order = len(recurrences.shortest(terms).coefficients)
        plain = not found["finite"][i] and not found["periodic"][i]
        assert found["recurrence"][i] == (order <= 4 and plain), terms
    assert found["recurrence"].mean() > 0.2
    fibonacci = recurrences.shortest(named()["Fibonacci numbers"].terms)
    assert (fibonacci.coefficients, fibonacci.following, fibonacci.tested) == ((1, 1), 12586269025, 46)
    assert recurrences.shortest(named()["primes"].terms).tested < 2


def test_families_are_held_out_whole():
    drawn = draw(SMALL)
    train, test = drawn[: SMALL.n_train], drawn[SMALL.n_train :]
    assert not {(each.kind, each.family) for each in train} & {(each.kind, each.family) for each in test}
    assert {each.kind for each in train} == {each.kind for each in test} == set(grammar.FORMS)
    begun = {tuple(each.rule.terms[:12]) for each in train}
    assert not any(tuple(each.rule.terms[:12]) in begun for each in test)
    assert grammar.held_out("periodic", 0.25, 1) != grammar.held_out("periodic", 0.25, 2)
    for kind, form in grammar.FORMS.items():
        assert len(set(form.families)) == len(form.families)
        for family in form.families[:40]:
            rule = form.draw(Random(0), family, 50)
            assert len(rule.terms) == 50, (kind, family)
            assert all(type(term) is int for term in rule.terms)
    holds = dict(zip(KINDS, labels_of(drawn).T, strict=True))
    for kind in ("polynomial", "exponential", "periodic", "finite", "trigonometric", "prime", "increasing", "unique"):
        assert holds[kind][[each.kind == kind for each in drawn]].all(), kind
    assert (holds["bounded"] >= holds["periodic"]).all()


def test_terms_are_residues_of_the_integers_themselves():
    config = Sequences(largest_modulus=42)
    terms = [10**60 + 7, -(10**60) - 7, 0, 5, -1]
    tokens, blocks = config.encode([terms, terms[:2] * 30])[0], config.encoding.blocks
    for j, (part, block) in enumerate(blocks.items()):
        values = tokens[: len(terms), j] - block.start
        if part.startswith("mod "):
            assert values.tolist() == [term % int(part[4:]) for term in terms]
    assert (tokens[:5, 0] - SIGN).tolist() == [2, 0, 1, 2, 0]
    assert (tokens[:5, 1] - blocks["magnitude"].start).tolist() == [199, 199, 0, 2, 1]  # log2(1 + |x|)
    assert (tokens[3, 2] - blocks["eighths"].start) == math.floor(8 * math.log2(6)) % 8
    assert [tokens[5, 0], tokens[-1, 0], tokens[5, 1]] == [PAD, ASK, BLANK]
    assert len(config.encoding.names) == config.encoding.rows == config.sizes.d_vocab
    digits = Sequences(terms="digits")
    (row,) = digits.encode([[-305, 10**20 + 4, 1, 1, 1]])
    low = [digits.encoding.blocks[f"10^{k}"].start for k in range(4)]
    assert row[0, 3:7].tolist() == [low[0] + 5, low[1], low[2] + 3, BLANK]
    assert row[1, 3:7].tolist() == [low[0] + 4, *low[1:]]
    steps = Sequences(terms="differences")
    (row,) = steps.encode([[1, 4, 10, 3]])
    first = {name: steps.encoding.blocks[f"Δ² {name}"].start for name in ("sign", "magnitude")}
    assert row[:4, -3].tolist() == [BLANK, BLANK, first["sign"] + 2, first["sign"]]  # second differences 3 and -13
    assert row[2:4, -2].tolist() == [first["magnitude"] + 2, first["magnitude"] + 3]
    assert (row[:4, -6] == BLANK).tolist() == [True, False, False, False]
    assert Sequences(terms="magnitude").encode([[1] * 5]).shape == (1, 25, 3)


def test_the_task_and_its_scores():
    task = SMALL.build()
    assert task.tokens.shape == (1200, 25, 26)
    assert int(task.train_mask.sum()) == SMALL.n_train == 900
    assert [target.name for target in task.targets] == list(KINDS)
    rows = np.arange(1200)
    logits = np.concatenate([np.stack([1 - t.labels, t.labels], 1) for t in task.targets], axis=1).astype(float)
    assert SMALL.scores(task, logits, rows)["macro_f1"] == 1
    logits[:, :2] = logits[:, 1::-1]  # polynomial, the other way around
    assert SMALL.scores(task, logits, rows)["f1_polynomial"] == 0
    assert f1(np.array([1, 1, 0, 0]) > 0, np.array([1, 0, 1, 1]) > 0) == 0.4


def test_rules_guess_the_next_term_modulo_m_and_by_size():
    rule = guesses.RULES.index
    cases = [
        ([1, 1, 2, 3, 5, 8, 13, 21], 7, "fitted, order 2", 34 % 7, 4),
        ([n * n % 13 for n in range(9)], 13, "difference 3 is 0", 81 % 13, 6),
        ([5, 0, 2] * 4, 6, "repeats after 3", 5, 9),
        ([5**n % 12 for n in range(8)], 12, "fitted, order 1", 1, 6),  # 5 is a unit modulo 12
        ([7, 7], 5, "repeats after 1", 2, 1),
        ([7, 7], 5, "difference 2 is 0", 2, 0),
    ]
    guess, tests = guesses.modulo([terms for terms, *_ in cases], [m for _, m, *_ in cases])
    for i, (terms, m, name, following, tested) in enumerate(cases):
        assert (guess[i, rule(name)], tests[i, rule(name)]) == (following, tested), (terms, m, name)
    assert guess[-1, rule("difference 3 is 0")] == guesses.NONE  # two terms are too few
    guess, tests = guesses.size([[-(3**n) for n in range(9)], [4] * 5])
    assert guess[0, rule("fitted, order 1")] == guesses.size_of(-(3**9))
    assert (guess[1, rule("repeats after 1")], tests[1, rule("repeats after 1")]) == (guesses.size_of(4), 4)
    for x in (0, 1, -1, 2, 3, -4, 1000, 2**63, -(10**30)):
        low, high = guesses.window(guesses.size_of(x))
        assert low <= x <= high, x
    assert guesses.window(guesses.size_of(-4)) == (-7, -4)


def test_every_target_is_answered_by_its_sequences():
    config = Sequences(n=240, largest_modulus=7, validation=0.2, seed=1)
    drawn = draw(config)
    for name in GOALS:
        task = config.model_copy(update={"target": name}).build()
        sizes = config.model_copy(update={"target": name}).sizes
        assert task.tokens.shape[:2] == (240, sizes.n_ctx), name
        assert (task.d_vocab, task.d_vocab_out, len(task.targets)) == (sizes.d_vocab, sizes.d_vocab_out, sizes.targets)
        assert int(task.tokens.max()) < task.d_vocab == len(task.token_names)
        assert int(task.val_mask.sum()) == 36
        assert not (task.val_mask & ~task.train_mask).any()
    whole = config.encode([each.rule.terms for each in drawn])
    built = {name: config.model_copy(update={"target": name}).build() for name in GOALS}
    first = built["similarity"].tokens[:, : config.longest].numpy()
    assert (first == whole[:, :-1]).all()
    assert 0.4 < built["similarity"].labels.double().mean() < 0.75
    follows = (built["next"].tokens.numpy() == whole).all((1, 2))
    assert (follows == built["next"].labels.numpy().astype(bool)).all()
    hidden = built["unmasking"].tokens.numpy()
    assert ((hidden != whole).any(2).sum(1) == 1).all()
    moduli = {target.name: target.labels for target in built["unmasking"].targets}
    where = (hidden != whole).any(2).argmax(1)
    for i in (0, 100, 239):
        assert moduli["mod 7"][i] == drawn[i].rule.terms[where[i]] % 7
    continued, place = built["continuation"], guess_blocks(7)["place"].start
    for i in range(240):
        q, last = int(continued.tokens[i, -1, 1]) - place, drawn[i].rule.terms[-1]
        assert continued.labels[i] == (last % q if q else 7 + guesses.size_of(last))


def test_families_that_validate_are_neither_trained_on_nor_tested():
    config = Sequences(n=1200, validation=0.2, seed=3)
    drawn = draw(config)
    of = [{(each.kind, each.family) for each in drawn[begin:end]} for begin, end in config.parts]
    assert not (of[0] & of[1] | of[0] & of[2] | of[1] & of[2])
    assert all({kind for kind, _ in families} == set(grammar.FORMS) for families in of)


def test_named_sequences():
    known = named()
    assert len(known) >= 40
    assert known["Fibonacci numbers"].terms[-1] == 7778742049
    assert known["Bell numbers"].terms[:8] == (1, 1, 2, 5, 15, 52, 203, 877)
    assert known["digits of π"].terms[:8] == (3, 1, 4, 1, 5, 9, 2, 6)
    assert known["Golomb's sequence"].terms[:12] == (1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 5, 6)
    assert known["primes"].kinds == {"prime", "increasing", "unique"}
    assert known["round(10 sin n)"].kinds == {"trigonometric", "bounded"}
    assert known["period 3: 0, 1, 2"].kinds == {"periodic", "modulo", "bounded"}
    assert labels(["primes"]).tolist() == [[kind in known["primes"].kinds for kind in KINDS]]
    assert known_kinds(known["primes"].terms[:14]) == known["primes"].kinds
    assert known_kinds([1, 2, 3, 4, 5]) == frozenset()


def test_what_is_typed(one_sentence):
    assert parse("1, −2;3\n+4  5 ...") == ((1, -2, 3, 4, 5), "1, −2, 3, +4, 5", 5)
    columns = "# A000290\n" + "\n".join(f"{n} {n * n}" for n in range(1, 9))  # a b-file
    for text, terms in {
        columns: [1, 4, 9, 16, 25, 36, 49, 64],
        columns.replace("3 9", "5 9"): [1, 1, 2, 4, 5, 9, 4, 16, 5, 25, 6, 36, 7, 49, 8, 64],
        "[1, 2,\n\t3, –4, 5, …]": [1, 2, 3, -4, 5],
        "100,200,300,400,500": [100, 200, 300, 400, 500],
    }.items():
        assert list(parse(text).terms) == terms, text
    many = parse(" ".join(map(str, range(10_000))))
    assert (many.terms, many.given) == (tuple(range(50)), 10_000)
    begin = time.process_time()
    large = parse(" ".join(["9" * 10_000] * 50)).terms
    tokens = Sequences().encode([large])
    assert time.process_time() - begin < 1
    assert large[0] == 10**10_000 - 1
    seven = Sequences().encoding.blocks["mod 7"].start
    assert tokens[0, 0, 3 + 5] - seven == (pow(10, 10_000, 7) - 1) % 7
    assert [spelled(large[0]), spelled(-12), spelled(-(10**15))] == ["9.999e9999", "−12", "−1.000e15"]
    for text, words in {
        "1 2 3 4": ("terms", "at least 5", "4"),
        "": ("got 0",),
        "one 2 3 4 5": ("integers", "'one'"),
        "1/2 1 1 1 1": ("'1/2'",),
        "0.5 1 2 3 4": ("'0.5'",),
        "1 2 3 4 --5": ("'--5'",),
        "1,000 2,000 3,000 4,000 5,000": ("thousands separators", "'1,000'"),
        "1 2\n2 3\n3 5": ("at least 5", "3"),
        "1 2 3 4 " + "9" * 10_001: ("10,000", "10,001"),
    }.items():
        with one_sentence(*words):
            parse(text)


def test_terms_given_to_the_library_are_integers(one_sentence):
    check_terms((10**10_000, -3, np.int64(0)), fewest=3)
    for terms, words in {
        (): ("at least 1 integer", "0"),
        (1, 2.5): ("'2.5'",),
        ("one",): ("'one'",),
        (True,): ("'True'",),
    }.items():
        with one_sentence("terms", *words):
            check_terms(terms)
    for use in (lambda terms: SMALL.encode([terms]), recurrences.shortest):
        with one_sentence("terms", "0"):
            use(())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"largest_modulus": 1}, ("largest_modulus", "at least 2", "1")),
        ({"longest": 60}, ("longest", "50", "60")),
        ({"shortest": 30}, ("longest", "30", "24")),
        ({"validation": 1.0}, ("validation", "1")),
        ({"target": "kind"}, ("target", "kind")),
        ({"n": 100, "train_fraction": 0.99}, ("train_fraction", "0.99")),
    ],
)
def test_invalid_options(changes, words, one_sentence):
    with one_sentence(*words):
        Sequences(**changes)
