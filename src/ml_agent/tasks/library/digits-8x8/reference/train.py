"""Images shifted by one pixel as extra training data; a support vector machine with RBF kernel."""

import numpy as np
import pandas as pd
from sklearn.svm import SVC

SHIFTS = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)]


def shifted(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Move [N, 8, 8] images, filling with background."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    return padded[:, 1 + rows : 9 + rows, 1 + columns : 9 + columns]


images = np.load("data/train_images.npy")
labels = pd.read_csv("data/train.csv")["label"].to_numpy()
x = np.concatenate([shifted(images, *shift) for shift in SHIFTS]).reshape(-1, 64) / 16.0
y = np.tile(labels, len(SHIFTS))

model = SVC(C=10.0, gamma=0.05).fit(x, y)
print(f"{len(x)} images, {model.n_support_.sum()} support vectors")

submission = pd.read_csv("data/predict.csv")
new = np.load("data/predict_images.npy").reshape(-1, 64) / 16.0
submission["prediction"] = model.predict(new)
submission.to_csv("submission.csv", index=False)
