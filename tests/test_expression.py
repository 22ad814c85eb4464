"""Typed formulas: against Python's own arithmetic, and against those who would have them do something else."""

import itertools
import random
import time

import numpy as np
import pytest

import miii
from miii import grammar
from miii.expression import CASES, EXAMPLE, MISSING, in_words, parse

GOOD = {
    "a + b": lambda a, b, p: a + b,
    "a - b": lambda a, b, p: a - b,
    EXAMPLE: lambda a, b, p: a * b + 3 * a,
    "-a**2 + b": lambda a, b, p: -(a**2) + b,
    "(-a)**3 * +b": lambda a, b, p: (-a) ** 3 * b,
    "a*b % p + 2": lambda a, b, p: a * b % p + 2,
    "a*p + b": lambda a, b, p: b,
    "a - (b - 999999)": lambda a, b, p: a - (b - 999_999),
    "2**10*a + b**0": lambda a, b, p: 1024 * a + 1,
    "(a + b)**1000": lambda a, b, p: pow(a + b, 1000, p),
    "((a**10)**10)**10": lambda a, b, p: pow(a, 1000, p),
    "  a+ b ": lambda a, b, p: a + b,
    "b**(p-2) + a": lambda a, b, p: pow(b, p - 2, p) + a,
    "a if a < b <= a + 3 or not (b % 2 and a != 1) else a*b": lambda a, b, p: (
        a if a < b <= a + 3 or not (b % 2 and a != 1) else a * b
    ),
    "(b if a + b >= p else 2) + (a - b) % p": lambda a, b, p: (b if a + b >= p else 2) + a - b,
    "a if (a - b) % p % 3 == 1 else b if a**(p-2) % p == 1 else 2": lambda a, b, p: (
        a if (a - b) % p % 3 == 1 else b if pow(a, p - 2, p) == 1 else 2
    ),
}


def test_the_table_is_python_s_own():
    for p, text in itertools.product([7, 12, 59], GOOD):
        expected = [[GOOD[text](a, b, p) % p for b in range(p)] for a in range(p)]
        assert parse(text).table(p).tolist() == expected


def test_the_largest_p_does_not_overflow():
    p = 1024
    n = [(a, b) for a in (0, 1, 2, 511, 1023) for b in (0, 1, 3, 1022, 1023)]
    values = parse("(a*b - 1000000)**1000 * b**999 * 999999").table(p)
    assert values.dtype == np.int64
    assert [int(values[a, b]) for a, b in n] == [
        pow(a * b - 10**6, 1000, p) * pow(b, 999, p) * 999_999 % p for a, b in n
    ]


def test_division_is_by_the_inverse():
    for p in [7, 59]:
        values = parse("(a + 3*b) / (a**2 + 1) / 2").table(p)  # -1 is no square modulo 7 and 59
        for a in range(p):
            for b in range(p):
                assert values[a, b] * (a * a + 1) * 2 % p == (a + 3 * b) % p


def test_where_leaves_pairs_out():
    for text, kept, value in [
        ("a / b where b != 0", lambda a, b: b != 0, lambda a, b: a * pow(b, 5, 7)),
        ("1/b + a where b", lambda a, b: b != 0, lambda a, b: pow(b, 5, 7) + a),
        ("a/b if b % 2 else a - b", lambda a, b: True, lambda a, b: a * pow(b, 5, 7) if b % 2 else a - b),
        ("a/b if b % 2 else b/a where a > 0 and a != b", lambda a, b: a not in (0, b), None),
        ("a + 2*b where a + b < p", lambda a, b: a + b < 7, lambda a, b: a + 2 * b),
    ]:
        found, values = parse(text), parse(text).table(7)
        for a, b in itertools.product(range(7), repeat=2):
            assert found.kept(7)[a, b] == (values[a, b] != MISSING) == kept(a, b)
            if kept(a, b):
                times = pow(b if b % 2 else a, 5, 7) * (a if b % 2 else b)
                assert values[a, b] == (value(a, b) if value else times) % 7


def test_a_sum_is_recognised_where_it_is_defined():
    for text, found in [
        ("3*a - b where b != 0", (3, -1, 0)),
        ("a + b + 2 where a != b", (1, 1, 2)),
        ("a/b where b != 0", None),
        ("a + b where a == 3", None),  # no two pairs tell alpha
        ("a + b if a != 2 else 5 where a != 2", (1, 1, 0)),
    ]:
        assert parse(text).linear(7) == found


def test_a_mask_that_is_none_is_one_sentence(one_sentence):
    for text, words in [
        ("a where b where a", ["where at most once", "a / b where b != 0"]),
        ("where b != 0", ["a formula such as", "a / b if b % 2"]),
        ("a + b where a > p", ["keep a pair modulo 7"]),
        ("a + b where a == 1 and b == 2", ["depend on a or b"]),
        ("a + b where a / b == 1", ["no / in a condition", "'a / b'"]),
        ("a + b where a % b == 1", ["p or a whole number from 1 to 1024 behind %", "'a % b'"]),
        ("a + b where a % 0 == 1", ["from 1 to 1024 behind %"]),
        ("a + b where a**99 == 1", ["below 2**62", "% p", "77 digits"]),
        ("a + (b == 1)", ["conditions only after if or where", "'b == 1'"]),
        ("a**(p - 9) + b", ["exponents of at least 0", "p - 9 at p = 7"]),
        ("a + b where a is b", ["made of a, b, p", "'is'"]),
    ]:
        with one_sentence("expression must ", *words):
            parse(text).table(7)


def test_a_divisor_without_an_inverse_is_one_sentence(one_sentence):
    for text, p, words in [
        ("a / b", 59, ["inverse modulo 59", "as in a / b where b != 0", "divisor 0 at a = 0, b = 0"]),
        ("a / b where b != 0", 12, ["such as 5, or have a prime p", "divisor 2 at a = 0, b = 2"]),
        ("a / b where a != 0", 7, ["divisor 0 at a = 1, b = 0"]),
        ("a / b if b % 2 else b / a", 7, ["divisor 0 at a = 0, b = 0"]),
        ("b / (a - 5)", 59, ["divisor 0 at a = 5, b = 0"]),
        ("a / p", 59, ["divisor 0"]),
        ("a / 6", 9, ["inverse modulo 9", "divisor 6"]),
        ("b / (2*a + 4)", 12, ["such as 5", "divisor 4 at a = 0, b = 0"]),
    ]:
        with one_sentence("expression must divide by", *words):
            parse(text).table(p)


def test_a_constant_is_one_sentence(one_sentence):
    for text, p in [("3", 7), ("a - a", 7), ("7*a", 7), ("a*a + a", 2), ("(a**6)**0", 7), ("p", 5)]:
        with one_sentence(f"expression must depend on a or b modulo {p}", "a + b", repr(text)):
            parse(text).table(p)
        with one_sentence("depend"):
            parse(text).linear(p)


def test_another_p_is_one_sentence(one_sentence):
    for p in [-1, 0, 1, 1025]:
        with one_sentence("p must be at least 2 and at most 1024", str(p)):
            parse("a + b").table(p)


def test_a_modular_sum_is_recognised():
    for text, p, found in [
        ("a + b", 7, (1, 1, 0)),
        ("a - b - 1", 7, (1, -1, 6)),
        ("2*(a + b) - a", 7, (1, 2, 0)),
        ("5*a + 6*b", 7, (-2, -1, 0)),
        ("6*a + b", 12, (6, 1, 0)),
        ("b", 7, (0, 1, 0)),
        ("a**7 + b", 7, (1, 1, 0)),  # Fermat
        ("a**2 + b", 7, None),
        ("a**2 + b", 2, (1, 1, 0)),
        ("a*b", 7, None),
        ("a + b + a*b*(a - 1)*(b - 1)", 2, (1, 1, 0)),  # the same at every pair
        ("a + b + a*b*(a - 1)*(b - 1)", 3, None),
    ]:
        assert parse(text).linear(p) == found
        if found is not None:
            alpha, beta, gamma = found
            n = np.arange(p)
            assert np.array_equal((alpha * n[:, None] + beta * n + gamma) % p, parse(text).table(p))


def test_a_sum_in_words():
    for multipliers, words in [
        ((1, 1), "a + b"),
        ((1, -1), "a - b"),
        ((-2, 3), "-2a + 3b"),
        ((0, 1), "b"),
        ((0, -1, 5), "-b + 5"),
        ((3, -1, 7), "3a - b + 7"),
        ((0, 0), "0"),
    ]:
        assert in_words(*multipliers) == words


def test_sympy_s_formula_is_the_same_and_not_evaluated():
    for text in [*GOOD, "a/2 + b/(3*a)"]:
        import sympy

        formula, p = parse(text).sympy(), 59
        assert {str(symbol) for symbol in formula.free_symbols} <= {"a", "b", "p"}
        assert "\n" not in parse(text).latex()
        if any(word in text for word in ("/", "1000", "**10)", "if", "p-2")):
            continue
        values = parse(text).table(p)
        at = {str(symbol): symbol for symbol in formula.free_symbols}
        for a, b in ((0, 0), (1, 2), (58, 30)):
            given = {at[name]: value for name, value in {"a": a, "b": b, "p": p}.items() if name in at}
            assert sympy.Integer(formula.subs(given)) % p == values[a, b]


def test_latex_is_what_was_typed():
    for text, latex in [
        (EXAMPLE, r"\left(a b + 3 a\right) \bmod p"),
        ("a - b/2", r"\left(a - \frac{b}{2}\right) \bmod p"),
        ("(a - b)*(a + b)", r"\left(a - b\right) \left(a + b\right) \bmod p"),
        ("-a**2", r"- a^{2} \bmod p"),
        ("a / b where not b == 0", r"\frac{a}{b} \bmod p \quad \text{where}\ b \neq 0"),
        (
            CASES,
            r"\left(\begin{cases} \frac{a}{b} & \text{for}\: b \bmod 2 \neq 0 \\a - b & \text{otherwise} "
            r"\end{cases}\right) \bmod p",
        ),
    ]:
        assert parse(text).latex() == latex


def test_an_expression_is_a_value():
    assert parse("a + b") == parse("a + b")
    assert hash(parse("a + b")) == hash(parse("a + b"))
    with pytest.raises(AttributeError):
        parse("a + b").text = "a"  # type: ignore[misc]


# ---- hostile ----

HOSTILE = [
    *("__import__('os').system('true')", "().__class__.__base__.__subclasses__()", "a.__class__", "a.real"),
    *("(lambda: a)()", "lambda a: a", "print(a)", "exit()", "a(b)", "(a)(b)", "2(a)", "2a", "ab"),
    *("[a for a in b]", "{a for a in b}", "{a: b}", "[a][0]", "a[0]", "(a, b)", "*a", "(x := a)", "(a := 1)"),
    *("a = b", "a; b", "a if b", "a and b", "not a", "a < b", "a == b", "~a", "a @ b", "a // b"),
    *("a << b", "a | b", "a ^ b", "await a", "yield a", "'a'", "f'{a}'", "b'a'", '"""a"""', "...", "True"),
    *("None + a", "nan", "inf", "1e999", "1.5*a", "1j*a", "0b11*a", "0x1f*a", "1_0*a", "007*a", "9**9**9**9"),
    *("a**9**9", "((a**999)**999)**999", "a**1001", "a**-1", "a**b", "a**p", "a**(1 + 1)", "a % 3", "a % b"),
    *("a % (p*p)", "a % -p", "9" * 100 + "*a", "1000001*a", "9" * 5000, "a" + "+a" * 10**6, "(" * 150 + "a"),
    *("-" * 199 + "a", "a" + "-a" * 99, "(" + "-" * 190 + "a)(b)", "a % " + "-" * 190 + "a"),
    *("a**" + "-" * 190 + "2", "a\x00b", "\x00", "a\nb", "a + \\\n b", "a\t+ b", "a # b", "a +", "a b", "()"),
    *("", "   ", "а + b", "ａ + b", "a + ２", "a × b", "a − b", "a\u2028+ b", "a\ufeff+ b", "\ud800", "𝒂 + b"),
    *("{0.__class__}", "`a`", "$a", "!a"),
]


def test_a_hostile_text_is_one_sentence(one_sentence):
    for text in HOSTILE:
        begin = time.process_time()
        with one_sentence("expression must"):
            parse(text)
        assert time.process_time() - begin < 0.5


def test_nothing_is_ever_run(monkeypatch):
    """Not even a good formula reaches what could run it; nor does SymPy read text."""
    import builtins

    import sympy

    def never(*_: object, **__: object) -> None:
        raise AssertionError("run")

    compiled = builtins.compile

    def parses_alone(*args: object, **options: object) -> object:
        assert args[3] & 0x400  # ast.PyCF_ONLY_AST
        return compiled(*args, **options)

    monkeypatch.setattr(builtins, "eval", never)
    monkeypatch.setattr(builtins, "exec", never)
    monkeypatch.setattr(builtins, "compile", parses_alone)
    monkeypatch.setattr(sympy, "sympify", never)
    monkeypatch.setattr(sympy, "parse_expr", never)
    for text in [*GOOD, *HOSTILE]:
        try:
            found = parse(text)
        except miii.InputError:
            continue
        found.table(59)
        found.latex()


PARTS = ["a", "b", "p", "0", "1", "2", "59", "999", "1000000", *"+-*/%()", "**", " ", "% p", "**2", "(a + b)", "-("]
PARTS += [" where ", " if ", " else ", " and ", " not ", "=", "<", "!", " if a < b else "]
ODD = [*"xeEjJ_.,;:=<>!@#$^&|~`'\"\\[]{}", "\n", "\x00", "lambda ", "__", "if ", "é", "²", "٣", "ａ", "𝟚", "\ud800"]


def garbage(draw: random.Random) -> str:
    parts = PARTS + ODD if draw.random() < 0.3 else PARTS
    return "".join(draw.choice(parts) for _ in range(draw.choice([1, 3, 6, 12, 30, 80])))


def grown(draw: random.Random, depth: int = 0) -> str:
    """A formula by the rules; its divisors may be zero, and it may be too long or too deep."""
    if depth > draw.choice([1, 2, 4, 8]):
        return draw.choice(["a", "b", "p", str(draw.randrange(2000))])
    left, right = grown(draw, depth + 1), grown(draw, depth + 1)
    return draw.choice(
        [
            f"({left} + {right})",
            f"{left} - {right}",
            f"{left}*({right})",
            f"({left})/({right})",
            f"({left})**{draw.randrange(1100)}",
            f"-{left}",
            f"({left}) % p",
            f"({left} if {right} % {draw.randrange(1, 9)} {draw.choice(['<', '==', '!=', '>='])} a else b)",
        ]
    )


def test_garbage_is_a_formula_or_one_sentence():
    for make, seed in itertools.product([garbage, grown], range(5)):
        draw, formulas, said = random.Random(seed), 0, []
        for _ in range(400):
            text = make(draw)
            begin = time.perf_counter()
            try:
                found = parse(text)
                formulas += 1
                assert found.table(59).shape == (59, 59)
                assert formulas % 10 or "bmod p" in found.latex()
                assert found.linear(59) is None or len(found.linear(59)) == 3
            except miii.InputError as error:
                said.append(str(error))
            assert time.perf_counter() - begin < 1, text
        assert formulas > 5
        assert all(sentence.startswith("expression must ") and sentence.endswith(").") for sentence in said)


def test_the_deepest_formula_can_still_be_shown():
    deep = "(b-" * grammar.DEPTH + "a" + ")" * grammar.DEPTH
    with pytest.raises(miii.InputError, match=f"at most {grammar.DEPTH} operations"):
        parse(f"b-{deep}")
    assert parse(deep).latex().count("b -") == grammar.DEPTH
    assert parse(deep).linear(59) == (1, 0, 0)
