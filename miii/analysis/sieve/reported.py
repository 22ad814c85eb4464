"""Read back what a run's saved report holds of its sieve, so that it need not be measured again."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from miii.analysis.sieve.baseline import Table
from miii.analysis.sieve.factors import LIMIT, Depth, Factor
from miii.analysis.sieve.lines import Lines
from miii.numbers import primes_below


def reported_depth(report: Mapping[str, Any] | None, step: int) -> Depth | None:
    """Return the depth of the sieve that a run's report holds for a step, or None."""
    if report is None or report.get("step") != step:
        return None
    numbers = ("roc_auc", "average_precision", "threshold", "f1", "recall_primes", "recall_composites")
    each = ("auc_by_factor", "auc_low_by_factor", "auc_high_by_factor", "composites_by_factor")
    known = {*map(str, primes_below(LIMIT))}
    try:
        if not known.issuperset(report["auc_by_factor"]):
            return None
        columns = [{int(q): value for q, value in report[name].items()} for name in each]
        auc, low, high, integers = ({q: float(column[q]) for q in columns[0]} for column in columns)
        return Depth(
            factors=tuple(Factor(q, auc[q], low[q], high[q], int(integers[q])) for q in auc),
            sieve_depth=int(report["sieve_depth"]),
            **{name: _number(report[name]) for name in numbers},
            oracles={int(q): float(value) for q, value in report["oracle_auc"].items()},
            oracles_and_base={int(q): float(value) for q, value in report["oracle_auc_and_base"].items()},
            primes=int(report["primes"]),
            composites=int(report["composites"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError):  # written by an earlier version, or by hand
        return None


def reported_baselines(
    report: Mapping[str, Any] | None, step: int
) -> tuple[Table | None, dict[int, dict[int, float]]] | None:
    """Return the results of ``count_table`` and ``auc_by_length`` that a run's report holds for a step, or None."""
    if report is None or report.get("step") != step:
        return None
    try:
        found, by_length = report["count_table"], report["auc_by_length"]
        table = found and Table(int(found["q"]), int(found["cells"]), _number(found["roc_auc"]))
        return table, {
            int(digits): {int(q): _number(auc) for q, auc in aucs.items()} for digits, aucs in by_length.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError):  # written by an earlier version, or by hand
        return None


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def reported_lines(report: Mapping[str, Any] | None, step: int, seen: Collection[int]) -> tuple[Lines, ...] | None:
    """Return the lines that a run's report holds for a step; None if it has none for exactly these primes.

    Args:
        seen: the sieved primes.
    """
    found = (report or {}).get("lines")
    if report is None or report.get("step") != step or not isinstance(found, dict) or set(found) != {*map(str, seen)}:
        return None
    try:
        return tuple(Lines.from_json(q, found[str(q)]) for q in sorted(seen))
    except (KeyError, TypeError, ValueError):  # written by an earlier version, or by hand
        return None
