"""TF-IDF of words and word pairs; complement naive Bayes and a linear SVM vote together."""

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.naive_bayes import ComplementNB
from sklearn.svm import LinearSVC

train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, stop_words="english", sublinear_tf=True)
X, y = words.fit_transform(train["text"]), train["group"]
X_new = words.transform(predict["text"])

bayes = ComplementNB(alpha=0.3).fit(X, y)
svm = LinearSVC(C=0.5, random_state=0).fit(X, y)
margins, logs = svm.decision_function(X_new), bayes.predict_joint_log_proba(X_new)
logs = (logs - logs.mean(axis=1, keepdims=True)) / logs.std()
margins = (margins - margins.mean(axis=1, keepdims=True)) / margins.std()
predict["prediction"] = svm.classes_[(margins + logs).argmax(axis=1)]
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} features, {len(svm.classes_)} groups")
