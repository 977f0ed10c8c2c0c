"""TF-IDF of words, word pairs and pieces of words; a balanced linear SVM and naive Bayes vote."""

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import make_union
from sklearn.svm import LinearSVC

train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
words = make_union(
    TfidfVectorizer(ngram_range=(1, 2), min_df=2, stop_words="english", sublinear_tf=True),
    TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), min_df=3, sublinear_tf=True),
)
X, y = words.fit_transform(train["text"]), train["topic"]
X_new = words.transform(predict["text"])

svm = LinearSVC(C=0.5, class_weight="balanced", random_state=0).fit(X, y)
bayes = ComplementNB(alpha=0.3).fit(X, y)
margins, logs = svm.decision_function(X_new), bayes.predict_joint_log_proba(X_new)
logs = (logs - logs.mean(axis=1, keepdims=True)) / logs.std()
margins = (margins - margins.mean(axis=1, keepdims=True)) / margins.std()
predict["prediction"] = svm.classes_[(margins + 0.3 * logs).argmax(axis=1)]
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{X.shape[1]} features, {len(svm.classes_)} topics")
