"""Plays on the learning: hyper-parameters, targets, weights, what is fitted and averaged."""

from functools import partial

from ml_agent.agents.playbook.builders import (
    fit_on_all,
    before_fit,
    constant,
    either,
    keywords,
    model,
    pair_score,
    prediction,
    substitute,
)
from ml_agent.agents.playbook.plays import ANY, DENSE, GRAPH, SIGNAL, TABULAR, TEXT, Play, play
from ml_agent.core.records import Axis, Domain

_learning = partial(play, Axis.LEARNING)
_NUMBERS = (Domain.TABULAR_REGRESSION, Domain.TIME_SERIES)
_LABELS = (
    Domain.TABULAR_CLASSIFICATION,
    Domain.IMAGE,
    Domain.TEXT,
    Domain.TIME_SERIES,
    Domain.GRAPH,
)


def _each(arguments: str, *names: str) -> dict[str, str]:
    """The same arguments for several estimators; "Forest" stands for a family's both names."""
    kinds = [name + kind for name in names for kind in ("Regressor", "Classifier", "")]
    return dict.fromkeys(kinds, arguments)


_FOREST = ("RandomForest", "ExtraTrees")
_BOOSTED = ("GradientBoosting", "HistGradientBoosting")
_TREE = (*_FOREST, *_BOOSTED, "DecisionTree")
_STEPS = r"(n_?)?(steps|epochs|iterations|iters|rounds)"
_RATE = r"rate|lr|learning_rate|eta|step_size"

_STRENGTH = (
    _learning(
        "weaker-penalty",
        "regularise less, so that the model can follow the data",
        ANY,
        either(
            keywords(
                _each("C=10", "LogisticRegression", "LinearSVC", "SVC")
                | _each("alpha=0.01", "Ridge", "RidgeClassifier", "Lasso", "ElasticNet")
                | _each("alpha=0.1", "MultinomialNB", "ComplementNB", "BernoulliNB")
                | _each("C=100", "SVR")
            ),
            substitute(r"\bmax_depth=\d+", "max_depth=None"),
        ),
    ),
    _learning(
        "much-weaker-penalty",
        "almost remove the regularisation",
        (*TABULAR, *TEXT, Domain.TIME_SERIES),
        keywords(
            _each("C=100", "LogisticRegression", "LinearSVC")
            | _each("alpha=0.0001", "Ridge", "RidgeClassifier", "Lasso", "MLP")
            | _each("alpha=0.01", "MultinomialNB", "ComplementNB", "BernoulliNB")
        ),
    ),
    _learning(
        "stronger-penalty",
        "regularise more against overfitting",
        ANY,
        either(
            keywords(
                _each("C=0.01", "LogisticRegression", "LinearSVC", "SVC", "SVR")
                | _each("alpha=100", "Ridge", "RidgeClassifier")
                | _each("alpha=10", "Lasso", "ElasticNet", "MultinomialNB", "ComplementNB")
                | _each("min_samples_leaf=50", *_TREE)
                | _each("n_neighbors=75", "KNeighbors")
            ),
            model("make_pipeline(StandardScaler(), Lasso(alpha=1.0))"),
        ),
    ),
    _learning(
        "l1",
        "use an L1 penalty to drop weak features",
        (*TABULAR, *TEXT),
        keywords({"LogisticRegression": 'l1_ratio=1.0, solver="saga", max_iter=200'}),
    ),
    _learning(
        "more-iterations",
        "let the solver run longer",
        ANY,
        either(
            keywords(_each("max_iter=1000", "LogisticRegression", "MLP", "Lasso", "LinearSVC")),
            constant(_STEPS, "400"),
        ),
    ),
    _learning(
        "many-more-iterations",
        "train ten times as long",
        (Domain.IMAGE, Domain.TIME_SERIES),
        constant(_STEPS, "1500"),
    ),
    _learning(
        "fewer-iterations",
        "stop the training early",
        SIGNAL,
        either(constant(_STEPS, "10"), keywords(_each("max_iter=5", "MLP"))),
    ),
    _learning(
        "larger-rate",
        "take larger learning steps",
        ANY,
        either(constant(_RATE, "0.5"), keywords(_each("learning_rate=0.3", *_BOOSTED))),
    ),
    _learning(
        "huge-rate",
        "take very large learning steps",
        ANY,
        either(constant(_RATE, "100.0"), keywords(_each("learning_rate=1.0", *_BOOSTED))),
    ),
    _learning(
        "smaller-rate",
        "take smaller learning steps",
        ANY,
        either(constant(_RATE, "0.001"), keywords(_each("learning_rate=0.03", *_BOOSTED))),
    ),
    _learning(
        "balanced",
        "weight the classes by how rare they are",
        _LABELS,
        keywords(
            _each(
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
    _learning(
        "no-prior",
        "ignore how frequent the classes are",
        TEXT,
        keywords(_each("fit_prior=False", "MultinomialNB", "BernoulliNB")),
    ),
    _learning(
        "no-intercept",
        "leave out the intercept",
        ANY,
        keywords(
            _each(
                "fit_intercept=False",
                "LinearRegression",
                "Ridge",
                "Lasso",
                "LogisticRegression",
                "RidgeClassifier",
            )
        ),
    ),
)

_TREES = (
    _learning(
        "more-trees",
        "grow more trees",
        DENSE,
        keywords(
            _each("n_estimators=200", *_FOREST, "GradientBoosting")
            | _each("max_iter=200", "HistGradientBoosting")
        ),
    ),
    _learning(
        "few-trees",
        "grow fewer trees to be faster",
        DENSE,
        keywords(
            _each("n_estimators=5", *_FOREST, "GradientBoosting")
            | _each("max_iter=10", "HistGradientBoosting")
        ),
    ),
    _learning(
        "deep-trees",
        "let the trees grow as deep as they like",
        DENSE,
        keywords(
            _each("max_depth=None", *_FOREST, "DecisionTree", "HistGradientBoosting")
            | _each("max_depth=5", "GradientBoosting")
        ),
    ),
    _learning(
        "shallow-trees",
        "keep the trees at depth three",
        DENSE,
        keywords(_each("max_depth=3", *_TREE)),
    ),
    _learning(
        "large-leaves",
        "ask for at least ten rows in a leaf",
        DENSE,
        keywords(_each("min_samples_leaf=10", *_TREE)),
    ),
    _learning(
        "feature-share",
        "look at a random half of the features at each split",
        DENSE,
        keywords(_each("max_features=0.5", *_TREE)),
    ),
    _learning(
        "row-share",
        "fit each tree on a random half of the rows",
        DENSE,
        keywords(
            _each("max_samples=0.5, bootstrap=True", *_FOREST)
            | _each("subsample=0.5", "GradientBoosting")
        ),
    ),
    _learning(
        "depth-and-trees",
        "grow 150 trees without a depth limit",
        DENSE,
        keywords(
            _each("n_estimators=150, max_depth=None", *_FOREST)
            | _each("n_estimators=150, max_depth=4", "GradientBoosting")
        ),
    ),
    _learning(
        "prune",
        "prune the trees by their cost",
        TABULAR,
        keywords(_each("ccp_alpha=0.001", "DecisionTree", *_FOREST)),
    ),
    _learning(
        "absolute-loss",
        "train on absolute errors",
        _NUMBERS,
        keywords(
            {
                "HistGradientBoostingRegressor": 'loss="absolute_error"',
                "GradientBoostingRegressor": 'loss="absolute_error"',
                "DecisionTreeRegressor": 'criterion="absolute_error"',
            }
        ),
    ),
    _learning(
        "entropy",
        "split by entropy",
        _LABELS,
        keywords(
            _each(
                'criterion="entropy"',
                "DecisionTreeClassifier",
                "RandomForestClassifier",
                "ExtraTreesClassifier",
            )
        ),
    ),
)

_NEIGHBOURS = (
    _learning(
        "more-neighbours",
        "average over more neighbours",
        ANY,
        keywords(_each("n_neighbors=20", "KNeighbors")),
    ),
    _learning(
        "fewer-neighbours",
        "look at fewer neighbours",
        ANY,
        keywords(_each("n_neighbors=2", "KNeighbors")),
    ),
    _learning(
        "near-counts-more",
        "let near neighbours count more",
        ANY,
        keywords(_each('weights="distance"', "KNeighbors")),
    ),
    _learning(
        "city-blocks",
        "measure distance in city blocks",
        ANY,
        keywords(_each('metric="manhattan"', "KNeighbors")),
    ),
    _learning(
        "blocks",
        "look at the images in finer blocks",
        (Domain.IMAGE,),
        constant("block|pool|cell", "4"),
    ),
    _learning(
        "finest-blocks",
        "look at the images in blocks of two pixels",
        (Domain.IMAGE,),
        constant("block|pool|cell", "2"),
    ),
)

_TARGETS = (
    _learning(
        "log-target",
        "learn the logarithm of the target",
        _NUMBERS,
        model("TransformedTargetRegressor({model}, func=np.log1p, inverse_func=np.expm1)"),
    ),
    _learning(
        "root-target",
        "learn the square root of the target",
        _NUMBERS,
        model("TransformedTargetRegressor({model}, func=np.sqrt, inverse_func=np.square)"),
    ),
    _learning(
        "normal-target",
        "map the target to a normal distribution",
        _NUMBERS,
        model(
            "TransformedTargetRegressor({model}, transformer=QuantileTransformer("
            'n_quantiles=200, output_distribution="normal"))'
        ),
    ),
    _learning(
        "clip-predictions",
        "keep predictions within the range of known targets",
        _NUMBERS,
        prediction("np.clip({p}, {y}.min(), {y}.max())", "regressor"),
    ),
    _learning(
        "round-predictions",
        "round the predictions",
        _NUMBERS,
        prediction("np.round({p})", "regressor"),
    ),
    _learning(
        "shrink-predictions",
        "pull the predictions halfway to the mean",
        _NUMBERS,
        prediction("0.5 * {p} + 0.5 * {y}.mean()", "regressor"),
    ),
    _learning(
        "search-depth",
        "search the best depth by cross-validation",
        DENSE,
        either(
            *(
                model(
                    f'GridSearchCV({{model}}, {{"{name}": {values}}}, cv=3)',
                    f'GridSearchCV({{model}}, {{"{name}": {values}}}, cv=3)',
                    only=names,
                )
                for name, values, names in (
                    ("max_depth", "[3, 6, 10]", _each("", *_TREE)),
                    ("alpha", "[0.01, 1, 100]", _each("", "Ridge", "Lasso", "RidgeClassifier")),
                    ("C", "[0.1, 1, 10]", _each("", "LogisticRegression", "SVC", "LinearSVC")),
                    ("n_neighbors", "[5, 15, 40]", _each("", "KNeighbors")),
                )
            )
        ),
    ),
    _learning(
        "search-smoothing",
        "search the best setting by cross-validation",
        TEXT,
        either(
            *(
                model(None, f'GridSearchCV({{model}}, {{"{name}": {values}}}, cv=3)', only=names)
                for name, values, names in (
                    ("alpha", "[0.01, 0.1, 1]", _each("", "MultinomialNB", "ComplementNB")),
                    ("C", "[0.1, 1, 10]", _each("", "LogisticRegression", "LinearSVC")),
                    ("n_neighbors", "[5, 15, 40]", _each("", "KNeighbors")),
                )
            )
        ),
    ),
)

_FITTING = (
    _learning("fit-on-all", "fit the model on all rows before predicting", ANY, fit_on_all()),
    _learning(
        "smaller-holdout",
        "hold back fewer rows",
        ANY,
        substitute(r"test_size=[\d.]+", "test_size=0.05"),
    ),
    _learning(
        "more-folds",
        "check with more folds",
        ANY,
        either(substitute(r"\bcv=[34]\b", "cv=8"), substitute(r"\bn_splits=[34]\b", "n_splits=8")),
    ),
    _learning(
        "other-seed",
        "try another random seed",
        ANY,
        substitute(r"random_state=(?!11\b)\d+", "random_state=11"),
    ),
    _learning(
        "drop-tail",
        "fit on the first two thirds of the rows only",
        ANY,
        before_fit("keep = len({y}) * 2 // 3", "{X}, {y} = {X}[:keep], {y}[:keep]"),
    ),
    _learning(
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
    _learning(
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
    _learning(
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

_FLAWED = (
    _learning(
        "depth-keyword",
        "set the depth of the trees to six",
        DENSE,
        keywords(_each("depth=6", *_TREE)),
        flawed=True,
    ),
    _learning(
        "penalty-keyword",
        "set the penalty of the linear model to one",
        ANY,
        keywords(
            _each("lambda_=1.0", "Ridge", "Lasso", "RidgeClassifier")
            | _each("c=1.0", "LogisticRegression", "LinearSVC")
            | _each("smoothing=0.5", "MultinomialNB", "ComplementNB")
        ),
        flawed=True,
    ),
    _learning(
        "log-forgotten",
        "learn on a log scale",
        _NUMBERS,
        model("TransformedTargetRegressor({model}, func=np.log, inverse_func=np.exp)", imports=()),
        flawed=True,
    ),
    _learning(
        "mae-loss",
        "train the trees on the mean absolute error",
        _NUMBERS,
        keywords(
            {
                "HistGradientBoostingRegressor": 'loss="mae"',
                "GradientBoostingRegressor": 'loss="mae"',
                "DecisionTreeRegressor": 'criterion="mae"',
            }
        ),
        flawed=True,
    ),
)

_GRAPHS = (
    _learning(
        "break-ties",
        "break ties between pairs by their degrees",
        GRAPH,
        pair_score("len(N[a] & N[b]) + 1e-6 * len(N[a]) * len(N[b])"),
    ),
    _learning(
        "square-degrees",
        "weight the degrees by their squares",
        GRAPH,
        pair_score("(len(N[a]) * len(N[b])) ** 2"),
    ),
    _learning(
        "root-degrees",
        "dampen the degrees by a square root",
        GRAPH,
        pair_score("len(N[a]) ** 0.5 + len(N[b]) ** 0.5"),
    ),
    _learning(
        "mixed-weights",
        "weight common neighbours ten times as much as degrees",
        GRAPH,
        pair_score("10 * len(N[a] & N[b]) + 0.1 * (len(N[a]) + len(N[b]))"),
    ),
    _learning(
        "fewer-hubs",
        "give hubs among the common neighbours less weight",
        GRAPH,
        pair_score("sum(1 / (1 + len(N[c])) ** 2 for c in N[a] & N[b])"),
    ),
    _learning(
        "fewer-links",
        "prefer pairs with few other links",
        GRAPH,
        pair_score("-len(N[a]) * len(N[b])"),
    ),
)

LEARNING_PLAYS: tuple[Play, ...] = (
    *_STRENGTH,
    *_TREES,
    *_NEIGHBOURS,
    *_TARGETS,
    *_FITTING,
    *_FLAWED,
    *_GRAPHS,
)
"""All plays of this axis."""
