import pandas as pd
from sklearn.linear_model import Lasso

past = pd.read_csv("data/train.csv").sort_values(["day", "hour"])
ahead = pd.read_csv("data/predict.csv")
inputs = ["hour", "demand_7d_ago", "temperature_7d_ago"]
params = dict(alpha=0.2, max_iter=500)

# the last four weeks tell how well it forecasts
recent = past["day"] > past["day"].max() - 28
early, late = past[~recent], past[recent]
lasso = Lasso(**params).fit(early[inputs], early["demand"])
miss = lasso.predict(late[inputs]) - late["demand"]
print("mean absolute error, last 4 weeks:", miss.abs().mean())

lasso = Lasso(**params).fit(past[inputs], past["demand"])
print("weights:", inputs, lasso.coef_.round(3))
ahead["prediction"] = lasso.predict(ahead[inputs])
ahead[["id", "prediction"]].to_csv("submission.csv", index=False)
