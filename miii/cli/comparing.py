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
    """Put runs beside each other: how soon each learned its task, and what its network computes.

    Source: ``analysis.compare``.
    """

    runs: RunNames
    summary: Annotated[bool, tyro.conf.arg(help="one row an architecture, over its seeds, in place of one a run")] = (
        False
    )
    json: Json = False


def run_compare(chosen: Compare) -> int:
    """Print the table. Source: ``analysis.compare``.

    Raises:
        InputError: the runs do not share task, split and budget, or one cannot be compared.
    """
    found = []
    opened = [runs.open(name) for name in chosen.runs]
    compare.on_equal_terms([(run.name, compare.terms(run.config)) for run in opened])  # before minutes of measuring
    with parts("compare") as progress:
        for done, run in enumerate(opened):
            progress(done, len(opened), run.name)
            found.append(reports.measure(run))
        progress(len(opened), len(opened), "done")
    frame = compare.table(found)
    frame = compare.summary(frame) if chosen.summary else frame
    plain = frame.astype(object).where(frame.notna(), None)
    if chosen.json:
        print(json.dumps(plain.to_dict("records")))
    else:
        if "sieve_depth" in plain:  # on primes none groks
            plain = plain.rename(columns=lambda name: name.replace("grokked", "sieved").replace("to_grok", "to_sieve"))
        print(plain.fillna("-").to_string(index=False, float_format="{:.4g}".format))
    return 0
