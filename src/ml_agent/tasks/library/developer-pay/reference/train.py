"""Experience within each country, the number of roles; boosted trees and a ridge together."""

import numpy as np
import pandas as pd
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

NOT_ROLES = ["YearsCodedJob", "OpenSource", "Hobby", "CompanySizeNumber", "CareerSatisfaction"]


def features(people: pd.DataFrame) -> pd.DataFrame:
    """Every answer, with the root of the years apart for each country: pay rises unlike in them."""
    made = people.drop(columns=["id", "Salary", "Country", "Remote"], errors="ignore")
    made["roles"] = made.drop(columns=NOT_ROLES).sum(axis=1)
    made["remote"] = people["Remote"].eq("Remote").astype(int)
    made["CompanySizeNumber"] = np.log10(people["CompanySizeNumber"])
    made["root_years"] = np.sqrt(people["YearsCodedJob"])
    country = pd.get_dummies(people["Country"], dtype=float)
    return made.join(country).join(country.mul(made["root_years"], axis=0).add_suffix(" years"))


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
X, y = features(train), train["Salary"]
X_new = features(predict)[X.columns]
models = [make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 3, 13)))]
models += [
    GradientBoostingRegressor(
        n_estimators=300,
        learning_rate=0.04,
        max_depth=3,
        subsample=0.5,
        max_features=0.3,
        min_samples_leaf=15,
        random_state=seed,
    )
    for seed in range(2)
]
predict["prediction"] = np.mean([model.fit(X, y).predict(X_new) for model in models], axis=0)
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} columns, {len(models)} models")
