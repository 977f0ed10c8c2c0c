import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import train_test_split


def load(path):
    return pd.read_csv(path)


def build_features(df):
    return df[["cement", "water", "fly_ash", "fine_aggregate", "age"]]


def main():
    df = load("data/train.csv")
    X, y = build_features(df), df["strength"]
    X_fit, X_val, y_fit, y_val = train_test_split(X, y, test_size=0.2, random_state=42)

    reg = LinearRegression()
    reg.fit(X_fit, y_fit)
    print("MAE on held-back rows:", mean_absolute_error(y_val, reg.predict(X_val)))

    test_df = load("data/predict.csv")
    test_df["prediction"] = reg.predict(build_features(test_df))
    test_df[["id", "prediction"]].to_csv("submission.csv", index=False)


if __name__ == "__main__":
    main()
