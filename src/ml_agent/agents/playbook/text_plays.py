"""Plays on texts: what is counted, and the models of word counts."""

from ml_agent.agents.playbook.builders import (
    alike,
    before_model,
    either,
    keywords,
    model,
    rename_call,
    search,
    vectorisers,
)
from ml_agent.agents.playbook.plays import TEXT, Play, data, learning, modelling

TEXT_PLAYS: tuple[Play, ...] = (
    data(
        "bigrams",
        "count pairs of words too",
        TEXT,
        keywords(vectorisers("ngram_range=(1, 2)", "ngram_range=(1, 2)")),
    ),
    data(
        "characters",
        "count pieces of words, three to five characters long",
        TEXT,
        keywords(
            vectorisers(
                'analyzer="char_wb", ngram_range=(3, 5), max_features=8000',
                'analyzer="char_wb", ngram_range=(3, 5), n_features=8192',
            )
        ),
    ),
    data(
        "vocabulary-5000",
        "keep the 5000 most frequent words",
        TEXT,
        keywords(vectorisers("max_features=5000", "n_features=4096")),
    ),
    data(
        "vocabulary-1000",
        "keep the 1000 most frequent words",
        TEXT,
        keywords(vectorisers("max_features=1000", "n_features=1024")),
    ),
    data(
        "vocabulary-30",
        "keep only the 30 most frequent words",
        TEXT,
        keywords(vectorisers("max_features=30", "n_features=32")),
    ),
    data(
        "whole-vocabulary",
        "keep every word",
        TEXT,
        keywords(vectorisers("max_features=None", "n_features=32768")),
    ),
    data(
        "rare-words",
        "ignore words of fewer than three texts",
        TEXT,
        keywords(vectorisers("min_df=3")),
    ),
    data(
        "common-words",
        "ignore words that stand in half of the texts",
        TEXT,
        keywords(vectorisers("max_df=0.5")),
    ),
    data(
        "stop-words",
        "ignore English stop words",
        TEXT,
        keywords(vectorisers('stop_words="english"', 'stop_words="english"')),
    ),
    data(
        "keep-stop-words",
        "keep stop words, since they carry style",
        TEXT,
        keywords(vectorisers("stop_words=None", "stop_words=None")),
    ),
    data(
        "presence",
        "count only whether a word occurs",
        TEXT,
        keywords(vectorisers("binary=True", "binary=True")),
    ),
    data(
        "keep-case",
        "keep capital letters apart",
        TEXT,
        keywords(vectorisers("lowercase=False", "lowercase=False")),
    ),
    data(
        "accents",
        "strip accents from letters",
        TEXT,
        keywords(vectorisers('strip_accents="unicode"', 'strip_accents="unicode"')),
    ),
    data(
        "short-words",
        "count words of one letter and punctuation too",
        TEXT,
        keywords(vectorisers(r'token_pattern=r"\w+|[^\w\s]"', r'token_pattern=r"\w+|[^\w\s]"')),
    ),
    data(
        "sublinear",
        "dampen repeated words by a logarithm",
        TEXT,
        keywords({"TfidfVectorizer": "sublinear_tf=True"}),
    ),
    data(
        "idf",
        "weight words by how rare they are",
        TEXT,
        either(
            rename_call("CountVectorizer", "TfidfVectorizer"),
            before_model("TfidfTransformer()", sparse=True),
        ),
    ),
    data(
        "best-words",
        "keep the words that tell the classes apart best",
        TEXT,
        before_model("SelectPercentile(chi2, percentile=50)", sparse=True),
    ),
    data(
        "topics",
        "reduce the word counts to 50 topics",
        TEXT,
        before_model("TruncatedSVD(50, random_state=0)", sparse=True),
    ),
    modelling(
        "logistic",
        "switch to logistic regression",
        TEXT,
        model(None, "LogisticRegression(C=5, max_iter=200)", sparse=True),
    ),
    modelling(
        "linear-svm",
        "switch to a linear support vector machine",
        TEXT,
        model(None, "LinearSVC()", sparse=True),
    ),
    modelling(
        "soft-linear-svm",
        "switch to a softer linear support vector machine",
        TEXT,
        model(None, "LinearSVC(C=0.1)", sparse=True),
    ),
    modelling(
        "multinomial-bayes",
        "switch to multinomial naive Bayes",
        TEXT,
        model(None, "MultinomialNB(alpha=0.1)", sparse=True),
    ),
    modelling(
        "complement-bayes",
        "switch to complement naive Bayes",
        TEXT,
        model(None, "ComplementNB(alpha=0.3)", sparse=True),
    ),
    modelling(
        "bernoulli-bayes",
        "switch to Bernoulli naive Bayes",
        TEXT,
        model(None, "BernoulliNB(alpha=0.1)", sparse=True),
    ),
    modelling(
        "ridge-classifier",
        "switch to a ridge classifier",
        TEXT,
        model(None, "RidgeClassifier()", sparse=True),
    ),
    modelling(
        "sgd",
        "train a linear model by stochastic gradient descent",
        TEXT,
        model(None, 'SGDClassifier(loss="modified_huber", random_state=0)', sparse=True),
    ),
    modelling(
        "centroid",
        "predict the class with the nearest centroid",
        TEXT,
        model(None, "NearestCentroid()", sparse=True),
    ),
    modelling(
        "text-neighbours",
        "switch to nearest neighbours",
        TEXT,
        model(None, "KNeighborsClassifier(n_neighbors=10)", sparse=True),
    ),
    modelling(
        "vote-bayes",
        "let the model vote with naive Bayes and logistic regression",
        TEXT,
        model(
            None,
            'VotingClassifier([("a", {model}), ("b", MultinomialNB()), '
            '("c", LogisticRegression(max_iter=200))])',
            sparse=True,
        ),
    ),
    learning(
        "no-prior",
        "ignore how frequent the classes are",
        TEXT,
        keywords(alike("fit_prior=False", "MultinomialNB", "BernoulliNB")),
    ),
    learning(
        "search-smoothing",
        "search the best setting by cross-validation",
        TEXT,
        search(
            {
                "MultinomialNB": '{"alpha": [0.01, 0.1, 1]}',
                "ComplementNB": '{"alpha": [0.01, 0.1, 1]}',
                "LogisticRegression": '{"C": [0.1, 1, 10]}',
                "LinearSVC": '{"C": [0.1, 1, 10]}',
                "KNeighbors": '{"n_neighbors": [5, 15, 40]}',
            }
        ),
    ),
)
"""All plays of this file."""
