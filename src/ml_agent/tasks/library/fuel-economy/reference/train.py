"""Every column, and words of the model's name that tell a hybrid; trees and a kernel machine.

Learned are the logarithms of gallons per mile: engine, drive and body multiply what a car burns.
"""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVR

# By name, or because no other kind of the model burns fuel in 2021.
HYBRID = r"HYBRID|\bHEV\b|\d{3}H\b|PRIUS|IONIQ|NIRO|INSIGHT|SIENNA|VENZA"
OPEN = r"CONVERTIBLE|CABRIO|SPYDER|SPIDER|ROADSTER"
SPORTY = r"AMG|\bM\d?\b|SRT|\bRS\b|COMPETITION|TURBO|TROFEO|SVR|TRD|\bGT"
ROUGH = r"TRAIL|RUBICON|RUBIC|ZR2|AT4|\bPRO\b|TREMOR|OFFROAD|CHASSIS|INCOMPLETE"


def features(cars: pd.DataFrame) -> pd.DataFrame:
    """The columns, with the name taken apart and the class cut into size and kind."""
    made = cars.drop(columns=["id", "mpg", "model"], errors="ignore")
    name = cars["model"].str.upper()
    for column, words in {"hybrid": HYBRID, "open": OPEN, "sporty": SPORTY, "rough": ROUGH}.items():
        made[column] = name.str.contains(words).astype(float)
    made["all_wheels"] = (~cars["drive"].str.startswith("2")).astype(float)
    made["kind"] = cars["class"].str.replace(r" [24]WD", "", regex=True)
    made["stepless"] = cars["transmission"].str.contains("Continuously").astype(float)
    made["diesel"] = cars["fuel"].str.contains("Diesel").astype(float)
    made["log_litres"] = np.log(cars["litres"])
    made["per_cylinder"] = cars["litres"] / cars["cylinders"]
    made["stepless_hybrid"] = made["hybrid"] * made["stepless"]
    return made


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
words = OneHotEncoder(min_frequency=4, handle_unknown="infrequent_if_exist", sparse_output=False)
columns = make_column_transformer(
    (StandardScaler(), make_column_selector(dtype_include="number")),
    (words, make_column_selector(dtype_exclude="number")),
)
models = [
    GradientBoostingRegressor(
        n_estimators=300,
        learning_rate=0.05,
        max_depth=4,
        subsample=0.5,
        max_features=0.2,
        min_samples_leaf=4,
        random_state=0,
    ),
    ExtraTreesRegressor(200, min_samples_leaf=2, max_features=0.4, random_state=0),
    SVR(C=1.0, gamma=0.015, epsilon=0.03),
]
X, X_new, y = features(train), features(predict), -np.log(train["mpg"])
burnt = np.mean([make_pipeline(columns, m).fit(X, y).predict(X_new) for m in models], axis=0)
predict["prediction"] = np.exp(-burnt)
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} columns, {len(models)} models")
