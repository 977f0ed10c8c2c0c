"""TF-IDF of words, word pairs and character groups, and the state; a linear SVM."""

import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC

train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
parts = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True)
columns = ColumnTransformer(
    [
        ("words", words, "name"),
        ("parts", parts, "name"),
        ("state", OneHotEncoder(handle_unknown="ignore"), ["state"]),
    ],
    transformer_weights={"state": 0.4},
)
model = make_pipeline(columns, LinearSVC(C=0.2, class_weight="balanced"))
model.fit(train, train["degree"])
predict["prediction"] = model.predict(predict)
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{model[-1].n_features_in_} columns")
