import numpy as np
import pandas as pd
from sklearn import ensemble, model_selection

NUMBER = {"A": 0, "C": 1, "G": 2, "T": 3}
params = {"n_estimators": 10, "max_depth": 4, "random_state": 5}


def encode(windows, start=10, stop=31):
    return np.array([[NUMBER[base] for base in dna[start:stop]] for dna in windows])


seqs = pd.read_csv("data/train.csv")
asked = pd.read_csv("data/predict.csv")
bases, kinds = encode(seqs["window"]), seqs["site"].values

clf = ensemble.ExtraTreesClassifier(**params)
a, b, kinds_a, kinds_b = model_selection.train_test_split(
    bases, kinds, test_size=0.25, random_state=5
)
clf.fit(a, kinds_a)
print("accuracy:", clf.score(b, kinds_b))

found = np.column_stack([asked["id"], clf.predict(encode(asked["window"]))])
np.savetxt(
    "submission.csv", found, fmt="%s", delimiter=",", header="id,prediction", comments=""
)
