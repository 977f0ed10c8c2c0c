"""Plays whose code has a bug that people really write; `repairs` mends each."""

from ml_agent.agents.playbook.builders import (
    alike,
    before_model,
    either,
    family,
    keywords,
    model,
    vectorisers,
)
from ml_agent.agents.playbook.feature_builders import after_reading, pair_features, pair_score
from ml_agent.agents.playbook.names import TREES
from ml_agent.agents.playbook.plays import (
    ANY,
    DENSE,
    GRAPH,
    NUMBERS,
    TABULAR,
    TEXT,
    Play,
    data,
    learning,
    modelling,
)

FLAWED_PLAYS: tuple[Play, ...] = (
    data(
        "impute-unimported",
        "fill missing values with the mean",
        TABULAR,
        before_model(
            "SimpleImputer()",
            imports=(
                "from sklearn.pipeline import make_pipeline",
                "from sklearn.preprocessing import SimpleImputer",
            ),
        ),
        flawed=True,
    ),
    data(
        "fresh-index",
        "renumber the training rows after reading",
        (*TABULAR, *TEXT),
        after_reading("{train} = train_df.reset_index(drop=True)"),
        flawed=True,
    ),
    data(
        "pairs-keyword",
        "count single words and pairs of words",
        TEXT,
        keywords(vectorisers("ngrams=(1, 2)", "ngrams=(1, 2)")),
        flawed=True,
    ),
    data(
        "log-common",
        "use the logarithm of the number of common neighbours",
        GRAPH,
        either(
            pair_score("np.log1p(len(N[a] & N[b]))", imports=()),
            pair_features("np.log1p(({A} @ {A})[{u}, {v}])"),
        ),
        flawed=True,
    ),
    modelling(
        "xgboost",
        "try boosted trees from xgboost",
        DENSE,
        model(
            "xgboost.XGBRegressor(n_estimators=150)",
            "xgboost.XGBClassifier(n_estimators=150)",
            imports=("import xgboost",),
        ),
        flawed=True,
    ),
    modelling(
        "lightgbm",
        "try boosted trees from lightgbm",
        DENSE,
        model(*family("LGBM", "n_estimators=150"), imports=("from lightgbm import LGBM{Kind}",)),
        flawed=True,
    ),
    modelling(
        "boosting-unimported",
        "try histogram gradient boosting with default settings",
        DENSE,
        model(*family("HistGradientBoosting"), imports=()),
        flawed=True,
    ),
    modelling(
        "forest-misplaced",
        "try a random forest of 60 trees",
        ANY,
        model(
            *family("RandomForest", "60, random_state=0"),
            imports=("from sklearn.tree import RandomForest{Kind}",),
        ),
        flawed=True,
    ),
    modelling(
        "boosting-misspelt",
        "try fast gradient boosting with 120 trees",
        DENSE,
        model(
            *family("HistGradientBoost", "max_iter=120"),
            imports=("from sklearn.ensemble import HistGradientBoost{Kind}",),
        ),
        flawed=True,
    ),
    modelling(
        "forest-keyword",
        "try a random forest of 120 trees",
        ANY,
        model(*family("RandomForest", "n_trees=120, random_state=0")),
        flawed=True,
    ),
    modelling(
        "neighbours-keyword",
        "try the seven nearest neighbours",
        ANY,
        model(*family("KNeighbors", "k=7")),
        flawed=True,
    ),
    learning(
        "depth-keyword",
        "set the depth of the trees to six",
        DENSE,
        keywords(alike("depth=6", *TREES)),
        flawed=True,
    ),
    learning(
        "penalty-keyword",
        "set the penalty of the linear model to one",
        ANY,
        keywords(
            alike("lambda_=1.0", "Ridge", "Lasso", "RidgeClassifier")
            | alike("c=1.0", "LogisticRegression", "LinearSVC")
            | alike("smoothing=0.5", "MultinomialNB", "ComplementNB")
        ),
        flawed=True,
    ),
    learning(
        "log-forgotten",
        "learn on a log scale",
        NUMBERS,
        model("TransformedTargetRegressor({model}, func=np.log, inverse_func=np.exp)", imports=()),
        flawed=True,
    ),
    learning(
        "mae-loss",
        "train the trees on the mean absolute error",
        NUMBERS,
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
"""All plays of this file."""
