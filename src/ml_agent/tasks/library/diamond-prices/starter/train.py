import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

diamonds = pd.read_csv("data/train.csv")
unpriced = pd.read_csv("data/predict.csv")
price = diamonds.pop("price")

settings = {"n_estimators": 15, "learning_rate": 0.1, "max_depth": 2}
prep = make_column_transformer(
    (OrdinalEncoder(), ["cut", "color"]),
    ("passthrough", ["carat", "depth", "table"]),
)
pipe = make_pipeline(prep, GradientBoostingRegressor(random_state=4, **settings))

part = 1800
pipe.fit(diamonds[:part], price[:part])
error = (pipe.predict(diamonds[part:]) - price[part:]).abs().mean()
print("mae on the last rows:", round(error, 1))

pipe.fit(diamonds, price)
out = pd.DataFrame({"id": unpriced["id"], "prediction": pipe.predict(unpriced)})
out.to_csv("submission.csv", index=False)
