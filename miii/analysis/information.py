"""Mutual information in bits: between digits, residues and the label (exact), and at the sites of a network.

The digits of an integer determine everything about it, and no later site can add to that. So the question at a site is
how much a simple reader finds: one that knows nothing but which of a few mean activations is nearest.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii import numbers
from miii.analysis.activations import collect
from miii.analysis.sieve.factors import draw_rows
from miii.errors import InputError
from miii.model.tap import sites
from miii.model.transformer import Transformer
from miii.tasks import Primes, Task
from miii.tasks.integers import residue_counts

if TYPE_CHECKING:
    import pandas as pd

INTEGERS = 6000  #: integers to run per split
SITES_READ = ("resid_mid", "mlp_post", "mlp_out", "resid_post")  #: of each block
MODULI = (3, 7, 11, 13)

Classes = Int[np.ndarray, " examples"]


def entropy(x: Classes) -> float:
    """Return the entropy of a discrete variable in bits, over its observed values.

    Source: Cover and Thomas 2006, equation 2.1.
    """
    share = np.unique(x, return_counts=True)[1] / len(x)
    return float(-(share * np.log2(share)).sum()) + 0.0


def mutual_information(x: Classes, y: Classes) -> float:
    """Return I(x; y) = H(x) + H(y) - H(x, y) in bits, over all examples as they are.

    Exact if the examples are the whole population. Of N drawn examples it is too large by ``bias`` on average.

    Source: Cover and Thomas 2006, equation 2.45.
    """
    return max(0.0, entropy(x) + entropy(y) - entropy(joint(x, y)))


def bias(x: Classes, y: Classes) -> float:
    """Return how much ``mutual_information`` of independent samples exceeds 0: (|x| - 1)(|y| - 1) / (2 N ln 2) bits.

    Source: Miller 1955, "Note on the bias of information estimates", first order.
    """
    sizes = (len(np.unique(each)) - 1 for each in (x, y))
    return float(np.prod(list(sizes))) / (2 * len(x) * np.log(2))


def joint(*variables: Classes) -> Classes:
    """Return several discrete variables as one."""
    found = np.zeros(len(variables[0]), dtype=np.int64)
    for each in variables:
        values, which = np.unique(each, return_inverse=True)
        found = np.unique(found * len(values) + which, return_inverse=True)[1]
    return found


def exact(config: Primes, q: int = 3) -> "pd.DataFrame":
    """Return bits about "prime" and about n mod q, over every integer of a task's range.

    One row per pair: ``about``, ``given``, ``bits``, and ``of``, the entropy of ``about``. All digits give all of both.

    Raises:
        InputError: the task draws a sample, or only integers coprime to the base.

    Source: Cover and Thomas 2006, chapter 2.
    """
    import pandas as pd

    if config.sample is not None or config.candidates != "all":
        raise InputError(
            f"task must have all integers of its range for exact information (got sample {config.sample} and "
            f"candidates {config.candidates!r})."
        )
    n = np.arange(config.low, config.high + 1)
    prime = (numbers.smallest_prime_factor(n) == n).astype(np.int64)
    digits = numbers.digits(n, config.base, config.width)
    places = numbers.place_names(config.base, config.width)
    last, residue = digits[:, -1], n % q
    given: list[tuple[str, Classes, str, Classes]] = [("prime", prime, "the last digit", last)]
    given += [("prime", prime, f"n mod {m}", n % m) for m in sorted({q, *MODULI})]
    given += [("prime", prime, f"the last digit and n mod {q}", joint(last, residue))]
    about = f"n mod {q}"
    given += [(about, residue, f"the digit of the {place}", digits[:, i]) for i, place in enumerate(places)]
    given += [
        (about, residue, f"all digits but the {place}", n - digits[:, i] * config.base ** (config.width - 1 - i))
        for i, place in enumerate(places)
    ]
    given += [(about, residue, "all digits", n)]
    return pd.DataFrame(
        [
            {"about": name, "given": what, "bits": mutual_information(of, known), "of": entropy(of)}
            for name, of, what, known in given
        ]
    )


def nearest(
    fitted: Float[Tensor, "fitted size"], cells: Int[np.ndarray, " fitted"], values: Float[Tensor, "examples size"]
) -> Classes:
    """Return the cell whose mean, over the fitted examples, is nearest to each value."""
    names, which = np.unique(cells, return_inverse=True)
    member = torch.nn.functional.one_hot(torch.from_numpy(which), len(names)).to(fitted.dtype)
    means = (member.T @ fitted) / member.sum(0)[:, None]
    return names[(means.square().sum(1) - 2 * values @ means.T).argmin(1).numpy()]


@dataclass(frozen=True)
class Bits:
    """What a reader of nearest means finds at each site of the last position, on held-out integers.

    ``table`` has one row per ``site``, ``about`` ("n mod q" or "prime") and ``reader``:

    - "residue": the means are those of n mod q, so the reader is linear;
    - "totals": those of the counts of digits by residue, which determine n mod q by a table;
    - "prime": those of the last digit and n mod q together.

    ``bits`` is a lower bound on the mutual information, since the cell is a function of the activation; ``bias`` is
    what it would be by chance, and ``shuffled`` what it is after the held-out integers' truth is shuffled.

    Attributes:
        entropy: of n mod q and of "prime", in bits.
    """

    q: int
    table: "pd.DataFrame"
    entropy: dict[str, float]

    def at(self, site: str, reader: str) -> float:
        """Return the bits of one reader at a site."""
        rows = self.table[(self.table.site == site) & (self.table.reader == reader)]
        return float(rows["bits"].iloc[0])


def by_site(model: Transformer, task: Task, config: Primes, q: int = 3, seed: int = 0) -> Bits:
    """Measure the bits about n mod q and about "prime" at the sites of ``SITES_READ``, at the last position.

    Means are fitted on up to 6,000 training integers, and read on as many held-out ones.

    Raises:
        InputError: an activation is not finite.

    Source: Cover and Thomas 2006, theorem 2.8.1 (data processing).
    """
    import pandas as pd

    fit, test = (draw_rows(task, side, INTEGERS, seed) for side in (True, False))
    n, label = task.facts["n"].numpy(), task.labels.numpy()
    residue, totals = n % q, joint(*residue_counts(n, config, q).T)
    readers = {
        "residue": (f"n mod {q}", residue, residue),
        "totals": (f"n mod {q}", residue, totals),
        "prime": ("prime", label, joint(n % config.base, residue)),
    }
    names = [f"{i}.{site}" for i in range(len(model.blocks)) for site in SITES_READ if site in sites(model.config)]
    fitted, held_out = (collect(model, task.tokens[some], names, last=True) for some in (fit, test))
    order = np.random.default_rng(seed).permutation(len(test))
    rows = []
    for site in names:
        for reader, (about, truth, cells) in readers.items():
            read, of = nearest(fitted[site], cells[fit], held_out[site]), truth[test]
            bits, shuffled = mutual_information(read, of), mutual_information(read, of[order])
            row = {"site": site, "about": about, "reader": reader, "bits": bits, "shuffled": shuffled}
            rows.append(row | {"bias": bias(read, of)})
    return Bits(q, pd.DataFrame(rows), {about: entropy(truth[test]) for about, truth, _ in readers.values()})
