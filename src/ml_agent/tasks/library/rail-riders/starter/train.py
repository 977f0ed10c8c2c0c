import pandas as pd
from sklearn.ensemble import GradientBoostingRegressor

STATIONS = ["Irving_Park", "Oak_Park", "Kedzie"]
PARAMS = {
    "n_estimators": 20,
    "learning_rate": 0.1,
    "max_depth": 2,
    "random_state": 7,
}


def make_inputs(df):
    month = pd.to_datetime(df["date"]).dt.month_name()
    return df[STATIONS].join(pd.get_dummies(month, dtype=float))


def main():
    train = pd.read_csv("data/train.csv", index_col="id")
    days = pd.read_csv("data/predict.csv", index_col="id")
    X, y = make_inputs(train), train["ridership"]
    X_days = make_inputs(days).reindex(columns=X.columns, fill_value=0)

    gbr = GradientBoostingRegressor(**PARAMS)
    gbr.fit(X, y)
    print("train MAE %.2f" % abs(gbr.predict(X) - y).mean())

    days["prediction"] = gbr.predict(X_days)
    days["prediction"].to_csv("submission.csv")


main()
