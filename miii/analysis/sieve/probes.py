"""Where residues can be read: linear probes at every site and position, held against two controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.sieve import numbers
from miii.model.tap import capture, sites
from miii.model.transformer import Transformer
from miii.tasks import Task

if TYPE_CHECKING:
    import pandas as pd

SITES = ("resid_pre", "z", "resid_mid", "mlp_post", "resid_post")  #: inside a block
INTEGERS = 3000  #: of each side
CHUNK = 500  #: of them at a time
RIDGE = 1e-2  #: penalty, for features scaled to variance 1


@dataclass(frozen=True)
class Probes:
    """R^2 of cos and sin of 2 pi k n / q together, on held-out integers, by linear probes fitted on training integers.

    ``table`` has one row for every site, position, q and harmonic k = 1 .. q // 2: columns ``site``, ``pos``, ``q``,
    ``k``, ``r2``. A negative R^2 is worse than guessing the mean.

    Source: Alain and Bengio 2016 (arXiv 1610.01644); ridge regression by scikit-learn.
    """

    table: "pd.DataFrame"

    def best(self, q: int) -> float:
        """The largest R^2 of a modulus: over sites and positions of its best harmonic."""
        return float(self.table.loc[self.table.q == q, "r2"].max())


@torch.no_grad()
def probe(model: Transformer, task: Task, moduli: Sequence[int], seed: int = 0) -> Probes:
    """Fit a probe for all moduli at once at every site of every block and every position.

    The residues are those of the integers, or of the number of I's of MIU strings.

    Source: Alain and Bengio 2016 (arXiv 1610.01644).
    """
    import pandas as pd
    from sklearn.linear_model import Ridge
    from sklearn.metrics import r2_score

    train, test = (numbers.side(task, which, INTEGERS, seed) for which in (True, False))
    n = task.facts["n" if "n" in task.facts else "I"].numpy()
    names = [(q, k) for q in moduli for k in range(1, q // 2 + 1)]
    has = [site for site in SITES if site in sites(model.config)]
    wanted = [f"{layer}.{site}" for layer in range(len(model.blocks)) for site in has]
    tokens = {True: task.tokens[train], False: task.tokens[test]}
    aims = {True: waves(n[train], names), False: waves(n[test], names)}
    found = []
    for site in wanted:
        seen: dict[bool, Tensor] = {}  # those of the site before are let go first
        seen |= {side: _values(model, some, site) for side, some in tokens.items()}
        for pos in range(task.n_ctx):
            x, held = (seen[side][:, pos].double().numpy() for side in (True, False))
            mean, scale = x.mean(0), x.std(0)
            scale = np.where(scale > 0, scale, 1)
            fitted = Ridge(alpha=RIDGE * len(x)).fit((x - mean) / scale, aims[True])
            r2 = r2_score(aims[False], fitted.predict((held - mean) / scale), multioutput="raw_values")
            both = r2.reshape(len(names), 2)
            for (q, k), (of_cos, of_sin) in zip(names, both, strict=True):
                # modulo 2 the sine is 0 everywhere, and there is nothing to be read
                found.append(
                    {"site": site, "pos": pos, "q": q, "k": k, "r2": of_cos if 2 * k == q else (of_cos + of_sin) / 2}
                )
    return Probes(pd.DataFrame(found))


def waves(n: Int[np.ndarray, " integers"], names: Sequence[tuple[int, int]]) -> Float[np.ndarray, "integers waves"]:
    """cos and sin of 2 pi k n / q for each (q, k), side by side. Source: the characters of Z_q."""
    angle = np.stack([2 * np.pi * k * (n % q) / q for q, k in names], axis=1)
    return np.stack([np.cos(angle), np.sin(angle)], axis=2).reshape(len(n), -1)


def _values(model: Transformer, tokens: Int[Tensor, "integers pos"], site: str) -> Float[Tensor, "integers pos size"]:
    """One site at a time, and few integers at a time: all sites of a large network do not fit on a small server."""
    return torch.cat([capture(model, some, {site})[site].flatten(2) for some in tokens.split(CHUNK)])
