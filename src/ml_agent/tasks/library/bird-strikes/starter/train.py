import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import roc_auc_score

rng = np.random.RandomState(11)
reports = pd.read_csv("data/train.csv")
y = reports["effect"].values

tfidf = TfidfVectorizer(max_features=40, sublinear_tf=False)
X = tfidf.fit_transform(reports["remarks"])
sgd = SGDClassifier(loss="hinge", alpha=0.01, max_iter=20, tol=None, random_state=rng)

aside = rng.rand(len(y)) < 0.3
sgd.fit(X[~aside], y[~aside])
print("auc (30 percent aside) = %.4f" % roc_auc_score(y[aside], sgd.decision_function(X[aside])))

todo = pd.read_csv("data/predict.csv", usecols=["id", "remarks"])
sgd.fit(X, y)
todo["prediction"] = sgd.decision_function(tfidf.transform(todo.pop("remarks")))
todo.to_csv("submission.csv", index=False)
