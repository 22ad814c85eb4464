"""The Data page for primes: the integers of a range, as they are and as the network sees them."""

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
SHOWN = 1000  # rows of the data set in the page; the rest is in the files

INTRO = """
Is an integer **irreducible**? The network is shown the digits of an integer as tokens and is told one bit: prime or not.
Nothing says that a digit is a quantity, that its place gives it a weight, or that there is such a thing as a factor. Yet
$n$ is divisible by $q$ when

$$
\\sum_i d_i\\, b^i \\equiv 0 \\pmod q
$$

for its digits $d_i$ in the base $b$: to know a prime, one has to **add modulo** $q$, for every $q$ that is in question.
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
    """Composites and primes in each part, and the share of composites that their last digit gives away."""
    members = analysis.integers.members(task)
    given_away = np.gcd(members.n[~members.prime], task.base) > 1
    return members.counts(), float(given_away.mean()) if len(given_away) else 0.0


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
    """The task that the controls say; where there is none such, a sentence instead of the page."""
    with st.container(horizontal=True, gap="medium"):
        preset = st.segmented_control(
            "Range",
            [*PRESETS, OTHER],
            default="table 1",
            required=True,
            key="preset",
            bind="query-params",
            help="text: the four-digit integers, of which the paper's text speaks. table 1: the five-digit ones, which its "
            f"Table 1 shows. {OTHER}: any, up to {numbers.LARGEST:,}.",
        )
        bounds: tuple[int | None, int | None] = PRESETS.get(preset or "table 1", (2, 1_000_000))
        if preset == OTHER:  # what is out of bounds is for the config to say
            bounds = number("Low", 2, "low", "The first integer"), number("High", 1_000_000, "high", "The last integer")
        base = number("Base", 10, "base", "Of the digits, 2 to 1000")
        candidates = choice(
            "Candidates", "candidates", "All integers, or only those that have no factor in common with the base"
        )
        split = choice(
            "Split", "split", "random: any integers train. range: the lower ones. residue: whole classes modulo 97"
        )
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        fraction = train_fraction("Of all integers; a tenth of it is held back for validation")
        seed = number("Seed", 0, "seed", "Draws the split")
        sample = st.number_input(
            "Sample",
            value=None,
            step=1,
            key="sample",
            bind="query-params",
            placeholder="all",
            width=140,
            help="How many integers, drawn at random: for ranges of more than five millions",
        )
        tokens = choice("Tokens", "tokens", "digit: a 3 is the same token at every place. place: another one at each")
        zeros = st.toggle(
            "Leading zeros",
            True,
            key="leading_zeros",
            bind="query-params",
            help="Short integers begin with zeros; otherwise with blanks",
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
        st.stop()


def choice(label: str, field: str, says: str) -> str:
    options = list(get_args(Primes.model_fields[field].annotation))
    return st.selectbox(label, options, key=field, bind="query-params", width=130, help=says)


def page(name: str) -> None:
    """Everything below the choice of the task."""
    write.text(INTRO)
    task = choose()
    gate.check(cost.data(task), "This data set")
    chosen = {
        name: getattr(task, name)
        for name in ("low", "high", "base", "candidates", "sample", "split", "train_fraction", "seed")
    }
    parts, given_away = counts(miii.Primes(**chosen))
    total, primes = int(parts.sum()), int(parts[:, 1].sum())
    with st.container(horizontal=True):
        write.metric("Integers", f"{total:,}", border=True, help=f"From {task.low:,} to {task.high:,}")
        write.metric("Primes", f"{primes:,}", border=True, help=f"{primes / total:.2%} of them")
        for part, count in zip(("For training", "For validation", "For testing"), parts.sum(1), strict=True):
            write.metric(part, f"{count:,}", border=True)
        write.metric("Tokens", f"{len(task.token_names):,}", border=True, help="The digits, “?” and perhaps a blank")
    table_1()
    as_tokens(task)
    pictures.section(task)
    write.header("Does the last digit say it?", anchor="last-digit")
    cell(
        last_digits,
        **chosen,
        alt=f"Stacked bars: composites and primes by their last digit in base {task.base}.",
        caption=f"{given_away:.1%} of the composites end in a digit that has a factor in common with {task.base}. The last "
        f"digit alone tells primes from composites with a ROC AUC of about {0.5 + given_away / 2:.3f}; the rest "
        "takes addition.",
    )
    write.header("Who trains?", anchor="split")
    cell(the_split, **chosen, width="content", alt=f"The {total:,} integers in training, validation and test.")
    write.caption(
        f"Split “{task.split}”. In the picture the integers ascend row by row; where a cell stands for several, it has their "
        "mixed color. No step is taken on the validation part: it says when to stop."
    )
    write.header("The data set", anchor="table")
    write.table(beginning(task), height=320, name="first-integers")
    name = f"primes-{task.low}-{task.high}-base-{task.base}"
    write.caption(
        f"The first {min(SHOWN, total):,} of {total:,} rows. spf is the smallest prime factor, digit_i the coefficient of "
        f"{task.base} to the power i. The files have all rows; a million takes a second or two."
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
                help=f"All {total:,} rows as {kind}",
                on_click="ignore",
            )


def table_1() -> None:
    """Table 1 of the draft paper: its rows as printed, and any other."""
    write.header("Table 1 of the paper", anchor="table-1")
    write.text(
        "Four integers a row, those that end in 1, 3, 7 and 9 (columns 0 to 3), and whether each is irreducible (columns 4 to "
        "7). These are its first two and its last two rows, as printed:"
    )
    rows = table_of_the_paper()
    write.table(rows.iloc[[0, 1, -2, -1]], width=560, name="table-1")
    row = integer("Row", 0, len(rows) - 1, 1000, "row", f"Any row of the table, 0 to {len(rows) - 1}")
    write.table(rows.iloc[[row or 0]], width=560, name="table-1-row")


@st.cache_data(show_spinner=False)
def table_of_the_paper() -> pd.DataFrame:
    table = numbers.table(*PRESETS["table 1"])
    return pd.DataFrame(table, columns=[str(i) for i in range(table.shape[1])])


def as_tokens(task: Primes) -> None:
    """A chosen integer as the network sees it."""
    write.header("How an integer becomes tokens", anchor="tokens")
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
        st.stop()
    places = range(task.width - 1, -1, -1)
    digits = numbers.digits(np.array([n]), task.base, task.width)[0]
    write.table(
        pd.DataFrame(
            {
                "position": range(task.width + 1),
                "shown as": [task.token_names[token] for token in encoded],
                "token": encoded,
                "place value": [*(str(task.base**i) for i in places), "the answer is read here"],
                "worth": [*(str(int(d) * task.base**i) for d, i in zip(digits, places, strict=True)), ""],
            }
        ),
        name="integer-as-tokens",
    )
    factors = numbers.factors(int(n))
    said = f"is **not prime**: ${n} = {product(factors)}$" if n > 1 else "is neither prime nor composite"
    if factors == {n: 1} and n > 1:
        said = "is **prime**"
    write.text(f"To the network these are {task.width + 1} rows of a table of vectors. {n} {said}.")
