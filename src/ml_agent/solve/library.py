"""What we know of the libraries: short notes that a policy may be given in its prompt.

Facts of documented behaviour, in our words. No note knows a task's data or answers.
"""

from dataclasses import dataclass

from ml_agent.agents.playbook import IDEAS
from ml_agent.core.records import Domain

_TABLES = (Domain.TABULAR_CLASSIFICATION, Domain.TABULAR_REGRESSION)
_NUMBERS = (Domain.TABULAR_REGRESSION, Domain.TIME_SERIES)
_LABELS = (Domain.TABULAR_CLASSIFICATION, Domain.TEXT, Domain.IMAGE)
_ANY = tuple(Domain)


@dataclass(frozen=True, kw_only=True)
class LibraryNote:
    """One fact."""

    domains: tuple[Domain, ...]
    text: str


def _note(domains: tuple[Domain, ...], text: str) -> LibraryNote:
    return LibraryNote(domains=domains, text=" ".join(text.split()))


NOTES: tuple[LibraryNote, ...] = (
    _note(
        _ANY,
        """KeyError, "not in index", feature names should match those passed during fit: choose the
        columns once, from the training table without id and target, and use that list for both
        tables.""",
    ),
    _note(
        _ANY,
        """ValueError, could not convert string to float: a model was given text columns. Encode
        them (OrdinalEncoder, OneHotEncoder) or choose columns with select_dtypes("number").""",
    ),
    _note(
        _ANY,
        """ValueError, Input X contains NaN: linear models, neighbours and SVM need complete rows.
        Put a SimpleImputer before them, or use HistGradientBoosting, which takes NaN as it is.""",
    ),
    _note(
        _ANY,
        """ValueError, Found unknown categories: OneHotEncoder(handle_unknown="ignore"), or
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1).""",
    ),
    _note(
        _ANY,
        """TypeError, sparse data was passed but dense is required: OneHotEncoder and
        TfidfVectorizer give sparse matrices. Use sparse_output=False, .toarray(), or TruncatedSVD
        before models that need dense ones.""",
    ),
    _note(
        _ANY,
        """AttributeError or ImportError of scikit-learn: OneHotEncoder has sparse_output, not
        sparse; RMSE is root_mean_squared_error; get_feature_names_out, not get_feature_names;
        Ridge and Lasso have no normalize: put a StandardScaler before them.""",
    ),
    _note(
        _ANY,
        """The script met its time limit: fewer trees, HistGradientBoosting in the place of
        GradientBoosting, a linear model in the place of an SVM with a kernel, fewer features by
        SelectKBest or TruncatedSVD, or no cross-validation inside the script.""",
    ),
    _note(
        _ANY,
        """Every row of data/predict.csv needs one prediction: never drop or reorder its rows, and
        write submission.csv with the columns id and prediction.""",
    ),
    _note(
        _ANY,
        """Averaging the predictions of two or three different models (boosting, extra trees, a
        linear one) is often better than the best of them. VotingRegressor, VotingClassifier and
        StackingRegressor do it.""",
    ),
    _note(
        _ANY,
        """A script whose random_state is not set gives another score every time. Set it in models,
        in splits and in samples.""",
    ),
    _note(
        _TABLES,
        """HistGradientBoosting handles NaN and large tables. Its categorical_features="from_dtype"
        takes columns of dtype category. max_iter with a smaller learning_rate, max_leaf_nodes,
        l2_regularization and min_samples_leaf matter most.""",
    ),
    _note(
        _TABLES,
        """Many categories in a column: TargetEncoder, which is fitted with internal
        cross-validation by fit_transform, leaks less than a mean by groupby over the same rows.""",
    ),
    _note(
        _TABLES,
        """Small tables of some hundred rows: strong regularisation, RidgeCV or LogisticRegressionCV
        with StandardScaler, ExtraTrees with min_samples_leaf of 3 or more. Large models
        overfit.""",
    ),
    _note(
        _TABLES,
        """Features that help trees: differences and ratios of related columns, counts of missing
        values in a row, frequency of a category, parts of a date (year, month, day of week).""",
    ),
    _note(
        _NUMBERS,
        """A skewed, positive target, or a metric of logarithms (RMSLE): fit on log1p of the target
        and use expm1 of the predictions. TransformedTargetRegressor(func=np.log1p,
        inverse_func=np.expm1) does it.""",
    ),
    _note(
        _NUMBERS,
        """The loss should be the metric: for MAE, HistGradientBoostingRegressor(
        loss="absolute_error") or a median; for RMSE, squared_error. Clip predictions to the range
        of the training target.""",
    ),
    _note(
        _LABELS,
        """AUC is computed from scores: write predict_proba(...)[:, 1], not labels. Accuracy and
        macro F1 want labels. For macro F1 of rare classes, class_weight="balanced".""",
    ),
    _note(
        (Domain.TEXT,),
        """Texts: TfidfVectorizer with sublinear_tf=True, ngram_range=(1, 2), min_df=2 and a linear
        model (LogisticRegression with larger C, LinearSVC) is a strong start. Character n-grams
        (analyzer="char_wb", ngram_range=(2, 5)) help with short or misspelt texts; FeatureUnion
        joins both.""",
    ),
    _note(
        (Domain.TEXT,),
        """Naive Bayes for texts: ComplementNB suits uneven classes, MultinomialNB counts. Both are
        fast and take sparse matrices.""",
    ),
    _note(
        (Domain.IMAGE,),
        """Small images: scale pixels to 0..1, flatten, PCA to 50 to 100 parts, then an SVM with RBF
        kernel or ExtraTrees. Means of colours, gradients (np.diff) and histograms of them are cheap
        features. Mirrored copies of training images help where mirroring keeps the label.""",
    ),
    _note(
        (Domain.TIME_SERIES,),
        """Time series: split by time, never at random. Lags of the target, rolling means shifted by
        the horizon, day of week and month, and the mean of the same weekday are strong features. A
        feature must be known at the time of the prediction.""",
    ),
    _note(
        (Domain.TIME_SERIES,),
        """Trees do not extrapolate a trend: predict the difference from the last known value or
        from a linear trend, and add it back.""",
    ),
    _note(
        (Domain.GRAPH,),
        """Graphs: degree, PageRank, clustering, mean features of neighbours and labels of
        labelled neighbours (without the row's own) carry most of what edges tell.""",
    ),
)


def notes_for(domain: Domain) -> list[str]:
    """The notes and the playbook's ideas that make sense for a kind of task."""
    ideas = [one.text for one in IDEAS if domain in one.domains]
    return [one.text for one in NOTES if domain in one.domains] + ideas
