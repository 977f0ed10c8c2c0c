"""How rows are split: by columns that no script sees, and so that every split can be measured."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_agent.core.errors import UsageError
from ml_agent.solve import cutting
from ml_agent.solve.leaks import check_leaks
from ml_agent.solve.package import task_rows, write_package
from ml_agent.solve.perceive import Found, perceive
from ml_agent.solve.records import Hints

RNG = np.random.default_rng(0)


def seen(folder: Path, rows: pd.DataFrame, **hints: Any) -> Found:
    rows.to_csv(folder / "train.csv", index=False)
    return perceive(folder, Hints(**hints))


def cut(found: Found, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, pd.DataFrame]:
    """What the package's prepare.py writes: train, predict, valid, test."""
    write_package(folder / "package", found.perceived, found.material, b"")
    monkeypatch.setattr(cutting, "DATA", folder / "package" / "data")
    for name in ("public", "answers"):
        (folder / name).mkdir()
    cutting.prepare(folder, folder / "public", folder / "answers", 0)
    return {
        path.stem: pd.read_csv(path)
        for path in (*(folder / "public").iterdir(), *(folder / "answers").iterdir())
    }


def visits() -> pd.DataFrame:
    """Five visits of each of 20 patients; x tells patient and visit."""
    patient = np.repeat(np.arange(20), 5)
    day = pd.date_range("2020-01-01", periods=100).strftime("%d.%m.%Y")
    x = patient * 10 + np.tile(np.arange(5), 20)
    return pd.DataFrame({"patient_id": patient, "day": day, "x": x, "y": x * 7 % 11 + 0.5})


def with_rows_to_predict(parent: Path) -> Path:
    """A folder with ten rows to predict, of which only x is known."""
    data = parent / "data"
    data.mkdir()
    pd.DataFrame({"x": range(900, 910)}).to_csv(data / "test.csv", index=False)
    return data


def test_rows_are_split_by_a_group_that_the_rows_to_predict_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = with_rows_to_predict(tmp_path)
    found = seen(data, visits(), target="y", group="patient_id")
    one = found.perceived
    assert (one.group, one.split, list(one.features)) == ("patient_id", "group", ["x"])
    tables = cut(found, tmp_path, monkeypatch)
    assert list(tables["train"]) == ["id", "x", "y"]
    assert list(tables["predict"]) == ["id", "x"]
    train, held = ({x // 10 for x in tables[name]["x"]} for name in ("train", "predict"))
    assert not train & held
    assert (len(train), len(held)) == (12, 8)
    # Nor is it in best/data, or looked at for leaks.
    assert list(task_rows(one, found.material)) == ["x", "y"]
    assert check_leaks(one, found.material)


def test_rows_are_split_by_a_time_that_the_rows_to_predict_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = with_rows_to_predict(tmp_path)
    found = seen(data, visits().sample(frac=1, random_state=0), target="y", time="Day")
    assert (found.perceived.time, list(found.perceived.features)) == ("day", ["x"])
    tables = cut(found, tmp_path, monkeypatch)
    assert list(tables["train"]) == ["id", "x", "y"]
    # x grows with the day: the first 60 days are those of patients 0 to 11.
    assert sorted(tables["train"]["x"]) == [10 * p + visit for p in range(12) for visit in range(5)]


def test_what_is_predicted_cannot_split_the_rows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--group: 'y' is what is predicted"):
        seen(tmp_path, visits(), target="y", group="y")


def test_a_group_that_the_user_names_goes_before_an_order_of_time(tmp_path: Path) -> None:
    rows = visits().rename(columns={"patient_id": "ward"})
    assert seen(tmp_path, rows, target="y").perceived.split == "time"
    assert seen(tmp_path, rows, target="y", group="ward").perceived.split == "group"
    both = seen(tmp_path, rows, target="y", group="ward", time="day").perceived
    assert both.split == "time"
    assert "Rows are split by --time, so --group is not followed." in both.warnings


def shares(part: np.ndarray) -> list[int]:
    return [int((part == name).sum()) for name in ("train", "valid", "test")]


@pytest.mark.parametrize(
    ("rare", "meant"), [(1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (4, [2, 1, 1])]
)
def test_a_rare_class_comes_to_each_split_in_turn(rare: int, meant: list[int]) -> None:
    rows = pd.DataFrame({"target": ["b"] * rare + ["a"] * 500 + ["c"] * 500})
    for _ in range(5):
        part = cutting.by_class(rows, {"target": "target"}, RNG)
        assert shares(part[:rare]) == meant
        assert shares(part[rare:])[1:] == pytest.approx([200, 200], abs=1)


def test_a_rare_class_of_very_many_rows_is_in_every_split() -> None:
    # Of 100,000 rows one in ten is for validation, so nine need not be met by one.
    rows = pd.DataFrame({"target": ["a"] * 99_991 + ["b"] * 9})
    part = cutting.by_class(rows, {"target": "target"}, RNG)
    assert shares(part[99_991:]) == [7, 1, 1]


@pytest.mark.parametrize(
    ("moments", "meant"),
    [
        (np.repeat([2019, 2020, 2021], 100), [100, 100, 100]),
        # Most rows are of the last year, which is never cut.
        (np.repeat([2001, 2002, 2003, 2004], [5, 5, 5, 300]), [10, 5, 300]),
        (np.repeat([2001, 2002, 2003, 2004], [300, 5, 5, 5]), [300, 5, 10]),
        (np.arange(100), [60, 20, 20]),
    ],
)
def test_every_split_by_time_has_a_moment(moments: np.ndarray, meant: list[int]) -> None:
    rows = pd.DataFrame({"year": moments.astype(str)})
    assert shares(cutting.by_time(rows, {"by": "year"}, RNG)) == meant


def test_three_groups_are_one_for_each_split() -> None:
    rows = pd.DataFrame({"site": ["a", "b", "c"] * 10})
    assert shares(cutting.by_group(rows, {"by": "site"}, RNG)) == [10, 10, 10]


def told(positives: int, count: int = 200) -> pd.DataFrame:
    """Rows of which the first ones are sick; four sites, five years."""
    place = np.arange(count)
    return pd.DataFrame(
        {
            "x": np.cos(place).round(3),
            "year": 2001 + place * 5 // count,
            "site": place * 4 // count,
            "half": place % 2,
            "sick": np.where(place < positives, "yes", "no"),
        }
    )


def test_four_positives_are_enough_for_auc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    data.mkdir()
    tables = cut(seen(data, told(4), target="sick", metric="auc"), tmp_path, monkeypatch)
    assert [int(tables[name].iloc[:, -1].sum()) for name in ("train", "valid", "test")] == [2, 1, 1]


@pytest.mark.parametrize(
    ("positives", "hints", "said"),
    [
        (2, {}, "after the stratified split, the test has no row of 'yes' (2 of 200 rows), so auc"),
        (1, {"metric": "accuracy"}, "validation has no row of 'yes' (1 of 200 rows)"),
        (90, {"time": "year"}, "after the split by year, validation has no row of 'yes' (90 of"),
        (50, {"group": "site"}, "has no row of 'yes' (50 of 200 rows), so auc cannot be measured"),
        (50, {"group": "half"}, "--group half: it has 2 different values, and each of the three"),
        (50, {"time": "half"}, "--time half: it has 2 different values, and each of the three"),
    ],
)
def test_a_split_that_cannot_be_measured_is_refused_before_anything_runs(
    positives: int, hints: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as raised:
        seen(tmp_path, told(positives), **{"target": "sick", "metric": "auc", **hints})
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def sales() -> pd.DataFrame:
    """Of 100 days: one sale on 50 of them, 2 to 21 on twenty, and none on the last 30."""
    days = pd.date_range("2023-01-01", periods=100).astype(str)
    return pd.DataFrame({"date": days, "sales": [1] * 50 + [*range(2, 22)] + [0] * 30})


@pytest.mark.parametrize("metric", ["rmse", "mae", "mse", "smape"])
def test_an_error_is_measured_where_a_split_is_all_one_number(metric: str, tmp_path: Path) -> None:
    found = seen(tmp_path, sales(), say="forecast sales", metric=metric).perceived
    assert (found.split, found.metric.name) == ("time", metric)
    wanted = (
        "After the split by date, the test has only '0' (30 of 100 rows): "
        f"{metric} says little of other rows."
    )
    assert found.warnings == (wanted,)


@pytest.mark.parametrize("metric", ["r2", "pearson", "spearman"])
def test_what_is_explained_of_one_number_is_refused(metric: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        seen(tmp_path, sales(), say="forecast sales", metric=metric)
    said = f"the test has only '0' (30 of 100 rows), so {metric} cannot be measured. Give more rows"
    assert said in str(raised.value)


def test_a_quantity_that_hardly_varies_is_told_of(tmp_path: Path) -> None:
    rows = told(0).assign(sick=[1.5, *[0] * 199])
    found = seen(tmp_path, rows, target="sick", metric="rmse").perceived
    # The one row is in one of three splits; the others lack it.
    assert sum("has no row of '1.5' (1 of 200 rows)" in one for one in found.warnings) == 2


def test_very_unequal_splits_are_told_of(tmp_path: Path) -> None:
    rows = told(100).assign(year=np.repeat([2001, 2002, 2003, 2004], [5, 5, 5, 185]))
    found = seen(tmp_path, rows, target="x", time="year").perceived
    wanted = (
        "The split by year leaves 10 rows to learn from, 5 for validation and 185 for the test."
    )
    assert wanted in found.warnings
