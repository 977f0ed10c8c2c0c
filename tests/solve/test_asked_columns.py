"""Which column a sentence asks to predict."""

from pathlib import Path

import pandas as pd
import pytest

from ml_agent.solve.perceive import perceive
from ml_agent.solve.records import Hints
from ml_agent.solve.words import closest, column_asked_in, column_in


@pytest.mark.parametrize(
    ("said", "columns", "meant"),
    [
        # An article is no column, unless nothing follows it.
        ("predict a price", "a b price", "price"),
        ("predict a, RMSE", "a b price", "a"),
        ("predict a from b", "a b price", "a"),
        ("predict A", "A B", "A"),
        ("predict y from x", "x y", "y"),
        ("predict sales in May", "in sales", "sales"),
        # The last of what stands together is meant.
        ("forecast next week's sales", "week sales", "sales"),
        ("predict customer churn", "churn customer", "churn"),
        ("predict the driver's age", "drivers_age driver", "drivers_age"),
        ("predict sale price per unit", "price SalePrice unit", "SalePrice"),
        ("predict price per unit", "price price_per_unit unit", "price_per_unit"),
        ("predict the time to failure", "time time_to_failure failure", "time_to_failure"),
        # What follows a comma, a preposition or another article is something else.
        ("predict SalePrice from area and rooms", "area rooms SalePrice", "SalePrice"),
        ("predict price, area is in feet", "area price", "price"),
        ("predict price (area is in feet)", "area price", "price"),
        ("predict the price a customer pays", "customer price", "price"),
        ("forecast sales by shop", "shop sales", "sales"),
        ("predict the value of SalePrice", "area SalePrice", "SalePrice"),
        ("the target is price and not area", "area price", "price"),
        ("predict price - use size", "price size rooms", "price"),
        ("predict price — size helps", "price size rooms", "price"),
        ("predict price where size is over 3", "price size rooms", "price"),
        ("predict price when size is known", "price size rooms", "price"),
        ("predict price if size is known", "price size rooms", "price"),
        ("predict price excluding size", "price size rooms", "price"),
        ("predict price except size", "price size rooms", "price"),
        ("predict price but not size", "price size rooms", "price"),
        ("predict price not size", "price size rooms", "price"),
        ("predict price ignoring rooms", "price size rooms", "price"),
        ("predict price while size is fixed", "price size rooms", "price"),
        ("predict price because rooms vary", "price size rooms", "price"),
        ("predict price having size", "price size rooms", "price"),
        ("predict price under size 3", "price size rooms", "price"),
        ("predict price across rooms", "price size rooms", "price"),
        ("predict price | size", "price size rooms", "price"),
        ("predict price~size+rooms", "price size rooms", "price"),
        ("predict price/size", "price size rooms", "price"),
        ('predict "price" size matters', "price size rooms", "price"),
        # Marks may as well be part of a name.
        ("predict sale-price from area", "area sale SalePrice", "SalePrice"),
        ('predict customer "churn"', "customer churn", "churn"),
        ("predict price/sqft with rooms", "price price/sqft rooms", "price/sqft"),
        # A clause ends with what is asked.
        ("predict whether a customer will churn", "customer churn", "churn"),
        ("predict whether a customer will churn in a month", "month customer churn", "churn"),
        ("predict which customers churn", "customer churn", "churn"),
        ("predict if a customer will churn", "customer churn", "churn"),
        ("predict if a customer will not churn", "customer churn", "churn"),
        ("predict when a customer churns", "customer churns", "churns"),
        ("predict whether customers under 30 churn", "customer churn", "churn"),
        ("predict whether a customer churns if the price rises", "customer churns price", "churns"),
        ("predict how much a customer spends", "customer spends age", "spends"),
        # Any letters, composed or not.
        ("predict цена, RMSE", "площадь цена этаж", "цена"),
        ("predict цена дома", "площадь ЦенаДома", "ЦенаДома"),
        ("predict 价格，RMSE", "面积 价格", "价格"),
        ("predict prix_e\u0301leve\u0301", "prix_\u00e9lev\u00e9 x", "prix_\u00e9lev\u00e9"),
        ("predict the weather", "area price", None),
        ("unpredict area", "area price", None),
    ],
)
def test_of_what_a_sentence_names_one_column_is_meant(
    said: str, columns: str, meant: str | None
) -> None:
    assert column_asked_in(said, columns.split()) == meant


def test_a_column_that_is_only_mentioned_counts_where_it_is_the_only_one() -> None:
    assert column_in("RMSE of the price per unit", ["unit", "price per unit"]) == "price per unit"
    assert column_in("RMSE of цена", ["площадь", "цена"]) == "цена"
    assert column_in("price against area", ["area", "price"]) is None


def test_an_option_names_a_column_in_letters_of_any_script() -> None:
    assert closest("цена дома", ["Цена_дома", "площадь"]) == "Цена_дома"
    assert closest("цена", ["площадь", "этаж"]) is None


def test_a_sentence_in_other_letters_decides_what_is_predicted(tmp_path: Path) -> None:
    columns = {"площадь": 3, "цена": 5, "этаж": 7}
    rows = pd.DataFrame(
        {name: [i * by % 41 + 0.5 for i in range(60)] for name, by in columns.items()}
    )
    rows.to_csv(tmp_path / "rows.csv", index=False)
    assert perceive(tmp_path, Hints(say="predict цена, RMSE")).perceived.target == "цена"
