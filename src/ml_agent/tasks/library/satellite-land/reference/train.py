"""Centre, mean, median and spread of every band; an SVM, a forest and a discriminant vote."""

import numpy as np
import pandas as pd
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC


def features(windows: np.ndarray) -> np.ndarray:
    """[N, 19] of [N, 3, 3, 4]: each band of the window, and differences of the bands' means."""
    bands = windows.reshape(len(windows), 9, 4).astype(float)
    mean = bands.mean(axis=1)
    return np.column_stack(
        [
            windows[:, 1, 1],
            mean,
            np.median(bands, axis=1),
            bands.std(axis=1),
            (mean[:, 2:] - mean[:, :2]) / (mean[:, 2:] + mean[:, :2]),
            mean[:, 0] / mean[:, 1],
        ]
    )


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
X, y = features(np.load("data/train_pixels.npy")), train["cover"]
X_new = features(np.load("data/predict_pixels.npy"))
discriminant = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01)
models = [
    ("svm", make_pipeline(StandardScaler(), SVC(C=5.0))),
    ("trees", ExtraTreesClassifier(300, min_samples_leaf=2, random_state=0)),
    ("discriminant", make_pipeline(StandardScaler(), discriminant)),
]
vote = VotingClassifier(models, weights=[2, 2, 1]).fit(X, y)
predict["prediction"] = vote.predict(X_new)
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} features, {len(y)} windows")
