"""Numbers as people write them, and what is said where they are none."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_agent.core.errors import UsageError
from ml_agent.solve.numerals import make_plain
from ml_agent.solve.perceive import Found, perceive
from ml_agent.solve.records import Hints

MANY = [str(number) for number in range(20, 35)]
"""More different numbers than classes may have."""


def plain(cells: list[str], delimiter: str = ",", **others: list[str]) -> list[Any]:
    frame = pd.DataFrame({"cells": cells, **others}, dtype=str)
    make_plain([(frame, delimiter)])
    return [None if pd.isna(one) else one for one in frame["cells"]]


def seen(folder: Path, prices: list[str], **hints: Any) -> Found:
    others = np.cos(np.arange(len(prices)) * 5).round(3)
    rows = pd.DataFrame({"x": others, "price": prices})
    rows.to_csv(folder / "rows.csv", index=False)
    return perceive(folder, Hints(**({"target": "price"} | hints)))


@pytest.mark.parametrize(
    ("delimiter", "cells", "meant"),
    [
        (",", ["1,234.50", "7,000", "12"], ["1234.50", "7000", "12"]),
        (",", ["1,234", "-7,000,000"], ["1234", "-7000000"]),
        (",", ["0,5", "12,25"], ["0.5", "12.25"]),
        (",", ["$1,200", "$90", "-$5"], ["1200", "90", "-5"]),
        (",", ["12%", "3.5 %"], ["12", "3.5"]),
        ("\t", ["3,5", "1,25"], ["3.5", "1.25"]),
        ("\t", ["1,234", "0,123"], ["1.234", "0.123"]),
        (";", ["1.234,50", "7,5", "12"], ["1234.50", "7.5", "12"]),
        (";", ["1,234", "2,500"], ["1.234", "2.500"]),
        (";", ["1,234.50", "2,500"], ["1234.50", "2500"]),
        (";", ["1.234.567", "890"], ["1234567", "890"]),
        (";", ["1.234", "2.5"], ["1.234", "2.5"]),
        (";", ["3,5", "3.25"], ["3.5", "3.25"]),
        ("|", ["1.000,00 €", "2,50 €"], ["1000.00", "2.50"]),
        (",", [*MANY, "None", "-", "n.a."], [*MANY, None, None, None]),
    ],
)
def test_numbers_are_read_as_their_column_writes_them(
    delimiter: str, cells: list[str], meant: list[str | None]
) -> None:
    assert plain(cells, delimiter) == meant


@pytest.mark.parametrize(
    ("delimiter", "cells"),
    [
        ("\t", ["1,234", "2,500"]),  # thousands, or three decimals
        (",", ["3,5", "3.5"]),
        (",", ["1,234.50", "1.234,50"]),
        (",", ["$5", "5 €"]),
        (",", ["5", "5%"]),
        (",", ["007", "012", "-"]),
        (",", ["0", "1", "None"]),  # as good as three classes
        (",", [*MANY, "many"]),
        (",", ["01.02.2020", "13.02.2020"]),
        (",", ["1,2", "3,4,5"]),
        (",", [*MANY, "1e3", " 7 "]),
    ],
)
def test_what_is_unclear_or_no_number_stays_as_it_is(delimiter: str, cells: list[str]) -> None:
    assert plain(cells, delimiter) == cells


def test_another_column_tells_what_a_comma_and_a_dot_mean() -> None:
    assert plain(["1,234", "2,500"], "\t", other=["0,5", "7"]) == ["1.234", "2.500"]
    assert plain(["1.234", "2.500"], ";", other=["0,5", "7"]) == ["1234", "2500"]


@pytest.mark.parametrize(
    "tags", [["5,4", "7,2"], ["5,14", "17,20"], ["5,4", "7"], ["3,4", "5,130"]]
)
def test_a_column_that_may_be_pairs_tells_nothing_of_another(tags: list[str]) -> None:
    assert plain(["2,163", "1,050"], ",", tags=tags) == ["2163", "1050"]


@pytest.mark.parametrize("other", [["0,5", "12,25"], ["0,5123", "1,2500"]])
def test_a_column_of_sure_decimals_tells_of_another(other: list[str]) -> None:
    assert plain(["2,163", "1,050"], ",", other=other) == ["2.163", "1.050"]


@pytest.mark.parametrize(
    ("one", "other", "meant"),
    [
        # Each with the delimiter of its file.
        ((",", ["2,25", "7"]), (",", ["5,128"]), ["5.128"]),
        ((",", ["2,250.5", "7"]), (";", ["5,128"]), ["5128"]),
        ((";", ["5,128"]), (",", ["2,163"]), ["2.163"]),
        ((",", ["5,128"]), (",", ["2,163"]), ["2163"]),
        (("\t", ["1.234,50"]), ("\t", ["1.234", "12"]), ["1234", "12"]),
        # Each is certain by itself.
        ((",", ["2,25", "7"]), (",", ["5,128.5"]), ["5128.5"]),
        ((",", ["7", "8"]), (",", ["5,128"]), ["5128"]),
    ],
)
def test_columns_of_one_name_are_read_alike_in_all_tables(
    one: tuple[str, list[str]], other: tuple[str, list[str]], meant: list[str]
) -> None:
    for order in ([one, other], [other, one]):
        tables = [(pd.DataFrame({"price": cells}), delimiter) for delimiter, cells in order]
        make_plain(tables)
        assert tables[order.index(other)][0]["price"].to_list() == meant


def test_a_test_file_is_read_as_the_training_file_is(tmp_path: Path) -> None:
    sizes = [f"{i % 7},{25 * (i % 4):02}" for i in range(60)]
    train = pd.DataFrame({"size": sizes, "x": range(5, 65), "y": np.cos(range(60))})
    train.to_csv(tmp_path / "train.csv", index=False)
    pd.DataFrame({"size": ["5,128", "2,000"], "x": [3, 1]}).to_csv(
        tmp_path / "test.csv", index=False
    )
    material = perceive(tmp_path, Hints()).material
    assert material.labelled["size"].to_list()[1] == 1.25
    assert material.unseen is not None
    assert material.unseen["size"].to_list() == [5.128, 2.0]


def test_a_target_with_a_stray_cell_is_a_quantity_without_that_row(tmp_path: Path) -> None:
    for stray in ("n/a", "None", "-"):
        prices = [stray if i % 20 == 0 else str(100 + 1.5 * i) for i in range(100)]
        found = seen(tmp_path, prices)
        assert found.perceived.metric.name == "rmse"
        assert found.material.labelled["price"].to_list()[:2] == [101.5, 103.0]
        assert "5 rows have no price and are left out." in found.perceived.warnings


def test_what_was_understood_is_said(tmp_path: Path) -> None:
    prices = ["-" if i % 20 == 0 else f"${1000 + 37.5 * i:,.2f}" for i in range(100)]
    found = seen(tmp_path, prices)
    assert found.material.labelled["price"].to_list()[0] == 1037.5
    (told,) = [one.because for one in found.perceived.conclusions if one.about == "file"]
    wanted = ["thousands with commas in price", "$ left out in price", "'-' for no value in price"]
    assert told.split("; ") == wanted


@pytest.mark.parametrize(
    ("stray", "hints", "said"),
    [
        (
            "much",
            {},
            "151 different values, too many for classes, and is no number: 'much' is none",
        ),
        ("much", {"metric": "rmse"}, "rmse does not fit: the target is no number: 'much' is none"),
        ("0012", {}, "and is no number: '0012' is none"),
    ],
)
def test_the_first_value_that_is_no_number_is_named(
    stray: str, hints: dict[str, str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        seen(tmp_path, [*(str(100 + 1.5 * i) for i in range(150)), stray], **hints)


def test_a_feature_of_numbers_that_is_a_category_for_one_value_is_told(tmp_path: Path) -> None:
    found = seen(tmp_path, [*map(str, range(5, 99)), "much"], target="x").perceived
    assert found.features == {"price": "category"}
    assert found.warnings == ("price is no number, as 'much' in it is none; it is a category.",)
