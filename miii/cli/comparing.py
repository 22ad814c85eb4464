"""The command ``compare``."""

import json
from dataclasses import dataclass
from typing import Annotated

import tyro

from miii import reports, runs
from miii.analysis import compare
from miii.cli.printing import Json, parts

RunNames = Annotated[
    tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(help="names or folders of runs on one task, split and budget")
]


@dataclass(frozen=True)
class Compare:
    """Compare when runs learned their task, and what their networks compute."""

    runs: RunNames
    summary: Annotated[bool, tyro.conf.arg(help="one row per architecture, over its seeds")] = False
    json: Json = False


def run_compare(args: Compare) -> int:
    """Print the table.

    Raises:
        InputError: the runs do not share task, split and budget, or one cannot be compared.
    """
    found = []
    opened = [runs.open(name) for name in args.runs]
    compare.check_terms([(run.name, compare.terms(run.config)) for run in opened])  # before the costly part
    with parts("compare") as progress:
        for done, run in enumerate(opened):
            progress(done, len(opened), run.name)
            found.append(reports.measure(run))
        progress(len(opened), len(opened), "done")
    frame = compare.table(found)
    frame = compare.summary(frame) if args.summary else frame
    plain = frame.astype(object).where(frame.notna(), None)
    if args.json:
        print(json.dumps(plain.to_dict("records")))
    else:
        if "sieve_depth" in plain:  # the milestone on primes is sieving
            plain = plain.rename(columns=lambda name: name.replace("grokked", "sieved").replace("to_grok", "to_sieve"))
        print(plain.fillna("-").to_string(index=False, float_format="{:.4g}".format))
    return 0
