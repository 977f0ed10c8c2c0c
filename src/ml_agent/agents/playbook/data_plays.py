"""Plays on the data: scaling, encoding, selecting, cleaning and adding features."""

from ml_agent.agents.playbook.builders import before_model, either, rows
from ml_agent.agents.playbook.feature_builders import (
    after_reading,
    before_training,
    choose_rows,
    columns,
    derived,
    encoded,
)
from ml_agent.agents.playbook.plays import DENSE, GRAPH, SIGNAL, TABULAR, TEXT, Play, data
from ml_agent.core.records import Domain

DATA_PLAYS: tuple[Play, ...] = (
    data(
        "standardise",
        "standardise the features before the model",
        DENSE,
        before_model("StandardScaler()"),
    ),
    data(
        "robust-scale",
        "scale the features by their quartiles against outliers",
        DENSE,
        before_model("RobustScaler()"),
    ),
    data(
        "min-max", "scale every feature to between 0 and 1", DENSE, before_model("MinMaxScaler()")
    ),
    data(
        "quantile-normal",
        "map each feature to a normal distribution by its quantiles",
        DENSE,
        before_model('QuantileTransformer(output_distribution="normal", n_quantiles=200)'),
    ),
    data(
        "power",
        "make skewed features more normal with a power transform",
        DENSE,
        before_model("PowerTransformer()"),
    ),
    data("arcsinh", "compress large feature values with arcsinh", DENSE, rows("np.arcsinh(Z)")),
    data(
        "pca",
        "keep the principal components with 95 % of the variance",
        DENSE,
        before_model("PCA(0.95, random_state=0)"),
    ),
    data(
        "whiten",
        "whiten the features with PCA",
        DENSE,
        before_model("PCA(0.98, whiten=True, random_state=0)"),
    ),
    data(
        "select-half",
        "keep only the better half of the features",
        DENSE,
        before_model(
            "SelectPercentile(f_regression, percentile=50)",
            "SelectPercentile(f_classif, percentile=50)",
        ),
    ),
    data(
        "select-fifth",
        "keep only the best fifth of the features",
        DENSE,
        before_model(
            "SelectPercentile(f_regression, percentile=20)",
            "SelectPercentile(f_classif, percentile=20)",
        ),
    ),
    data(
        "bins",
        "cut every feature into eight bins",
        TABULAR,
        before_model(
            'KBinsDiscretizer(n_bins=8, encode="onehot-dense", '
            'quantile_method="averaged_inverted_cdf")'
        ),
    ),
    data(
        "splines",
        "expand every feature into splines",
        (*TABULAR, *GRAPH),
        before_model("SplineTransformer(n_knots=6)"),
    ),
    data(
        "interactions",
        "add products of pairs of features",
        (*TABULAR, *GRAPH),
        before_model("PolynomialFeatures(2, include_bias=False)"),
    ),
    data(
        "clusters",
        "describe each row by its distances to eight cluster centres",
        DENSE,
        before_model("make_union(FunctionTransformer(), KMeans(8, n_init=2, random_state=0))"),
    ),
    data(
        "kernel-map",
        "map the features to 200 random kernel features",
        (*TABULAR, Domain.IMAGE),
        before_model("StandardScaler(), Nystroem(n_components=200, random_state=0)"),
    ),
    data(
        "drop-constant",
        "drop features that never change",
        DENSE,
        before_model("VarianceThreshold()"),
    ),
    data(
        "impute-median",
        "fill missing values with the median",
        TABULAR,
        either(
            after_reading(
                "medians = {train}.median(numeric_only=True)",
                "{train}, {new} = {train}.fillna(medians), {new}.fillna(medians)",
            ),
            before_model('SimpleImputer(strategy="median")'),
        ),
    ),
    data(
        "missing-flags",
        "flag which values were missing",
        TABULAR,
        before_model("SimpleImputer(add_indicator=True)"),
    ),
    data(
        "shuffle",
        "shuffle the training rows",
        (*TABULAR, *TEXT),
        choose_rows("{train}.sample(frac=1, random_state=0)"),
    ),
    data(
        "half-rows",
        "train on a random half of the rows to be faster",
        (*TABULAR, *TEXT),
        choose_rows("{train}.sample(frac=0.5, random_state=0)"),
    ),
    data(
        "drop-duplicates",
        "drop duplicated training rows",
        (*TABULAR, *TEXT),
        choose_rows('{train}.drop_duplicates({train}.columns.drop("id"))'),
    ),
    data(
        "noise-rows",
        "add a noisy copy of every training row",
        (*TABULAR, *SIGNAL),
        before_training(
            "rng, spread = np.random.default_rng(0), 0.1 * np.asarray({X}).std(axis=0)",
            "noise = rng.normal(size={X}.shape) * spread",
            "{X}, {y} = np.vstack([{X}, {X} + noise]), np.concatenate([{y}, {y}])",
        ),
    ),
    data(
        "all-numeric",
        "use every numeric column instead of a few",
        (*TABULAR, Domain.TIME_SERIES),
        columns('[c for c in {frame}.select_dtypes("number") if c != "id"]'),
    ),
    data(
        "all-categories",
        "encode every text column instead of a few",
        TABULAR,
        columns(
            '[c for c in {frame}.select_dtypes(exclude="number") if c != "id"]', categories=True
        ),
    ),
    data(
        "first-columns",
        "keep only the first three columns",
        TABULAR,
        columns('list({frame}.select_dtypes("number").columns[1:4])'),
    ),
    data(
        "ordinal",
        "number the categories of text columns and use them",
        TABULAR,
        encoded(
            "codes = {v: i for i, v in enumerate({train}[c].unique())}",
            "{train}[c], {new}[c] = {train}[c].map(codes), {new}[c].map(codes).fillna(-1)",
        ),
    ),
    data(
        "frequency",
        "replace the categories of text columns by their frequency",
        TABULAR,
        encoded(
            "counts = {train}[c].value_counts()",
            "{train}[c], {new}[c] = (d[c].map(counts).fillna(0) for d in ({train}, {new}))",
        ),
    ),
    data(
        "ratio",
        "add the ratio of two columns",
        (*TABULAR, Domain.TIME_SERIES),
        derived("ratio", 'd["{first}"] / (d["{second}"] + 1)'),
    ),
    data(
        "product",
        "add the product of two columns",
        (*TABULAR, Domain.TIME_SERIES),
        derived("product", 'd["{first}"] * d["{second}"]'),
    ),
    data(
        "square",
        "add the square of a column",
        (*TABULAR, Domain.TIME_SERIES),
        derived("square", 'd["{last}"] ** 2'),
    ),
    data(
        "log-column",
        "add the logarithm of a column",
        (*TABULAR, Domain.TIME_SERIES),
        derived("log_last", 'np.log1p(d["{last}"].clip(lower=0))'),
    ),
    data(
        "difference",
        "add the difference of two columns",
        (*TABULAR, Domain.TIME_SERIES),
        derived("difference", 'd["{first}"] - d["{last}"]'),
    ),
    data(
        "cycle",
        "add the phase of the day as sine and cosine",
        (Domain.TIME_SERIES,),
        either(derived("phase", 'np.sin(d["{first}"] * 6.283 / 24)'), rows("np.c_[Z, np.sin(Z)]")),
    ),
)
"""All plays of this file."""
