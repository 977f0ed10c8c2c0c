"""Every column and how the last quarter compares with that of the year before; three models."""

import numpy as np
import pandas as pd
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import HuberRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

NAMES = ["state", "industry", "month"]


def features(rows: pd.DataFrame) -> pd.DataFrame:
    """All that is given; the same months of earlier years are in percent of their own year too."""
    made = rows.filter(like="ago_").copy()
    made["size"] = np.log(rows["mean_year"])
    made["growth"] = 100 * rows["ago_6_to_8"] / rows["ago_18_to_20"]
    made["year_growth"] = 1e4 / rows["ago_18_to_29"]
    made["grown"] = rows["ago_12"] * made["growth"] / 100
    made["season"] = 100 * rows["ago_24"] / rows["ago_18_to_29"]
    return made.join(pd.get_dummies(rows[NAMES].astype(str), dtype=float))


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
X, y = features(train), train["turnover"]
X_new = features(predict).reindex(columns=X.columns, fill_value=0)
models = [
    make_pipeline(StandardScaler(), SVR(C=10.0, gamma=0.01, epsilon=1.0)),
    make_pipeline(StandardScaler(), HuberRegressor(alpha=1.0, max_iter=1000)),
    GradientBoostingRegressor(
        loss="absolute_error",
        n_estimators=200,
        learning_rate=0.07,
        max_depth=4,
        subsample=0.5,
        max_features=0.5,
        min_samples_leaf=8,
        random_state=0,
    ),
]
found = [model.fit(X, y).predict(X_new) for model in models]
predict["prediction"] = np.average(found, axis=0, weights=[2, 1, 1])
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} columns, {len(models)} models")
