"""Plays on the learning: hyper-parameters, targets, what is fitted and averaged."""

from ml_agent.agents.playbook.builders import (
    alike,
    constant,
    either,
    fit_on_all,
    keywords,
    model,
    prediction,
    search,
    substitute,
)
from ml_agent.agents.playbook.feature_builders import before_training
from ml_agent.agents.playbook.names import BOOSTED, FORESTS, TREES
from ml_agent.agents.playbook.plays import (
    ANY,
    DENSE,
    LABELS,
    NUMBERS,
    TABULAR,
    TEXT,
    Play,
    learning,
)
from ml_agent.core.records import Domain

_STEPS = r"(n_?)?(steps|epochs|iterations|iters|rounds)"
_RATE = r"rate|lr|learning_rate|eta|step_size"

LEARNING_PLAYS: tuple[Play, ...] = (
    learning(
        "weaker-penalty",
        "regularise less, so that the model can follow the data",
        ANY,
        keywords(
            alike("C=10", "LogisticRegression", "LinearSVC", "SVC")
            | alike("alpha=0.01", "Ridge", "RidgeClassifier", "Lasso", "ElasticNet")
            | alike("alpha=0.1", "MultinomialNB", "ComplementNB", "BernoulliNB")
            | alike("C=100", "SVR")
        ),
    ),
    learning(
        "much-weaker-penalty",
        "almost remove the regularisation",
        (*TABULAR, *TEXT, Domain.TIME_SERIES),
        keywords(
            alike("C=100", "LogisticRegression", "LinearSVC")
            | alike("alpha=0.0001", "Ridge", "RidgeClassifier", "Lasso", "MLP")
            | alike("alpha=0.01", "MultinomialNB", "ComplementNB", "BernoulliNB")
        ),
    ),
    learning(
        "stronger-penalty",
        "regularise more against overfitting",
        ANY,
        either(
            keywords(
                alike("C=0.01", "LogisticRegression", "LinearSVC", "SVC", "SVR")
                | alike("alpha=100", "Ridge", "RidgeClassifier")
                | alike("alpha=10", "Lasso", "ElasticNet", "MultinomialNB", "ComplementNB")
                | alike("min_samples_leaf=50", *TREES)
                | alike("n_neighbors=75", "KNeighbors")
            ),
            model("Ridge(alpha=100)", only=("LinearRegression",)),
        ),
    ),
    learning(
        "l1",
        "use an L1 penalty to drop weak features",
        (*TABULAR, *TEXT),
        keywords({"LogisticRegression": 'l1_ratio=1.0, solver="saga", max_iter=200'}),
    ),
    learning(
        "more-iterations",
        "let the solver run longer",
        ANY,
        either(
            keywords(alike("max_iter=1000", "LogisticRegression", "MLP", "Lasso", "LinearSVC")),
            constant(_STEPS, "400"),
        ),
    ),
    learning(
        "larger-rate",
        "take larger learning steps",
        ANY,
        either(constant(_RATE, "0.5"), keywords(alike("learning_rate=0.3", *BOOSTED))),
    ),
    learning(
        "huge-rate",
        "take very large learning steps",
        ANY,
        either(constant(_RATE, "100.0"), keywords(alike("learning_rate=1.0", *BOOSTED))),
    ),
    learning(
        "smaller-rate",
        "take smaller learning steps",
        ANY,
        either(constant(_RATE, "0.001"), keywords(alike("learning_rate=0.03", *BOOSTED))),
    ),
    learning(
        "balanced",
        "weight the classes by how rare they are",
        LABELS,
        keywords(
            alike(
                'class_weight="balanced"',
                "LogisticRegression",
                "LinearSVC",
                "SVC",
                "RidgeClassifier",
                "DecisionTreeClassifier",
                "RandomForestClassifier",
                "ExtraTreesClassifier",
                "HistGradientBoostingClassifier",
            )
        ),
    ),
    learning(
        "no-intercept",
        "leave out the intercept",
        ANY,
        keywords(
            alike(
                "fit_intercept=False",
                "LinearRegression",
                "Ridge",
                "Lasso",
                "LogisticRegression",
                "RidgeClassifier",
            )
        ),
    ),
    learning(
        "more-trees",
        "grow more trees",
        DENSE,
        keywords(
            alike("n_estimators=200", *FORESTS, "GradientBoosting")
            | alike("max_iter=200", "HistGradientBoosting")
        ),
    ),
    learning(
        "few-trees",
        "grow fewer trees to be faster",
        DENSE,
        keywords(
            alike("n_estimators=5", *FORESTS, "GradientBoosting")
            | alike("max_iter=10", "HistGradientBoosting")
        ),
    ),
    learning(
        "deep-trees",
        "let the trees grow as deep as they like",
        DENSE,
        keywords(
            alike("max_depth=None", *FORESTS, "DecisionTree", "HistGradientBoosting")
            | alike("max_depth=5", "GradientBoosting")
        ),
    ),
    learning(
        "shallow-trees",
        "keep the trees at depth three",
        DENSE,
        keywords(alike("max_depth=3", *TREES)),
    ),
    learning(
        "large-leaves",
        "ask for at least ten rows in a leaf",
        DENSE,
        keywords(alike("min_samples_leaf=10", *TREES)),
    ),
    learning(
        "feature-share",
        "look at a random half of the features at each split",
        DENSE,
        keywords(alike("max_features=0.5", *TREES)),
    ),
    learning(
        "row-share",
        "fit each tree on a random half of the rows",
        DENSE,
        keywords(
            alike("max_samples=0.5, bootstrap=True", *FORESTS)
            | alike("subsample=0.5", "GradientBoosting")
        ),
    ),
    learning(
        "depth-and-trees",
        "grow 150 trees without a depth limit",
        DENSE,
        keywords(
            alike("n_estimators=150, max_depth=None", *FORESTS)
            | alike("n_estimators=150, max_depth=4", "GradientBoosting")
        ),
    ),
    learning(
        "prune",
        "prune the trees by their cost",
        TABULAR,
        keywords(alike("ccp_alpha=0.001", "DecisionTree", *FORESTS)),
    ),
    learning(
        "absolute-loss",
        "train on absolute errors",
        NUMBERS,
        keywords(
            {
                "HistGradientBoostingRegressor": 'loss="absolute_error"',
                "GradientBoostingRegressor": 'loss="absolute_error"',
                "DecisionTreeRegressor": 'criterion="absolute_error"',
            }
        ),
    ),
    learning(
        "entropy",
        "split by entropy",
        LABELS,
        keywords(
            alike(
                'criterion="entropy"',
                "DecisionTreeClassifier",
                "RandomForestClassifier",
                "ExtraTreesClassifier",
            )
        ),
    ),
    learning(
        "more-neighbours",
        "average over more neighbours",
        ANY,
        keywords(alike("n_neighbors=20", "KNeighbors")),
    ),
    learning(
        "fewer-neighbours",
        "look at fewer neighbours",
        ANY,
        keywords(alike("n_neighbors=2", "KNeighbors")),
    ),
    learning(
        "near-counts-more",
        "let near neighbours count more",
        ANY,
        keywords(alike('weights="distance"', "KNeighbors")),
    ),
    learning(
        "city-blocks",
        "measure distance in city blocks",
        ANY,
        keywords(alike('metric="manhattan"', "KNeighbors")),
    ),
    learning(
        "log-target",
        "learn the logarithm of the target",
        NUMBERS,
        model("TransformedTargetRegressor({model}, func=np.log1p, inverse_func=np.expm1)"),
    ),
    learning(
        "root-target",
        "learn the square root of the target",
        NUMBERS,
        model("TransformedTargetRegressor({model}, func=np.sqrt, inverse_func=np.square)"),
    ),
    learning(
        "normal-target",
        "map the target to a normal distribution",
        NUMBERS,
        model(
            "TransformedTargetRegressor({model}, transformer=QuantileTransformer("
            'n_quantiles=200, output_distribution="normal"))'
        ),
    ),
    learning(
        "clip-predictions",
        "keep predictions within the range of known targets",
        NUMBERS,
        prediction("np.clip({p}, {y}.min(), {y}.max())", "regressor"),
    ),
    learning(
        "round-predictions",
        "round the predictions",
        NUMBERS,
        prediction("np.round({p})", "regressor"),
    ),
    learning(
        "shrink-predictions",
        "pull the predictions halfway to the mean",
        NUMBERS,
        prediction("0.5 * {p} + 0.5 * {y}.mean()", "regressor"),
    ),
    learning(
        "search-setting",
        "search the best depth or strength by cross-validation",
        DENSE,
        search(
            dict.fromkeys(TREES, '{"max_depth": [3, 6, 10]}')
            | dict.fromkeys(("Ridge", "Lasso", "RidgeClassifier"), '{"alpha": [0.01, 1, 100]}')
            | dict.fromkeys(("LogisticRegression", "SVC"), '{"C": [0.1, 1, 10]}')
            | {"KNeighbors": '{"n_neighbors": [5, 15, 40]}'}
        ),
    ),
    learning("fit-on-all", "fit the model on all rows before predicting", ANY, fit_on_all()),
    learning(
        "smaller-holdout",
        "hold back fewer rows",
        ANY,
        substitute(r"test_size=[\d.]+", "test_size=0.05"),
    ),
    learning(
        "more-folds",
        "check with more folds",
        ANY,
        either(substitute(r"\bcv=[34]\b", "cv=8"), substitute(r"\bn_splits=[34]\b", "n_splits=8")),
    ),
    learning(
        "other-seed",
        "try another random seed",
        ANY,
        substitute(r"(?s)(.*)random_state=\d+", r"\1random_state=11"),
    ),
    learning(
        "drop-tail",
        "fit on the first two thirds of the rows only",
        ANY,
        before_training("keep = len({y}) * 2 // 3", "{X}, {y} = {X}[:keep], {y}[:keep]"),
    ),
    learning(
        "two-seeds",
        "average two seeds of the model",
        DENSE,
        model(
            *(
                f"Bagging{kind}({{model}}, n_estimators=2, bootstrap=False, random_state=0)"
                for kind in ("Regressor", "Classifier")
            )
        ),
    ),
    learning(
        "wide-bag",
        "bag 20 copies on half of the rows each",
        (*DENSE, *TEXT),
        model(
            *(
                f"Bagging{kind}({{model}}, 20, max_samples=0.5, random_state=0)"
                for kind in ("Regressor", "Classifier")
            )
        ),
    ),
    learning(
        "feature-bag",
        "bag 15 copies on half of the features each",
        ANY,
        model(
            *(
                f"Bagging{kind}({{model}}, 15, max_features=0.5, random_state=0)"
                for kind in ("Regressor", "Classifier")
            )
        ),
    ),
)
"""All plays of this file."""
