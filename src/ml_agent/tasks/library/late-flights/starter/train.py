import pandas as pd
import sklearn.tree
from sklearn.metrics import roc_auc_score

LATE = "late"
known = pd.read_csv("data/train.csv")
coming = pd.read_csv("data/predict.csv")


def make_inputs(flights):
    picked = flights[["departs", "distance", "origin", "month"]]
    return pd.get_dummies(picked, dtype=float)


def fit_tree(inputs, target):
    tree = sklearn.tree.DecisionTreeClassifier(min_samples_leaf=4, random_state=3)
    return tree.fit(inputs, target)


check = known.sample(frac=0.3, random_state=3)
rest = known.drop(check.index)
trial = fit_tree(make_inputs(rest), rest[LATE])
p_check = trial.predict_proba(make_inputs(check))[:, 1]
print(f"AUC of {len(check)} flights: {roc_auc_score(check[LATE], p_check):.3f}")

final = fit_tree(make_inputs(known), known[LATE])
coming["prediction"] = final.predict_proba(make_inputs(coming))[:, 1]
coming.filter(["id", "prediction"]).to_csv("submission.csv", index=False)
