"""The prepare.py of a user's task. Copied into its package, where it stands by itself.

data/rows.csv holds every labelled row, in the order of time where that matters; data/cut.json says
how to cut it. A fifth of the rows is the test, a fifth validation.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(__file__).parent / "data"
HELD_AT_MOST = 10_000
"""Rows of validation, and of the test, where rows are dealt by chance; or groups of rows."""


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write the rows to learn from, and those to predict without their labels."""
    del sources
    cut = json.loads((DATA / "cut.json").read_text())
    target = cut["target"]
    rng = np.random.default_rng(seed)
    # As text, so that what a cell says is what a script reads.
    rows = pd.read_csv(DATA / "rows.csv", dtype=str, keep_default_na=False)
    part = PARTS[cut["split"]](rows, cut, rng)
    rows.insert(0, "id", rng.permutation(len(rows)).astype(str))

    train = np.flatnonzero(part == "train")
    held = rng.permutation(np.flatnonzero(part != "train"))
    shown = rows.drop(columns=cut["hidden"])
    shown.iloc[train].to_csv(public / "train.csv", index=False)
    shown.iloc[held].drop(columns=target).to_csv(public / "predict.csv", index=False)
    labels = rows[["id", target]].set_axis(["id", "label"], axis=1)
    for name in ("valid", "test"):
        labels[part == name].to_csv(answers / f"{name}.csv", index=False)
    if (DATA / "images.npy").exists():
        images = np.load(DATA / "images.npy", allow_pickle=False)
        np.save(public / "train_images.npy", images[train])
        np.save(public / "predict_images.npy", images[held])


def by_chance(rows: pd.DataFrame, cut: dict[str, str], rng: np.random.Generator) -> np.ndarray:
    """Every row by itself."""
    del cut
    return _dealt(rng.permutation(len(rows)), len(rows))


def by_class(rows: pd.DataFrame, cut: dict[str, str], rng: np.random.Generator) -> np.ndarray:
    """The same shares of every class; a rare one comes to each split in turn."""
    shuffled = rng.permutation(len(rows))
    codes = pd.factorize(rows[cut["target"]], sort=True)[0]
    ordered = shuffled[np.argsort(codes[shuffled], kind="stable")]
    part = _dealt(ordered, len(rows))
    counts = np.bincount(codes)
    for code in np.flatnonzero(counts < _every(len(rows))):
        turns = ["train", "valid", "test"] + ["train"] * counts[code]
        part[ordered[codes[ordered] == code]] = turns[: counts[code]]
    return part


def by_group(rows: pd.DataFrame, cut: dict[str, str], rng: np.random.Generator) -> np.ndarray:
    """Rows that share a value stay together."""
    codes = pd.factorize(rows[cut["by"]], sort=True)[0]
    count = int(codes.max()) + 1
    return _dealt(rng.permutation(count), count)[codes]


def by_time(rows: pd.DataFrame, cut: dict[str, str], rng: np.random.Generator) -> np.ndarray:
    """The latest rows are the test, those before them validation; a moment is never cut.

    There are three moments at least, and each split has one of them.
    """
    del rng
    # Rows stand in the order of time, so a moment's first row says where it begins.
    moments = pd.factorize(rows[cut["by"]])[0]
    starts = np.flatnonzero(np.diff(moments, prepend=-1))
    valid = 1 + _nearest(starts[1:-1], 0.6 * len(rows))
    test = valid + 1 + _nearest(starts[valid + 1 :], 0.8 * len(rows))
    place = np.arange(len(rows))
    return np.select([place < starts[valid], place < starts[test]], ["train", "valid"], "test")


PARTS = {"random": by_chance, "stratified": by_class, "group": by_group, "time": by_time}


def _dealt(order: np.ndarray, count: int) -> np.ndarray:
    """Of every five in this order one is for validation and one for the test, up to the bound."""
    every = _every(count)
    part = np.full(count, "train", dtype="<U5")
    part[order[0::every]] = "valid"
    part[order[1::every]] = "test"
    return part


def _every(count: int) -> int:
    return max(5, -(-count // HELD_AT_MOST))


def _nearest(starts: np.ndarray, place: float) -> int:
    return int(np.argmin(np.abs(starts - place)))
