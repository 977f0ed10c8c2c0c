"""Numbers as people write them become plain ones: units, thousands, decimal commas, no value.

Only what is the same in the whole column is understood: "1,234" is a thousand and some where
another cell is "1,234.50", and less than two where another is "0,5".
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
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
    unit: str
    none: tuple[str, ...]
    """Cells that are no value."""


def make_plain(frame: pd.DataFrame, delimiter: str) -> list[str]:
    """Write the numbers of a table plainly, in place.

    Args:
        frame: Every cell is text, or missing.
        delimiter: Of the file: after semicolons, a comma is a decimal one.

    Returns:
        What was understood, in words.
    """
    written = {str(name): _written(frame[name], delimiter) for name in frame.columns}
    continental = any(one is not None and one.form == "decimal comma" for one in written.values())
    told: dict[str, list[str]] = {}
    for name, one in written.items():
        if one is None or (form := _certain(one, delimiter, continental=continental)) is None:
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
    commas = any("," in one for one in digits)
    return _Written(form=form, commas=commas, unit=units.pop(), none=none)


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


def _certain(written: _Written, delimiter: str, *, continental: bool) -> str | None:
    """How they are written, by what is known of the file too; None: it stays unclear."""
    if written.form == "mixed":
        return "mixed" if delimiter == ";" else None
    if written.form != "unclear":
        return written.form
    if not written.commas:
        return "thousands with dots" if continental else "plain"
    if continental or delimiter == ";":
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
