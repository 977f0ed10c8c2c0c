"""Columns named for moments are a series only where nothing else is to be predicted."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_agent.solve.perceive import Found, perceive
from ml_agent.solve.records import Hints


def seen(folder: Path, **hints: Any) -> Found:
    return perceive(folder, Hints(**hints))


def survey() -> pd.DataFrame:
    """Twelve answers of 100 people, of whom every third is satisfied."""
    answers = {f"q{i}": (np.arange(100) * (i + 2)) % 5 for i in range(1, 13)}
    said = np.where(np.arange(100) % 3 == 0, "yes", "no")
    return pd.DataFrame({"person": np.arange(7, 107), **answers, "satisfied": said})


def stores(names: list[str]) -> pd.DataFrame:
    """Five stores, a column for every moment, and how large they are."""
    sales = {name: np.arange(5) + place * 1.5 for place, name in enumerate(names)}
    return pd.DataFrame({"store": list("abcde"), "size": [9.5, 3.0, 4.0, 1.0, 7.0], **sales})


@pytest.mark.parametrize(
    ("with_test", "hints"),
    [
        (True, {}),
        (True, {"say": "predict satisfied, accuracy"}),
        (False, {"say": "predict satisfied"}),
        (False, {"target": "Satisfied"}),
        (False, {}),
    ],
)
def test_the_questions_of_a_survey_are_features(
    with_test: bool, hints: dict[str, str], tmp_path: Path
) -> None:
    rows = survey()
    if with_test:
        rows[:70].to_csv(tmp_path / "train.csv", index=False)
        rows[70:].drop(columns="satisfied").to_csv(tmp_path / "test.csv", index=False)
        form = rows[70:][["person", "satisfied"]]
        form.to_csv(tmp_path / "sample_submission.csv", index=False)
    else:
        rows.to_csv(tmp_path / "survey.csv", index=False)
    found = seen(tmp_path, **hints)
    assert found.perceived.target == "satisfied"
    assert len(found.material.labelled) == (70 if with_test else 100)
    assert (found.material.unseen is not None) is with_test
    assert {f"q{i}" for i in range(1, 13)} <= found.perceived.features.keys()


def test_columns_that_may_be_moments_are_said_to_be_taken_for_features(tmp_path: Path) -> None:
    survey().to_csv(tmp_path / "survey.csv", index=False)
    told = "q1 to q12 are taken for features. If they are moments of a series, say so with"
    assert any(one.startswith(told) for one in seen(tmp_path).perceived.warnings)
    assert not any(
        one.startswith(told) for one in seen(tmp_path, target="satisfied").perceived.warnings
    )


def test_readings_of_a_sensor_are_no_series_where_a_label_is_to_be_classified(
    tmp_path: Path,
) -> None:
    readings = {f"t{i}": np.sin(np.arange(60) * (i + 1)) for i in range(30)}
    rows = pd.DataFrame({**readings, "label": ["n", "a"] * 30})
    rows.to_csv(tmp_path / "ecg.csv", index=False)
    for said in ({"say": "classify label"}, {}):
        found = seen(tmp_path, **said)
        assert (found.perceived.target, len(found.material.labelled)) == ("label", 60)


def test_months_beside_a_target_are_features(tmp_path: Path) -> None:
    rows = stores([f"2023-{month:02d}" for month in range(1, 13)])
    rows = pd.concat([rows.assign(churn=i % 2) for i in range(8)])
    rows[:30].to_csv(tmp_path / "train.csv", index=False)
    rows[30:].drop(columns="churn").to_csv(tmp_path / "test.csv", index=False)
    found = seen(tmp_path)
    assert (found.perceived.target, len(found.material.labelled)) == ("churn", 30)


@pytest.mark.parametrize(
    "hints", [{"say": "forecast the sales of every store by size"}, {"kind": "time-series"}]
)
def test_columns_named_by_a_letter_are_a_series_where_a_forecast_is_asked_for(
    hints: dict[str, Any], tmp_path: Path
) -> None:
    stores([f"d_{day}" for day in range(1, 21)]).to_csv(tmp_path / "sales.csv", index=False)
    found = seen(tmp_path, **hints)
    assert (found.perceived.target, found.perceived.time) == ("value", "time")
    assert len(found.material.labelled) == 5 * 20
    # The second of 20 days: places 0 to 19.
    second = found.material.labelled.query("time == 1 and store == 'c'")
    assert second["value"].to_list() == [2 + 1.5]


def test_a_forecast_of_a_column_beside_the_moments_is_of_that_column(tmp_path: Path) -> None:
    rows = stores([f"d_{day}" for day in range(1, 21)])
    rows = pd.concat([rows.assign(demand=rows["size"] + i) for i in range(8)])
    rows.to_csv(tmp_path / "sales.csv", index=False)
    found = seen(tmp_path, say="forecast demand for every store")
    assert (found.perceived.target, len(found.material.labelled)) == ("demand", 40)
