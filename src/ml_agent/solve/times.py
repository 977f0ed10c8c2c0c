"""Dates as people write them, and the column that orders the rows in time."""

import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from ml_agent.core.errors import UsageError
from ml_agent.solve.naming import names_group, names_time
from ml_agent.solve.records import ColumnType, Hints, Notes
from ml_agent.solve.target import named_column
from ml_agent.solve.words import closest, kind_in

_MOMENTS_AT_LEAST = 10
_ROWS_OF_SERIES = 5
"""Mean number of rows from which on a table may be series below each other."""
_NEXT_CENTURY = 69
"""Years of two digits from here on are of the last century, as in Python."""
_Form = Callable[[re.Match[str]], str]
_CLOCK = r"[ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AP]M)?( ?(Z|UTC|[+-]\d{2}:?\d{2}))?"
_DATE = re.compile(rf"\s*\d{{4}}[-/.]\d{{1,2}}([-/.]\d{{1,2}})?({_CLOCK})?\s*", re.IGNORECASE)
_YEAR_LAST = re.compile(
    rf"\s*(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}|\d{{2}})({_CLOCK})?\s*", re.IGNORECASE
)
_MONTH_AND_YEAR = re.compile(r"\s*(\d{1,2})[-/](\d{4})\s*")
_DIGITS = re.compile(r"\s*((?:19|20)\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?:\.0)?\s*")
_WRITTEN = (_DATE, _YEAR_LAST, _MONTH_AND_YEAR, _DIGITS)


def times_of(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """A column of dates, the year first, or of numbers as something that can be compared."""
    if pd.api.types.is_numeric_dtype(column):
        return column
    return pd.to_datetime(column, format="mixed", errors="coerce", utc=True)


def are_dates(given: "pd.Series[str]") -> bool:
    """Whether all values are dates, the year first."""
    # A few first: most columns are no dates, and tables may be long.
    if not all(map(_DATE.fullmatch, given.head(50))):
        return False
    return bool(given.map(_DATE.fullmatch).notna().all() and times_of(given).notna().all())


def with_year_first(
    known: "pd.Series[Any]", unseen: "pd.Series[Any] | None", hints: Hints, notes: Notes
) -> "tuple[pd.Series[Any], pd.Series[Any] | None]":
    """Dates written as 2020-02-13, of the rows with labels and of those to predict; else as it is.

    Read are 13.02.2020 and 02/13/2020, one order for the whole column, 02/2020, and 20200213 in a
    column that is named like a date. Others may be written with the year first already.

    Raises:
        UsageError: Nothing tells whether the day or the month is first, and it may order the rows.
    """
    both = [one for one in (known, unseen) if one is not None]
    if any(pd.api.types.is_numeric_dtype(one) for one in both):
        return known, unseen
    given = pd.concat(both).dropna()
    # A few first: most columns are no dates, and tables may be long.
    if not all(any(one.fullmatch(cell) for one in _WRITTEN) for cell in given.head(50)):
        return known, unseen
    late = given[given.map(_DATE.fullmatch).isna()]
    for pattern, form in _forms(late, known, unseen, hints, notes):
        written = [_rewritten(one, pattern, form) for one in both]
        if all(are_dates(one.dropna()) for one in written):
            return written[0], written[1] if unseen is not None else None
    return known, unseen


def _rewritten(column: "pd.Series[Any]", pattern: re.Pattern[str], form: _Form) -> "pd.Series[Any]":
    """The same dates with the year first; those that have it first stay as they are."""
    return column.map(
        lambda cell: cell if _DATE.fullmatch(cell) else pattern.sub(form, cell), na_action="ignore"
    )


def _forms(
    late: "pd.Series[str]",
    known: "pd.Series[Any]",
    unseen: "pd.Series[Any] | None",
    hints: Hints,
    notes: Notes,
) -> list[tuple[re.Pattern[str], _Form]]:
    """How a column's dates are written, and how with the year first; empty: they are none such.

    Args:
        late: Those that do not have the year first.
        known: All of the rows with labels.
        unseen: All of the rows to predict.
        hints: What the user said.
        notes: Told what the dates begin with.
    """

    def all_are(pattern: re.Pattern[str]) -> bool:
        return bool(late.map(pattern.fullmatch).notna().all())

    if late.empty:
        return []
    if all_are(_MONTH_AND_YEAR):
        return [(_MONTH_AND_YEAR, lambda match: f"{match[2]}-{match[1]:0>2}")]
    if names_time(known.name) and all_are(_DIGITS):
        return [(_DIGITS, lambda match: "-".join(match.groups()))]
    if all_are(_YEAR_LAST) and (first := _first_part(late, known, unseen, hints, notes)):
        return [(_YEAR_LAST, _year_first(first))]
    return []


def _year_first(first: str) -> _Form:
    """Of a match of `_YEAR_LAST`, the same date with the year first."""

    def form(match: re.Match[str]) -> str:
        month, day = (match[3], match[1]) if first == "day" else (match[1], match[3])
        century = "" if len(match[4]) == 4 else "20" if int(match[4]) < _NEXT_CENTURY else "19"
        return f"{century}{match[4]}-{month:0>2}-{day:0>2}{match[5] or ''}"

    return form


def _first_part(
    late: "pd.Series[str]",
    known: "pd.Series[Any]",
    unseen: "pd.Series[Any] | None",
    hints: Hints,
    notes: Notes,
) -> str | None:
    """What a column's dates begin with, "day" or "month"; None: with neither, or nothing tells."""
    parts = late.str.extract(_YEAR_LAST)
    one, other = parts[0].astype(int), parts[2].astype(int)
    # Of 20-01-13 and 20-01-14 the year is rather first, and such are not read.
    short = bool(((parts[1] == "-") & (parts[3].str.len() == 2) & (one > 12)).all())
    if short and other.max() <= 12 and one.nunique() < parts[3].nunique() and not hints.dates:
        return None
    fits = [name for name, month in (("day", other), ("month", one)) if month.max() <= 12]
    if len(fits) < 2:
        why = "another reading has months above 12"
    elif hints.dates:
        fits, why = [hints.dates.removesuffix("-first")], "--dates says so"
    else:
        fits, why = _likely(known.dropna(), one, other, dots=bool((parts[1] == ".").all()))
    if len(fits) > 1:
        unclear = f"{late.iloc[0]!r}, and nothing in it tells whether the day or the month is first"
        option = "say --dates day-first or --dates month-first"
        if _may_order(known, unseen, hints):
            raise UsageError(
                f"{known.name} holds dates such as {unclear}. S{option[1:]}, or --time none"
            )
        notes.warn(
            f"{known.name} may hold dates, as {unclear}, so it is a category. If it does, {option}."
        )
        return None
    if fits:
        notes.conclude("dates", f"{known.name} begins with the {fits[0]}", why)
    return fits[0] if fits else None


def _likely(
    known: "pd.Series[str]", one: "pd.Series[int]", other: "pd.Series[int]", *, dots: bool
) -> tuple[list[str], str]:
    """Which of two possible readings is meant, and why; both: nothing tells."""
    ordered = [name for name, when in _read_both_ways(known).items() if _is_in_order(when)]
    if len(ordered) == 1:
        return ordered, "so the rows stand in the order of time"
    firsts = [name for name, days in (("day", one), ("month", other)) if (days == 1).all()]
    if len(firsts) == 1:
        return firsts, "so each is the first of a month"
    return (["day"], "they are written with dots") if dots else (["day", "month"], "")


def _read_both_ways(column: "pd.Series[str]") -> "dict[str, pd.Series[Any]]":
    return {
        name: times_of(_rewritten(column, _YEAR_LAST, _year_first(name)))
        for name in ("day", "month")
    }


def _may_order(known: "pd.Series[Any]", unseen: "pd.Series[Any] | None", hints: Hints) -> bool:
    """Whether `conclude_time` may choose a column by one of the two ways to read its dates."""
    if hints.time:
        return closest(hints.time, [str(known.name)]) is not None
    if hints.group not in {"", "none"} or known.isna().any():
        return False
    later = {} if unseen is None else _read_both_ways(unseen)
    for name, when in _read_both_ways(known).items():
        if when.nunique() < _MOMENTS_AT_LEAST:
            continue
        if unseen is None and (_speaks_of_time(hints) or _is_in_order(when)):
            return True
        named = _speaks_of_time(hints) and names_time(known.name)
        if unseen is not None and (named or later[name].min() >= when.max()):
            return True
    return False


def _speaks_of_time(hints: Hints) -> bool:
    return kind_in(hints.say) == "time-series" or hints.kind == "time-series"


def _is_in_order(when: "pd.Series[Any]") -> bool:
    return _runs(when) == 1 or _is_stacked(when)


def _runs(when: "pd.Series[Any]") -> int:
    """Runs of rows in the order of time, earliest or latest first, that a table consists of."""
    steps = when.rank(method="dense").diff()
    return 1 + int(min((steps < 0).sum(), (steps > 0).sum()))


def _is_stacked(when: "pd.Series[Any]") -> bool:
    """Whether a table is series below each other, in order each and of the same moments."""
    shared = float(when.duplicated(keep=False).mean())
    return len(when) >= _ROWS_OF_SERIES * _runs(when) and shared >= 0.5


def conclude_time(
    frame: pd.DataFrame,
    unseen: pd.DataFrame | None,
    types: dict[str, ColumnType],
    hints: Hints,
    notes: Notes,
) -> str | None:
    """The column that orders the rows in time; None: none does.

    Raises:
        UsageError: The column that the user named is not there, or holds no times.
    """
    grouped = hints.group not in {"", "none"}
    if hints.time == "none" or (grouped and not hints.time):
        return None
    if hints.time:
        if grouped:
            notes.warn("Rows are split by --time, so --group is not followed.")
        name = named_column(hints.time, list(frame.columns), "--time")
        if times_of(frame[name]).isna().any():
            raise UsageError(f"--time: {name!r} holds values that are no dates or numbers")
        notes.conclude("time", name, "--time says so")
        return name
    spoken = _speaks_of_time(hints)
    for name in frame.columns:
        dated = types.get(name) == "date"
        if not (dated or (names_time(name) and types.get(name) == "number")):
            continue
        when = times_of(frame[name])
        if when.isna().any() or when.nunique() < _MOMENTS_AT_LEAST:
            continue
        if unseen is not None and times_of(unseen[name]).min() >= when.max():
            notes.conclude("time", name, "the rows to predict come later")
            return str(name)
        if why := _why_time(frame, name, when, spoken=spoken, alone=dated and unseen is None):
            notes.conclude("time", name, why)
            return str(name)
    return None


def _why_time(
    frame: pd.DataFrame, name: object, when: "pd.Series[Any]", *, spoken: bool, alone: bool
) -> str | None:
    """Why a column orders the rows, if nothing later is to be predicted; None: it does not."""
    if alone and spoken:
        return "the sentence says forecast"
    if alone and _runs(when) == 1:
        return "the rows stand in its order"
    # The visits of each patient are in order too, but new patients are to be predicted.
    if alone and _is_stacked(when) and not any(map(names_group, frame.columns)):
        return "the rows of each series stand in its order"
    if spoken and names_time(name):
        return "a forecast is asked for, and it is named so"
    return None
