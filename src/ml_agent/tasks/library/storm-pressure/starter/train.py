import pandas as pd
from sklearn.ensemble import BaggingRegressor
from sklearn.tree import DecisionTreeRegressor

INPUTS = ["month", "hour", "wind"]
TARGET = "pressure"


def make_model():
    stump = DecisionTreeRegressor(max_depth=2)
    return BaggingRegressor(stump, n_estimators=5, random_state=11)


def mean_abs_error(model, storms):
    return (storms[TARGET] - model.predict(storms[INPUTS])).abs().mean()


storms = pd.read_csv("data/train.csv")
new_storms = pd.read_csv("data/predict.csv")

# the most recent years say how well it does
recent = storms.query("year >= 2012")
older = storms.query("year < 2012")
model = make_model().fit(older[INPUTS], older[TARGET])
print(f"mae from 2012 on: {mean_abs_error(model, recent):.2f} mb")

model = make_model().fit(storms[INPUTS], storms[TARGET])
pressure = pd.Series(model.predict(new_storms[INPUTS]), index=new_storms["id"], name="prediction")
pressure.to_csv("submission.csv")
