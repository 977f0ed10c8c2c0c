"""Size, shape, spectrum and onset of each current, and randomised trees."""

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import cross_val_score

BANDS = [0, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 320]
LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]


def describe(padded):
    """Features of one series; shares are of its peak or of its total power."""
    current = padded[~np.isnan(padded)].astype(float)
    change, centred = np.diff(current), current - current.mean()
    peak = np.abs(current).max() + 1e-9
    spread = current.std() + 1e-9
    power = np.add.reduceat(np.abs(np.fft.rfft(centred, 2048))[:400], BANDS)
    levels = np.quantile(current, LEVELS)
    onset = np.array([part.std() for part in np.array_split(current, 8)])
    crossings = np.mean((centred[1:] > 0) != (centred[:-1] > 0))
    moments = [(centred**3).mean() / spread**3, (centred**4).mean() / spread**4]
    size = [len(current), peak, current.mean(), spread, change.std(), np.abs(change).max()]
    shape = [spread / peak, change.std() / peak, crossings, onset[-1] / (onset[0] + 1e-9)]
    spectrum = [np.log1p(power), power / power.sum()]
    course = [levels, levels / peak, onset / peak, current[:100]]
    return np.concatenate([size, shape, moments, *spectrum, *course])


def features(path):
    return np.array([describe(series) for series in np.load(path)])


X, X_predict = features("data/train.npy"), features("data/predict.npy")
appliance = pd.read_csv("data/train.csv")["appliance"]
model = ExtraTreesClassifier(400, random_state=0)
print(f"cross-validated accuracy {cross_val_score(model, X, appliance, cv=3).mean():.4f}")
predict = pd.read_csv("data/predict.csv")
predict["prediction"] = model.fit(X, appliance).predict(X_predict)
predict.to_csv("submission.csv", index=False)
