"""Outlines of leaves of six species (UCR "OSULeaf"): its two halves pooled and split at random."""

from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "sktime/sktime/datasets/data/OSULeaf"
VALID = TEST = 150
SAME = 0.01
"""Mean square between outlines (of variance 1) below which they show one leaf; the next are 0.05
apart."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write about 140 outlines with their species, and 300 to predict."""
    rng = np.random.default_rng(seed)
    outlines, species = [], []
    for half in ("TRAIN", "TEST"):
        text = (sources / SOURCE / f"OSULeaf_{half}.ts").read_text(encoding="utf-8")
        for line in text.split("@data", 1)[1].split():
            values, label = line.rsplit(":", 1)
            outlines.append([float(value) for value in values.split(",")])
            species.append(int(label))
    series = _distinct(np.array(outlines))
    rows = pd.DataFrame(np.round(outlines, 4)).add_prefix("t").iloc[series]
    rows.insert(0, "species", np.array(species)[series])
    rows = rows.iloc[rng.permutation(len(rows))]
    rows.insert(0, "id", rng.permutation(len(rows)))

    valid, test, train = np.split(np.arange(len(rows)), [VALID, VALID + TEST])
    hidden = rows.iloc[np.r_[valid, test]].drop(columns="species")
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", "species"]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)


def _distinct(outlines: np.ndarray) -> list[int]:
    """Numbers of the outlines that repeat no earlier one."""
    kept: list[int] = []
    for number, outline in enumerate(outlines):
        if not kept or ((outlines[kept] - outline) ** 2).mean(axis=1).min() > SAME:
            kept.append(number)
    return kept
