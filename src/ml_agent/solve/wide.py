"""Tables with a column for every moment become tables with a row for every moment."""

import re

import pandas as pd

from ml_agent.solve.reading import typed
from ml_agent.solve.records import Hints, Notes
from ml_agent.solve.target import Claims, stated_target
from ml_agent.solve.words import closest, kind_in

_MOMENTS_AT_LEAST = 6
_MOMENT = re.compile(
    r"(19|20)\d{2}([-/._]?(0[1-9]|1[0-2])([-/._]?(0[1-9]|[12]\d|3[01]))?)?"
    r"|(19|20)\d{2}[-_ ]?q[1-4]|(day|week|month|hour|year)[-_ ]?\d{1,5}",
    re.IGNORECASE,
)
_LETTER = re.compile(r"[dwmtqy][-_ ]?\d{1,5}", re.IGNORECASE)
"""May be a day or a quarter, but as well a question of a survey or a reading of a sensor."""
TIME, VALUE = "time", "value"


def series_columns(
    frame: pd.DataFrame,
    unseen: pd.DataFrame | None,
    sample: pd.DataFrame | None,
    hints: Hints,
    notes: Notes,
) -> list[str]:
    """Columns to make rows of: those named for moments, unless another column is the target.

    Args:
        frame: The rows with labels.
        unseen: Those to predict.
        sample: The form of the answer.
        hints: What the user said.
        notes: Told what may be moments too.
    """
    found = moments(frame, letters=True)
    names = list(map(str, frame.columns))
    asked = hints.target and (hints.target in names or closest(hints.target, names))
    # Of a forecast, a column of text names the series.
    forecast = "time-series" in {hints.kind, kind_in(hints.say)}
    beside = [name for name in names if name not in found]
    if forecast:
        beside = [name for name in beside if pd.api.types.is_numeric_dtype(typed(frame[name]))]
    claims = Claims(
        columns=tuple(beside),
        sample=() if sample is None else tuple(map(str, sample.columns)),
        lacking=() if unseen is None else tuple(one for one in beside if one not in unseen),
        readme="",
    )
    if not found or asked or stated_target(claims, hints):
        return []
    if forecast:
        return found
    certain = moments(frame, letters=False)
    if not certain:
        notes.warn(
            f"{found[0]} to {found[-1]} are taken for features. If they are moments of a series, "
            "say so with --kind time-series."
        )
    return certain


def moments(frame: pd.DataFrame, *, letters: bool) -> list[str]:
    """Columns whose names are moments, "q1" and "t_0" too if letters are; where they are most."""
    names = [str(name) for name in frame.columns]
    found = [
        name for name in names if _MOMENT.fullmatch(name) or (letters and _LETTER.fullmatch(name))
    ]
    many = len(found) >= _MOMENTS_AT_LEAST and 2 * len(found) > frame.shape[1]
    return found if many else []


def long_form(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """One row for every series and moment: what names the series, the time, the value.

    Dates stay dates; other moments ("d_12", "2021-Q3") become whole numbers in their order.
    """
    names = [name for name in frame.columns if name not in columns]
    long = frame.melt(id_vars=names, value_vars=columns, var_name=TIME, value_name=VALUE)
    if not all(re.fullmatch(r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?", name) for name in columns):
        order = {name: place for place, name in enumerate(sorted(columns, key=_numbers))}
        long[TIME] = long[TIME].map(order).astype(str)
    return long


def _numbers(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", name))
