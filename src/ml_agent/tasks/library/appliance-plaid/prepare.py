"""Currents of appliances: 474 series to learn from, 300 for validation, 300 for the test.

One device was recorded several times, and the archive does not say which: a device stands in all
three splits, so the score tells of new recordings, not of new devices.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "sktime/sktime/datasets/data/PLAID"
HELD = 300


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Pool the archive's two halves and split at random; rows of .npy and .csv correspond."""
    halves = [(sources / SOURCE / f"PLAID_{half}.ts").read_bytes() for half in ("TRAIN", "TEST")]
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256(b"".join(halves)).digest()])
    series, appliances = [], []
    for half in halves:
        text = half.decode()
        for line in text.split("@data", 1)[1].split():
            values, appliance = line.rsplit(":", 1)
            series.append(np.array(values.split(","), dtype=np.float32))
            appliances.append(int(appliance))
    padded = np.full((len(series), max(map(len, series))), np.nan, dtype=np.float32)
    for row, values in zip(padded, series, strict=True):
        row[: len(values)] = values

    ids = rng.choice(900_000, len(series), replace=False) + 100_000
    table = pd.DataFrame({"id": ids, "appliance": appliances})
    held, train = np.split(rng.permutation(len(series)), [2 * HELD])
    np.save(public / "train.npy", padded[train])
    table.iloc[train].to_csv(public / "train.csv", index=False)
    mixed = rng.permutation(held)
    np.save(public / "predict.npy", padded[mixed])
    table.iloc[mixed][["id"]].to_csv(public / "predict.csv", index=False)
    labels = table.rename(columns={"appliance": "label"})
    labels.iloc[held[:HELD]].to_csv(answers / "valid.csv", index=False)
    labels.iloc[held[HELD:]].to_csv(answers / "test.csv", index=False)
