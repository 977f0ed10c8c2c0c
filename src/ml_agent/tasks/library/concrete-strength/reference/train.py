"""Ratios that engineers use (water to binder), log age, and boosted trees of two kinds."""

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor


def features(mixes: pd.DataFrame) -> pd.DataFrame:
    """The mix as given, its ratios, and the logarithm of its age in days."""
    made = mixes.drop(columns=["id", "strength"], errors="ignore")
    binder = made["cement"] + made["blast_furnace_slag"] + made["fly_ash"]
    made["binder"] = binder
    made["water_to_binder"] = made["water"] / binder
    made["water_to_cement"] = made["water"] / made["cement"]
    made["plasticizer_to_binder"] = made["superplasticizer"] / binder
    made["fine_share"] = made["fine_aggregate"] / (
        made["fine_aggregate"] + made["coarse_aggregate"]
    )
    made["age"] = np.log1p(made["age"])
    return made


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
X, y, X_new = features(train), train["strength"], features(predict)
models = [
    GradientBoostingRegressor(
        loss="huber",
        n_estimators=400,
        learning_rate=0.08,
        max_depth=4,
        subsample=0.6,
        max_features=0.5,
        min_samples_leaf=3,
        random_state=seed,
    )
    for seed in range(2)
]
models.append(ExtraTreesRegressor(n_estimators=200, max_features=0.7, random_state=0))
strength = np.mean([model.fit(X, y).predict(X_new) for model in models], axis=0)
submission = pd.DataFrame({"id": predict["id"], "prediction": strength})
submission.to_csv("submission.csv", index=False)
print(f"{len(models)} models on {X.shape[1]} columns")
