import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.metrics import mean_absolute_error

CONFIG = {"trees": 10, "depth": 5, "seed": 21, "checked": 0.2}
COLUMNS = ["population_1996", "density_1996", "black_1996"]


def select(counties):
    return counties[COLUMNS]


def train_model(counties):
    model = ExtraTreesRegressor(
        n_estimators=CONFIG["trees"],
        max_depth=CONFIG["depth"],
        random_state=CONFIG["seed"],
    )
    return model.fit(select(counties), counties["income"])


def validate(counties):
    checked = counties.sample(frac=CONFIG["checked"], random_state=CONFIG["seed"])
    model = train_model(counties.drop(checked.index))
    return mean_absolute_error(checked["income"], model.predict(select(checked)))


def run():
    counties = pd.read_csv("data/train.csv")
    others = pd.read_csv("data/predict.csv")
    print(f"MAE {validate(counties):.0f} dollars")

    others["prediction"] = train_model(counties).predict(select(others))
    others[["id", "prediction"]].to_csv("submission.csv", index=False)


run()
