"""Any operation given as a table: the composition of a group, or a file of comma-separated values."""

import csv as files
import re
from collections.abc import Sequence
from functools import lru_cache
from io import StringIO
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Int
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from miii.errors import InputError, quoted
from miii.tasks.groups import ORDERS, cayley
from miii.tasks.task import Sizes, Task, TaskConfig, mask_of

MOST = 211  #: rows and columns of a table, as in the largest grid of the app
LONGEST = 16  #: characters of a label
LENGTH = 400_000  #: characters of a table
LABEL = re.compile(rf"[\w().,+^'/-]{{1,{LONGEST}}}")
MISSING = -1  #: the answer of a pair that the table leaves blank
BLANK = ("", "-")  #: cells of such pairs
CORNER = ("", "*")  #: first cell of a table with names of operands

EXAMPLE = "*,0,1,2\n0,0,1,2\n1,1,2,0\n2,2,0,1"


class Cells(NamedTuple):
    """A table read from text.

    Attributes:
        rows, columns: names of the operands a and b, without duplicates.
        answers: names of the answers; those of the operands if all answers are operands.
        values: index of each pair's answer, or ``MISSING``.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    answers: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]

    @property
    def shared(self) -> bool:
        """Whether both operands have the same names, and so the same tokens."""
        return self.rows == self.columns

    @property
    def n_pairs(self) -> int:
        """Number of pairs with an answer."""
        return sum(value != MISSING for row in self.values for value in row)


class Table(TaskConfig):
    """All pairs of a table as the tokens ``a b =``; the answer is predicted at the last.

    The table is the composition of ``group``, or ``csv``: rows of comma-separated labels, with the answer to a and b
    in row a and column b. A blank cell or ``-`` leaves the pair out. If the first cell is blank or ``*``, the first row
    and the first column name the operands; otherwise they are numbered from 0. Both operands have the same tokens if
    they have the same names.

    Raises:
        InputError: not exactly one of ``group`` and ``csv``; a table that ``read`` rejects; an empty split.

    Source: tables of binary operations, and S5 composition, are Power et al.'s (arXiv 2201.02177).
    """

    summary = "group: composition of a finite group; table: any operation, as a file of comma-separated values."
    examples = "test pairs"
    recipes: ClassVar = {"fast": {}}

    kind: Literal["table"] = "table"
    group: Literal["S3", "S4", "S5", "A4", "A5", "D5", "D15", "D30", "own"] = Field(
        "A5", description="the group that is composed; own for a table of your own"
    )
    csv: str | None = Field(None, description="rows of comma-separated labels; on the command line, a file of them")
    train_fraction: float = Field(0.8, gt=0, lt=1, description="share of the pairs used for training")
    seed: int = Field(0, ge=0, lt=2**31, description="fixes the split and the initial weights")

    @field_validator("csv")
    @classmethod
    def _canonical(cls, text: str | None) -> str | None:
        return None if text is None else as_text(_split(text))

    @model_validator(mode="after")
    def _one_table(self) -> "Table":
        if self.group == "own":
            if self.csv is None:
                raise InputError("csv is required for the task table: rows of comma-separated labels.")
            read(self.csv)
        elif self.csv is not None:
            raise InputError(f"csv must be none for the group {self.group}, for own is the one that has it.")
        if not 0 < self.n_train < self.n_pairs:
            raise InputError(
                f"train_fraction must leave at least one of the {self.n_pairs} pairs on each side "
                f"(got {self.train_fraction}, which trains on {self.n_train})."
            )
        return self

    @classmethod
    def names(cls) -> dict[str, dict[str, Any]]:
        """Return the two tasks of the command line."""
        return {"group": {}, "table": {"group": "own"}}

    @property
    def task_name(self) -> str:
        """``group`` or ``table``."""
        return "table" if self.group == "own" else "group"

    @property
    def name(self) -> str:
        """A short name, such as ``group-S5`` or ``table-24``."""
        return f"table-{len(self.cells.rows)}" if self.group == "own" else f"group-{self.group}"

    @property
    def description(self) -> str:
        """What the answer is."""
        if self.group != "own":
            return f"a ∘ b in {self.group}, b first"
        cells = self.cells
        return f"a table of {len(cells.rows)} by {len(cells.columns)} with {len(cells.answers)} answers"

    @property
    def cells(self) -> Cells:
        """The table, with names."""
        if self.group == "own":
            assert self.csv is not None
            return read(self.csv)
        names, values = cayley(self.group)
        return Cells(names, names, names, values)

    @property
    def n_pairs(self) -> int:
        """Number of pairs with an answer."""
        return self.cells.n_pairs if self.group == "own" else ORDERS[self.group] ** 2

    @property
    def n_train(self) -> int:
        """Number of training pairs."""
        return int(self.train_fraction * self.n_pairs)

    @property
    def sizes(self) -> Sizes:
        """The sizes of ``build()``."""
        if self.group != "own":
            order = ORDERS[self.group]
            return Sizes(order**2, 3, order + 1, order)
        cells = self.cells
        tokens = len(cells.rows) + len(cells.columns) * (not cells.shared) + 1
        return Sizes(cells.n_pairs, 3, tokens, len(cells.answers))

    def build(self) -> Task:
        """Build the pairs row by row: tokens [n_pairs, 3], labels [n_pairs], train_mask [n_pairs]."""
        cells = self.cells
        values = torch.tensor(cells.values)
        a, b = (values != MISSING).nonzero().T
        own = () if cells.shared else tuple(f"b:{name}" for name in cells.columns)
        names = (*cells.rows, *own, "=")
        order = torch.randperm(len(a), generator=torch.Generator().manual_seed(self.seed))
        first = len(cells.rows) * (not cells.shared)
        return Task(
            tokens=torch.stack([a, b + first, torch.full_like(a, len(names) - 1)], dim=1),
            labels=values[a, b],
            train_mask=mask_of(order[: self.n_train], len(a)),
            d_vocab=len(names),
            d_vocab_out=len(cells.answers),
            token_names=names,
        )

    def operands(self, task: Task) -> tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]:
        """Return the row a and the column b of each example."""
        cells = self.cells
        return task.tokens[:, 0], task.tokens[:, 1] - len(cells.rows) * (not cells.shared)


@lru_cache(maxsize=16)
def read(text: str) -> Cells:
    """Read a table from comma-separated text.

    Answers keep the names of the operands if all are operands; otherwise they are sorted, numbers by value.

    Raises:
        InputError: the text is too long or no table; a row has another length than the first; there are fewer than 2 or
            more than ``MOST`` rows, columns or answers; a label is invalid; two operands have the same name.
    """
    rows = _split(text)
    named = rows[0][0] in CORNER
    body = [row[named:] for row in rows[named:]]
    columns = tuple(rows[0][1:]) if named else tuple(map(str, range(len(rows[0]))))
    operands = tuple(row[0] for row in rows[1:]) if named else tuple(map(str, range(len(rows))))
    for field, names in (("rows", operands), ("columns", columns)):
        if not 2 <= len(names) <= MOST:
            raise InputError(f"csv must have 2 to {MOST} {field} (got {len(names)}).")
        twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
        if twice is not None or any(name in BLANK for name in names):
            what = f"the name {twice!r} twice" if twice else "a name that is blank"
            raise InputError(f"csv must have a name of its own for each of its {field} (got {what}).")
    found = {cell for row in body for cell in row if cell not in BLANK}
    if not 2 <= len(found) <= MOST:
        raise InputError(f"csv must have 2 to {MOST} different answers (got {len(found)}).")
    answers = operands if operands == columns and found <= set(operands) else tuple(sorted(found, key=_by_number))
    index = {name: i for i, name in enumerate(answers)} | dict.fromkeys(BLANK, MISSING)
    return Cells(operands, columns, answers, tuple(tuple(index[cell] for cell in row) for row in body))


def _split(text: str) -> list[list[str]]:
    """Return the cells of a table, stripped. Tabs or semicolons separate cells if the first row has one.

    Raises:
        InputError: see ``read``.
    """
    if len(text) > LENGTH:
        raise InputError(f"csv must have at most {LENGTH:,} characters (got {len(text):,}).")
    lines = [line for line in text.removeprefix("\ufeff").splitlines() if line.strip(" ")]
    separator = next((mark for mark in "\t;" if lines and mark in lines[0]), ",")
    try:
        rows = [[cell.strip() for cell in row] for row in files.reader(lines, delimiter=separator, strict=True)]
    except files.Error as error:
        raise InputError(f"csv must be rows of comma-separated labels ({error}).") from None
    if not rows:
        raise InputError("csv must be rows of comma-separated labels (got no row).")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise InputError(
                f"csv must have as many cells in each row as in the first, {len(rows[0])} (got {len(row)} in row "
                f"{number})."
            )
    if len(rows) > MOST + 1 or len(rows[0]) > MOST + 1:
        raise InputError(f"csv must have at most {MOST} rows and columns (got {len(rows)} by {len(rows[0])}).")
    for number, row in enumerate(rows, 1):
        cells = row[rows[0][0] in CORNER and number == 1 :]
        bad = next((cell for cell in cells if cell not in BLANK and not LABEL.fullmatch(cell)), None)
        if bad is not None:
            raise InputError(
                f"csv must have labels of 1 to {LONGEST} letters, digits and ( ) . + - ^ ' / in its cells (got "
                f"{quoted(bad)} in row {number})."
            )
    return rows


def _by_number(name: str) -> tuple[bool, int, str]:
    number = re.fullmatch(r"-?[0-9]+", name)
    return number is None, int(name) if number else 0, name


def as_text(rows: Sequence[Sequence[str]]) -> str:
    """Return cells as comma-separated text; those with a comma are in quotes."""
    written = StringIO()
    files.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue().rstrip("\n")
