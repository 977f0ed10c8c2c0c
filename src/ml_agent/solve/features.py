"""The rows and columns that a task is made of."""

from dataclasses import replace

import pandas as pd

from ml_agent.core.errors import UsageError
from ml_agent.solve import columns as cols
from ml_agent.solve.numerals import NUMBERS_AT_LEAST
from ml_agent.solve.reading import first_no_number, typed
from ml_agent.solve.records import Hints, Notes
from ml_agent.solve.target import named_column
from ml_agent.solve.times import times_of, with_year_first
from ml_agent.tasks.tables import canonical

ROWS_AT_LEAST = 30
ROWS_USED = 100_000
"""Of a larger table a sample is used."""


def with_target(train: pd.DataFrame, target: str, notes: Notes) -> pd.DataFrame:
    """The rows whose target is known.

    Raises:
        UsageError: They are too few, or all alike.
    """
    known = train[train[target].notna()].reset_index(drop=True)
    if gone := len(train) - len(known):
        notes.warn(f"{gone} rows have no {target} and are left out.")
    if len(known) < ROWS_AT_LEAST:
        raise UsageError(
            f"{len(known)} rows have a {target}; {ROWS_AT_LEAST} are the least that can be cut "
            "into three splits. Give more rows, or another --target"
        )
    if known[target].nunique() == 1:
        raise UsageError(
            f"{target} is {known[target].iloc[0]!r} in every row, so there is nothing to learn. "
            "Choose another --target"
        )
    if known[target].str.contains(r"[\x00-\x1f]", regex=True).any():
        raise UsageError(f"{target} holds line ends or control characters. Take them out.")
    return known


def shared_features(
    train: pd.DataFrame,
    unseen: pd.DataFrame | None,
    known: "pd.Series[str] | pd.Series[float]",
    taken: set[str | None],
    hints: Hints,
    notes: Notes,
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """What may be learned from, typed; the same columns of both tables.

    Args:
        train: The rows with labels.
        unseen: The rows to predict.
        known: The target.
        taken: Columns that are no features: the target, the id.
        hints: What the user said.
        notes: Told what is left out, and why.

    Raises:
        UsageError: Nothing is left, or nothing tells how dates are written.
    """
    names = [one for one in train if one not in taken]
    if unseen is not None:
        if absent := [one for one in names if one not in unseen]:
            listed = ", ".join(map(str, absent[:3]))
            notes.warn(f"Left out, as the rows to predict lack it: {listed}.")
        if {one for one in taken if one in unseen and one == known.name}:
            notes.warn(f"The rows to predict hold {known.name} too; it is not looked at.")
        names = [one for one in names if one in unseen]
    kept: dict[str, pd.Series] = {}
    later: dict[str, pd.Series] = {}
    for one in names:
        asked = None if unseen is None else unseen[one]
        given, asked = with_year_first(train[one], asked, hints, notes)
        column, new = typed(given), None if asked is None else typed(asked)
        if new is not None and pd.api.types.is_numeric_dtype(column) != (
            pd.api.types.is_numeric_dtype(new)
        ):
            column, new = given, asked
        if column.isna().all():
            continue
        if _same(column.head(50), known.head(50)) and _same(column, known):
            notes.warn(f"{one} equals {known.name} in every row, so it is left out.")
            continue
        if strange := _nearly_numbers(column):
            notes.warn(f"{one} is no number, as {strange!r} in it is none; it is a category.")
        name = f"{one}_given" if one == "id" else str(one)
        kept[name] = column
        if new is not None:
            later[name] = new
    if not kept:
        raise UsageError(
            "there is no column to learn from. Give a table with more columns; images that a table "
            "names are not read"
        )
    frame = _with_calendar(pd.DataFrame(kept))
    return frame, None if unseen is None else _with_calendar(pd.DataFrame(later), like=frame)


def with_columns_to_cut_by(
    train: pd.DataFrame, kept: pd.DataFrame, target: str, hints: Hints, notes: Notes
) -> tuple[pd.DataFrame, Hints]:
    """The features, and what the user wants rows to be split by; hints that name it so.

    The rows to predict may lack such a column, so that it is no feature.

    Raises:
        UsageError: There is none of that name, or it is the target.
    """
    for option, given in (("--time", hints.time), ("--group", hints.group)):
        if given in {"", "none"}:
            continue
        name = named_column(given, list(dict.fromkeys([*train, *kept])), option)
        if name == target:
            raise UsageError(f"{option}: {name!r} is what is predicted. Name another column")
        here = f"{name}_given" if name == "id" else name
        if here not in kept:
            kept = kept.copy()
            kept[here] = typed(with_year_first(train[name], None, hints, notes)[0])
        hints = replace(hints, time=here) if option == "--time" else replace(hints, group=here)
    return kept, hints


def _nearly_numbers(column: "pd.Series") -> str:
    """The first value that is no number, where most others are different ones; else empty."""
    if pd.api.types.is_numeric_dtype(column):
        return ""
    numbers = pd.to_numeric(column, errors="coerce")
    most = numbers.notna().sum() >= 0.9 * column.notna().sum()
    return first_no_number(column) if most and numbers.nunique() > NUMBERS_AT_LEAST else ""


def _same(one: "pd.Series", other: "pd.Series") -> bool:
    """Whether two columns say the same in every row, however numbers are written."""
    pairs = zip(one, other, strict=True)
    return all(canonical(str(a)) == canonical(str(b)) for a, b in pairs)


def _with_calendar(frame: pd.DataFrame, like: pd.DataFrame | None = None) -> pd.DataFrame:
    """Add the numbers of every date: days since 2000, month, weekday, and the hour if it varies."""
    added: dict[str, pd.Series] = {}
    for name in frame.columns:
        dated = cols.type_of(frame[name]) == "date" if like is None else f"{name}_days" in like
        if not dated or f"{name}_days" in frame:
            continue
        when = times_of(frame[name])
        days = (when - pd.Timestamp("2000-01-01", tz="UTC")).dt.days
        parts = {"days": days, "month": when.dt.month, "weekday": when.dt.day_of_week}
        hours = when.dt.hour
        if (like is None and hours.nunique() > 1) or (like is not None and f"{name}_hour" in like):
            parts["hour"] = hours
        named = {f"{name}_{part}": numbers for part, numbers in parts.items()}
        added |= {key: numbers for key, numbers in named.items() if key not in frame}
    return frame.assign(**added)


def fewer(
    labelled: pd.DataFrame, ids: tuple[str, ...], notes: Notes
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """A sample of the rows, and what the user calls them, where they are very many."""
    if len(labelled) <= ROWS_USED:
        return labelled, ids
    notes.warn(f"Of {len(labelled)} rows a sample of {ROWS_USED} is used.")
    chosen = sorted(labelled.sample(ROWS_USED, random_state=0).index)
    return labelled.loc[chosen].reset_index(drop=True), tuple(ids[i] for i in chosen) if ids else ()
