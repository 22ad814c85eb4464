"""The share of random mutants of miii that the tests kill.

A mutant is one small change of one line, made by an operator of cosmic-ray. It is killed when one of the tests that
run that line fails. Which tests those are is read from a coverage file with contexts::

    pytest -m "not slow and not browser" --cov=miii --cov-branch --cov-context=test
    python -m benchmarks.mutants --coverage .coverage --mutants 200 --seed 0

The tree is copied first: the checkout itself is never changed. Each mutant is tested in a fork of a process that has
imported everything heavy but miii.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from coverage import CoverageData

ROOT = Path(__file__).resolve().parents[1]
MOST_TESTS = 40  # that are tried on one mutant, those that run the fewest lines first
TIMEOUT = 240  # seconds for one mutant; more counts as killed, as the tests hang
REPLACED = ("Add_Sub", "Sub_Add", "Mul_Add", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul")
COMPARED = ("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Is_IsNot", "IsNot_Is")
OPERATORS = (
    *(f"core/ReplaceBinaryOperator_{name}" for name in REPLACED),
    *(f"core/ReplaceComparisonOperator_{name}" for name in COMPARED),
    *("core/ReplaceUnaryOperator_Delete_USub", "core/ReplaceUnaryOperator_Delete_Not", "core/AddNot"),
    *("core/ReplaceTrueWithFalse", "core/ReplaceFalseWithTrue", "core/ReplaceAndWithOr", "core/ReplaceOrWithAnd"),
    *("core/ReplaceBreakWithContinue", "core/ReplaceContinueWithBreak", "core/NumberReplacer"),
    "core/ZeroIterationForLoop",
)


def positions(tree: Path) -> list[tuple[str, str, int, int]]:
    """Return every mutant of ``miii`` below ``tree``: file, operator, occurrence and line."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import get_ast
    from cosmic_ray.mutating import Visitor

    class Finder(Visitor):
        def __init__(self, operator):
            self.operator, self.lines = operator, []

        def visit(self, node):
            self.lines += [start[0] for start, _ in self.operator.mutation_positions(node)]
            return node

    found = []
    for path in sorted((tree / "miii").rglob("*.py")):
        parsed = get_ast(path.read_text())
        for name in OPERATORS:
            finder = Finder(plugins.get_operator(name)())
            finder.walk(parsed)
            step = 2 if name == "core/NumberReplacer" else 1  # n + 1 and n - 1 of each number: one is enough
            each = list(enumerate(finder.lines))[::step]
            found += [(str(path.relative_to(tree)), name, i, line) for i, line in each]
    return found


def tests_of(data: CoverageData, tree: Path, file: str, line: int, sizes: Counter[str]) -> list[str]:
    """Return the tests that run a line, those that run the fewest lines first; of a line run at import, the file's."""
    measured = next((name for name in data.measured_files() if name.endswith("/" + file)), None)
    by_line = data.contexts_by_lineno(measured) if measured else {}
    names = {name.split("|")[0] for name in by_line.get(line, ()) if name}
    if not names:
        names = {name.split("|")[0] for each in by_line.values() for name in each if name}
    return sorted(names, key=lambda name: (sizes[name], name))[:MOST_TESTS]


def killed(tree: Path, tests: list[str]) -> str:
    """Run tests in a fork and return "killed", "survived", "timeout", or "broken" if pytest found none of them."""
    child = os.fork()
    if not child:
        os.setsid()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.chdir(tree)
        sys.path.insert(0, str(tree))
        os.environ["PYTHONPATH"] = str(tree)
        import pytest

        ignored = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # plugins that are imported before the fork
        options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-p", "no:cov", "--no-header", "-o", "addopts="]
        os._exit(int(pytest.main([*ignored, *options, *tests])))
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return "survived" if code == 0 else "broken" if code in (4, 5) else "killed"
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def main() -> None:
    """Print a line for each mutant, and the share that is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coverage", type=Path, required=True, help="a coverage file with a context for each test")
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout whose tests are judged")
    parser.add_argument("--mutants", type=int, default=200, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="draws them")
    parser.add_argument("--out", type=Path, default=Path("mutants.jsonl"), help="a line for each; resumed if present")
    chosen = parser.parse_args()
    from cosmic_ray import plugins
    from cosmic_ray.mutating import mutate_code

    for heavy in ("torch", "pytest", "streamlit", "altair", "pandas", "sklearn.metrics", "scipy.stats", "sympy"):
        __import__(heavy)
    __import__("streamlit.testing.v1")
    data = CoverageData(str(chosen.coverage))
    data.read()
    sizes: Counter[str] = Counter()
    for file in data.measured_files():
        for each in data.contexts_by_lineno(file).values():
            sizes.update(name.split("|")[0] for name in each)
    everything = positions(chosen.tree)
    drawn = random.Random(chosen.seed).sample(everything, chosen.mutants)
    done = chosen.out.read_text().splitlines() if chosen.out.exists() else []
    place = tempfile.mkdtemp()  # a TemporaryDirectory would be deleted at the exit of any process that a test forks
    with chosen.out.open("a") as out:
        tree = Path(place) / "tree"
        ignored = shutil.ignore_patterns(".git", "__pycache__", "*.egg-info")
        shutil.copytree(chosen.tree, tree, ignore=ignored)
        control = killed(tree, sorted(filter(None, sizes))[:MOST_TESTS])
        if control != "survived":
            raise SystemExit(f"tests must pass without a mutation (they were {control}).")
        for file, name, i, line in drawn[len(done) :]:
            path = tree / file
            source = path.read_text()
            tests = tests_of(data, tree, file, line, sizes)
            begun = time.monotonic()
            path.write_text(mutate_code(source, plugins.get_operator(name)(), i))
            result = killed(tree, tests) if tests else "untested"
            path.write_text(source)
            told = {"file": file, "line": line, "operator": name, "occurrence": i, "result": result}
            told |= {"tests": len(tests), "seconds": round(time.monotonic() - begun, 1), "of": len(everything)}
            out.write(json.dumps(told) + "\n")
            out.flush()
    shutil.rmtree(place)
    results = Counter(json.loads(line)["result"] for line in chosen.out.read_text().splitlines())
    gone = results["killed"] + results["timeout"]
    print(f"{gone} of {chosen.mutants} mutants killed; {dict(results)}")


if __name__ == "__main__":
    main()
