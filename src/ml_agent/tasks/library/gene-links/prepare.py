"""Links between genes: 1,997 known, and 400 linked with 600 unlinked pairs for each split."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "orange3-network/orangecontrib/network/networks/dicty_publication.net"
NODES = 385
LINKED, UNLINKED = 400, 600


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Hide links at random and number the nodes anew, because their order tells what they are."""
    content = (sources / SOURCE).read_bytes()
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256(content).digest()])
    lines = content.decode().split("*Edges", 1)[1].splitlines()[1:]
    table = np.array([line.split() for line in lines if line.strip()], dtype=float)
    table = rng.permutation(table)
    renamed = rng.permutation(NODES)
    links = np.sort(renamed[table[:, :2].astype(int) - 1], axis=1)

    upper = np.triu(np.ones((NODES, NODES), dtype=bool), k=1)
    upper[links[:, 0], links[:, 1]] = False
    others = rng.permutation(np.argwhere(upper))

    parts = {}
    for number, name in enumerate(("train", "valid", "test")):
        yes = links[number * LINKED : (number + 1) * LINKED]
        no = others[number * UNLINKED : (number + 1) * UNLINKED]
        part = pd.DataFrame(np.vstack([yes, no]), columns=["u", "v"])
        part["linked"] = np.repeat([1, 0], [LINKED, UNLINKED])
        parts[name] = part.sample(frac=1, random_state=rng)
    pairs = pd.concat(parts.values(), keys=parts.keys())
    pairs.insert(0, "id", rng.choice(900_000, len(pairs), replace=False) + 100_000)

    known = pd.DataFrame(links[3 * LINKED :], columns=["source", "target"])
    known["weight"] = table[3 * LINKED :, 2]
    known.to_csv(public / "edges.csv", index=False)
    pairs.loc["train"].to_csv(public / "train.csv", index=False)
    mixed = pairs.loc[["valid", "test"]].sample(frac=1, random_state=rng)
    mixed.drop(columns="linked").to_csv(public / "predict.csv", index=False)
    for name in ("valid", "test"):
        labels = pairs.loc[name, ["id", "linked"]].rename(columns={"linked": "label"})
        labels.to_csv(answers / f"{name}.csv", index=False)
