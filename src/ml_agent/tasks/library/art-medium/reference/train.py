"""Words and letter groups of the title, the artist and the year, in one linear classifier."""

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

train = pd.read_csv("data/train.csv")
predict = pd.read_csv("data/predict.csv")

model = make_pipeline(
    make_column_transformer(
        (TfidfVectorizer(sublinear_tf=True), "title"),
        (TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=2), "title"),
        (OneHotEncoder(handle_unknown="ignore"), ["artist", "year"]),
        (TfidfVectorizer(), "artist"),
    ),
    LogisticRegression(C=30.0, class_weight="balanced", max_iter=1000),
)
scores = cross_val_score(model, train, train["medium"], cv=3, scoring="f1_macro")
print(f"cross-validated macro f1 {scores.mean():.4f}")
predict["prediction"] = model.fit(train, train["medium"]).predict(predict)
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
