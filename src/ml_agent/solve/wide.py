"""Tables with a column for every moment become tables with a row for every moment."""

import re

import pandas as pd

_MOMENTS_AT_LEAST = 6
_MOMENT = re.compile(
    r"(19|20)\d{2}([-/._]?(0[1-9]|1[0-2])([-/._]?(0[1-9]|[12]\d|3[01]))?)?"
    r"|(19|20)\d{2}[-_ ]?q[1-4]|(d|w|m|t|q|y|day|week|month|hour|year)[-_ ]?\d{1,5}",
    re.IGNORECASE,
)
TIME, VALUE = "time", "value"


def moments(frame: pd.DataFrame) -> list[str]:
    """Columns whose names are moments, where they are most of the table; else none."""
    found = [str(name) for name in frame.columns if _MOMENT.fullmatch(str(name))]
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
