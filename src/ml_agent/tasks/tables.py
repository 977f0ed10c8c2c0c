"""Read the two-column tables that cross the border of trust: `id,prediction` and `id,label`.

Covered: size, encoding, NUL, over-long lines, a wrong header, broken quoting, rows of another
width, repeated ids, and text where a number belongs. Nothing is ever evaluated or unpickled.
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping

BYTES_AT_MOST = 16 << 20
LINE_AT_MOST = 4096
"""Characters."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SHOWN = 3


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
    rows = csv.reader(_lines(content), strict=True)
    found: dict[str, str] = {}
    twice: Counter[str] = Counter()
    try:
        header = next((row for row in rows if row), [])
        if header != ["id", column]:
            raise BadTable(
                f"the header is {shorten(','.join(header))}, it must be 'id,{column}' "
                "(with pandas: to_csv(path, index=False))"
            )
        for row in rows:
            if not row:
                continue
            if len(row) != 2:
                raise BadTable(f"line {rows.line_num} has {len(row)} fields, not 2")
            name, value = row
            if name in found:
                twice[name] += 1
            found[name] = value
            if len(found) + twice.total() > rows_at_most:
                raise BadTable(f"more than {rows_at_most} rows")
    except csv.Error as error:
        raise BadTable(f"line {rows.line_num} is not CSV: {error}") from error
    if twice:
        raise BadTable(f"{_count(len(twice), 'id')} more than once: {first_few(twice)}")
    return found


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
