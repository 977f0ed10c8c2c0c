import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

reviews = pd.read_csv("data/train.csv")
new_reviews = pd.read_csv("data/predict.csv")

vectorizer = CountVectorizer(max_features=60, stop_words="english", binary=True)
word_counts = vectorizer.fit_transform(reviews["review"])
target = reviews["score"]
n_check = 400

classifier = MultinomialNB(alpha=1.0)
classifier.fit(word_counts[n_check:], target[n_check:])
accuracy = classifier.score(word_counts[:n_check], target[:n_check])
print("accuracy on", n_check, "reviews:", accuracy)

classifier.fit(word_counts, target)
answer = new_reviews[["id"]].copy()
answer["prediction"] = classifier.predict(vectorizer.transform(new_reviews["review"]))
answer.to_csv("submission.csv", index=False)
