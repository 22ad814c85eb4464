"""Primes from a sparse grid: the paper's figures beside trial division."""

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
    rows += [(f"trial division by primes up to {q}", recall, q) for q, recall in sieves.items()]
    return pd.DataFrame(
        [
            {
                "classifier": name,
                "recall on primes": recall.primes,
                "recall on composites": recall.composites,
                "sieve depth": depth,
            }
            for name, recall, depth in rows
        ]
    ).sort_values("recall on composites", kind="stable")


write.title("Sparse grid")
write.text(
    r"""
Lee and Kim encode an integer $s$ as a single 1 in a $150^3$ grid, in cell $(x, y, z)$ with

$$s = 150^2 x + 150\,y + z.$$

They report recalls of 99% on primes and 79% on composites. But $x$, $y$ and $z$ are **digits in base 150** $= 2 \cdot 3 \cdot 5 \cdot 5$:
the last reveals whether 2, 3 or 5 divides $s$.
"""
)

if not (HOME / "grid" / "config.json").exists():
    write.info("The shipped networks are missing.")
    write.stop()

grid, digits = sparse.files.open(HOME / "grid"), sparse.files.report(HOME / "primes-210")
config, scores = grid.config, grid.scores
exact = counted(config.middle, config.end)

write.header("Compared with trial division", anchor="worth")
of = {q: next(f.auc for f in scores.factors if f.q == q) for q in (5, 7)}
write.text(
    f"""
**The grid network matches trial division by 2, 3 and 5**: it rejects {scores.test.composites:.3%} of the composites (trial division:
{exact[5].composites:.3%}), keeps {scores.test.primes:.3%} of the primes, and separates primes from multiples of 5 (AUC {of[5]:.3f}), not of 7
({of[7]:.3f}). A one-layer transformer on digits in base $210 = 2 \\cdot 3 \\cdot 5 \\cdot 7$ rejects {digits.test.composites:.3%}: its last digit
also reveals 7. Neither network sums digits, which the next factor requires.
"""
)
cell(
    load_scores,
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
write.caption(
    f"Training: {config.n_train:,} integers from {config.low:,}; test: the next {config.n_test:,}. Thresholds: the middle of those within 0.1% of "
    "the best in training, as unseen leading digits shift all evidence."
)

write.header("One integer in the grid", anchor="integer")
kernel = config.kernel
write.text(
    f"The {kernel} × {kernel} × {kernel} kernel moves {kernel} cells at a time, so a single 1 selects **one kernel entry**: the convolution is a lookup."
)
s = number("Integer", 1_234_567, "n", "Training: below 1,000,000")
try:
    if s is None:
        raise InputError(f"s must be an integer from 0 to {config.side**3 - 1:,} (got none).")
    at = torch.tensor([s])
    cells = sparse.encoding.coordinates(at, config.side)[0].tolist()
    patch, entry = sparse.encoding.patches(at, kernel, config.side)
    seen = sparse.network.evidence(grid.network(), s, min(s + config.length, config.side**3))[0].item()
except InputError as error:
    write.error(error)
    write.stop()
with st.container(horizontal=True):
    write.metric("Cell", f"({', '.join(map(str, cells))})", border=True)
    write.metric("Patch", f"({', '.join(map(str, patch[0].tolist()))})", border=True)
    write.metric("Kernel entry", f"{entry.item()} of {kernel**3}", border=True)
    write.metric("s mod 2, 3, 5", ", ".join(str(cells[2] % q) for q in (2, 3, 5)), border=True)
evidence, threshold = (f"{value:.2f}".replace("-", "\u2212") for value in (seen, scores.threshold))
guess = "prime" if seen >= scores.threshold else "composite"
spf = int(numbers.smallest_prime_factor(np.array([s]))[0])
truth = {s: "prime", 0: "neither prime nor composite"}.get(spf, f"composite, with smallest prime factor {spf}")
write.text(f"The network predicts **{guess}** (evidence {evidence}, threshold {threshold}). {s:,} is **{truth}**.")
