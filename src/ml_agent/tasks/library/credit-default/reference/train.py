"""Logistic regression and boosted trees on all columns and four money ratios, averaged."""

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer


def with_ratios(table):
    """Add what a bank looks at: share financed, instalment, money left, wealth."""
    table = table.copy()
    table["financed"] = table["amount"] / table["price"]
    table["instalment"] = table["amount"] / table["time"]
    table["left_over"] = (table["income"] - table["expenses"]) / table["instalment"]
    table["wealth"] = np.log1p(table["assets"]) - np.log1p(table["debt"])
    return table


def encoder():
    """Numbers made normal, categories one-hot."""
    numbers = make_pipeline(
        SimpleImputer(add_indicator=True),
        QuantileTransformer(n_quantiles=200, output_distribution="normal", random_state=0),
    )
    return ColumnTransformer(
        [
            ("numbers", numbers, make_column_selector(dtype_include="number")),
            (
                "categories",
                OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                make_column_selector(dtype_exclude="number"),
            ),
        ]
    )


train = with_ratios(pd.read_csv("data/train.csv"))
predict = with_ratios(pd.read_csv("data/predict.csv"))
features = train.columns.drop(["id", "bad"])

boosted = HistGradientBoostingClassifier(
    learning_rate=0.05, max_iter=120, max_leaf_nodes=8, l2_regularization=5.0, random_state=0
)
model = VotingClassifier(
    [
        ("linear", make_pipeline(encoder(), LogisticRegression(C=0.1, max_iter=500))),
        ("trees", make_pipeline(encoder(), boosted)),
    ],
    voting="soft",
)
scores = cross_val_score(model, train[features], train["bad"], cv=3, scoring="roc_auc")
print(f"cross-validated auc {scores.mean():.4f}")
model.fit(train[features], train["bad"])
predict["prediction"] = model.predict_proba(predict[features])[:, 1]
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
