"""Derivations in MIU: each step is one of the rules, and each theorem has one."""

import itertools

from miii.analysis import miu
from miii.tasks.miu import Step, is_theorem, rewrites

SHORT = ["M" + "".join(letters) for length in range(7) for letters in itertools.product("IU", repeat=length)]


def follows(steps: tuple[Step, ...]) -> bool:
    """Whether every step is what its rule makes of the string before."""
    pairs = itertools.pairwise(steps)
    return steps[0] == Step("axiom", "MI") and all(after in rewrites(before.string) for before, after in pairs)


def test_rewriting_rules():
    assert rewrites("MI") == [Step("I", "MIU"), Step("II", "MII")]
    assert rewrites("MIIIUU") == [
        Step("II", "MIIIUUIIIUU"),
        Step("III", "MUUU"),
        Step("IV", "MIII"),
    ]
    assert [step.string for step in rewrites("MUUU") if step.rule == "IV"] == ["MU", "MU"]


def test_both_derivations_prove_exactly_the_theorems(one_sentence):
    for string in SHORT:
        if is_theorem(string):
            steps = miu.derivation(string)
            assert steps[-1].string == string
            assert follows(steps)
        else:
            with one_sentence("string", "I's", string):
                miu.derivation(string)


def test_derivations_follow_the_rules():
    for string in ["MI", "MIU", "MUI", "MUIIU", "MIIII", "MUUIIU"]:
        steps = miu.shortest(string)
        assert steps is not None
        assert steps[-1].string == string
        assert follows(steps)
        assert len(steps) <= len(miu.derivation(string))


def test_shortest_derivations():
    assert miu.shortest("MI") == (Step("axiom", "MI"),)
    assert [step.string for step in miu.shortest("MUI") or ()] == ["MI", "MII", "MIIII", "MUI"]


def test_search_stops_at_its_bound():
    string = "M" + "U" * 20 + "IIIII"
    assert miu.shortest(string, limit=100) is None
    assert follows(miu.derivation(string))


def test_invalid_string_is_an_error(one_sentence):
    for string in ["", "I", "MX", "Mi", "UMI", "M I"]:
        for ask in (miu.shortest, miu.derivation):
            with one_sentence("string", "M followed by", repr(string)):
                ask(string)
