"""Folders as users have them, made here so that what is in them is known. Nothing is committed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

WORDS = {
    "good": ["great", "lovely", "fresh", "friendly", "quick", "tasty"],
    "bad": ["awful", "stale", "rude", "slow", "cold", "broken"],
}
PLAIN = ["the", "place", "was", "we", "had", "and", "food", "waiter", "table", "again"]


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)


def houses(count: int = 150) -> pd.DataFrame:
    """Prices that follow from area, rooms and town, with noise."""
    rng = _rng()
    frame = pd.DataFrame(
        {
            "Id": np.arange(1, count + 1),
            "area": rng.integers(40, 200, count),
            "rooms": rng.integers(1, 7, count),
            "built": rng.integers(1900, 2020, count),
            "town": rng.choice(["north", "south", "east"], count),
        }
    )
    price = 1000 * frame["area"] + 9000 * (frame["town"] == "north") + 300 * frame["built"]
    return frame.assign(SalePrice=(price + rng.normal(0, 4000, count)).round())


def flowers(count: int = 120) -> pd.DataFrame:
    """Three kinds that two lengths tell apart."""
    rng = _rng()
    kind = rng.choice(["daisy", "rose", "tulip"], count)
    size = np.array([{"daisy": 1.0, "rose": 2.0, "tulip": 3.0}[one] for one in kind])
    return pd.DataFrame(
        {
            "stem": (size + rng.normal(0, 0.5, count)).round(2),
            "leaf": (4 - size + rng.normal(0, 0.5, count)).round(2),
            "colour": rng.choice(["red", "white"], count),
            "species": kind,
        }
    )


def csv_classification(folder: Path) -> None:
    flowers().to_csv(folder / "flowers.csv", index=False)


def csv_regression(folder: Path) -> None:
    rows = houses()
    rows[:110].to_csv(folder / "train.csv", index=False)
    rows[110:].drop(columns="SalePrice").to_csv(folder / "test.csv", index=False)
    form = pd.DataFrame({"Id": rows["Id"][110:], "SalePrice": 0})
    form.to_csv(folder / "sample_submission.csv", index=False)


def several_csvs(folder: Path) -> None:
    """Clients with an outcome; their towns are looked up, their visits summed up."""
    rng = _rng()
    clients = pd.DataFrame(
        {
            "client": [f"c{i}" for i in range(90)],
            "town_code": rng.integers(0, 5, 90),
            "spent": rng.integers(10, 500, 90) + 0.5,
        }
    )
    towns = pd.DataFrame({"town_code": range(5), "people": [100, 250, 40, 900, 70]})
    visits = pd.DataFrame({"client": rng.choice(clients["client"], 400), "minutes": 12})
    visits["minutes"] = rng.integers(1, 60, 400)
    clients.to_csv(folder / "clients.csv", index=False)
    towns.to_csv(folder / "towns.csv", index=False)
    visits.to_csv(folder / "visits.csv", index=False)


def texts(folder: Path) -> None:
    rng = _rng()
    rows = []
    for mood in rng.choice(["good", "bad"], 120):
        words = [*rng.choice(PLAIN, 7), *rng.choice(WORDS[mood], 2)]
        rows.append((" ".join(rng.permutation(words)), mood))
    pd.DataFrame(rows, columns=["review", "mood"]).to_csv(folder / "reviews.tsv", sep="\t")


def image_folders(folder: Path) -> None:
    """Stripes that lie or stand, in noise, two folders deep, and some to predict."""
    rng = _rng()
    for number in range(64):
        name = "lying" if number % 2 else "standing"
        where = f"pictures/train/{name}" if number < 50 else "pictures/test"
        (folder / where).mkdir(parents=True, exist_ok=True)
        place = np.arange(16) + rng.integers(0, 4)
        stripes = np.tile(40.0 * (place // 2 % 2), (16, 1))
        stripes = (stripes.T if name == "lying" else stripes)[:, :, None]
        noisy = rng.normal(100, 30, (16, 16, 3)) + stripes
        pixels = np.clip(noisy, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / where / f"p{number}.png")


def long_series(folder: Path) -> None:
    """Daily sales of two shops; the days to predict come later."""
    rng = _rng()
    days = pd.date_range("2023-01-01", periods=80).astype(str)
    rows = pd.DataFrame([(day, shop) for day in days for shop in "ab"], columns=["date", "shop"])
    weekday = pd.to_datetime(rows["date"]).dt.day_of_week
    rows["promo"] = rng.integers(0, 2, len(rows))
    rows["sales"] = (20 + 3 * weekday + 5 * rows["promo"] + rng.normal(0, 1, len(rows))).round(2)
    rows[:140].to_csv(folder / "train.csv", index=False)
    rows[140:].drop(columns="sales").to_csv(folder / "test.csv", index=False)


def wide_series(folder: Path) -> None:
    """A row for every river, a column for every month."""
    rng = _rng()
    months = pd.period_range("2019-01", periods=30, freq="M").astype(str)
    levels = 5 + np.sin(np.arange(30) / 2)[None, :] + rng.normal(0, 0.1, (4, 30))
    table = pd.DataFrame(levels.round(3), columns=months)
    table.insert(0, "river", ["elbe", "main", "neckar", "rhein"])
    table.to_csv(folder / "levels.csv", index=False)


def broken_csv(folder: Path) -> None:
    lines = flowers().to_csv(index=False).splitlines()
    lines[7] += ",and,more"
    lines[20] = "1.0,2.0"
    (folder / "flowers.csv").write_text("\n".join(lines) + "\n")


def misleading_readme(folder: Path) -> None:
    csv_regression(folder)
    (folder / "README.md").write_text(
        "# Town data\nPredict rooms for every house. Measured by accuracy. See old_train.csv.\n"
    )


CRASHING = """import pandas as pd
from sklearn.linear_model import Ridge

train = pd.read_csv("data/train.csv")
predict = pd.read_csv("data/predict.csv")
columns = ["area", "rooms", "built"]
X = train[columns]
y = train["SalePrice"]
model = Ridge(alpha=1.0, random_state=0)
model.fit(X, y)
print("fitted", modle)
guesses = model.predict(predict[columns])
pd.DataFrame({"id": predict["id"], "prediction": guesses}).to_csv("submission.csv", index=False)
"""


def crashing_script(folder: Path) -> None:
    csv_regression(folder)
    (folder / "mine.py").write_text(CRASHING)


def european_csv(folder: Path) -> None:
    """Semicolons, decimal commas, umlauts of Windows."""
    rows = houses().drop(columns="Id").rename(columns={"area": "Fläche", "SalePrice": "Preis"})
    rows["Fläche"] += 0.25
    text = rows.to_csv(index=False, sep=";", decimal=",")
    (folder / "häuser.csv").write_bytes(text.encode("cp1252"))


def patients(folder: Path) -> None:
    """Several visits of each patient; new patients to predict, as probabilities."""
    rng = _rng()
    patient = np.repeat(np.arange(60), 4)
    rows = pd.DataFrame(
        {
            "row_id": rng.permutation(9000)[:240],
            "patient_id": patient,
            "pressure": rng.normal(120, 15, 240).round(),
            "age": 30 + patient % 50,
        }
    )
    rows["relapse"] = np.where(rows["pressure"] + rng.normal(0, 9, 240) > 125, "yes", "no")
    rows[:180].to_csv(folder / "train.csv", index=False)
    rows[180:].drop(columns="relapse").to_csv(folder / "test.csv", index=False)
    form = pd.DataFrame({"row_id": rows["row_id"][180:], "relapse": 0.5})
    form.to_csv(folder / "sample_submission.csv", index=False)


FOLDERS: dict[str, Callable[[Path], None]] = {
    one.__name__: one
    for one in (
        csv_classification,
        csv_regression,
        several_csvs,
        texts,
        image_folders,
        long_series,
        wide_series,
        broken_csv,
        misleading_readme,
        crashing_script,
        european_csv,
        patients,
    )
}


def made(name: str, parent: Path) -> Path:
    """Make a folder; returns what is given to `solve`: it, or the script in it."""
    folder = parent / name
    folder.mkdir()
    FOLDERS[name](folder)
    script = folder / "mine.py"
    return script if script.exists() else folder
