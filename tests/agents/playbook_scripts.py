"""Scripts that people write in different ways; data to run the first two on."""

from pathlib import Path

FLAT = """\
import pandas as pd
from sklearn.linear_model import Ridge

houses = pd.read_csv("data/train.csv")
new = pd.read_csv("data/predict.csv")
used = ["rooms", "area"]

model = Ridge(alpha=1.0)
model.fit(houses[used].fillna(0), houses["price"])
print("first weight", model.coef_[0])
new["prediction"] = model.predict(new[used].fillna(0))
new[["id", "prediction"]].to_csv("submission.csv", index=False)
"""

FUNCTIONS = """\
import pandas as pd
import sklearn.tree as trees
from sklearn.model_selection import train_test_split


def read(name):
    return pd.read_csv(f"data/{name}.csv")


def inputs(table):
    return table[["rooms", "area"]]


def main():
    sold, unsold = read("train"), read("predict")
    X, y = inputs(sold), sold["price"]
    X_a, X_b, y_a, y_b = train_test_split(X, y, test_size=0.3, random_state=0)
    settings = {"max_depth": 2}
    reg = trees.DecisionTreeRegressor(random_state=0, **settings)
    reg.fit(X_a, y_a)
    print(reg.score(X_b, y_b))
    pd.DataFrame({"id": unsold["id"], "prediction": reg.predict(inputs(unsold))}).to_csv(
        "submission.csv", index=False
    )


if __name__ == "__main__":
    main()
"""

PIPELINE = """\
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer as Tfidf
from sklearn.linear_model import LogisticRegression as LR
from sklearn.pipeline import Pipeline

train, test = [pd.read_csv(f"data/{part}.csv") for part in ("train", "predict")]
clf = Pipeline([("words", Tfidf(max_features=100)), ("model", LR(C=0.1))])
clf.fit(train["text"], train["label"])
test["prediction"] = clf.predict(test["text"])
test.to_csv("submission.csv", columns=["id", "prediction"], index=False)
"""

BY_HAND = """\
import numpy as np
import pandas as pd

RATE, n_steps = 0.1, 50
EPOCHS = 20
table = pd.read_csv("data/train.csv")
X = np.load("data/train.npy").reshape(len(table), -1)
y = table["digit"].to_numpy()
w = np.zeros((X.shape[1], 10))
for _ in range(EPOCHS):
    w -= RATE * X.T @ (X @ w - np.eye(10)[y]) / len(X)
Z = np.load("data/predict.npy").reshape(-1, X.shape[1])
out = pd.read_csv("data/predict.csv")
out["prediction"] = (Z @ w).argmax(axis=1)
out.to_csv("submission.csv", index=False)
"""

NEIGHBOURS = """\
import csv

near = {}
for row in csv.DictReader(open("data/edges.csv")):
    near.setdefault(row["a"], set()).add(row["b"])
    near.setdefault(row["b"], set()).add(row["a"])


def closeness(first, second):
    return len(near[first]) + len(near[second])


with open("submission.csv", "w") as out:
    print("id,prediction", file=out)
    for row in csv.DictReader(open("data/predict.csv")):
        print(row["id"], closeness(row["a"], row["b"]), sep=",", file=out)
"""


def write_houses(folder: Path) -> None:
    """Prices that grow with the logarithm of the area: room for many ideas."""
    data = folder / "data"
    data.mkdir()
    rows = [(i, 1 + i % 7, 20 + (i * 37) % 101, "abc"[i % 3]) for i in range(90)]
    train = [f"{i},{rooms},{area},{kind},{rooms * area**0.5:.3f}" for i, rooms, area, kind in rows]
    new = [f"{i + 100},{rooms},{area + 1},{kind}" for i, rooms, area, kind in rows[:20]]
    (data / "train.csv").write_text("\n".join(["id,rooms,area,kind,price", *train]) + "\n")
    (data / "predict.csv").write_text("\n".join(["id,rooms,area,kind", *new]) + "\n")
