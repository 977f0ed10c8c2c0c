"""Logarithms, returns and frequent countries; two kinds of trees and a kernel machine on the log."""

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR


def features(companies: pd.DataFrame) -> pd.DataFrame:
    """The columns as given, their logarithms, and what an investor relates to each other."""
    made = companies.drop(columns=["id", "marketvalue"], errors="ignore").fillna({"profits": 0})
    country = made["country"]
    made["country"] = country.where(country.isin(country.value_counts().index[:25]), "other")
    made["log_sales"] = np.log(made["sales"] + 0.05)
    made["log_assets"] = np.log(made["assets"] + 0.05)
    made["log_profits"] = np.log(made["profits"].clip(lower=0.02))
    made["root_profits"] = np.cbrt(made["profits"])
    made["margin"] = (made["profits"] / (made["sales"] + 0.1)).clip(-1, 1)
    made["return"] = (made["profits"] / made["assets"].clip(lower=0.1)).clip(-1, 1)
    made["turnover"] = made["log_sales"] - made["log_assets"]
    return pd.get_dummies(made, dtype=float)


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
both = features(pd.concat([train, predict]))
X, X_new, y = both[: len(train)], both[len(train) :], np.log1p(train["marketvalue"])
models = [
    GradientBoostingRegressor(
        n_estimators=250,
        learning_rate=0.05,
        max_depth=4,
        subsample=0.5,
        max_features=0.3,
        min_samples_leaf=6,
        random_state=0,
    ),
    ExtraTreesRegressor(200, min_samples_leaf=2, max_features=0.5, random_state=0),
    make_pipeline(StandardScaler(), SVR(C=1.0, gamma=0.005)),
]
predict["prediction"] = np.expm1(np.mean([one.fit(X, y).predict(X_new) for one in models], axis=0))
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} columns, {len(models)} models")
