"""Plays on the model: another estimator, or several together."""

from ml_agent.agents.playbook.builders import family, model, scaled
from ml_agent.agents.playbook.plays import ANY, DENSE, NUMBERS, SIGNAL, TABULAR, Play, modelling
from ml_agent.core.records import Domain

MODEL_PLAYS: tuple[Play, ...] = (
    modelling(
        "hist-boosting",
        "switch to histogram gradient boosting",
        DENSE,
        model(*family("HistGradientBoosting", "max_iter=100, random_state=0"), sparse=False),
    ),
    modelling(
        "slow-hist-boosting",
        "switch to histogram gradient boosting with small steps",
        DENSE,
        model(
            *family("HistGradientBoosting", "max_iter=150, learning_rate=0.05, random_state=0"),
            sparse=False,
        ),
    ),
    modelling(
        "forest",
        "switch to a random forest",
        ANY,
        model(*family("RandomForest", "n_estimators=100, random_state=0")),
    ),
    modelling(
        "sturdy-forest",
        "switch to a random forest with larger leaves",
        DENSE,
        model(*family("RandomForest", "150, min_samples_leaf=3, random_state=0")),
    ),
    modelling(
        "extra-trees",
        "switch to extremely randomised trees",
        ANY,
        model(*family("ExtraTrees", "n_estimators=150, random_state=0")),
    ),
    modelling(
        "boosting",
        "switch to classic gradient boosting",
        DENSE,
        model(
            "GradientBoostingRegressor(random_state=0)",
            "GradientBoostingClassifier(n_estimators=40, random_state=0)",
            sparse=False,
        ),
    ),
    modelling(
        "deep-boosting",
        "switch to gradient boosting with deeper trees",
        TABULAR,
        model(
            *family("GradientBoosting", "max_depth=5, subsample=0.7, random_state=0"), sparse=False
        ),
    ),
    modelling(
        "adaboost",
        "boost shallow trees with AdaBoost",
        DENSE,
        model(*family("AdaBoost", "n_estimators=50, random_state=0")),
    ),
    modelling(
        "tree",
        "switch to a single decision tree",
        ANY,
        model(*family("DecisionTree", "max_depth=8, random_state=0")),
    ),
    modelling(
        "stump",
        "switch to a tree of depth two, which is easy to read",
        DENSE,
        model(*family("DecisionTree", "max_depth=2, random_state=0")),
    ),
    modelling(
        "bagged-trees",
        "average 30 bagged decision trees",
        DENSE,
        model(*family("Bagging", "n_estimators=30, random_state=0")),
    ),
    modelling(
        "neighbours",
        "switch to nearest neighbours on scaled features",
        DENSE,
        model(*scaled(family("KNeighbors", "10", '10, weights="distance"')), sparse=False),
    ),
    modelling(
        "one-neighbour",
        "predict from the single nearest neighbour",
        DENSE,
        model(*family("KNeighbors", "n_neighbors=1")),
    ),
    modelling(
        "kernel-svm",
        "switch to a support vector machine on scaled features",
        DENSE,
        model(
            "make_pipeline(StandardScaler(), SVR(C=100))",
            "make_pipeline(StandardScaler(), SVC(C=5))",
            sparse=False,
        ),
    ),
    modelling("raw-svm", "switch to a support vector machine", SIGNAL, model("SVR()", "SVC(C=10)")),
    modelling(
        "network",
        "train a small neural network on scaled features",
        DENSE,
        model(
            *scaled(family("MLP", "max_iter=300, random_state=0", "max_iter=60, random_state=0")),
            sparse=False,
        ),
    ),
    modelling(
        "linear",
        "switch to a plain linear model on scaled features",
        DENSE,
        model(
            "make_pipeline(StandardScaler(), Ridge())",
            "make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))",
            sparse=False,
        ),
    ),
    modelling(
        "cross-validated-linear",
        "let cross-validation choose the strength of a linear model",
        TABULAR,
        model(
            "make_pipeline(StandardScaler(), RidgeCV([0.1, 1, 10, 100]))",
            "make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=5, max_iter=300, "
            "use_legacy_attributes=False))",
            sparse=False,
        ),
    ),
    modelling(
        "lasso",
        "switch to a lasso, which drops useless features",
        NUMBERS,
        model("make_pipeline(StandardScaler(), Lasso(alpha=0.1))"),
    ),
    modelling("elastic-net", "switch to an elastic net", NUMBERS, model("ElasticNet(alpha=0.1)")),
    modelling("bayesian", "switch to Bayesian ridge regression", NUMBERS, model("BayesianRidge()")),
    modelling(
        "huber",
        "switch to a linear model that resists outliers",
        NUMBERS,
        model("make_pipeline(StandardScaler(), HuberRegressor(max_iter=300))"),
    ),
    modelling(
        "poisson",
        "switch to a Poisson model with a log link",
        NUMBERS,
        model("make_pipeline(StandardScaler(), PoissonRegressor(max_iter=300))"),
    ),
    modelling(
        "median-line",
        "fit a line through the median",
        NUMBERS,
        model("make_pipeline(StandardScaler(), LinearSVR(C=10, max_iter=5000))"),
    ),
    modelling(
        "gaussian-bayes",
        "switch to Gaussian naive Bayes",
        DENSE,
        model(None, "GaussianNB()", sparse=False),
    ),
    modelling(
        "discriminant",
        "switch to linear discriminant analysis",
        DENSE,
        model(None, 'LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")', sparse=False),
    ),
    modelling(
        "quadratic",
        "switch to quadratic discriminant analysis",
        DENSE,
        model(None, "QuadraticDiscriminantAnalysis(reg_param=0.1)", sparse=False),
    ),
    modelling(
        "bag",
        "bag ten copies of the model",
        ANY,
        model(*family("Bagging", "{model}, n_estimators=10, random_state=0")),
    ),
    modelling(
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
    modelling(
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
    modelling(
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
    modelling(
        "calibrate",
        "calibrate the probabilities by cross-validation",
        ANY,
        model(None, "CalibratedClassifierCV({model}, cv=3)"),
    ),
    modelling(
        "one-vs-rest",
        "train one model per class against the rest",
        (Domain.IMAGE, Domain.TEXT),
        model(None, "OneVsRestClassifier({model})"),
    ),
)
"""All plays of this file."""
