"""Boosted trees and ridge on the change since yesterday, with calendar and weather as known."""

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def features(rows: pd.DataFrame) -> pd.DataFrame:
    """What is known at midnight, and the differences that matter."""
    made = rows.drop(columns=["id", "demand", "day"], errors="ignore")
    made["workday_change"] = rows["workday"] - rows["workday_1d_ago"]
    made["week_change"] = rows["demand_1d_ago"] - rows["demand_7d_ago"]
    made["heat_change"] = rows["temperature_1d_ago"] - rows["temperature_7d_ago"]
    return made


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
X, X_new = features(train), features(predict)
change = train["demand"] - train["demand_1d_ago"]
trees = HistGradientBoostingRegressor(
    loss="absolute_error",
    max_iter=300,
    learning_rate=0.05,
    max_leaf_nodes=16,
    min_samples_leaf=30,
    random_state=0,
).fit(X, change)
per_hour = np.zeros(len(predict))
for hour in range(24):
    now, then = train["hour"] == hour, predict["hour"] == hour
    ridge = make_pipeline(StandardScaler(), Ridge(alpha=10.0)).fit(X[now], change[now])
    per_hour[then] = ridge.predict(X_new[then])
expected = 0.5 * trees.predict(X_new) + 0.5 * per_hour
predict["prediction"] = predict["demand_1d_ago"] + expected
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} columns, {trees.n_iter_} trees")
