from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import svm
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

folder = Path("data")
tweets = pd.read_csv(folder / "train.csv")
unknown = pd.read_csv(folder / "predict.csv")

prepare = ColumnTransformer(
    transformers=[
        ("bag", CountVectorizer(max_features=80, stop_words="english"), "text"),
        ("time", MinMaxScaler(), ["hour"]),
    ]
)
classifier = Pipeline(
    steps=[("prepare", prepare), ("svm", svm.LinearSVC(C=0.003, random_state=0))]
)

cut = int(0.75 * len(tweets))
first, last = tweets.iloc[:cut], tweets.iloc[cut:]
classifier.fit(first, first["author"])
print("right on the last quarter:", classifier.score(last, last["author"]))

classifier.fit(tweets, tweets["author"])
table = np.column_stack([unknown["id"], classifier.predict(unknown)])
np.savetxt("submission.csv", table, fmt="%s", delimiter=",", header="id,prediction", comments="")
