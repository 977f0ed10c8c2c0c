"""Leaks planted by hand are found, and clean data is called clean."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from user_folders import flowers, houses

from ml_agent.solve.leaks import Leak, check_leaks
from ml_agent.solve.perceive import perceive
from ml_agent.solve.records import Hints


def leaks_of(
    folder: Path, train: pd.DataFrame, test: pd.DataFrame | None = None, **hints: str
) -> dict[str, Leak]:
    train.to_csv(folder / "train.csv", index=False)
    if test is not None:
        test.to_csv(folder / "test.csv", index=False)
    found = perceive(folder, Hints(**hints))
    return {one.check: one for one in check_leaks(found.perceived, found.material)}


def test_clean_data_is_called_clean(tmp_path: Path) -> None:
    found = leaks_of(tmp_path, houses()[:110], houses()[110:].drop(columns="SalePrice"))
    assert [one.found for one in found.values()] == ["none"] * 4
    assert not any(one.alarming for one in found.values())


def test_rows_that_stand_twice_are_counted(tmp_path: Path) -> None:
    rows = pd.concat([houses(), houses()[:15].assign(Id=range(200, 215))])
    found = leaks_of(tmp_path, rows)["labelled rows twice"]
    assert found.found == "15 of 165 rows repeat another one"
    assert found.alarming


def test_rows_that_stand_twice_with_another_target_are_told_apart(tmp_path: Path) -> None:
    again = houses()[:15].assign(Id=range(200, 215))
    again.loc[:3, "SalePrice"] += 1
    found = leaks_of(tmp_path, pd.concat([houses(), again]))["labelled rows twice"]
    assert found.found == "15 of 165 rows repeat another one, 4 of them with another target"


def test_rows_to_predict_among_the_labelled_are_counted(tmp_path: Path) -> None:
    test = houses()[100:140].drop(columns="SalePrice")
    found = leaks_of(tmp_path, houses()[:110], test)["rows to predict among the labelled"]
    assert found.found == "10 of 40 rows to predict have labels"
    assert found.alarming


@pytest.mark.parametrize("kind", ["number", "class", "cut"])
def test_a_target_in_disguise_is_found(kind: str, tmp_path: Path) -> None:
    if kind == "number":
        rows = houses().assign(tax=lambda one: np.log(one["SalePrice"]))
        hidden, target = "tax", "SalePrice"
    else:
        codes = {"daisy": "d", "rose": "r", "tulip": "t"}
        rows = flowers().assign(code=lambda one: one["species"].map(codes))
        if kind == "cut":
            rows["code"] = rows["code"].map({"d": 0.0, "r": 10.0, "t": 20.0}) + rows["stem"]
        hidden, target = "code", "species"
    check = leaks_of(tmp_path, rows, target=target)["a feature that is the target in disguise"]
    assert check.found == f"{hidden}: the target follows from it alone"
    assert check.alarming


def test_rows_sorted_by_the_target_are_told(tmp_path: Path) -> None:
    rows = houses().sort_values("SalePrice").assign(Id=range(150))
    found = leaks_of(tmp_path, rows)["an order that follows the target"]
    assert "the order of rows follows the target (rank correlation +1.00)" in found.found
    assert "Id follows the target" in found.found
