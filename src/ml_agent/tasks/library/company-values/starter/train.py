import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import root_mean_squared_log_error
from sklearn.model_selection import KFold

firms = pd.read_csv("data/train.csv")
others = pd.read_csv("data/predict.csv")
size = ["sales", "assets"]
worth = firms["marketvalue"]

forest = RandomForestRegressor(n_estimators=10, max_depth=3, random_state=1)

losses = []
for inside, outside in KFold(3).split(firms):
    forest.fit(firms.loc[inside, size], worth[inside])
    guess = forest.predict(firms.loc[outside, size]).clip(min=0)
    losses.append(root_mean_squared_log_error(worth[outside], guess))
print("rmsle per fold:", [round(loss, 3) for loss in losses])

forest.fit(firms[size], worth)
others["prediction"] = forest.predict(others[size]).clip(min=0)
others.to_csv("submission.csv", columns=["id", "prediction"], index=False)
