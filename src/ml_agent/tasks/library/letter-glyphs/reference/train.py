"""All measurements; an SVM, a quadratic discriminant and extremely randomised trees vote."""

import pandas as pd
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
X, y, X_new = train.drop(columns=["id", "letter"]), train["letter"], predict.drop(columns="id")
quadratic = QuadraticDiscriminantAnalysis(reg_param=0.03)
models = [
    ("svm", make_pipeline(StandardScaler(), SVC(C=10.0))),
    ("quadratic", make_pipeline(StandardScaler(), quadratic)),
    ("trees", ExtraTreesClassifier(400, max_features=3, random_state=0)),
]
vote = VotingClassifier(models, weights=[2, 1, 2]).fit(X, y)
predict["prediction"] = vote.predict(X_new)
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} measurements, {len(vote.classes_)} letters")
