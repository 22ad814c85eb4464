"""Derivations in MIU: each step is one of the rules, and each theorem has one."""

import itertools

from miii.analysis import miu
from miii.tasks.miu import Step, is_theorem, rewrites

SHORT = ["M" + "".join(letters) for length in range(7) for letters in itertools.product("IU", repeat=length)]


def follows(steps: tuple[Step, ...]) -> bool:
    """Whether every step is what its rule makes of the string before."""
    pairs = itertools.pairwise(steps)
    return steps[0] == Step("axiom", "MI") and all(after in rewrites(before.string) for before, after in pairs)


def test_the_rules_are_hofstadters():
    assert rewrites("MI") == [Step("I", "MIU"), Step("II", "MII")]
    assert rewrites("MIIIUU") == [
        Step("II", "MIIIUUIIIUU"),
        Step("III", "MUUU"),
        Step("IV", "MIII"),
    ]
    assert [step.string for step in rewrites("MUUU") if step.rule == "IV"] == ["MU", "MU"]


def test_a_theorem_is_derived_both_ways_and_nothing_else_is(one_sentence):
    for string in SHORT:
        if is_theorem(string):
            steps = miu.derivation(string)
            assert steps[-1].string == string
            assert follows(steps)
        else:
            with one_sentence("string", "I's", string):
                miu.derivation(string)


def test_a_shortest_derivation_follows_the_rules_and_is_no_longer_than_another():
    for string in ["MI", "MIU", "MUI", "MUIIU", "MIIII", "MUUIIU"]:
        steps = miu.shortest(string)
        assert steps is not None
        assert steps[-1].string == string
        assert follows(steps)
        assert len(steps) <= len(miu.derivation(string))


def test_a_shortest_derivation_is_the_shortest():
    assert miu.shortest("MI") == (Step("axiom", "MI"),)
    assert [step.string for step in miu.shortest("MUI") or ()] == ["MI", "MII", "MIIII", "MUI"]


def test_search_gives_up_at_its_bound_and_the_rule_does_not():
    string = "M" + "U" * 20 + "IIIII"
    assert miu.shortest(string, most=100) is None
    assert follows(miu.derivation(string))


def test_what_is_no_string_of_the_system_is_refused(one_sentence):
    for string in ["", "I", "MX", "Mi", "UMI", "M I"]:
        for ask in (miu.shortest, miu.derivation):
            with one_sentence("string", "M followed by", repr(string)):
                ask(string)
