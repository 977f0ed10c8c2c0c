"""Plays on the model: another estimator, or several together."""

from functools import partial

from ml_agent.agents.playbook.builders import either, model, pair_features, pair_score
from ml_agent.agents.playbook.plays import ANY, DENSE, GRAPH, SIGNAL, TABULAR, TEXT, Play, play
from ml_agent.core.records import Axis, Domain

_model = partial(play, Axis.MODEL)
_NUMBERS = (Domain.TABULAR_REGRESSION, Domain.TIME_SERIES)


def _named(
    name: str, arguments: str = "", second: str | None = None, *, scaled: bool = False
) -> tuple[str, str]:
    """The regressor and the classifier of a family, such as `KNeighbors`."""
    both = (f"{name}Regressor({arguments})", f"{name}Classifier({second or arguments})")
    if not scaled:
        return both
    return (
        f"make_pipeline(StandardScaler(), {both[0]})",
        f"make_pipeline(StandardScaler(), {both[1]})",
    )


_TREES = (
    _model(
        "hist-boosting",
        "switch to histogram gradient boosting",
        DENSE,
        model(*_named("HistGradientBoosting", "max_iter=100, random_state=0"), sparse=False),
    ),
    _model(
        "slow-hist-boosting",
        "switch to histogram gradient boosting with small steps",
        DENSE,
        model(
            *_named("HistGradientBoosting", "max_iter=150, learning_rate=0.05, random_state=0"),
            sparse=False,
        ),
    ),
    _model(
        "forest",
        "switch to a random forest",
        ANY,
        model(*_named("RandomForest", "n_estimators=100, random_state=0")),
    ),
    _model(
        "sturdy-forest",
        "switch to a random forest with larger leaves",
        DENSE,
        model(*_named("RandomForest", "150, min_samples_leaf=3, random_state=0")),
    ),
    _model(
        "extra-trees",
        "switch to extremely randomised trees",
        ANY,
        model(*_named("ExtraTrees", "n_estimators=150, random_state=0")),
    ),
    _model(
        "boosting",
        "switch to classic gradient boosting",
        DENSE,
        model(
            "GradientBoostingRegressor(random_state=0)",
            "GradientBoostingClassifier(n_estimators=40, random_state=0)",
            sparse=False,
        ),
    ),
    _model(
        "deep-boosting",
        "switch to gradient boosting with deeper trees",
        TABULAR,
        model(
            *_named("GradientBoosting", "max_depth=5, subsample=0.7, random_state=0"), sparse=False
        ),
    ),
    _model(
        "adaboost",
        "boost shallow trees with AdaBoost",
        DENSE,
        model(*_named("AdaBoost", "n_estimators=50, random_state=0")),
    ),
    _model(
        "tree",
        "switch to a single decision tree",
        ANY,
        model(*_named("DecisionTree", "max_depth=8, random_state=0")),
    ),
    _model(
        "stump",
        "switch to a tree of depth two, which is easy to read",
        DENSE,
        model(*_named("DecisionTree", "max_depth=2, random_state=0")),
    ),
    _model(
        "bagged-trees",
        "average 30 bagged decision trees",
        DENSE,
        model(*_named("Bagging", "n_estimators=30, random_state=0")),
    ),
)

_OTHERS = (
    _model(
        "neighbours",
        "switch to nearest neighbours on scaled features",
        DENSE,
        model(*_named("KNeighbors", "10", '10, weights="distance"', scaled=True), sparse=False),
    ),
    _model(
        "one-neighbour",
        "predict from the single nearest neighbour",
        DENSE,
        model(*_named("KNeighbors", "n_neighbors=1")),
    ),
    _model(
        "kernel-svm",
        "switch to a support vector machine on scaled features",
        DENSE,
        model(
            "make_pipeline(StandardScaler(), SVR(C=100))",
            "make_pipeline(StandardScaler(), SVC(C=5))",
            sparse=False,
        ),
    ),
    _model("raw-svm", "switch to a support vector machine", SIGNAL, model("SVR()", "SVC(C=10)")),
    _model(
        "network",
        "train a small neural network on scaled features",
        DENSE,
        model(
            *_named(
                "MLP",
                "(64,), max_iter=200, random_state=0",
                "(64,), max_iter=60, random_state=0",
                scaled=True,
            ),
            sparse=False,
        ),
    ),
    _model(
        "linear",
        "switch to a plain linear model on scaled features",
        DENSE,
        model(
            "make_pipeline(StandardScaler(), Ridge())",
            "make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))",
            sparse=False,
        ),
    ),
    _model(
        "cross-validated-linear",
        "let cross-validation choose the strength of a linear model",
        TABULAR,
        model(
            "make_pipeline(StandardScaler(), RidgeCV([0.1, 1, 10, 100]))",
            "make_pipeline(StandardScaler(), LogisticRegressionCV(5, max_iter=300, "
            "use_legacy_attributes=False))",
            sparse=False,
        ),
    ),
    _model(
        "lasso",
        "switch to a lasso, which drops useless features",
        _NUMBERS,
        model("make_pipeline(StandardScaler(), Lasso(alpha=0.1))"),
    ),
    _model("elastic-net", "switch to an elastic net", _NUMBERS, model("ElasticNet(alpha=0.1)")),
    _model("bayesian", "switch to Bayesian ridge regression", _NUMBERS, model("BayesianRidge()")),
    _model(
        "huber",
        "switch to a linear model that resists outliers",
        _NUMBERS,
        model("make_pipeline(StandardScaler(), HuberRegressor(max_iter=300))"),
    ),
    _model(
        "poisson",
        "switch to a Poisson model with a log link",
        _NUMBERS,
        model("make_pipeline(StandardScaler(), PoissonRegressor(max_iter=300))"),
    ),
    _model(
        "median-line",
        "fit a line through the median",
        _NUMBERS,
        model("make_pipeline(StandardScaler(), LinearSVR(C=10, max_iter=5000))"),
    ),
    _model(
        "gaussian-bayes",
        "switch to Gaussian naive Bayes",
        DENSE,
        model(None, "GaussianNB()", sparse=False),
    ),
    _model(
        "discriminant",
        "switch to linear discriminant analysis",
        DENSE,
        model(None, 'LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")', sparse=False),
    ),
    _model(
        "quadratic",
        "switch to quadratic discriminant analysis",
        DENSE,
        model(None, "QuadraticDiscriminantAnalysis(reg_param=0.1)", sparse=False),
    ),
)

_TEXTS = (
    _model(
        "logistic",
        "switch to logistic regression",
        TEXT,
        model(None, "LogisticRegression(C=5, max_iter=200)", sparse=True),
    ),
    _model(
        "linear-svm",
        "switch to a linear support vector machine",
        TEXT,
        model(None, "LinearSVC()", sparse=True),
    ),
    _model(
        "soft-linear-svm",
        "switch to a softer linear support vector machine",
        TEXT,
        model(None, "LinearSVC(C=0.1)", sparse=True),
    ),
    _model(
        "multinomial-bayes",
        "switch to multinomial naive Bayes",
        TEXT,
        model(None, "MultinomialNB(alpha=0.1)", sparse=True),
    ),
    _model(
        "complement-bayes",
        "switch to complement naive Bayes",
        TEXT,
        model(None, "ComplementNB(alpha=0.3)", sparse=True),
    ),
    _model(
        "bernoulli-bayes",
        "switch to Bernoulli naive Bayes",
        TEXT,
        model(None, "BernoulliNB(alpha=0.1)", sparse=True),
    ),
    _model(
        "ridge-classifier",
        "switch to a ridge classifier",
        TEXT,
        model(None, "RidgeClassifier()", sparse=True),
    ),
    _model(
        "sgd",
        "train a linear model by stochastic gradient descent",
        TEXT,
        model(None, 'SGDClassifier(loss="modified_huber", random_state=0)', sparse=True),
    ),
    _model(
        "centroid",
        "predict the class with the nearest centroid",
        TEXT,
        model(None, "NearestCentroid()", sparse=True),
    ),
    _model(
        "text-neighbours",
        "switch to nearest neighbours",
        TEXT,
        model(None, "KNeighborsClassifier(n_neighbors=10)", sparse=True),
    ),
)

_TOGETHER = (
    _model(
        "bag",
        "bag ten copies of the model",
        ANY,
        model(*_named("Bagging", "{model}, n_estimators=10, random_state=0")),
    ),
    _model(
        "blend-forest",
        "average the model with a random forest",
        DENSE,
        model(
            *(
                f'Voting{kind}([("a", {{model}}), ("b", RandomForest{kind}(random_state=0))]{vote})'
                for kind, vote in (("Regressor", ""), ("Classifier", ', voting="soft"'))
            ),
            sparse=False,
        ),
    ),
    _model(
        "blend-boosting",
        "average the model with gradient boosting",
        DENSE,
        model(
            *(
                f'Voting{kind}([("a", {{model}}), ("b", HistGradientBoosting{kind}())]{vote})'
                for kind, vote in (("Regressor", ""), ("Classifier", ', voting="soft"'))
            ),
            sparse=False,
        ),
    ),
    _model(
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
    _model(
        "stack",
        "stack the model with nearest neighbours",
        TABULAR,
        model(
            *(
                f'Stacking{kind}([("a", {{model}}), ("b", KNeighbors{kind}(15))], cv=3)'
                for kind in ("Regressor", "Classifier")
            ),
            sparse=False,
        ),
    ),
    _model(
        "calibrate",
        "calibrate the probabilities by cross-validation",
        ANY,
        model(None, "CalibratedClassifierCV({model}, cv=3)"),
    ),
    _model(
        "one-vs-rest",
        "train one model per class against the rest",
        (Domain.IMAGE, Domain.TEXT),
        model(None, "OneVsRestClassifier({model})"),
    ),
)

_FLAWED = (
    _model(
        "xgboost",
        "try boosted trees from xgboost",
        ANY,
        model(
            "xgboost.XGBRegressor(n_estimators=150)",
            "xgboost.XGBClassifier(n_estimators=150)",
            imports=("import xgboost",),
        ),
        flawed=True,
    ),
    _model(
        "lightgbm",
        "try boosted trees from lightgbm",
        DENSE,
        model(*_named("LGBM", "n_estimators=150"), imports=("from lightgbm import LGBM{Kind}",)),
        flawed=True,
    ),
    _model(
        "boosting-unimported",
        "try histogram gradient boosting with default settings",
        DENSE,
        model(*_named("HistGradientBoosting"), imports=()),
        flawed=True,
    ),
    _model(
        "forest-misplaced",
        "try a random forest of 60 trees",
        ANY,
        model(
            *_named("RandomForest", "60, random_state=0"),
            imports=("from sklearn.tree import RandomForest{Kind}",),
        ),
        flawed=True,
    ),
    _model(
        "boosting-misspelt",
        "try fast gradient boosting with 120 trees",
        DENSE,
        model(
            *_named("HistGradientBoost", "max_iter=120"),
            imports=("from sklearn.ensemble import HistGradientBoost{Kind}",),
        ),
        flawed=True,
    ),
    _model(
        "forest-keyword",
        "try a random forest of 120 trees",
        ANY,
        model(*_named("RandomForest", "n_trees=120, random_state=0")),
        flawed=True,
    ),
    _model(
        "neighbours-keyword",
        "try the seven nearest neighbours",
        ANY,
        model(*_named("KNeighbors", "k=7")),
        flawed=True,
    ),
)

_GRAPHS = (
    _model(
        "jaccard",
        "score a pair by the Jaccard index of its neighbours",
        GRAPH,
        either(
            pair_score("len(N[a] & N[b]) / (len(N[a] | N[b]) + 1)"),
            pair_features("({A} @ {A})[{u}, {v}] / (np.maximum({A}[{u}], {A}[{v}]).sum(1) + 1)"),
        ),
    ),
    _model(
        "adamic-adar",
        "weight common neighbours by how few neighbours they have",
        GRAPH,
        either(
            pair_score("sum(len(N[c]) ** -0.5 for c in N[a] & N[b])"),
            pair_features("({A} / ({A}.sum(0) + 1) ** 0.5 @ {A})[{u}, {v}]"),
        ),
    ),
    _model(
        "resource",
        "score a pair by resource allocation over common neighbours",
        GRAPH,
        either(
            pair_score("sum(1 / len(N[c]) for c in N[a] & N[b])"),
            pair_features("({A} / ({A}.sum(0) + 1) @ {A})[{u}, {v}]"),
        ),
    ),
    _model(
        "cosine",
        "score a pair by the cosine of its neighbourhoods",
        GRAPH,
        pair_score("len(N[a] & N[b]) / (len(N[a]) * len(N[b]) + 1) ** 0.5"),
    ),
    _model(
        "sorensen",
        "score a pair by the Sorensen index",
        GRAPH,
        pair_score("len(N[a] & N[b]) / (len(N[a]) + len(N[b]) + 1)"),
    ),
    _model(
        "hub-promoted",
        "divide common neighbours by the smaller degree",
        GRAPH,
        pair_score("len(N[a] & N[b]) / (min(len(N[a]), len(N[b])) + 1)"),
    ),
    _model(
        "hub-depressed",
        "divide common neighbours by the larger degree",
        GRAPH,
        pair_score("len(N[a] & N[b]) / (max(len(N[a]), len(N[b])) + 1)"),
    ),
    _model(
        "local-path",
        "add paths of three steps to common neighbours",
        GRAPH,
        pair_score("len(N[a] & N[b]) + 0.01 * sum(len(N[c] & N[b]) for c in N[a])"),
    ),
    _model(
        "damped-paths",
        "count paths of three steps, divided by the middle degrees",
        GRAPH,
        pair_score("sum(len(N[c] & N[b]) / len(N[c]) for c in N[a])"),
    ),
)

MODEL_PLAYS: tuple[Play, ...] = (*_TREES, *_OTHERS, *_TEXTS, *_TOGETHER, *_FLAWED, *_GRAPHS)
"""All plays of this axis."""
