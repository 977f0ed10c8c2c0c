"""Dates are read one way in the whole column, and rows in the order of time are split by it."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_agent.core.errors import UsageError
from ml_agent.solve.perceive import Found, perceive
from ml_agent.solve.records import Hints, Notes
from ml_agent.solve.times import with_year_first

DAYS = pd.date_range("2020-01-25", periods=60)


def seen(folder: Path, rows: pd.DataFrame, **hints: Any) -> Found:
    rows.to_csv(folder / "rows.csv", index=False)
    return perceive(folder, Hints(target="sales", **hints))


def sales(dates: Any, **columns: Any) -> pd.DataFrame:
    """Some sales at each date, which nothing tells."""
    numbers = {"temperature": np.sin(np.arange(len(dates)) * 7).round(3)}
    sold = np.cos(np.arange(len(dates)) * 5).round(3)
    return pd.DataFrame({"date": dates, **columns, **numbers, "sales": sold})


def read(values: list[str], name: str = "date", **hints: Any) -> list[str]:
    column = pd.Series(values, name=name, dtype=str)
    return list(with_year_first(column, None, Hints(**hints), Notes())[0])


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (["01.02.2020", "13.02.2020"], ["2020-02-01", "2020-02-13"]),
        (["01/02/2020", "02/13/2020"], ["2020-01-02", "2020-02-13"]),
        (["1-2-2020 9:05", "31-1-2020 10:00"], ["2020-02-01 9:05", "2020-01-31 10:00"]),
        (["13.02.20", "01.02.99"], ["2020-02-13", "1999-02-01"]),
        (["01-25-20", "02-01-20"], ["2020-01-25", "2020-02-01"]),
        (["13-01-20", "14-01-20"], ["2020-01-13", "2020-01-14"]),
        (["01-06-19", "01-05-20", "01-04-21"], ["2019-06-01", "2020-05-01", "2021-04-01"]),
        (["20-01-13", "20-01-14"], ["20-01-13", "20-01-14"]),  # of which the year is first
        # Some have the year first already.
        (
            ["2020-02-13", "3/14/2020", "2020-03-15 9:05"],
            ["2020-02-13", "2020-03-14", "2020-03-15 9:05"],
        ),
        (["2020-02-12", "12/3/2020", "2020-03-13"], ["2020-02-12", "2020-03-12", "2020-03-13"]),
        (["02/2020", "13/2020"], ["02/2020", "13/2020"]),  # there is no month 13
        (["2/2020", "11/2020"], ["2020-02", "2020-11"]),
        (["20200213", "20200301"], ["2020-02-13", "2020-03-01"]),
        (["20200230", "20200301"], ["20200230", "20200301"]),  # there is no 30 February
        # Some are impossible either way.
        (["13/02/2020", "02/13/2020"], ["13/02/2020", "02/13/2020"]),
        # The order of rows tells: January to May, or first December, then March.
        (
            ["12/01/2020", "03/02/2020", "01/04/2020", "02/05/2020"],
            ["2020-01-12", "2020-02-03", "2020-04-01", "2020-05-02"],
        ),
        (
            ["01/12/2020", "02/03/2020", "04/01/2020", "05/02/2020"],
            ["2020-01-12", "2020-02-03", "2020-04-01", "2020-05-02"],
        ),
        # Always the first of a month, in no order.
        (["01/07/2020", "01/02/2020", "01/05/2020"], ["2020-07-01", "2020-02-01", "2020-05-01"]),
        (["07/01/2020", "02/01/2020", "05/01/2020"], ["2020-07-01", "2020-02-01", "2020-05-01"]),
        # Dots are of languages that begin with the day.
        (["04.07.2020", "01.02.2020", "03.05.2020"], ["2020-07-04", "2020-02-01", "2020-05-03"]),
    ],
)
def test_all_dates_of_a_column_are_read_the_same_way(written: list[str], meant: list[str]) -> None:
    assert read(written) == meant


DAYS_AND_MONTHS = "05/01 11/08 02/06 09/12 07/03 12/10 04/02 08/07 01/09 10/04 03/11 06/05"
UNCLEAR = [f"{one}/2020" for one in DAYS_AND_MONTHS.split()]
"""In no order, whichever is first."""


@pytest.mark.parametrize("hints", [{"say": "forecast"}, {"kind": "time-series"}, {"time": "Date"}])
def test_dates_that_may_mean_two_things_are_asked_about_where_they_order_the_rows(
    hints: dict[str, Any],
) -> None:
    with pytest.raises(UsageError, match="'05/01/2020', and nothing in it tells whether the day"):
        read(UNCLEAR, **hints)
    assert read(UNCLEAR, dates="day-first", **hints)[1] == "2020-08-11"
    assert read(UNCLEAR, dates="month-first", **hints)[1] == "2020-11-08"


def test_dates_are_asked_about_if_the_rows_to_predict_may_come_later() -> None:
    known = pd.Series(UNCLEAR, name="date")
    # 12 November, or the day after 10 December, which is the last of the others.
    with pytest.raises(UsageError, match="nothing in it tells"):
        with_year_first(known, pd.Series(["12/11/2020"]), Hints(), Notes())
    notes = Notes()
    with_year_first(known, pd.Series(["06/05/2020"]), Hints(), notes)
    assert "so it is a category" in notes.warnings[0]


@pytest.mark.parametrize(
    ("written", "hints"),
    [
        (["03/04/2021"] * 90, {"say": "forecast"}),
        (["03/04/2021", "05/04/2021", "02/06/2021"] * 30, {"say": "forecast"}),
        (["7/2/28", "1/5/12", "11/3/15"] * 30, {}),
        (UNCLEAR, {}),
        (UNCLEAR, {"say": "forecast", "time": "none"}),
        (UNCLEAR, {"say": "forecast", "time": "day"}),
        (UNCLEAR, {"say": "forecast", "group": "date"}),
    ],
)
def test_unclear_dates_that_order_no_rows_are_categories(
    written: list[str], hints: dict[str, Any]
) -> None:
    notes = Notes()
    column = pd.Series(written, name="date", dtype=str)
    assert list(with_year_first(column, None, Hints(**hints), notes)[0]) == written
    assert notes.warnings == [
        f"date may hold dates, as {written[0]!r}, and nothing in it tells whether the day or the "
        "month is first, so it is a category. If it does, say --dates day-first or --dates "
        "month-first."
    ]


def test_a_column_of_one_unclear_date_ends_no_call(tmp_path: Path) -> None:
    rows = sales(DAYS.strftime("%Y-%m-%d"), exported="03/04/2021")
    found = seen(tmp_path, rows, say="forecast").perceived
    assert (found.time, found.features["exported"]) == ("date", "category")


def test_eight_digits_are_a_date_only_under_such_a_name() -> None:
    assert read(["20200213"], name="orderDate") == ["2020-02-13"]
    assert read(["20200213"], name="account") == ["20200213"]


def test_a_test_files_dates_tell_how_those_of_the_training_file_are_meant() -> None:
    known, unseen = (pd.Series([one], name="date") for one in ("01/02/2020", "13/02/2020"))
    both = with_year_first(known, unseen, Hints(), Notes())
    assert [list(one) for one in both if one is not None] == [["2020-02-01"], ["2020-02-13"]]


def test_a_test_file_may_write_dates_with_the_year_first() -> None:
    known, unseen = (pd.Series([one], name="date") for one in ("13/02/2020", "2020-03-01"))
    both = with_year_first(known, unseen, Hints(), Notes())
    assert [list(one) for one in both if one is not None] == [["2020-02-13"], ["2020-03-01"]]


def test_a_split_by_time_follows_dates_that_begin_with_the_day(tmp_path: Path) -> None:
    # Shuffled, so the dates alone can order them.
    rows = sales(DAYS.strftime("%d.%m.%Y")).sample(frac=1, random_state=0)
    found = seen(tmp_path, rows, say="forecast")
    assert (found.perceived.time, found.perceived.split) == ("date", "time")
    assert list(found.material.labelled["date"]) == list(DAYS.strftime("%Y-%m-%d"))
    told = [one.found for one in found.perceived.conclusions if one.about == "dates"]
    assert told == ["date begins with the day"]


@pytest.mark.parametrize(
    "dates",
    [
        DAYS.tz_localize("UTC").astype(str),
        DAYS.strftime("%Y-%m-%dT10:00:00+0200"),
        DAYS.strftime("%Y-%m-%d 10:05:00 UTC"),
        DAYS.strftime("%Y%m%d"),
        DAYS.strftime("%d/%m/%Y"),
        DAYS.strftime("%m-%d-%y"),
        [*DAYS[:30].strftime("%Y-%m-%d"), *DAYS[30:].strftime("%m/%d/%Y")],
        DAYS[::-1].strftime("%Y-%m-%d"),
    ],
)
def test_rows_in_the_order_of_time_are_split_by_it(dates: Any, tmp_path: Path) -> None:
    found = seen(tmp_path, sales(dates)).perceived
    assert (found.time, found.split, found.domain.value) == ("date", "time", "time series")
    assert "date_days" in found.features


def test_series_below_each_other_are_split_by_time(tmp_path: Path) -> None:
    dates = np.tile(DAYS.strftime("%Y-%m-%d"), 3)
    rows = sales(dates, store=np.repeat(["a", "b", "c"], 60))
    found = seen(tmp_path, rows)
    assert (found.perceived.time, found.perceived.split) == ("date", "time")
    assert found.material.labelled["store"].head(6).to_list() == ["a", "b", "c", "a", "b", "c"]


@pytest.mark.parametrize(
    ("dates", "columns"),
    [
        # In no order.
        (np.random.default_rng(0).permutation(np.tile(DAYS.strftime("%Y-%m-%d"), 3)), {}),
        # Each store has days of its own.
        (
            pd.date_range("2020-01-01", periods=180).strftime("%Y-%m-%d")[
                np.roll(np.arange(180), 60)
            ],
            {},
        ),
        # New patients are to be predicted, not later visits.
        (np.tile(DAYS.strftime("%Y-%m-%d"), 3), {"patient": np.repeat(np.arange(18), 10)}),
    ],
)
def test_other_rows_with_dates_are_not_split_by_time(
    dates: Any, columns: dict[str, Any], tmp_path: Path
) -> None:
    assert seen(tmp_path, sales(dates, **columns)).perceived.time is None
