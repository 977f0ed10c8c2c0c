"""Read the tables that cross the border of trust: `id,prediction`, `id,label`, `id,CLASS,CLASS...`.

Covered: size, encoding, NUL, over-long lines, a wrong header, broken quoting, rows of another
width, repeated ids, and text where a number belongs. Nothing is ever evaluated or unpickled.
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

BYTES_AT_MOST = 16 << 20
LINE_AT_MOST = 4096
"""Characters."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SHOWN = 3
_SUM_TOLERANCE = 1e-3
"""Of probabilities: some libraries compute them with single precision."""


class BadTable(ValueError):
    """The table cannot be read; the message tells its author what is wrong and where."""


def read_table(content: bytes, column: str, *, rows_at_most: int = 1_000_000) -> dict[str, str]:
    """The values of `column` by id, both as the text that stands in the file.

    Args:
        content: A CSV file with exactly the columns `id` and `column`; a byte-order mark, CRLF
            line ends and empty lines are tolerated.
        column: The second column's name.
        rows_at_most: More rows are refused before they are kept.

    Raises:
        BadTable: Anything else was found.
    """

    def complaint(header: list[str]) -> str:
        wanted = f"it must be 'id,{column}' (with pandas: to_csv(path, index=False))"
        return "" if header == ["id", column] else wanted

    _, rows = _read(content, complaint, rows_at_most)
    return {name: values[0] for name, values in rows.items()}


def read_probabilities(
    content: bytes, *, rows_at_most: int = 1_000_000
) -> dict[str, dict[str, float]]:
    """The probability of every class by id; those of a row add up to 1.

    Args:
        content: A CSV file with the column `id` and one for each class, called like it.
        rows_at_most: More rows are refused before they are kept.

    Raises:
        BadTable: Anything else was found, or probabilities that add up to something else.
    """

    def complaint(header: list[str]) -> str:
        classes = {canonical(name) for name in header[1:]}
        fits = header[:1] == ["id"] and len(classes) == len(header) - 1 > 1
        return "" if fits else "it must be 'id' and the names of all classes, each once"

    header, rows = _read(content, complaint, rows_at_most)
    columns = {
        canonical(name): parse_numbers(
            {i: values[place] for i, values in rows.items()}, lowest=0.0, highest=1.0
        )
        for place, name in enumerate(header[1:])
    }
    sums = {i: math.fsum(column[i] for column in columns.values()) for i in rows}
    if bad := [i for i, total in sums.items() if abs(total - 1) > _SUM_TOLERANCE]:
        raise BadTable(
            f"the probabilities of {len(bad)} rows do not add up to 1: ids {first_few(bad)}"
        )
    return {i: {name: column[i] / sums[i] for name, column in columns.items()} for i in rows}


def _read(
    content: bytes, complaint: Callable[[list[str]], str], rows_at_most: int
) -> tuple[list[str], dict[str, list[str]]]:
    """The header, and the other cells of every row by its id.

    Args:
        content: A CSV file whose first column is `id`.
        complaint: What is wrong with a header; empty: nothing.
        rows_at_most: More rows are refused before they are kept.

    Raises:
        BadTable: It is no such file.
    """
    rows = csv.reader(_lines(content), strict=True)
    found: dict[str, list[str]] = {}
    twice: Counter[str] = Counter()
    try:
        header = next((row for row in rows if row), [])
        if wrong := complaint(header):
            raise BadTable(f"the header is {shorten(','.join(header))}, {wrong}")
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise BadTable(f"line {rows.line_num} has {len(row)} fields, not {len(header)}")
            name, *values = row
            if name in found:
                twice[name] += 1
            found[name] = values
            if len(found) + twice.total() > rows_at_most:
                raise BadTable(f"more than {rows_at_most} rows")
    except csv.Error as error:
        raise BadTable(f"line {rows.line_num} is not CSV: {error}") from error
    if twice:
        raise BadTable(f"{_count(len(twice), 'id')} more than once: {first_few(twice)}")
    return header, found


def parse_numbers(
    values: Mapping[str, str], *, lowest: float | None = None, highest: float | None = None
) -> dict[str, float]:
    """Finite numbers by id.

    Args:
        values: Text by id.
        lowest: The smallest number allowed; None: any finite one.
        highest: The largest number allowed; None: any finite one.

    Raises:
        BadTable: A value is missing, no number, not finite or beyond a bound.
    """
    least = -math.inf if lowest is None else lowest
    most = math.inf if highest is None else highest
    bad: list[str] = []
    numbers: dict[str, float] = {}
    for name, text in values.items():
        number = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(number) or not least <= number <= most:
            bad.append(name)
        numbers[name] = number
    if bad:
        wanted = "a finite number" + (f" of {lowest:g} or more" if lowest is not None else "")
        wanted += f", at most {highest:g}" if highest is not None else ""
        shown = ", ".join(f"{shorten(values[i])} for id {shorten(i)}" for i in bad[:_SHOWN])
        raise BadTable(f"{_count(len(bad), 'value')} not {wanted}: {shown}{_more(len(bad))}")
    return numbers


def parse_labels(values: Mapping[str, str]) -> dict[str, str]:
    """Class names by id.

    Raises:
        BadTable: A value is missing.
    """
    bad = [name for name, text in values.items() if not text]
    if bad:
        raise BadTable(f"{_count(len(bad), 'value')} empty: ids {first_few(bad)}")
    return dict(values)


def canonical(text: str) -> str:
    """One spelling for one number ("1", "1.0" and "1e0" agree); other text as it is."""
    return repr(float(text)) if _NUMBER.fullmatch(text) else text


def is_number(text: str) -> bool:
    """Whether the text is a finite decimal number."""
    return bool(_NUMBER.fullmatch(text)) and math.isfinite(float(text))


def first_few(names: Iterable[str]) -> str:
    """The first names, shortened, and how many more there are."""
    listed = list(names)
    return ", ".join(shorten(name) for name in listed[:_SHOWN]) + _more(len(listed))


def shorten(text: str) -> str:
    """Quoted, control characters escaped, at most 40 characters of it."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _lines(content: bytes) -> list[str]:
    if len(content) > BYTES_AT_MOST:
        raise BadTable(f"{len(content)} bytes; at most {BYTES_AT_MOST} are read")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadTable(f"not UTF-8 at byte {error.start}") from error
    if "\0" in text:
        raise BadTable("holds a NUL character")
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_AT_MOST:
            raise BadTable(f"line {number} has {len(line)} characters; at most {LINE_AT_MOST}")
    return lines


def _count(number: int, noun: str) -> str:
    verb = {"id": ("stands", "stand"), "value": ("is", "are")}[noun][number != 1]
    return f"{number} {noun}{'s' if number != 1 else ''} {verb}"


def _more(count: int) -> str:
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""
