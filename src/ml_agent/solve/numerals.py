"""Numbers as people write them become plain ones: units, thousands, decimal commas, no value.

Only what is the same in the whole column is understood: "1,234" is a thousand and some where
another cell is "1,234.50", and less than two where another is "0,5". What other columns show
counts little, as "5,4" may be a pair of numbers; what another table has in the same column, much.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

_NONE = {"none", "na", "n.a.", "n.d.", "nil", "missing", "unknown", "-", "--", "–", "—", "."}
_NONE |= {"#div/0!", "#value!", "#ref!", "#name?", "#num!"}
"""No value, small, if all else in the column is a number."""
NUMBERS_AT_LEAST = 10
"""So few different numbers may be classes, and "none" one more."""
_LOOKED_AT = 50
_CELL = re.compile(
    r"\s*(?P<sign>[+-]?) ?(?P<before>[$€£¥₹]?) ?(?P<minus>[+-]?)"
    r"(?P<digits>[\d.,]*\d[\d.,]*(?:[eE][+-]?\d+)?)\s*(?P<after>[$€£¥₹%]?)\s*",
    re.ASCII,
)
_EXPONENT = r"([eE][+-]?\d+)?"
_PLAIN = re.compile(rf"(\d+\.?\d*|\.\d+){_EXPONENT}")
_CODE = re.compile(r"0\d+")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(,\d{3})+(\.\d*)?|\d+\.?\d*|\.\d+")
_DECIMAL = re.compile(rf"([1-9]\d{{0,2}}(\.\d{{3}})+|\d+)(,\d+)?{_EXPONENT}")
_EITHER = re.compile(rf"\d+,\d+|(\d+\.?\d*|\.\d+){_EXPONENT}")
"""Decimal commas and decimal points in one column."""
_DOTTED = re.compile(r"[1-9]\d{0,2}(\.\d{3})+|\d{1,3}")


@dataclass(frozen=True, kw_only=True)
class _Written:
    """How a column's numbers are written."""

    form: str
    commas: bool
    dots: bool
    """Dots are between thousands."""
    tells: bool
    """Commas are surely decimal ones, so that they tell of other columns of the table."""
    unit: str
    none: tuple[str, ...]
    """Cells that are no value."""


@dataclass(kw_only=True)
class _Alike:
    """What is known of all columns of one name, in whatever table."""

    forms: set[str] = field(default_factory=set)
    comma_is_decimal: bool = False
    """A table that has it writes decimal commas elsewhere, or semicolons between cells."""
    dots_are_thousands: bool = False


def make_plain(tables: Sequence[tuple[pd.DataFrame, str]]) -> list[list[str]]:
    """Write the numbers of tables plainly, in place.

    Columns of one name are read alike: "5,128" is no thousand if another table has "2,25" there.

    Args:
        tables: Every cell is text, or missing; with each the delimiter of its file: after
            semicolons, a comma is a decimal one.

    Returns:
        What was understood, in words, of each table.
    """
    known: dict[str, _Alike] = defaultdict(_Alike)
    looked = []
    for frame, delimiter in tables:
        columns = {str(name): _written(frame[name], delimiter) for name in frame.columns}
        written = {name: one for name, one in columns.items() if one is not None}
        continental = any(one.tells for one in written.values())
        for name, one in written.items():
            alike = known[name]
            alike.forms.add(one.form)
            alike.comma_is_decimal |= continental or delimiter == ";"
            dotted = one.form == "unclear" and not one.commas
            alike.dots_are_thousands |= one.dots or (dotted and continental)
        looked.append(written)
    return [
        _made_plain(frame, delimiter, written, known)
        for (frame, delimiter), written in zip(tables, looked, strict=True)
    ]


def _made_plain(
    frame: pd.DataFrame,
    delimiter: str,
    written: Mapping[str, _Written],
    known: Mapping[str, _Alike],
) -> list[str]:
    told: dict[str, list[str]] = {}
    for name in frame.columns:
        alike = known.get(name, _Alike())
        one = written.get(name)
        if one is None and alike.dots_are_thousands:
            # What looked plain by itself: "1.234", where another table has "1.234,50".
            one = _written(frame[name], ";")
        if one is None or (form := _certain(one, delimiter, alike)) is None:
            continue
        what = _told(one, form)
        if what:
            cells = frame[name].dropna().unique().tolist()
            plain = {cell: None if cell in one.none else _plainly(cell, form) for cell in cells}
            frame[name] = frame[name].map(plain)
        for part in what:
            told.setdefault(part, []).append(name)
    return [f"{part} in {', '.join(names[:3])}" for part, names in told.items()]


def _written(column: "pd.Series[Any]", delimiter: str) -> _Written | None:
    """None: they are plain already, or no numbers."""
    given = column.dropna()
    first = given.head(_LOOKED_AT).tolist()
    # Tables may be long: texts are known by their beginning, and most numbers are plain.
    if 2 * sum(_is_none(one) or bool(_CELL.fullmatch(one)) for one in first) < len(first):
        return None
    if not (delimiter == ";" and _all(_DOTTED, first)) and (
        pd.to_numeric(given, errors="coerce").notna().all()
    ):
        return None
    cells = given.unique().tolist()
    none = tuple(filter(_is_none, cells))
    matches = [_CELL.fullmatch(one) for one in cells if one not in none]
    if not matches or not all(matches) or (none and len(matches) <= NUMBERS_AT_LEAST):
        return None
    parts = [match.group("before", "digits", "after") for match in matches if match is not None]
    units = {before + after for before, _, after in parts}
    digits = [digits for _, digits, _ in parts]
    form = _form(digits)
    if len(units) > 1 or form is None or any(map(_CODE.fullmatch, digits)):
        return None
    continental = form in {"decimal comma", "thousands with dots"}
    return _Written(
        form=form,
        commas=any("," in one for one in digits),
        dots=continental and any("." in one for one in digits),
        tells=form == "decimal comma" and (delimiter == ";" or _are_decimals(digits, delimiter)),
        unit=units.pop(),
        none=none,
    )


def _are_decimals(digits: list[str], delimiter: str) -> bool:
    """Whether what follows commas is so surely decimals that other columns may be read by it.

    Pairs of numbers, such as the tags "5,4" or "5,10", look like decimals, too. But decimals of
    different lengths do not end in 0, and those of one length are taken for such if it is over 2.
    """
    decimals = [one.partition(",")[2] for one in digits if "," in one or delimiter != ","]
    lengths = set(map(len, decimals))
    if len(lengths) < 2:
        return max(lengths, default=0) > 2
    return not any(len(one) > 1 and one.endswith("0") for one in decimals)


def _is_none(cell: str) -> bool:
    return cell.strip().lower() in _NONE


def _form(digits: list[str]) -> str | None:
    """How numbers are written, by the column alone; None: they are none."""
    if _all(_PLAIN, digits):
        # After all it may be thousands, where the other columns have decimal commas.
        dotted = _all(_DOTTED, digits) and any("." in one for one in digits)
        return "unclear" if dotted else "plain"
    if _all(_DOTTED, digits):
        return "thousands with dots"
    english, continental = _all(_THOUSANDS, digits), _all(_DECIMAL, digits)
    if english and continental:
        return "unclear"
    if english:
        return "thousands with commas"
    return "decimal comma" if continental else "mixed" if _all(_EITHER, digits) else None


def _all(pattern: re.Pattern[str], digits: Iterable[str]) -> bool:
    return all(map(pattern.fullmatch, digits))


def _certain(written: _Written, delimiter: str, alike: _Alike) -> str | None:
    """How they are written, by what is known of the files too; None: it stays unclear."""
    if written.form == "mixed":
        return "mixed" if delimiter == ";" else None
    if written.form != "unclear":
        return written.form
    if not written.commas:
        return "thousands with dots" if alike.dots_are_thousands else "plain"
    sure = alike.forms & {"decimal comma", "thousands with commas"}
    if len(sure) == 1:
        return next(iter(sure))
    if alike.comma_is_decimal:
        return "decimal comma"
    return "thousands with commas" if delimiter == "," else None


def _plainly(cell: str, form: str) -> str:
    match = _CELL.fullmatch(cell)
    if match is None:
        return cell
    digits = match["digits"]
    if form in {"decimal comma", "thousands with dots"}:
        digits = digits.replace(".", "")
    digits = digits.replace(",", "" if form == "thousands with commas" else ".")
    return (match["sign"] or match["minus"]) + digits


def _told(written: _Written, form: str) -> list[str]:
    told = {"plain": [], "decimal comma": ["decimal commas"], "mixed": ["decimal commas"]}.get(
        form, [form]
    )
    unit = [f"{written.unit} left out"] if written.unit else []
    none = ", ".join(map(repr, written.none[:3]))
    return told + unit + ([f"{none} for no value"] if none else [])
