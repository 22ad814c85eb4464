"""The Data page for primes: the integers of a range, their tokens and split."""

import io
from functools import partial
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import streamlit as st

import miii
from miii import analysis, cost, numbers, plots
from miii.errors import InputError
from miii.plots.style import Chart
from miii.tasks.primes import PRESETS, Primes
from pages._kit import write
from pages._kit.cell import cell
from pages._kit.inputs import integer, number, train_fraction
from pages._kit.latex import product
from pages._server import gate
from pages._tasks.primes import pictures

OTHER = "other"
SHOWN = 1000  # rows in the page; downloads have all

INTRO = """
Is an integer prime, or **irreducible**? The network sees its digits as tokens, without their values. A prime $q$ divides $n$, with
digits $d_i$ in base $b$, exactly when

$$
\\sum_i d_i\\, b^i \\equiv 0 \\pmod q,
$$

so recognizing primes takes **addition modulo every prime**.
"""


def last_digits(
    low: int, high: int, base: int, candidates: str, sample: int | None, split: str, train_fraction: float, seed: int
) -> Chart:
    task = miii.Primes(
        low=low,
        high=high,
        base=base,
        candidates=candidates,
        sample=sample,
        split=split,
        train_fraction=train_fraction,
        seed=seed,
    )
    return plots.last_digits(analysis.integers.last_digits(analysis.integers.members(task), base))


def the_split(
    low: int, high: int, base: int, candidates: str, sample: int | None, split: str, train_fraction: float, seed: int
) -> tuple[Chart, ...]:
    task = miii.Primes(
        low=low,
        high=high,
        base=base,
        candidates=candidates,
        sample=sample,
        split=split,
        train_fraction=train_fraction,
        seed=seed,
    )
    members = analysis.integers.members(task)
    return plots.split_rows(analysis.integers.rows(members)), plots.split_counts(members.counts())


@st.cache_data(max_entries=16, show_spinner=False)
def counts(task: Primes) -> tuple[np.ndarray, float]:
    """Return composites and primes by split, and the share of composites revealed by the last digit."""
    members = analysis.integers.members(task)
    revealed = np.gcd(members.n[~members.prime], task.base) > 1
    return members.counts(), float(revealed.mean()) if len(revealed) else 0.0


@st.cache_data(max_entries=16, show_spinner=False)
def beginning(task: Primes) -> pd.DataFrame:
    return analysis.integers.table(task, SHOWN)


def csv(task: Primes) -> bytes:
    file = io.BytesIO()
    pyarrow.csv.write_csv(pa.Table.from_pandas(analysis.integers.table(task), preserve_index=False), file)
    return file.getvalue()


def parquet(task: Primes) -> bytes:
    return analysis.integers.table(task).to_parquet(index=False)


def choose() -> Primes:
    """Return the task of the controls; show an error and stop if it is invalid."""
    with st.container(horizontal=True, gap="medium"):
        preset = st.segmented_control(
            "Range",
            [*PRESETS, OTHER],
            default="table 1",
            required=True,
            key="preset",
            bind="query-params",
            help=f"text: four digits; table 1: five, as in the draft; {OTHER}: any, up to {numbers.LARGEST:,}",
        )
        bounds: tuple[int | None, int | None] = PRESETS.get(preset or "table 1", (2, 1_000_000))
        if preset == OTHER:  # the config checks the bounds
            bounds = number("Low", 2, "low", "First integer"), number("High", 1_000_000, "high", "Last integer")
        base = number("Base", 10, "base", "2 to 1000")
        candidates = choice("Candidates", "candidates", "coprime: only those coprime to the base")
        split = choice("Split", "split", "range: train on the lower integers; residue: on classes modulo 97")
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        fraction = train_fraction("A tenth of it is for validation")
        seed = number("Seed", 0, "seed")
        sample = st.number_input(
            "Sample",
            value=None,
            step=1,
            key="sample",
            bind="query-params",
            placeholder="all",
            width=140,
            help="At random, for ranges above five million",
        )
        tokens = choice("Tokens", "tokens", "place: one per digit and place")
        zeros = st.toggle(
            "Leading zeros",
            True,
            key="leading_zeros",
            bind="query-params",
            help="Instead of blanks",
        )
    try:
        return miii.Primes(
            low=bounds[0],
            high=bounds[1],
            base=base,
            candidates=candidates,
            split=split,
            train_fraction=fraction,
            seed=seed,
            sample=sample,
            tokens=tokens,
            leading_zeros=zeros,
        )
    except InputError as error:
        write.error(error)
        write.stop()


def choice(label: str, field: str, says: str) -> str:
    options = list(get_args(Primes.model_fields[field].annotation))
    return st.selectbox(label, options, key=field, bind="query-params", width=130, help=says)


def page(name: str) -> None:
    """Show everything below the choice of the task."""
    write.text(INTRO)
    task = choose()
    gate.check(cost.data(task), "This data set")
    chosen = {
        name: getattr(task, name)
        for name in ("low", "high", "base", "candidates", "sample", "split", "train_fraction", "seed")
    }
    parts, revealed = counts(miii.Primes(**chosen))
    total, primes = int(parts.sum()), int(parts[:, 1].sum())
    with st.container(horizontal=True):
        write.metric("Integers", f"{total:,}", border=True, help=f"{task.low:,} to {task.high:,}")
        write.metric("Primes", f"{primes:,}", border=True, help=f"{primes / total:.2%} of all")
        for part, count in zip(("Training", "Validation", "Test"), parts.sum(1), strict=True):
            write.metric(part, f"{count:,}", border=True)
        write.metric(
            "Tokens", f"{len(task.token_names):,}", border=True, help="Digits, “?”, and a blank without leading zeros"
        )
    table_1()
    as_tokens(task)
    pictures.section(task)
    write.header("Last digits", anchor="last-digit")
    cell(
        last_digits,
        **chosen,
        caption=f"{revealed:.1%} of composites end in a digit that shares a factor with {task.base}, so the last digit alone ranks a prime "
        f"above a composite with probability about {0.5 + revealed / 2:.3f}, its **ROC AUC** (chance: 0.5).",
    )
    write.header("Train/test split", anchor="split")
    cell(the_split, **chosen, width="content")
    write.caption("Integers ascend row by row. The validation split decides when training stops.")
    write.header("The data set", anchor="table")
    write.table(beginning(task), height=320, name="first-integers")
    name = f"primes-{task.low}-{task.high}-base-{task.base}"
    write.caption(
        f"First {min(SHOWN, total):,} of {total:,} rows. spf: smallest prime factor; digit_i: digit of {task.base}^i."
    )
    with st.container(horizontal=True):
        for kind, make, media in (("CSV", csv, "text/csv"), ("Parquet", parquet, "application/vnd.apache.parquet")):
            st.download_button(
                kind,
                partial(make, task),
                f"{name}.{kind.lower()}",
                media,
                key=f"data-{kind}",
                icon=":material/download:",
                on_click="ignore",
            )


def table_1() -> None:
    """Show Table 1 of the draft paper: the printed rows, and any other."""
    write.header("Table 1 of the draft", anchor="table-1")
    write.text("Integers ending in 1, 3, 7 and 9, and whether each is irreducible. The draft prints these rows:")
    rows = table_of_the_paper()
    write.table(rows.iloc[[0, 1, -2, -1]], width=560, name="table-1")
    row = integer("Row", 0, len(rows) - 1, 1000, "row", f"0 to {len(rows) - 1}")
    write.table(rows.iloc[[row or 0]], width=560, name="table-1-row")


@st.cache_data(show_spinner=False)
def table_of_the_paper() -> pd.DataFrame:
    table = numbers.table(*PRESETS["table 1"])
    return pd.DataFrame(table, columns=[str(i) for i in range(table.shape[1])])


def as_tokens(task: Primes) -> None:
    """Show a chosen integer as tokens."""
    write.header("Tokens", anchor="tokens")
    most = task.base**task.width - 1
    n = st.number_input(
        "Integer",
        value=min(task.high, 10_007),
        step=1,
        key="integer",
        bind="query-params",
        width=160,
        help=f"0 to {most}",
    )
    try:
        encoded = task.encode(np.array([n if n is not None else -1], dtype=np.int64))[0]
    except InputError as error:
        write.error(error)
        write.stop()
    places = range(task.width - 1, -1, -1)
    digits = numbers.digits(np.array([n]), task.base, task.width)[0]
    write.table(
        pd.DataFrame(
            {
                "position": range(task.width + 1),
                "shown as": [task.token_names[token] for token in encoded],
                "token": encoded,
                "place value": [*(str(task.base**i) for i in places), "answer position"],
                "value": [*(str(int(d) * task.base**i) for d, i in zip(digits, places, strict=True)), ""],
            }
        ),
        name="integer-as-tokens",
    )
    factors = numbers.factors(int(n))
    said = f"is **not prime**: ${n} = {product(factors)}$" if n > 1 else "is neither prime nor composite"
    if factors == {n: 1} and n > 1:
        said = "is **prime**"
    write.text(f"{n} {said}.")
