"""Every column, the day of the year and the square of the wind; boosted trees, a forest and a kernel
machine."""

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

DIAMETERS = ["tropicalstorm_force_diameter", "hurricane_force_diameter"]


def features(storms: pd.DataFrame) -> pd.DataFrame:
    """No category below a hurricane: 0. Diameters that nobody measured: apart from all others."""
    made = storms.drop(columns=["id", "pressure"], errors="ignore").fillna({"category": 0})
    made["measured"] = made[DIAMETERS[0]].notna().astype(float)
    made[DIAMETERS] = made[DIAMETERS].fillna(-50)
    made["day_of_year"] = 30.4 * made["month"] + made["day"]
    made["wind_squared"] = made["wind"] ** 2 / 100
    return pd.get_dummies(made, dtype=float)


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
X, y = features(train), train["pressure"]
X_new = features(predict).reindex(columns=X.columns, fill_value=0)
models = [
    GradientBoostingRegressor(
        loss="absolute_error",
        n_estimators=250,
        learning_rate=0.06,
        max_depth=5,
        subsample=0.5,
        max_features=0.4,
        min_samples_leaf=8,
        random_state=0,
    ),
    ExtraTreesRegressor(150, min_samples_leaf=2, max_features=0.6, random_state=0),
    make_pipeline(StandardScaler(), SVR(C=30.0, gamma=0.02, epsilon=1.0)),
]
predict["prediction"] = np.mean([model.fit(X, y).predict(X_new) for model in models], axis=0)
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} columns, {len(models)} models")
