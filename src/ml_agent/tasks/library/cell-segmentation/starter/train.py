import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier

cells = pd.read_csv("data/train.csv")
todo = pd.read_csv("data/predict.csv")
feats = [c for c in cells.columns if c not in ("id", "poor")]
A = cells[feats].to_numpy()
b = cells["poor"].to_numpy()

folds = StratifiedKFold(n_splits=3, shuffle=True, random_state=1)
aucs = []
for fit_idx, val_idx in folds.split(A, b):
    knn = KNeighborsClassifier(n_neighbors=5)
    knn.fit(A[fit_idx], b[fit_idx])
    aucs.append(roc_auc_score(b[val_idx], knn.predict_proba(A[val_idx])[:, 1]))
print("mean auc:", np.mean(aucs))

final = KNeighborsClassifier(n_neighbors=5)
final.fit(A, b)
todo["prediction"] = final.predict_proba(todo[feats].to_numpy())[:, 1]
todo[["id", "prediction"]].to_csv("submission.csv", index=False)
