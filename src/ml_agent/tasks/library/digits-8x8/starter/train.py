import numpy as np
import pandas as pd

STEPS = 60
RATE = 0.1


def softmax(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


images = np.load("data/train_images.npy")
labels = pd.read_csv("data/train.csv")["label"].to_numpy()
x = images.reshape(len(images), -1) / 16.0
onehot = np.eye(10)[labels]

weights = np.zeros((64, 10))
for step in range(STEPS):
    gradient = x.T @ (softmax(x @ weights) - onehot) / len(x)
    weights -= RATE * gradient
    if step % 20 == 0:
        print(step, "train accuracy", ((x @ weights).argmax(axis=1) == labels).mean())

new = np.load("data/predict_images.npy").reshape(-1, 64) / 16.0
out = pd.read_csv("data/predict.csv")
out["prediction"] = softmax(new @ weights).argmax(axis=1)
out.to_csv("submission.csv", index=False)
