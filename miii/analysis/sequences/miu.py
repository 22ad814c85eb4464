"""Derivations in Hofstadter's MIU system, step by step."""

from collections import deque

from miii.errors import InputError
from miii.tasks.miu import Step, is_theorem, rewrites

AXIOM = "MI"
RULES = {  #: description of each rule
    "axiom": "MI is given",
    "I": "xI becomes xIU",
    "II": "Mx becomes Mxx",
    "III": "III becomes U",
    "IV": "UU is dropped",
}


def shortest(string: str, limit: int = 20_000) -> tuple[Step, ...] | None:
    """Return the shortest derivation through strings of up to 2 l + 1 symbols, for a string of l symbols.

    Args:
        limit: number of strings to search; returns None if that is too few or there is no derivation.

    Raises:
        InputError: the string is not M followed by I and U.

    Source: breadth-first search over the rules of Hofstadter 1979, chapter I.
    """
    _check(string)
    longest = max(2 * len(string) + 1, len(AXIOM))
    came: dict[str, tuple[str, Step]] = {AXIOM: ("", Step("axiom", AXIOM))}
    waiting = deque([AXIOM])
    while waiting and string not in came and len(came) < limit:
        before = waiting.popleft()
        for step in rewrites(before):
            if len(step.string) <= longest and step.string not in came:
                came[step.string] = (before, step)
                waiting.append(step.string)
    if string not in came:
        return None
    path = []
    while string:
        string, step = came[string]
        path.append(step)
    return tuple(reversed(path))


def derivation(string: str) -> tuple[Step, ...]:
    """Return a derivation of any theorem without search: double the I's until there are enough, then fold them.

    Every U of the string counts as three I's. Doubling MI gives powers of 2, and one of two consecutive powers has the
    required residue modulo 3. The surplus is folded to an even number of U's and dropped.

    Raises:
        InputError: the string is not a theorem.

    Source: the proof that the count of I's decides, Hofstadter 1979, chapter IX.
    """
    _check(string)
    if not is_theorem(string):
        raise InputError(f"string must have a number of I's that 3 does not divide (got {string!r}).")
    steps = [Step("axiom", AXIOM)]
    body = string[1:]
    wanted, have = body.count("I") + 3 * body.count("U"), 1
    while have < wanted or (have - wanted) % 3:
        have *= 2
        steps.append(Step("II", "M" + "I" * have))
    folds = (have - wanted) // 3
    tail = ""
    if folds % 2:
        tail = "U"
        steps.append(Step("I", f"M{'I' * have}U"))
    for _ in range(folds):
        have, tail = have - 3, tail + "U"
        steps.append(Step("III", f"M{'I' * have}{tail}"))
    while tail:
        tail = tail[2:]
        steps.append(Step("IV", f"M{'I' * have}{tail}"))
    for i, letter in enumerate(body):
        if letter == "U":
            folded = body[: i + 1]
            steps.append(Step("III", f"M{folded}{'I' * (wanted - folded.count('I') - 3 * folded.count('U'))}"))
    return tuple(steps)


def _check(string: str) -> None:
    if string[:1] != "M" or not set(string[1:]) <= {"I", "U"}:
        raise InputError(f"string must be M followed by letters I and U only (got {string!r}).")
