"""TF-IDF of words, word pairs and character groups; logistic regression."""

import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
model = make_pipeline(
    make_union(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), min_df=5, sublinear_tf=True),
    ),
    LogisticRegression(C=5.0, max_iter=1000),
)
model.fit(train["review"], train["score"])
predict["prediction"] = model.predict(predict["review"])
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{len(model[0].get_feature_names_out())} features")
