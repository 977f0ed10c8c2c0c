"""Similar music artists on last.fm: which are linked, when three tenths of the links are hidden."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

FOLDER = "orange3-network/orangecontrib/network/networks"
VALID = TEST = TRAIN = 400
"""Links hidden in each split; as many unlinked pairs join them."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write the artists, the links that stay, 800 known pairs and 1600 pairs to predict."""
    folder = sources / FOLDER
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    digest = sha256((folder / "lastfm.net").read_bytes()).digest()
    rng = np.random.default_rng([seed, *digest])
    artists = _artists(folder / "lastfm.tab")
    links = _links(folder / "lastfm.net")
    links = links[rng.permutation(len(links))]
    held = VALID + TEST + TRAIN
    pairs = np.concatenate([links[:held], _unlinked(links, len(artists), held, rng)])
    linked = np.repeat([1, 0], held)
    # Which end is "a" would otherwise depend on where the pair came from.
    pairs = np.where(rng.random((2 * held, 1)) < 0.5, pairs, pairs[:, ::-1])
    rows = pd.DataFrame({"a": pairs[:, 0], "b": pairs[:, 1], "linked": linked})
    rows.insert(0, "id", rng.permutation(len(rows)))

    # The first 400 hidden links and the first 400 unlinked pairs are validation, and so on.
    split = np.tile(np.repeat([0, 1, 2], [VALID, TEST, TRAIN]), 2)
    artists.to_csv(public / "artists.csv", index=False)
    pd.DataFrame(links[held:], columns=["a", "b"]).to_csv(public / "edges.csv", index=False)
    rows[split == 2].sort_values("id").to_csv(public / "train.csv", index=False)
    hidden = rows[split < 2].drop(columns="linked")
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "linked"]].set_axis(["id", "label"], axis=1)
    labels[split == 0].to_csv(answers / "valid.csv", index=False)
    labels[split == 1].to_csv(answers / "test.csv", index=False)


def _artists(path: Path) -> pd.DataFrame:
    """One row per node, numbered from 0; the tab file's second and third lines are types."""
    rows = pd.read_csv(path, sep="\t", skiprows=[1, 2], quoting=3)
    rows.insert(0, "node", np.arange(len(rows)))
    kept = ["node", "listeners", "plays", "album count", "first album", "last album", "best tag"]
    return rows[kept].rename(columns=lambda name: name.replace(" ", "_"))


def _links(path: Path) -> np.ndarray:
    """[N, 2] distinct links of a Pajek file, the smaller node first, nodes from 0."""
    _, _, listed = path.read_text(encoding="utf-8").partition("*edges\n")
    ends = [sorted(int(node) - 1 for node in line.split()[:2]) for line in listed.splitlines()]
    return np.unique([pair for pair in ends if pair[0] != pair[1]], axis=0)


def _unlinked(links: np.ndarray, nodes: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """[n, 2] distinct pairs of nodes, drawn evenly from those without a link."""
    taken = {tuple(pair) for pair in links}
    drawn: list[tuple[int, int]] = []
    while len(drawn) < n:
        low, high = sorted(int(node) for node in rng.choice(nodes, 2, replace=False))
        if (low, high) not in taken:
            taken.add((low, high))
            drawn.append((low, high))
    return np.array(drawn)
