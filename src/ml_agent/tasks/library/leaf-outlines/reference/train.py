"""Descriptions that do not change with the point where the outline begins: the spectrum, and the
sorted values of the series and its differences; an SVM, a discriminant and a forest vote.
"""

import numpy as np
import pandas as pd
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC


def features(rows: pd.DataFrame) -> np.ndarray:
    """[N, F] of the frame's outlines, which are closed curves."""
    outlines = rows.filter(regex=r"^t\d+$").to_numpy()
    described = [np.log1p(np.abs(np.fft.rfft(outlines, axis=1))[:, 1:60])]
    for lag in (0, 1, 3, 10, 30):
        change = outlines - np.roll(outlines, lag, axis=1) if lag else outlines
        described.append(np.sort(change, axis=1)[:, ::10])
    curved = np.diff(outlines, n=2, axis=1)
    described.append(np.sort(curved, axis=1)[:, ::10])
    return np.hstack(described)


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
X, y, X_new = features(train), train["species"], features(predict)
models = [
    ("svm", make_pipeline(StandardScaler(), SVC(C=5.0))),
    ("discriminant", LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")),
    ("trees", ExtraTreesClassifier(300, random_state=0)),
]
predict["prediction"] = VotingClassifier(models, weights=[2, 3, 2]).fit(X, y).predict(X_new)
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} features of {len(y)} outlines")
