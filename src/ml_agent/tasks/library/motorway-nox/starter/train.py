from sklearn.linear_model import ElasticNet
import pandas as pd

train_df = pd.read_csv("data/train.csv")
test_df = pd.read_csv("data/predict.csv")

target_col = "log_nox"
feature_cols = ["day", "hour", "traffic", "wind"]
last_day = train_df["day"].max()

# check on the last 30 days
fit_df = train_df.query("day <= @last_day - 30")
check_df = train_df.query("day > @last_day - 30")

model = ElasticNet(alpha=0.1)
model.fit(fit_df[feature_cols], fit_df[target_col])
check_error = (model.predict(check_df[feature_cols]) - check_df[target_col]).abs().mean()
print("mae of the last 30 days:", round(check_error, 4))

model.fit(train_df[feature_cols], train_df[target_col])
test_df["prediction"] = model.predict(test_df[feature_cols])
test_df[["id", "prediction"]].to_csv("submission.csv", index=False)
