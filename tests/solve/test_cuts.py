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


def test_rows_are_split_by_a_group_that_the_rows_to_predict_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    pd.DataFrame({"x": range(900, 910)}).to_csv(data / "test.csv", index=False)
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
    data = tmp_path / "data"
    data.mkdir()
    pd.DataFrame({"x": range(900, 910)}).to_csv(data / "test.csv", index=False)
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
