import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

loans = pd.read_csv("data/train.csv")
new = pd.read_csv("data/predict.csv")

cols = ["age", "time", "expenses", "income", "amount", "price"]
X = loans[cols].fillna(0)
y = loans["bad"]

X_fit, X_check, y_fit, y_check = train_test_split(X, y, test_size=0.25, random_state=1)
tree = DecisionTreeClassifier(max_depth=12, min_samples_leaf=5, random_state=1)
tree.fit(X_fit, y_fit)
auc = roc_auc_score(y_check, tree.predict_proba(X_check)[:, 1])
print("hold-out auc", round(auc, 4))

new["prediction"] = tree.predict_proba(new[cols].fillna(0))[:, 1]
new[["id", "prediction"]].to_csv("submission.csv", index=False)
