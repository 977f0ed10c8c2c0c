import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier

VOCABULARY = 400
NEIGHBOURS = 3


def read(name):
    posts = pd.read_csv(f"data/{name}.csv")
    return posts, posts["text"].fillna("")


def fit(texts, groups):
    tfidf = TfidfVectorizer(max_features=VOCABULARY)
    knn = KNeighborsClassifier(NEIGHBOURS, metric="cosine")
    knn.fit(tfidf.fit_transform(texts), groups)
    return lambda docs: knn.predict(tfidf.transform(docs))


train, texts = read("train")
hold = train.index % 10 == 0
label = fit(texts[~hold], train["group"][~hold])
print("macro f1", f1_score(train["group"][hold], label(texts[hold]), average="macro"))

predict, new_texts = read("predict")
label = fit(texts, train["group"])
result = pd.DataFrame({"id": predict["id"], "prediction": label(new_texts)})
result.to_csv("submission.csv", index=False)
