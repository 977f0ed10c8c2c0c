"""Handwritten digits of 8 x 8 pixels, which come with scikit-learn."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits

VALID = TEST = 500


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 797 images with their digit, and 1000 to predict.

    Args:
        sources: Not read: the images are part of an installed dependency.
        public: Gets `*.npy`, [N, 8, 8] uint8 of 0 to 16, row i belonging to row i of its CSV.
        answers: Gets the labels.
        seed: Of the split.
    """
    rng = np.random.default_rng(seed)
    images, digits = load_digits(return_X_y=True)
    order = rng.permutation(len(images))
    images = images[order].reshape(-1, 8, 8).astype(np.uint8)
    rows = pd.DataFrame({"id": rng.permutation(len(order)), "label": digits[order]})

    valid, test, train = np.split(np.arange(len(rows)), [VALID, VALID + TEST])
    hidden = rows.iloc[np.r_[valid, test]].sort_values("id")
    np.save(public / "train_images.npy", images[train])
    np.save(public / "predict_images.npy", images[hidden.index])
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden[["id"]].to_csv(public / "predict.csv", index=False)
    rows.iloc[valid].to_csv(answers / "valid.csv", index=False)
    rows.iloc[test].to_csv(answers / "test.csv", index=False)
