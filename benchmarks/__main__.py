"""Run benchmarks and print one Markdown table: ``python -m benchmarks [NAME ...]``.

    python -m benchmarks                    all except reliability: 30 minutes, twice that on the first run (installs)
    python -m benchmarks step import        only these two
    python -m benchmarks reliability        two hours of kills, full disks and hostile input
    python -m benchmarks foreign FOLDER     what each file of weights below a folder is
    python -m benchmarks --json FILE        also write the raw numbers

Leave the machine otherwise idle. Progress goes to stderr, the table to stdout.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import (
    analysis,
    app,
    architectures,
    audit,
    bases,
    cost,
    ensemble,
    experience,
    foreign,
    gcd,
    grok,
    imports,
    landscapes,
    reliability,
    sequences,
    sieve,
    sparse,
    step,
    verdict,
)
from benchmarks.app import figures, hostile, sharing
from benchmarks.table import ROOT, Result, Row, Unavailable, log, machine, machine_row, markdown

SETS = (range(10), range(10, 50))  #: seeds used to choose the default recipe, and held-out seeds

BENCHMARKS: dict[str, Callable[[argparse.Namespace], Result]] = {
    "grok": lambda options: grok.run(_sets(options.seeds)),
    "step": lambda options: step.run(options.venv, options.repetitions, options.steps),
    "ensemble": lambda options: ensemble.run(),
    "import": lambda options: imports.run(),
    "analysis": lambda options: analysis.run(),
    "verdict": lambda options: verdict.run(_sets(options.seeds)),
    "controls": lambda options: verdict.controls(min(options.seeds or verdict.CONTROL_SEEDS, verdict.CONTROL_SEEDS)),
    "operations": lambda options: verdict.operations(min(options.seeds or 5, 5)),
    "bases": lambda options: bases.run(min(options.seeds or bases.SEEDS, bases.SEEDS)),
    "gcd": lambda options: gcd.run(min(options.seeds or gcd.SEEDS, gcd.SEEDS)),
    "sequences": lambda options: sequences.run(min(options.seeds or sequences.SEEDS, sequences.SEEDS)),
    "sieve": lambda options: sieve.run(min(options.seeds or 5, 5)),
    "sparse": lambda options: sparse.run(),
    "architectures": lambda options: architectures.run(min(options.seeds or 5, 5)),
    "spherical": lambda options: architectures.run(min(options.seeds or 5, 5), ("spherical",)),
    "primes-float32": lambda options: architectures.run(min(options.seeds or 2, 5), ("primes-float32",)),
    "audit": lambda options: audit.run(),
    "experience": lambda options: experience.run(min(options.seeds or experience.SEEDS, experience.SEEDS)),
    "trainability": lambda options: landscapes.run(),
    "app": lambda options: app.run(),
    "figures": lambda options: figures.run(),
    "sharing": lambda options: sharing.run(),
    "cost": lambda options: cost.run(),
    "hostile": lambda options: hostile.run(),
    "reliability": lambda options: reliability.run(options.minutes, options.short),
}
LONG = ("reliability", "spherical", "primes-float32")  #: run only if named


def _sets(seeds: int | None) -> tuple[range, ...]:
    return SETS if seeds is None else (range(seeds),)


def main() -> int:
    """Run the named benchmarks; return 0 if all goals were met, 1 if one was missed, 2 if one could not run."""
    if sys.argv[1:2] == ["foreign"]:
        return _foreign(sys.argv[2:])
    options = _options()
    facts = machine()
    rows, raw, ran = [machine_row(facts)], {"machine": facts}, True
    for name in options.names or [name for name in BENCHMARKS if name not in LONG]:
        log(f"{name} ...")
        try:
            result = BENCHMARKS[name](options)
        except Unavailable as reason:
            result, ran = Result([Row(name, f"could not run: {reason}")]), False
        rows += result.rows
        raw[name] = result.raw
    print(markdown(rows))
    if options.json:
        options.json.write_text(json.dumps({**raw, "rows": [vars(row) for row in rows]}, indent=1) + "\n")
    return 2 if not ran else int(any(row.met is False for row in rows))


def _foreign(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks foreign", description=foreign.__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a folder with files of weights, or one file")
    folder = parser.parse_args(arguments).folder
    if not folder.exists():
        parser.error(f"FOLDER must exist (got {str(folder)!r}).")
    return foreign.main(folder)


def _options() -> Any:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHMARKS)} (default: all but {', '.join(LONG)})"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the raw numbers there")
    parser.add_argument(
        "--seeds", type=_positive,
        help="grok, verdict: seeds 0 .. SEEDS - 1 alone (default: 0 to 9, and 10 to 49 as a second set)",
    )  # fmt: skip
    parser.add_argument("--repetitions", type=_positive, default=9, help="step: turns of each side (default: 9)")
    parser.add_argument("--minutes", type=_positive, default=120, help="reliability: how long (default: 120)")
    parser.add_argument("--short", action="store_true", help="reliability: a few of each, half a minute")
    parser.add_argument("--steps", type=_positive, default=20, help="step: steps a turn (default: 20)")
    parser.add_argument(
        "--venv", type=Path, default=ROOT / ".venv-transformer-lens", metavar="FOLDER",
        help="step: TransformerLens' own virtual environment, made there on first use (default: %(default)s)",
    )  # fmt: skip
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"NAME must be one of {', '.join(BENCHMARKS)} (got {unknown[0]!r}).")
    if options.json and not options.json.absolute().parent.is_dir():
        parser.error(f"--json must be a file in a folder that exists (got {str(options.json)!r}).")
    return options


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1 (got {value})")
    return value


if __name__ == "__main__":
    sys.exit(main())
