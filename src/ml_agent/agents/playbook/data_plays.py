"""Plays on the data: scaling, encoding, selecting, cleaning and adding features."""

from functools import partial

from ml_agent.agents.playbook.builders import (
    after_reading,
    before_fit,
    before_model,
    columns,
    derived,
    either,
    encoded,
    keywords,
    pair_features,
    pair_score,
    row_statistic,
    rows,
    substitute,
)
from ml_agent.agents.playbook.plays import DENSE, GRAPH, SIGNAL, TABULAR, TEXT, Play, play
from ml_agent.core.records import Axis, Domain

_data = partial(play, Axis.DATA)
_HASHED = "HashingVectorizer"


def _vectoriser(arguments: str, hashed: str | None = None) -> dict[str, str]:
    """The same arguments for both vectorisers that count words, and those of the hashing one."""
    both = {"TfidfVectorizer": arguments, "CountVectorizer": arguments}
    return both | ({_HASHED: hashed} if hashed else {})


_GENERAL = (
    _data(
        "standardise",
        "standardise the features before the model",
        DENSE,
        before_model("StandardScaler()"),
    ),
    _data(
        "robust-scale",
        "scale the features by their quartiles against outliers",
        DENSE,
        before_model("RobustScaler()"),
    ),
    _data(
        "min-max", "scale every feature to between 0 and 1", DENSE, before_model("MinMaxScaler()")
    ),
    _data(
        "quantile-normal",
        "map each feature to a normal distribution by its quantiles",
        DENSE,
        before_model('QuantileTransformer(output_distribution="normal", n_quantiles=200)'),
    ),
    _data(
        "power",
        "make skewed features more normal with a power transform",
        DENSE,
        before_model("PowerTransformer()"),
    ),
    _data("arcsinh", "compress large feature values with arcsinh", DENSE, rows("np.arcsinh(Z)")),
    _data(
        "pca",
        "keep the principal components with 95 % of the variance",
        DENSE,
        before_model("PCA(0.95, random_state=0)"),
    ),
    _data(
        "whiten",
        "whiten the features with PCA",
        DENSE,
        before_model("PCA(0.98, whiten=True, random_state=0)"),
    ),
    _data(
        "select-half",
        "keep only the better half of the features",
        DENSE,
        before_model(
            "SelectPercentile(f_regression, percentile=50)",
            "SelectPercentile(f_classif, percentile=50)",
        ),
    ),
    _data(
        "select-fifth",
        "keep only the best fifth of the features",
        DENSE,
        before_model(
            "SelectPercentile(f_regression, percentile=20)",
            "SelectPercentile(f_classif, percentile=20)",
        ),
    ),
    _data(
        "bins",
        "cut every feature into eight bins",
        TABULAR,
        before_model(
            'KBinsDiscretizer(n_bins=8, encode="onehot-dense", '
            'quantile_method="averaged_inverted_cdf")'
        ),
    ),
    _data(
        "splines",
        "expand every feature into splines",
        (*TABULAR, *GRAPH),
        before_model("SplineTransformer(n_knots=6)"),
    ),
    _data(
        "interactions",
        "add products of pairs of features",
        (*TABULAR, *GRAPH),
        before_model("PolynomialFeatures(2, include_bias=False)"),
    ),
    _data(
        "clusters",
        "describe each row by its distances to eight cluster centres",
        DENSE,
        before_model("make_union(FunctionTransformer(), KMeans(8, n_init=2, random_state=0))"),
    ),
    _data(
        "kernel-map",
        "map the features to 200 random kernel features",
        (*TABULAR, Domain.IMAGE),
        before_model("StandardScaler(), Nystroem(n_components=200, random_state=0)"),
    ),
    _data(
        "drop-constant",
        "drop features that never change",
        DENSE,
        before_model("VarianceThreshold()"),
    ),
    _data(
        "impute-median",
        "fill missing values with the median",
        TABULAR,
        either(
            substitute(r"(\w+)(\[\w+\])\.fillna\(0\)", r"\1\2.fillna(\1\2.median())"),
            before_model('SimpleImputer(strategy="median")'),
        ),
    ),
    _data(
        "missing-flags",
        "flag which values were missing",
        TABULAR,
        before_model("SimpleImputer(add_indicator=True)"),
    ),
    _data(
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
    _data(
        "shuffle",
        "shuffle the training rows",
        (*TABULAR, *TEXT),
        after_reading("{train} = {train}.sample(frac=1, random_state=0)"),
    ),
    _data(
        "half-rows",
        "train on a random half of the rows to be faster",
        (*TABULAR, *TEXT),
        after_reading("{train} = {train}.sample(frac=0.5, random_state=0)"),
    ),
    _data(
        "drop-duplicates",
        "drop duplicated training rows",
        (*TABULAR, *TEXT),
        after_reading('{train} = {train}.drop_duplicates({train}.columns.drop("id"))'),
    ),
    _data(
        "fresh-index",
        "renumber the training rows after reading",
        (*TABULAR, *TEXT),
        after_reading("{train} = train_df.reset_index(drop=True)"),
        flawed=True,
    ),
    _data(
        "noise-rows",
        "add a noisy copy of every training row",
        (*TABULAR, *SIGNAL),
        before_fit(
            "noise = np.random.default_rng(0).normal(0, 0.1, {X}.shape) * np.std({X}, axis=0)",
            "{X}, {y} = np.vstack([{X}, {X} + noise]), np.concatenate([{y}, {y}])",
        ),
    ),
)

_TABLES = (
    _data(
        "all-numeric",
        "use every numeric column instead of a few",
        (*TABULAR, Domain.TIME_SERIES),
        columns('[c for c in {frame}.select_dtypes("number") if c != "id"]'),
    ),
    _data(
        "all-categories",
        "encode every text column instead of a few",
        TABULAR,
        columns(
            '[c for c in {frame}.select_dtypes(exclude="number") if c != "id"]', categories=True
        ),
    ),
    _data(
        "first-columns",
        "keep only the first three columns",
        TABULAR,
        columns('list({frame}.select_dtypes("number").columns[1:4])'),
    ),
    _data(
        "ordinal",
        "number the categories of text columns and use them",
        TABULAR,
        encoded(
            "codes = {v: i for i, v in enumerate({train}[c].unique())}",
            "{train}[c], {new}[c] = {train}[c].map(codes), {new}[c].map(codes).fillna(-1)",
        ),
    ),
    _data(
        "frequency",
        "replace the categories of text columns by their frequency",
        TABULAR,
        encoded(
            "counts = {train}[c].value_counts()",
            "{train}[c], {new}[c] = (d[c].map(counts).fillna(0) for d in ({train}, {new}))",
        ),
    ),
    _data(
        "ratio",
        "add the ratio of two columns",
        (*TABULAR, Domain.TIME_SERIES),
        derived("ratio", 'd["{first}"] / (d["{second}"] + 1)'),
    ),
    _data(
        "product",
        "add the product of two columns",
        (*TABULAR, Domain.TIME_SERIES),
        derived("product", 'd["{first}"] * d["{second}"]'),
    ),
    _data(
        "square",
        "add the square of a column",
        (*TABULAR, Domain.TIME_SERIES),
        derived("square", 'd["{last}"] ** 2'),
    ),
    _data(
        "log-column",
        "add the logarithm of a column",
        (*TABULAR, Domain.TIME_SERIES),
        derived("log_last", 'np.log1p(d["{last}"].clip(lower=0))'),
    ),
    _data(
        "difference",
        "add the difference of two columns",
        (*TABULAR, Domain.TIME_SERIES),
        derived("difference", 'd["{first}"] - d["{last}"]'),
    ),
    _data(
        "cycle",
        "add the phase of the day as sine and cosine",
        (Domain.TIME_SERIES,),
        either(derived("phase", 'np.sin(d["{first}"] * 6.283 / 24)'), rows("np.c_[Z, np.sin(Z)]")),
    ),
)

_SIGNALS = (
    _data(
        "differences",
        "add the differences of neighbouring values",
        SIGNAL,
        rows("np.c_[Z, np.diff(Z, axis=1)]"),
    ),
    _data(
        "smooth",
        "smooth each row over neighbouring values",
        SIGNAL,
        rows("Z + np.roll(Z, 1, axis=1) + np.roll(Z, -1, axis=1)"),
    ),
    _data("thin-out", "keep every second value of each row", SIGNAL, rows("np.asarray(Z)[:, ::2]")),
    _data(
        "square-root",
        "take the square root of the values",
        (Domain.IMAGE,),
        rows("np.sqrt(np.abs(Z))"),
    ),
    _data(
        "unit-rows",
        "scale each row to length one",
        (*SIGNAL, *TEXT),
        either(before_model("Normalizer()"), before_model("Normalizer()", sparse=True)),
    ),
    _data(
        "binarise",
        "make the values black or white",
        (Domain.IMAGE,),
        before_model("MinMaxScaler(), Binarizer(threshold=0.3)"),
    ),
    _data(
        "shifted-rows",
        "add a copy of every row shifted by one value",
        (Domain.IMAGE,),
        before_fit(
            "{X} = np.vstack([{X}, np.roll({X}, 1, axis=1)])", "{y} = np.concatenate([{y}, {y}])"
        ),
    ),
    _data(
        "row-mean",
        "add the mean and spread of each row",
        SIGNAL,
        rows("np.c_[Z, np.mean(Z, axis=1), np.std(Z, axis=1)]"),
    ),
    _data(
        "minimum",
        "add the smallest value of each row",
        SIGNAL,
        row_statistic("minimum", "np.nanmin({Z}, axis=1)"),
    ),
    _data(
        "length",
        "add how many values each row has",
        SIGNAL,
        row_statistic("length", "np.isfinite({Z}).sum(axis=1)"),
    ),
    _data(
        "roughness",
        "add the mean step between neighbouring values",
        SIGNAL,
        row_statistic("roughness", "np.nanmean(np.abs(np.diff({Z}, axis=1)), axis=1)"),
    ),
    _data(
        "median-value",
        "add the median of each row",
        SIGNAL,
        row_statistic("median", "np.nanmedian({Z}, axis=1)"),
    ),
    _data(
        "energy",
        "add the mean square of each row",
        SIGNAL,
        row_statistic("energy", "np.nanmean({Z} ** 2, axis=1)"),
    ),
)

_TEXTS = (
    _data(
        "bigrams",
        "count pairs of words too",
        TEXT,
        keywords(_vectoriser("ngram_range=(1, 2)", "ngram_range=(1, 2)")),
    ),
    _data(
        "characters",
        "count pieces of words, three to five characters long",
        TEXT,
        keywords(
            _vectoriser(
                'analyzer="char_wb", ngram_range=(3, 5), max_features=8000',
                'analyzer="char_wb", ngram_range=(3, 5), n_features=8192',
            )
        ),
    ),
    _data(
        "vocabulary-5000",
        "keep the 5000 most frequent words",
        TEXT,
        keywords(_vectoriser("max_features=5000", "n_features=4096")),
    ),
    _data(
        "vocabulary-1000",
        "keep the 1000 most frequent words",
        TEXT,
        keywords(_vectoriser("max_features=1000", "n_features=1024")),
    ),
    _data(
        "vocabulary-30",
        "keep only the 30 most frequent words",
        TEXT,
        keywords(_vectoriser("max_features=30", "n_features=32")),
    ),
    _data(
        "whole-vocabulary",
        "keep every word",
        TEXT,
        keywords(_vectoriser("max_features=None", "n_features=32768")),
    ),
    _data(
        "rare-words",
        "ignore words of fewer than three texts",
        TEXT,
        keywords(_vectoriser("min_df=3")),
    ),
    _data(
        "common-words",
        "ignore words that stand in half of the texts",
        TEXT,
        keywords(_vectoriser("max_df=0.5")),
    ),
    _data(
        "stop-words",
        "ignore English stop words",
        TEXT,
        keywords(_vectoriser('stop_words="english"', 'stop_words="english"')),
    ),
    _data(
        "keep-stop-words",
        "keep stop words, since they carry style",
        TEXT,
        keywords(_vectoriser("stop_words=None", "stop_words=None")),
    ),
    _data(
        "presence",
        "count only whether a word occurs",
        TEXT,
        keywords(_vectoriser("binary=True", "binary=True")),
    ),
    _data(
        "keep-case",
        "keep capital letters apart",
        TEXT,
        keywords(_vectoriser("lowercase=False", "lowercase=False")),
    ),
    _data(
        "accents",
        "strip accents from letters",
        TEXT,
        keywords(_vectoriser('strip_accents="unicode"', 'strip_accents="unicode"')),
    ),
    _data(
        "short-words",
        "count words of one letter and punctuation too",
        TEXT,
        keywords(_vectoriser(r'token_pattern=r"\w+|[^\w\s]"', r'token_pattern=r"\w+|[^\w\s]"')),
    ),
    _data(
        "sublinear",
        "dampen repeated words by a logarithm",
        TEXT,
        keywords({"TfidfVectorizer": "sublinear_tf=True"}),
    ),
    _data(
        "idf",
        "weight words by how rare they are",
        TEXT,
        either(
            substitute(
                r"(\w+ = )CountVectorizer\((?=[^\n])",
                r"from sklearn.feature_extraction.text import TfidfVectorizer\n\1TfidfVectorizer(",
            ),
            before_model("TfidfTransformer()", sparse=True),
        ),
    ),
    _data(
        "best-words",
        "keep the words that tell the classes apart best",
        TEXT,
        before_model("SelectPercentile(chi2, percentile=50)", sparse=True),
    ),
    _data(
        "topics",
        "reduce the word counts to 50 topics",
        TEXT,
        before_model("TruncatedSVD(50, random_state=0)", sparse=True),
    ),
    _data(
        "word-lengths",
        "count words of any kind with a wrong pattern name",
        TEXT,
        keywords(_vectoriser("ngrams=(1, 2)", "ngrams=(1, 2)")),
        flawed=True,
    ),
)

_GRAPHS = (
    _data(
        "common-neighbours",
        "use the number of common neighbours",
        GRAPH,
        either(pair_score("len(N[a] & N[b])"), pair_features("({A} @ {A})[{u}, {v}]")),
    ),
    _data(
        "three-steps",
        "use the number of paths of three steps",
        GRAPH,
        either(
            pair_score("sum(len(N[c] & N[b]) for c in N[a])"),
            pair_features("({A} @ {A} @ {A})[{u}, {v}]"),
        ),
    ),
    _data(
        "four-steps",
        "use the number of paths of four steps",
        GRAPH,
        either(
            pair_score("sum(len(N[c] & N[d]) for c in N[a] for d in N[b])"),
            pair_features("np.linalg.matrix_power({A}, 4)[{u}, {v}]"),
        ),
    ),
    _data(
        "smaller-degree",
        "use the smaller of the two degrees",
        GRAPH,
        either(
            pair_score("min(len(N[a]), len(N[b]))"),
            pair_features("np.minimum({A}[{u}].sum(1), {A}[{v}].sum(1))"),
        ),
    ),
    _data(
        "degree-sum",
        "use the sum of the two degrees",
        GRAPH,
        either(
            pair_score("len(N[a]) + len(N[b])"), pair_features("{A}[{u}].sum(1) + {A}[{v}].sum(1)")
        ),
    ),
    _data(
        "either-neighbours",
        "use the number of neighbours of either node",
        GRAPH,
        either(
            pair_score("len(N[a] | N[b])"), pair_features("np.maximum({A}[{u}], {A}[{v}]).sum(1)")
        ),
    ),
    _data(
        "log-common",
        "use the logarithm of the number of common neighbours",
        GRAPH,
        either(
            pair_score("np.log1p(len(N[a] & N[b]))", imports=()),
            pair_features("np.log1p(({A} @ {A})[{u}, {v}])"),
        ),
        flawed=True,
    ),
)

DATA_PLAYS: tuple[Play, ...] = (*_GENERAL, *_TABLES, *_SIGNALS, *_TEXTS, *_GRAPHS)
"""All plays of this axis."""
