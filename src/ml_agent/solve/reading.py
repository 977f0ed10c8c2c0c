"""A text file of rows becomes a table: encoding, delimiter, header, types.

Everything is text first, so nothing is evaluated: "=1+1" stays what it is. Covered: empty files,
bytes that are no text, other encodings, rows of another width, unclosed quotes, far too many
columns or rows, a missing header, numbers with commas and units. Not covered: several tables in one
file.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ml_agent.core.errors import UsageError
from ml_agent.solve.files import FILE_BYTES, FoundFile
from ml_agent.solve.numerals import make_plain

COLUMNS_AT_MOST = 5_000
ROWS_AT_MOST = 1_000_000
_LINE_AT_MOST = 1 << 20
# Python's own bound, 128 KiB, would call a long text broken; files have one of theirs.
csv.field_size_limit(FILE_BYTES)
_SAMPLE_LINES = 30
_DELIMITERS = (",", ";", "\t", "|")
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_CODE = re.compile(r"\s*0\d+\s*$")
MISSING = (
    *("", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "null", "NULL", "?", "<NA>"),
    *("#N/A", "#N/A N/A", "#NA", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
"""What counts as no value, as for pandas. "None" does not: it is a fine name of a class."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A file's rows. Every cell is text, or missing."""

    name: str
    stem: str
    frame: pd.DataFrame
    delimiter: str
    oddities: tuple[str, ...] = ()
    """What is unusual about the file, in words."""


def read_tables(files: Sequence[FoundFile], *, skip_broken: bool = False) -> list[Table]:
    """Read the tables of a task, and the numbers of columns of one name alike.

    Args:
        files: What to read.
        skip_broken: Leave out rows of another width than the header's.

    Raises:
        UsageError: One is no table; the message says where it is broken and what to do.
    """
    tables = [_read(file, skip_broken=skip_broken) for file in files]
    told = make_plain([(one.frame, one.delimiter) for one in tables])
    return [
        replace(one, oddities=(*one.oddities, *more))
        for one, more in zip(tables, told, strict=True)
    ]


def _read(file: FoundFile, *, skip_broken: bool) -> Table:
    text, encoding = _decode(file.name, file.read())
    _refuse_long_lines(file.name, text)
    delimiter = _delimiter(text)
    header, count, broken = _survey(file.name, text, delimiter)
    oddities = [f"read as {encoding}"] if encoding != "UTF-8" else []
    oddities += [f"delimited by {delimiter!r}"] if delimiter != "," else []
    if broken and not skip_broken:
        where, width = broken[0]
        more = f" and {len(broken) - 1} more such lines" if len(broken) > 1 else ""
        raise UsageError(
            f"{file.name}: line {where} has {width} fields, the header {len(header)}{more}. "
            "Correct the file, or leave such lines out with --skip-broken."
        )
    if 2 * len(broken) > count:
        raise UsageError(f"{file.name}: most lines do not fit the header. Correct the file.")
    if broken:
        oddities.append(f"{len(broken)} broken lines left out")
        text = _without_broken(text, delimiter, len(header))
    unnamed = all(_NUMBER.fullmatch(cell) for cell in header)
    if unnamed:
        oddities.append("it has no header, so columns are called c1, c2, ...")
    frame = pd.read_csv(
        io.StringIO(text),
        sep=delimiter,
        header=None if unnamed else 0,
        dtype=str,
        keep_default_na=False,
        na_values=list(MISSING),
        skipinitialspace=True,
        engine="c",
    )
    names = (
        [f"c{i}" for i in range(1, frame.shape[1] + 1)] if unnamed else _names(list(frame.columns))
    )
    frame.columns = pd.Index(names)
    if frame.empty:
        raise UsageError(f"{file.name} has a header and no row. Give the file with the rows.")
    return Table(
        name=file.name,
        stem=file.stem,
        frame=frame,
        delimiter=delimiter,
        oddities=tuple(oddities),
    )


def typed(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """A column as numbers if all its values are such; codes like "007" are none."""
    if pd.api.types.is_numeric_dtype(column):
        return column
    numbers = pd.to_numeric(column, errors="coerce")
    known = column.notna()
    if not known.any() or not np.isfinite(numbers[known]).all():
        return column
    if column[known].str.match(_CODE).any():
        return column
    return numbers


def first_no_number(column: "pd.Series[Any]") -> str:
    """The first value for which a column is no number; empty: it is one."""
    if pd.api.types.is_numeric_dtype(typed(column)):
        return ""
    given = column.dropna()
    numbers = np.isfinite(pd.to_numeric(given, errors="coerce")) & ~given.str.match(_CODE)
    return "" if numbers.all() else str(given[~numbers].iloc[0])


def read_text(file: FoundFile, *, chars_at_most: int = 20_000) -> str:
    """The beginning of a text file; empty where it is no text."""
    content = file.read()[: 4 * chars_at_most]
    if b"\0" in content:
        return ""
    return content.decode("utf-8-sig", errors="replace")[:chars_at_most]


def _decode(name: str, content: bytes) -> tuple[str, str]:
    """The text, and the name of its encoding."""
    if not content.strip():
        raise UsageError(f"{name} is empty. Give a file with a header and rows.")
    for mark in (b"\xff\xfe", b"\xfe\xff"):
        if content.startswith(mark):
            try:
                return content.decode("utf-16"), "UTF-16"
            except UnicodeDecodeError as error:
                raise UsageError(f"{name} is broken UTF-16 ({error}). Save it as UTF-8.") from error
    if (at := content.find(b"\0")) >= 0:
        raise UsageError(
            f"{name} is no text: there is a NUL byte at {at}. Give a CSV file in UTF-8."
        )
    try:
        return content.decode("utf-8-sig"), "UTF-8"
    except UnicodeDecodeError as error:
        try:
            return content.decode("cp1252"), f"Windows-1252, as byte {error.start} is no UTF-8"
        except UnicodeDecodeError:
            return content.decode("latin-1"), f"Latin-1, as byte {error.start} is no UTF-8"


def _refuse_long_lines(name: str, text: str) -> None:
    end = text.find("\n")
    longest = len(text) if end < 0 else end
    if longest > _LINE_AT_MOST:
        raise UsageError(
            f"{name}: its first line has {longest} characters; at most {_LINE_AT_MOST} are read. "
            f"Give a table of at most {COLUMNS_AT_MOST} columns."
        )


def _delimiter(text: str) -> str:
    """The one that cuts the first lines into most fields, equally many in each."""
    lines = [line for line in text[: 1 << 16].splitlines()[:_SAMPLE_LINES] if line.strip()]
    # The last line of a long file may be cut off here.
    lines = lines[:-1] if len(lines) > 2 else lines
    best, best_rank = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row]
        except csv.Error:
            continue
        if not widths or widths[0] < 2:
            continue
        rank = (widths.count(widths[0]) / len(widths), widths[0])
        if rank > best_rank:
            best, best_rank = delimiter, rank
    return best


def _survey(name: str, text: str, delimiter: str) -> tuple[list[str], int, list[tuple[int, int]]]:
    """The header, the number of rows, and (line, width) of each row of another width."""
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    broken: list[tuple[int, int]] = []
    count = 0
    try:
        header = next((row for row in rows if row), [])
        if len(header) > COLUMNS_AT_MOST:
            raise UsageError(
                f"{name} has {len(header)} columns; at most {COLUMNS_AT_MOST} are read. Leave "
                "some out."
            )
        for row in rows:
            if not row:
                continue
            count += 1
            if len(row) != len(header):
                broken.append((rows.line_num, len(row)))
            if count > ROWS_AT_MOST:
                raise UsageError(
                    f"{name} has more than {ROWS_AT_MOST} rows. Give a sample of them."
                )
    except csv.Error as error:
        raise UsageError(
            f"{name}: the row that ends at line {rows.line_num} is no CSV ({error}). Correct the "
            "quotes there."
        ) from error
    return header, count, broken


def _without_broken(text: str, delimiter: str, width: int) -> str:
    kept = io.StringIO()
    writer = csv.writer(kept, delimiter=delimiter)
    source = io.StringIO(text, newline="")
    for row in csv.reader(source, delimiter=delimiter, strict=True, skipinitialspace=True):
        if len(row) == width:
            writer.writerow(row)
    return kept.getvalue()


def _names(given: Sequence[object]) -> list[str]:
    """Column names on one line, without spaces around them, each once."""
    names: list[str] = []
    for number, one in enumerate(given, 1):
        bare = "".join(c for c in " ".join(str(one).split()) if c.isprintable()) or f"c{number}"
        name, copy = bare, 1
        while name in names:
            name, copy = f"{bare}_{copy}", copy + 1
        names.append(name)
    return names
