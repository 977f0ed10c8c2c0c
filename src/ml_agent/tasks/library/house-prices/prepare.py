"""House prices in Ames, Iowa: 1460 sales with 79 columns, split at random."""

from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "aideml/aide/example_tasks/house_prices/train.csv"
VALID = TEST = 350


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 760 sales with their prices, and 700 to predict."""
    rng = np.random.default_rng(seed)
    # "NA" is a word of this data ("no alley"), but every reader of the CSV takes it for missing.
    rows = pd.read_csv(sources / MEMBER).drop(columns="Id")
    rows = rows.iloc[rng.permutation(len(rows))]
    rows.insert(0, "id", rng.permutation(len(rows)))

    valid, test, train = np.split(np.arange(len(rows)), [VALID, VALID + TEST])
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="SalePrice")
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "SalePrice"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)
