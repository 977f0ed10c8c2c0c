"""Flights between airports: which pairs are linked, when three tenths of the links are hidden."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = "orange3-network/orangecontrib/network/networks"
SPLITS = ("valid", "test", "train")
EACH = 300
"""Links hidden in each split; as many unlinked pairs join them."""
COLUMNS = {
    "label": "code",
    "city": "city",
    "Lufthansa": "lufthansa",
    "American Airlines": "american",
    "United": "united",
    "Adria": "adria",
    "movements": "movements",
    "passengers": "passengers",
    "cargo": "cargo",
    "FAA Classifications": "size",
}


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write the airports, the links that stay, 600 known pairs and 1200 pairs to predict."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    digest = sha256((sources / FOLDER / "airtraffic.net").read_bytes()).digest()
    rng = np.random.default_rng([seed, *digest])
    airports = pd.read_csv(
        sources / FOLDER / "airtraffic_items.tab", sep="\t", skiprows=[1, 2], na_values="?"
    )
    airports = airports[list(COLUMNS)].rename(columns=COLUMNS)
    hidden = len(SPLITS) * EACH
    links = _hide(rng.permutation(_links(sources / FOLDER / "airtraffic.net")), hidden)
    pairs = np.concatenate([links[:hidden], _unlinked(links, len(airports), hidden, rng)])
    # Which end is "a" would otherwise depend on where the pair came from.
    pairs = rng.permuted(pairs, axis=1)
    codes = airports["code"].to_numpy()
    rows = pd.DataFrame(
        {
            "id": rng.permutation(len(pairs)),
            "a": codes[pairs[:, 0]],
            "b": codes[pairs[:, 1]],
            "linked": np.repeat([1, 0], hidden),
            "split": np.tile(np.repeat(SPLITS, EACH), 2),
        }
    ).sort_values("id")

    airports.to_csv(public / "airports.csv", index=False)
    stay = pd.DataFrame(codes[links[hidden:]], columns=["a", "b"])
    stay.sort_values(["a", "b"]).to_csv(public / "routes.csv", index=False)
    known = rows["split"] == "train"
    rows[known].drop(columns="split").to_csv(public / "train.csv", index=False)
    rows.loc[~known, ["id", "a", "b"]].to_csv(public / "predict.csv", index=False)
    labels = rows.rename(columns={"linked": "label"})
    for split in ("valid", "test"):
        labels.loc[rows["split"] == split, ["id", "label"]].to_csv(
            answers / f"{split}.csv", index=False
        )


def _links(path: Path) -> np.ndarray:
    """[N, 2] distinct links of a Pajek file, the smaller node first, nodes from 0."""
    lines = path.read_text(encoding="utf-8").splitlines()
    listed = [line.split()[:2] for line in lines[lines.index("*edges") + 1 :]]
    ends = np.sort(np.array(listed, dtype=int) - 1, axis=1)
    return np.unique(ends[ends[:, 0] != ends[:, 1]], axis=0)


def _hide(links: np.ndarray, n: int) -> np.ndarray:
    """The same links, those to hide first: every airport keeps one, or a lone one would tell."""
    left = np.bincount(links.ravel())
    first = []
    for place, pair in enumerate(links):
        if len(first) < n and left[pair].min() > 1:
            left[pair] -= 1
            first.append(place)
    return np.concatenate([links[first], np.delete(links, first, axis=0)])


def _unlinked(links: np.ndarray, nodes: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """[n, 2] distinct pairs without a link; one end is drawn by its links, the other evenly.

    Drawn evenly at both ends they would be small airports, told apart by size alone.
    """
    taken = {tuple(pair) for pair in links.tolist()}
    ends = links.ravel()
    drawn: list[tuple[int, int]] = []
    while len(drawn) < n:
        low, high = sorted((int(rng.choice(ends)), int(rng.integers(nodes))))
        if low != high and (low, high) not in taken:
            taken.add((low, high))
            drawn.append((low, high))
    return np.array(drawn)
