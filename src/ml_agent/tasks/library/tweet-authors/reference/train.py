"""Words with punctuation, pieces of words, and how a tweet was received; a linear SVM."""

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC


def features(tweets: pd.DataFrame) -> pd.DataFrame:
    """The text, its length and marks, and the numbers with the long tails cut."""
    made = tweets[["text"]].copy()
    made["length"] = np.log(tweets["text"].str.len())
    made["exclamations"] = tweets["text"].str.count("!").clip(upper=3)
    made["night"] = np.cos((tweets["hour"] - 6) * np.pi / 12)
    made["retweets"] = np.log1p(tweets["retweets"])
    made["per_retweet"] = np.log1p(tweets["favourites"]) - made["retweets"]
    return made


train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
X, X_new, y = features(train), features(predict), train["author"]
words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", sublinear_tf=True)
pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True)
model = make_pipeline(
    ColumnTransformer(
        [
            ("words", words, "text"),
            ("pieces", pieces, "text"),
            ("numbers", StandardScaler(), list(X.columns[1:])),
        ],
        transformer_weights={"numbers": 0.05},
    ),
    LinearSVC(C=0.5, random_state=0),
)
model.fit(X, y)
predict["prediction"] = model.predict(X_new)
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{len(model[-1].coef_[0])} features")
