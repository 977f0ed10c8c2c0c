"""What is concluded about single columns: groups by their names, counts, numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_agent.solve.naming import names_group, names_time, words_of
from ml_agent.solve.perceive import Found, perceive
from ml_agent.solve.records import Hints


def seen(folder: Path, rows: pd.DataFrame, **hints: Any) -> Found:
    rows.to_csv(folder / "rows.csv", index=False)
    return perceive(folder, Hints(**hints))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("PatientID", ["patient", "id"]),
        ("userId", ["user", "id"]),
        ("HTTPDate", ["http", "date"]),
        ("sale_date", ["sale", "date"]),
        ("Person No", ["person", "no"]),
        ("SUBJECT", ["subject"]),
    ],
)
def test_a_name_falls_into_words(name: str, words: list[str]) -> None:
    assert words_of(name) == words


@pytest.mark.parametrize(
    "name",
    [
        *("PatientID", "userId", "customerId", "patient_id", "userid", "Subjects", "group"),
        *("new_customer", "Customer Code #"),
    ],
)
def test_rows_of_one_person_are_a_group_however_the_column_is_spelt(
    name: str, tmp_path: Path
) -> None:
    assert names_group(name)
    rows = pd.DataFrame(
        {name: np.repeat(np.arange(30) + 7, 5), "x": np.arange(150) * 7 % 31, "y": ["a", "b"] * 75}
    )
    found = seen(tmp_path, rows, target="y").perceived
    assert (found.group, found.split) == (name, "group")


@pytest.mark.parametrize("name", ["background", "impatient", "usergroupings", "superuser"])
def test_a_word_that_only_holds_the_name_of_a_group_names_none(name: str) -> None:
    assert not names_group(name)


@pytest.mark.parametrize("name", ["CustomerAge", "UserRating", "person_age", "session length"])
def test_what_is_said_of_a_person_names_no_group(name: str, tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {name: np.arange(150) * 7 % 31 + 20, "x": np.cos(range(150)), "y": ["a", "b"] * 75}
    )
    found = seen(tmp_path, rows, target="y").perceived
    assert (found.group, found.split) == (None, "stratified")


def test_a_word_that_only_holds_the_name_of_a_time_names_none() -> None:
    assert names_time("OrderDate")
    assert not names_time("update")


def units(highest: int) -> pd.DataFrame:
    """How many were sold on each of 80 days: 0 to the highest."""
    days = pd.date_range("2021-03-01", periods=80).astype(str)
    sold = np.arange(80) * 7 % (highest + 1)
    return pd.DataFrame({"date": days, "promo": np.arange(80) % 2, "units": sold})


def test_a_forecast_of_small_counts_is_of_numbers(tmp_path: Path) -> None:
    found = seen(tmp_path, units(4), say="forecast units").perceived
    assert (found.metric.name, found.domain.value) == ("rmse", "time series")
    found = seen(tmp_path, units(4), target="units", kind="time-series").perceived
    assert (found.metric.name, found.domain.value) == ("rmse", "time series")


def test_a_forecast_of_yes_or_no_is_of_classes(tmp_path: Path) -> None:
    found = seen(tmp_path, units(1), say="forecast units").perceived
    assert found.metric.name == "accuracy"


def test_a_forecast_of_counts_can_be_asked_for_as_classes(tmp_path: Path) -> None:
    found = seen(tmp_path, units(4), say="forecast units, macro F1").perceived
    assert found.metric.name == "macro_f1"
