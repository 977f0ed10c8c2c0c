"""Boosted trees and a quadratic regression of log price on sizes and grades, averaged."""

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, VotingRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

GRADES = {
    "cut": ["Fair", "Good", "Very Good", "Premium", "Ideal"],
    "color": list("JIHGFED"),
    "clarity": ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"],
}


def features(table):
    """Grades in their order of worth, sizes as logarithms, a size of zero as the median."""
    made = pd.DataFrame({name: table[name].map(order.index) for name, order in GRADES.items()})
    made["log_carat"] = np.log(table["carat"])
    for side in "xyz":
        size = table[side].where(table[side] > 0, table[side].median())
        made[f"log_{side}"] = np.log(size)
    return made.assign(depth=table["depth"], table=table["table"])


train = pd.read_csv("data/train.csv")
predict = pd.read_csv("data/predict.csv")
boosted = HistGradientBoostingRegressor(
    learning_rate=0.06, max_iter=300, max_leaf_nodes=15, random_state=0
)
quadratic = make_pipeline(StandardScaler(), PolynomialFeatures(2), Ridge(alpha=3.0))
model = TransformedTargetRegressor(
    VotingRegressor([("trees", boosted), ("quadratic", quadratic)]),
    func=np.log,
    inverse_func=np.exp,
)
X, price = features(train), train["price"]
errors = -cross_val_score(model, X, price, cv=3, scoring="neg_mean_absolute_error")
print(f"cross-validated mae {errors.mean():.1f}")
predict["prediction"] = model.fit(X, price).predict(features(predict))
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
