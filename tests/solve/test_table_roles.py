"""Which of several tables is what, and which of them are joined."""

import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from user_folders import houses, made

from ml_agent.solve.perceive import Found, perceive
from ml_agent.solve.records import Hints


def seen(folder: Path, **hints: Any) -> Found:
    return perceive(folder, Hints(**hints))


def written(folder: Path, **tables: pd.DataFrame) -> Path:
    """Write tables, each named by its keyword."""
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder


HOUSES = ["area", "built", "rooms", "town"]


@pytest.mark.parametrize("archive", ["house-prices.zip", "train.csv.zip", "more/all.zip"])
def test_an_archive_left_beside_what_was_unpacked_of_it_changes_nothing(
    archive: str, tmp_path: Path
) -> None:
    folder = made("csv_regression", tmp_path)
    (folder / "more").mkdir()
    names = ["train.csv"] if archive == "train.csv.zip" else None
    with zipfile.ZipFile(folder / archive, "w") as packed:
        for path in sorted(folder.glob("*.csv")):
            if names is None or path.name in names:
                packed.write(path, path.name)
    found = seen(folder)
    assert sorted(found.perceived.features) == HOUSES
    assert found.material.unseen is not None
    assert not found.material.unseen.isna().any().any()
    inside = archive.removesuffix(".zip")
    said = f"{inside}/train.csv holds the same rows as train.csv, so it is left out."
    assert said in found.perceived.warnings


def test_an_older_copy_of_the_labelled_rows_is_not_joined(tmp_path: Path) -> None:
    folder = made("csv_regression", tmp_path)
    older = houses()[:110]
    written(folder, train_old=older.assign(area=older["area"] + 1))
    found = seen(folder)
    assert sorted(found.perceived.features) == HOUSES
    said = "train_old.csv is not used: it holds SalePrice too, which is to be predicted."
    assert said in found.perceived.warnings
    assert found.material.labelled["area"].tolist() == houses()["area"][:110].tolist()


def test_what_is_known_of_labelled_rows_alone_is_not_joined(tmp_path: Path) -> None:
    folder = made("csv_regression", tmp_path)
    # Gardens are known of all 110 labelled houses and of 10 of the 40 to predict.
    rows = houses()
    written(folder, gardens=rows[:120][["Id"]].assign(garden=7), roofs=rows[["Id"]].assign(roof=3))
    found = seen(folder)
    assert sorted(found.perceived.features) == ["area", "built", "roof", "rooms", "town"]
    assert any(one.startswith("gardens.csv is not used") for one in found.perceived.warnings)
