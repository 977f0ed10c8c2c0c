from pathlib import Path

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

DATA = Path("data")
loans = pd.read_csv(DATA / "train.csv")
wanted = pd.read_csv(DATA / "predict.csv")
rate = loans["interest_rate"]

prep = ColumnTransformer(
    [
        ("num", StandardScaler(), ["loan_amount", "term", "annual_income", "delinq_2y"]),
        (
            "cat",
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            ["homeownership", "application_type"],
        ),
    ]
)
model = Pipeline([("prep", prep), ("knn", KNeighborsRegressor(n_neighbors=8))])

oof = cross_val_predict(model, loans, rate, cv=4)
print("RMSE %.3f" % ((oof - rate) ** 2).mean() ** 0.5)

model.fit(loans, rate)
wanted = wanted.assign(prediction=model.predict(wanted))
wanted.to_csv("submission.csv", columns=["id", "prediction"], index=False)
