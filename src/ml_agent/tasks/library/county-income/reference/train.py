"""Logarithms of sizes, and changes between years; a kernel machine and two sorts of trees."""

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

SHARES = ["aged_10_19", "aged_20_29", "black", "male"]
PERIODS = [(1980, 1988), (1988, 1996)]


def features(counties: pd.DataFrame) -> pd.DataFrame:
    """What a county is like in each year, and how that changed to the next."""
    made = pd.DataFrame(index=counties.index)
    for year in (1980, 1988, 1996):
        people = counties[f"population_{year}"]
        made[f"people_{year}"] = np.log(people)
        made[f"dense_{year}"] = np.log(counties[f"density_{year}"])
        made[f"jobless_{year}"] = np.log1p(counties[f"unemployment_pay_{year}"])
        for share in SHARES:
            made[f"{share}_{year}"] = counties[f"{share}_{year}"]
    figures = ["people", "jobless", *SHARES]
    for figure in figures:
        for start, end in PERIODS:
            made[f"{figure}_to_{end}"] = made[f"{figure}_{end}"] - made[f"{figure}_{start}"]
    crimes = counties.filter(like="murders_").sum(axis=1)
    made["murder_rate"] = np.sqrt(crimes / counties.filter(like="population_").sum(axis=1))
    return made


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
X, X_new, y = features(train), features(predict), np.log(train["income"])
models = [
    make_pipeline(StandardScaler(), SVR(C=1.0, gamma=0.01, epsilon=0.05)),
    ExtraTreesRegressor(200, min_samples_leaf=2, max_features=0.5, random_state=0),
    GradientBoostingRegressor(
        loss="absolute_error",
        n_estimators=250,
        learning_rate=0.06,
        max_depth=4,
        subsample=0.5,
        max_features=0.3,
        random_state=0,
    ),
]
predict["prediction"] = np.exp(
    np.mean([model.fit(X, y).predict(X_new) for model in models], axis=0)
)
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} columns, {len(models)} models")
