"""All measures and how they compare, on a logarithmic scale; two kinds of trees and a line."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def features(blocks: pd.DataFrame) -> pd.DataFrame:
    """The measures, most of which span four decades, and rates per row and per transition."""
    made = np.log1p(blocks.drop(columns=["id", "no_text"], errors="ignore"))
    made["runs_per_row"] = np.log1p(blocks["wb_trans"] / blocks["height"])
    made["runs_per_length"] = blocks["wb_trans"] / blocks["length"]
    made["smeared"] = np.log(blocks["blackand"] / blocks["blackpix"])
    made["thin"] = blocks[["height", "length"]].min(axis=1).clip(upper=30)
    return made


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
X, y, X_new = features(train), train["no_text"], features(predict)
models = [
    ExtraTreesClassifier(300, min_samples_leaf=2, max_features=0.5, random_state=0),
    RandomForestClassifier(300, min_samples_leaf=2, random_state=0),
    make_pipeline(StandardScaler(), LogisticRegression(C=0.3, class_weight="balanced")),
]
inner = sum(
    rankdata(cross_val_predict(model, X, y, cv=3, method="predict_proba")[:, 1])
    for model in models
)
print(f"cross-validated auc {roc_auc_score(y, inner):.3f}")
ranks = [rankdata(model.fit(X, y).predict_proba(X_new)[:, 1]) for model in models]
predict["prediction"] = np.mean(ranks, axis=0) / len(predict)
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
