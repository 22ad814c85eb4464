"""Primes from a sparse grid: what the paper's figures are, and what they are worth beside trial division."""

import numpy as np
import pandas as pd
import streamlit as st
import torch

import miii
from miii import numbers, plots, sparse
from miii.errors import InputError
from miii.plots.style import Chart
from miii.sparse.evaluation import Recall, Scores
from pages._kit import startup, write
from pages._kit.cell import cell
from pages._kit.inputs import number

startup.run_app_first()

HOME = miii.runs.homes()[1] / "sparse"
SIEVES = (5, 7, 13)


def load_scores() -> tuple[Chart, Chart]:
    home, read = miii.runs.homes()[1] / "sparse", miii.sparse.files.report
    networks = {"sparse grid": read(home / "grid"), "digits in base 210": read(home / "primes-210")}
    ranges = miii.sparse.files.open(home / "grid").config
    low, high = ranges.middle, ranges.end
    by = {"by 2, 3, 5": (2, 3, 5), "by 2, 3, 5, 7": (2, 3, 5, 7), "by 2 to 13": (2, 3, 5, 7, 11, 13)}
    sieves = {name: miii.sparse.evaluation.sieve_recall(low, high, primes) for name, primes in by.items()}
    recalls = plots.recalls({name: found.test for name, found in networks.items()}, sieves)
    return recalls, plots.seen_factors(networks)


@st.cache_data(max_entries=4, show_spinner=False)
def counted(low: int, high: int) -> dict[int, Recall]:
    return {q: sparse.evaluation.sieve_recall(low, high, numbers.primes_below(q + 1)) for q in SIEVES}


def table(networks: dict[str, Scores], sieves: dict[int, Recall]) -> pd.DataFrame:
    rows = [(name, found.test, found.sieve_depth) for name, found in networks.items()]
    rows += [(f"trial division by the primes up to {q}", recall, q) for q, recall in sieves.items()]
    return pd.DataFrame(
        [
            {
                "judge": name,
                "recall on primes": recall.primes,
                "recall on composites": recall.composites,
                "depth of sieve": depth,
            }
            for name, recall, depth in rows
        ]
    ).sort_values("recall on composites", kind="stable")


write.title("Sparse grid")
write.text(
    r"""
Lee and Kim show a network each integer $s$ as a single 1 in a cube of $150^3$ zeros, and let it read a sequence of consecutive
integers by a convolution and a transformer:

$$s \mapsto \Big(\lfloor s / 150^2 \rfloor,\ \lfloor (s \bmod 150^2) / 150 \rfloor,\ s \bmod 150\Big).$$

Trained on a million integers, it finds 99 % of the primes and 79 % of the composites among the next two million. That sounds
like a lot. But these three coordinates are the **digits of $s$ in base 150**, and $150 = 2 \cdot 3 \cdot 5 \cdot 5$: the last
of them tells at a glance whether 2, 3 or 5 divides $s$. What is left to be found when those are taken away?
"""
)

if not (HOME / "grid" / "config.json").exists():
    write.info("The networks that came with miii are not here.")
    st.stop()

grid, digits = sparse.files.open(HOME / "grid"), sparse.files.report(HOME / "primes-210")
config, scores = grid.config, grid.scores
exact = counted(config.middle, config.end)

write.header("What the figures are worth", anchor="worth")
write.text(
    f"""
Two networks, each trained on the {config.n_train:,} integers from {config.low:,} on, with nothing but the label of each (one in fifty is
kept for validation by the second, and decides nothing), and judged on the next {config.n_test:,}. One reads the grid. The other is a transformer of one layer that reads three digits in base 210; since
$210 = 2 \\cdot 3 \\cdot 5 \\cdot 7$ its last digit tells of one prime more, so the base **assists** it, exactly as 150 assists the
grid. Both say “prime” from a threshold on that is chosen on the training integers alone. Beside them, counted, what trial division
comes to:
"""
)
cell(
    load_scores,
    alt="Recall on composites of two networks and of trial division; and what each network tells apart by smallest factor.",
    stamp=(HOME / "grid" / "report.json").stat().st_mtime,
)
frame = table({"network on the sparse grid": scores, "transformer on digits in base 210": digits}, exact)
write.table(
    frame,
    column_config={
        "recall on primes": st.column_config.NumberColumn(format="%.4f"),
        "recall on composites": st.column_config.NumberColumn(format="%.5f"),
    },
    name="sparse-recalls",
)
of = {q: next(f.auc for f in scores.factors if f.q == q) for q in (5, 7)}
write.text(
    f"""
**Trial division by 2, 3 and 5 calls {exact[5].composites:.3%} of these composites composite, and loses no prime.** The network on the
grid comes to {scores.test.composites:.3%}, at {scores.test.primes:.3%} of the primes. That is the headline, and the whole of it: the
network tells primes from multiples of 5 (AUC {of[5]:.3f}), and from multiples of 7 as well as a coin would ({of[7]:.3f}). Its depth
of sieve is {scores.sieve_depth}. A recall of 79 % on composites is what the last coordinate gives away.

The transformer on digits beats it, at {digits.test.composites:.3%} of the composites and {digits.test.primes:.3%} of the primes, for the
same reason: its last digit tells of 7 too (depth {digits.sieve_depth}). Neither network sums its digits. To see the next factor,
it would have to sum their residues modulo that prime, as the network on the page Sieve does modulo 3.

Both meet digits that they have never seen: below a million, the first coordinate is at most {(config.middle - 1) // config.side**2}, and
in base 210 the first digit at most {(config.middle - 1) // 210**2}; among the held-out integers they go up to
{(config.end - 1) // config.side**2} and {(config.end - 1) // 210**2}. That shifts the evidence of all integers alike. A threshold that
just keeps 99.5 % of the training primes would lose many of the held-out ones; so of all thresholds that are as good as the best on the
training integers, to .1 %, the middle one is taken, which lies far from both heaps.
"""
)

write.header("One integer in the grid", anchor="integer")
kernel, patches = config.kernel, config.side // config.kernel
write.text(
    f"""
The grid has {config.side**3:,} cells, {config.side**3 * 4 / 1e6:.1f} MB as floats, for one integer, and it is never built. The convolution moves a kernel of
{kernel} × {kernel} × {kernel} entries by {kernel} cells at a time, so each cell is met once, and a single 1 picks out **one entry of
the kernel**: the convolution is a lookup. Those of the {patches**3:,} patches that are without the 1 hold the bias, whatever the integer.
"""
)
s = number(
    "Integer", 1_234_567, "n", "Any integer of the grid, from 0 on; what the network was trained on ends at a million."
)
try:
    if s is None:
        raise InputError(f"s must be an integer from 0 to {config.side**3 - 1:,} (got none).")
    at = torch.tensor([s])
    cells = sparse.encoding.coordinates(at, config.side)[0].tolist()
    patch, entry = sparse.encoding.patches(at, kernel, config.side)
    seen = sparse.network.evidence(grid.network(), s, min(s + config.length, config.side**3))[0].item()
except InputError as error:
    write.error(error)
    st.stop()
with st.container(horizontal=True):
    write.metric("Cell", f"({', '.join(map(str, cells))})", border=True)
    write.metric("Patch", f"({', '.join(map(str, patch[0].tolist()))})", border=True)
    write.metric("Kernel entry", f"{entry.item()} of {kernel**3}", border=True)
    write.metric("s mod 2, 3, 5", ", ".join(str(cells[2] % q) for q in (2, 3, 5)), border=True)
    write.metric("Network", "prime" if seen >= scores.threshold else "composite", border=True)
spf = int(numbers.smallest_prime_factor(np.array([s]))[0])
truth = {s: "prime", 0: "neither prime nor composite"}.get(spf, f"composite, and its smallest factor is {spf}")
write.text(
    f"The network's evidence is {seen:.2f}, the threshold {scores.threshold:.2f}. In truth {s:,} is **{truth}**. "
    f"{s:,} mod 2, 3 and 5 is the last coordinate, {cells[2]}, mod 2, 3 and 5, because all three divide {config.side}."
)
