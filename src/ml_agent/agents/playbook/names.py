"""Where scikit-learn keeps what the playbook writes, and what its estimators predict."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BY_MODULE = {
    "sklearn.calibration": "CalibratedClassifierCV",
    "sklearn.cluster": "KMeans",
    "sklearn.compose": "ColumnTransformer TransformedTargetRegressor",
    "sklearn.cross_decomposition": "PLSRegression",
    "sklearn.decomposition": "NMF PCA TruncatedSVD",
    "sklearn.discriminant_analysis": "LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis",
    "sklearn.dummy": "DummyClassifier DummyRegressor",
    "sklearn.ensemble": (
        "AdaBoostClassifier AdaBoostRegressor BaggingClassifier BaggingRegressor "
        "ExtraTreesClassifier ExtraTreesRegressor GradientBoostingClassifier "
        "GradientBoostingRegressor HistGradientBoostingClassifier HistGradientBoostingRegressor "
        "RandomForestClassifier RandomForestRegressor StackingClassifier StackingRegressor "
        "VotingClassifier VotingRegressor"
    ),
    "sklearn.feature_extraction.text": (
        "CountVectorizer HashingVectorizer TfidfTransformer TfidfVectorizer"
    ),
    "sklearn.feature_selection": (
        "SelectKBest SelectPercentile VarianceThreshold chi2 f_classif f_regression"
    ),
    "sklearn.gaussian_process": "GaussianProcessClassifier GaussianProcessRegressor",
    "sklearn.impute": "KNNImputer SimpleImputer",
    "sklearn.kernel_approximation": "Nystroem RBFSampler",
    "sklearn.kernel_ridge": "KernelRidge",
    "sklearn.linear_model": (
        "ARDRegression BayesianRidge ElasticNet ElasticNetCV HuberRegressor Lasso LassoCV "
        "LassoLarsCV LinearRegression LogisticRegression LogisticRegressionCV Perceptron "
        "PoissonRegressor QuantileRegressor Ridge RidgeCV RidgeClassifier RidgeClassifierCV "
        "SGDClassifier SGDRegressor TheilSenRegressor TweedieRegressor"
    ),
    "sklearn.model_selection": "GridSearchCV RandomizedSearchCV",
    "sklearn.multiclass": "OneVsRestClassifier",
    "sklearn.naive_bayes": "BernoulliNB ComplementNB GaussianNB MultinomialNB",
    "sklearn.neighbors": (
        "KNeighborsClassifier KNeighborsRegressor NearestCentroid RadiusNeighborsRegressor"
    ),
    "sklearn.neural_network": "MLPClassifier MLPRegressor",
    "sklearn.pipeline": "FeatureUnion Pipeline make_pipeline make_union",
    "sklearn.preprocessing": (
        "Binarizer FunctionTransformer KBinsDiscretizer MaxAbsScaler MinMaxScaler Normalizer "
        "OneHotEncoder OrdinalEncoder PolynomialFeatures PowerTransformer QuantileTransformer "
        "RobustScaler SplineTransformer StandardScaler TargetEncoder"
    ),
    "sklearn.svm": "LinearSVC LinearSVR NuSVC NuSVR SVC SVR",
    "sklearn.tree": (
        "DecisionTreeClassifier DecisionTreeRegressor ExtraTreeClassifier ExtraTreeRegressor"
    ),
}

MODULES = {name: module for module, names in _BY_MODULE.items() for name in names.split()}
"""scikit-learn's module of every name the playbook may import."""

SEARCHES = frozenset({"GridSearchCV", "RandomizedSearchCV"})
"""Predictors of whatever kind their first argument is."""

_PREDICTING = _words(
    "sklearn.dummy sklearn.ensemble sklearn.gaussian_process sklearn.kernel_ridge "
    "sklearn.linear_model sklearn.multiclass sklearn.naive_bayes sklearn.neighbors "
    "sklearn.neural_network sklearn.svm sklearn.tree sklearn.calibration "
    "sklearn.cross_decomposition sklearn.discriminant_analysis"
)
_REGRESSORS = _words(
    "ARDRegression BayesianRidge ElasticNet ElasticNetCV KernelRidge Lasso LassoCV LassoLarsCV "
    "LinearRegression LinearSVR NuSVR PLSRegression Ridge RidgeCV SVR"
)
_NOT_INSTALLED = frozenset({"LGBMClassifier", "LGBMRegressor", "XGBClassifier", "XGBRegressor"})
MISSPELT = {
    f"HistGradientBoost{kind}": f"HistGradientBoosting{kind}"
    for kind in ("Regressor", "Classifier")
}
"""Names that people write, and what they mean."""
_ALL = MODULES.keys() | _NOT_INSTALLED | MISSPELT.keys()

REGRESSORS = frozenset(name for name in _ALL if name in _REGRESSORS or name.endswith("Regressor"))
"""Estimators that predict a number; `TransformedTargetRegressor` is one."""

CLASSIFIERS = frozenset(
    name
    for name in _ALL - REGRESSORS
    if name.endswith("Classifier") or MODULES.get(name) in _PREDICTING
)
"""Estimators that predict a label."""

WITHOUT_PROBABILITIES = _words(
    "LinearSVC NearestCentroid NuSVC Perceptron RidgeClassifier RidgeClassifierCV SVC"
)
"""Classifiers without a usable `predict_proba`."""

WITH_COEFFICIENTS = frozenset(
    name for name, module in MODULES.items() if module == "sklearn.linear_model"
)
"""Estimators with the fitted values that scripts like to print, `coef_` above all."""

VECTORISERS = frozenset({"CountVectorizer", "HashingVectorizer", "TfidfVectorizer"})
"""What turns texts into sparse matrices."""

FORESTS = ("RandomForest", "ExtraTrees")
"""Families of estimators, as the names of a regressor and a classifier begin."""
BOOSTED = ("GradientBoosting", "HistGradientBoosting")
TREES = (*FORESTS, *BOOSTED, "DecisionTree")
