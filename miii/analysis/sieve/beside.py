"""What evidence is worth: that of held-out primes, and of composites by what gives them away."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

from miii.analysis.sieve import numbers
from miii.analysis.sieve.depth import FEWEST, best_threshold
from miii.model.transformer import Transformer
from miii.numbers import primes_below
from miii.tasks import Primes, Task

if TYPE_CHECKING:
    import pandas as pd

INTEGERS = 10_000  #: of each side that are run
LIMIT = 14  #: composites of smallest factors below it are shown by themselves
PARTS = {"low": 0.05, "first": 0.25, "median": 0.5, "third": 0.75, "high": 0.95}


@dataclass(frozen=True)
class Beside:
    """The evidence of held-out integers by their smallest prime factor, and where "prime" begins.

    ``table`` has a row for each ``kind``, primes first: ``low``, ``first``, ``median``, ``third`` and ``high`` are the
    quantiles at 5, 25, 50, 75 and 95 %, ``integers`` is how many there are; kinds of fewer than 20 are left out.

    Attributes:
        threshold: of the evidence, the one with the best F1 on the training integers that are run.
        wrong: the integers that are judged wrong by it.
    """

    table: "pd.DataFrame"
    threshold: float
    wrong: Int[np.ndarray, " integers"] = field(repr=False)

    def told(self, q: int) -> bool:
        """Whether hardly a composite of smallest factor q (5 %) has as much evidence as all but few primes (5 %)."""
        rows = {row["kind"]: row for row in self.table.to_dict("records")}
        composites, primes = rows.get(f"smallest factor {q}"), rows.get("primes")
        return composites is not None and primes is not None and composites["high"] < primes["low"]


def beside(model: Transformer, task: Task, config: Primes, seed: int = 0) -> Beside:
    """Judge up to 10,000 held-out integers, and as many of the training side for the threshold.

    Raises:
        InputError: a logit is not finite.
    """
    import pandas as pd

    test, train = (numbers.side(task, which, INTEGERS, seed) for which in (False, True))
    threshold = best_threshold(numbers.evidence(model, task.tokens[train]), task.labels.numpy()[train] == 1)
    n, spf = task.facts["n"].numpy()[test], task.facts["spf"].numpy()[test]
    evidence = numbers.evidence(model, task.tokens[test])
    prime = n == spf
    factors = primes_below(LIMIT)
    kinds = {"primes": prime}
    kinds |= {f"smallest factor {q}": ~prime & (spf == q) for q in factors}
    kinds["other composites"] = ~prime & ~np.isin(spf, factors)
    rows = [
        {"kind": kind, "integers": int(mask.sum())}
        | {part: float(np.quantile(evidence[mask], at)) for part, at in PARTS.items()}
        for kind, mask in kinds.items()
        if mask.sum() >= FEWEST
    ]
    columns = ["kind", "integers", *PARTS]
    return Beside(pd.DataFrame(rows, columns=columns), threshold, n[(evidence >= threshold) != prime])
