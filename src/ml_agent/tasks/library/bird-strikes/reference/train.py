"""Words and pairs of them, or groups of letters; the ranks of two linear models, trees and Bayes."""

import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

# T/O and A/C are one word each, and so is engine #1.
WORDS = {"token_pattern": r"[a-z][a-z/]*|#\d|\d+", "ngram_range": (1, 2)}

train, predict = pd.read_csv("data/train.csv"), pd.read_csv("data/predict.csv")
linear = LogisticRegression(C=3.0, class_weight="balanced", max_iter=500)
trees = ExtraTreesClassifier(200, min_samples_leaf=2, class_weight="balanced", random_state=0)
models = {
    "words": make_pipeline(TfidfVectorizer(**WORDS, min_df=2, sublinear_tf=True), linear),
    "letters": make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=3, sublinear_tf=True), linear
    ),
    "trees": make_pipeline(CountVectorizer(**WORDS, min_df=4, binary=True), trees),
    "bayes": make_pipeline(
        CountVectorizer(**WORDS, min_df=2, binary=True), MultinomialNB(alpha=0.3)
    ),
}
ranks = pd.DataFrame(
    {
        name: model.fit(train["remarks"], train["effect"]).predict_proba(predict["remarks"])[:, 1]
        for name, model in models.items()
    }
).rank(pct=True)
predict["prediction"] = ranks.mean(axis=1)
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
print(f"{len(models)} models, {len(train)} remarks")
