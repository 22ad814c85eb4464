"""Chapter 6 of the paper: errors of the draft, each checked when the page runs."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
import torch

import miii
from miii import numbers, runs
from miii.analysis import logic, miu
from miii.tasks.miu import is_theorem
from miii.tasks.primes import PRESETS
from pages._kit import write
from pages._parts.paper.parts import link, short_table

#: The four rows of Table 1 as the draft prints them.
TABLE_1 = (
    (10001, 10003, 10007, 10009, 0, 0, 1, 1),
    (10011, 10013, 10017, 10019, 0, 0, 0, 0),
    (99981, 99983, 99987, 99989, 0, 0, 0, 1),
    (99991, 99993, 99997, 99999, 1, 0, 0, 0),
)
EXAMPLE, BEFORE = 101, 99  #: section 2.3: whether 101 is prime depends on the 99 preceding natural numbers


@dataclass(frozen=True)
class Erratum:
    """An error: its place, the draft's statement, the correction, and the check."""

    where: str
    says: str
    true: str
    checked: str


def digits() -> Erratum:
    """Four digits or five."""
    counts = {name: (high - low + 1, int(_primes(low, high))) for name, (low, high) in PRESETS.items()}
    four, five = counts["text"], counts["table 1"]
    wide = {len(str(row[i])) for row in TABLE_1 for i in range(4)}
    printed = [label for row in TABLE_1 for label in row[4:]]
    truth = [int(numbers.factors(n) == {n: 1}) for row in TABLE_1 for n in row[:4]]
    agree = sum(a == b for a, b in zip(printed, truth, strict=True))
    return Erratum(
        "Section 3.1 and Table 1",
        '"Four-digit integers"; Table 1 shows 10001 to 99999.',
        f"The table has {' or '.join(map(str, sorted(wide)))} digits, only endings 1, 3, 7 and 9. Primes: {four[1]:,} of {four[0]:,} four-digit "
        f"integers, {five[1]:,} of {five[0]:,} five-digit.",
        f"{agree} of {len(printed)} printed labels are correct.",
    )


def dependence() -> Erratum:
    """How many numbers the answer depends on."""
    needed = list(numbers.primes_below(math.isqrt(EXAMPLE) + 1))
    free = all(EXAMPLE % q for q in needed)
    return Erratum(
        "Section 2.3",
        f"Whether {EXAMPLE} is prime depends on {BEFORE} numbers before it.",
        f"On {len(needed)}: {', '.join(map(str, needed))}, the primes up to its square root.",
        f"{EXAMPLE} is {'not ' if free else ''}divisible by one of them, so it is {'prime' if numbers.factors(EXAMPLE) == {EXAMPLE: 1} else 'composite'}.",
    )


def puzzle() -> Erratum:
    """The name of the puzzle."""
    steps = miu.shortest("MIIUII")
    told = {
        name: f"{name} has {name.count('I')} I's: {'derivable' if is_theorem(name) else 'not derivable'}"
        for name in ("MIII", "MIIUII")
    }
    return Erratum(
        "Section 2.3, footnote 1",
        "Hofstadter's MIII puzzle.",
        "The MU puzzle, in the MIU system; the title spells MIIUII.",
        f"{told['MIII']}; {told['MIIUII']}" + (f" in {len(steps) - 1} steps." if steps else "."),
    )


def equation_3() -> Erratum:
    """The network that always says yes."""
    values = logic.printed_network()
    yes = int((values > 0).sum())
    W = np.array(logic.PRINTED_MATRIX)
    product = r" \\ ".join(" & ".join(map(str, row)) for row in (W @ W).tolist())
    fixed = logic.not_all_equal_network(2)
    return Erratum(
        "Equation 3",
        r"$f(x) = \sigma(W W x) > 0$ computes xor.",
        f"$W W = \\begin{{bmatrix}} {product} \\end{{bmatrix}}$ is linear, xor is not; a sigmoid is always above 0. Two layers with a ReLU between "
        "compute xor.",
        f"{yes} of {values.size} outputs are above 0; with the ReLU, "
        f"{int(((fixed.output() > 0) == logic.truth(logic.xor, 2)).sum())} of 4 are correct.",
    )


def program() -> Erratum:
    """The program that is not xor."""
    printed = logic.truth(logic.printed_program, 3)
    equal = int((printed == logic.truth(logic.not_all_equal, 3)).sum())
    odd = int((printed == logic.truth(logic.xor, 3)).sum())
    return Erratum(
        "Section 2, the program",
        "`xor(a, b, c)` is *not all and not none*.",
        "That is *not all equal*; xor is true if an odd number of inputs is. Equation 3 takes two.",
        f"Of {len(printed)} inputs, equal to *not all equal* on {equal}, to xor on {odd}.",
    )


def equation_4() -> Erratum:
    """Attention as printed."""
    found = ""
    if (runs.homes()[1] / "add-113" / "config.json").exists():
        found = f"Within {attention_error():.1g} of add-113's attention, on pairs of five tokens."
    return Erratum(
        "Equation 4",
        "$A(X) = K Q^t / V$",
        r"$A(X) = \mathrm{softmax}(Q K^\top / \sqrt d)\, V$: no division, but a softmax; one row per query.",
        found,
    )


def attention_error() -> float:
    """Return the largest difference between a network's attention and the corrected equation."""
    run = runs.shipped("add-113")
    tokens = run.task().tokens[(run.task().tokens[:, :2] < 5).all(1)]
    kept = miii.capture(run.model(), tokens, {"0.q", "0.k", "0.v", "0.z"})
    q, k, v = (kept[f"0.{name}"].transpose(1, 2).double() for name in "qkv")
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    z = scores.masked_fill(later, -torch.inf).softmax(-1) @ v
    return float((z - kept["0.z"].transpose(1, 2)).abs().max())


def rest() -> list[Erratum]:
    """Return the errors that need no computation."""
    return [
        Erratum(
            "Equations 5 and 6",
            "$C(X) = X \\star K$ and $R(X_i, (R(X_{i-1}))) = f(X, X)$",
            r"$R(X)_i = f(x_i, R(X)_{i-1})$. In 5, $K$ is a kernel, not equation 4's keys.",
            "Our convolution is tested against a product of spectra.",
        ),
        Erratum(
            "Reference 4",
            "Cover and Thomas automate reverse engineering.",
            "Reference 3, Conmy et al.; reference 4 is a textbook.",
            "The two entries.",
        ),
        Erratum(
            "Reference 1",
            "Belcák et al. confirm it.",
            "FACT is on integer sequences, not circuits.",
            "The reference.",
        ),
        Erratum(
            "Section 1",
            "$XW + b$ is linear; deep learning fits piece-wise linear functions, with a sigmoid.",
            "$XW + b$ is affine. ReLU networks are piece-wise linear; sigmoid networks are not.",
            "By definition; both in section 5.1.",
        ),
        Erratum(
            "Section 3.2",
            "The model follows GAIA-1 (reference 8).",
            "GAIA-1 predicts interleaved frames. One label needs no such model.",
            "Section 4.4.",
        ),
        Erratum(
            "Abstract and section 4",
            '"We show that the model has learned to perform modular addition."',
            "Most networks on primes sum residues modulo 3, but look the total up.",
            "Section 4.2.",
        ),
    ]


@st.cache_data(show_spinner=False)
def errata() -> list[Erratum]:
    """Return all errors, the most important first."""
    return [digits(), equation_3(), equation_4(), program(), *rest()[:3], dependence(), puzzle(), *rest()[3:]]


def _primes(low: int, high: int) -> int:
    return sum(len(found) for found in numbers.primes_between(low, high))


def chapter() -> None:
    """Show the table."""
    write.header("6 Errata", anchor="errata")
    write.text("The draft's errors, checked as this page runs:")
    names = {"where": "where", "says": "the draft says", "true": "correction", "checked": "check"}
    frame = pd.DataFrame([{title: getattr(each, name) for name, title in names.items()} for each in errata()])
    short_table(frame, "errata", "This table", hide_index=True)
    with st.container(horizontal=True):
        link("symbolic", "Equation 3 and the program: Symbolic")
        link("data", "Table 1: Data", task="primes")
