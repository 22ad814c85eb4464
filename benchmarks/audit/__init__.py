"""Recompute the numbers of the paper page from the shipped weights, by a second and plain implementation.

    python -m benchmarks audit          a few minutes; exits with 1 if a number disagrees

Only configs, splits and weights come from miii; the forward pass, the measures and the labels are written here again,
in NumPy and SymPy. Nothing comes from ``miii.analysis``. Numbers that depend on random draws are drawn anew, so they
agree within a wider tolerance.
"""

from collections.abc import Callable, Iterator

from benchmarks.audit import addition, primes, sequences
from benchmarks.audit.claims import Claim
from benchmarks.table import Result, Row, log

PARTS: dict[str, Callable[[], Iterator[Claim]]] = {
    "add-113": addition.claims,
    "primes": primes.claims,
    "residues-113": sequences.residues,
    "miu-24": sequences.miu,
    "frames-10": sequences.frames,
}

#: Numbers of the page that are not recomputed, and why.
NOT_COVERED = {
    "training curves, steps until grokking, minutes": "they need the training itself",
    "circuits: edges, faithfulness": "a second edge patching is not written",
    "probes": "the best of many sites and positions; a second sweep is not written",
    "miu-24: explained, interchange, steering": "measured for primes by the same code",
    "confidence intervals": "the AUCs are recomputed, not their bootstrap",
    "sparse grid, architectures, experience": "no weights are shipped for most of them",
    "frames: AUC of labels from context": "a table over the training sequences",
    "residues: active frequencies before the last step": "no weights are shipped for these steps",
}


def run() -> Result:
    """Recompute every covered number; return a row for each, and one for each that is not covered."""
    rows, raw = [], []
    for name, claims in PARTS.items():
        log(f"audit: {name} ...")
        for claim in claims():
            rows.append(Row(claim.what, claim.text(), f"within {claim.tolerance:g}", claim.agrees))
            raw.append(vars(claim) | {"agrees": claim.agrees})
    rows += [Row(f"not covered: {what}", why) for what, why in NOT_COVERED.items()]
    return Result(rows, {"claims": raw, "not_covered": NOT_COVERED})
