"""What a sentence or a README says: the metric, the target, the kind of problem. By rules alone.

Not covered: anything that has to be understood. What a rule finds is a claim, which the files may
contradict.
"""

import re
from collections.abc import Iterable, Sequence

from ml_agent.core.errors import UsageError
from ml_agent.tasks import METRICS

_SPOKEN: tuple[tuple[str, str], ...] = (
    ("rmsle", r"rmsle|root mean squared? log(arithmic)? error"),
    ("rmse", r"(mc)?rmse|root mean squared? error"),
    ("mse", r"mse|mean squared? error"),
    ("mae", r"mae|mean absolute error|absolute error"),
    ("smape", r"smape|symmetric mean absolute percentage error"),
    ("mape", r"mape|mean absolute percentage error"),
    ("r2", r"r2( score)?|r\^2|r squared|coefficient of determination"),
    ("pearson", r"pearson( r|s)?( correlation)?( coefficient)?"),
    ("spearman", r"spearman(s)?( rank)?( correlation)?( coefficient)?"),
    ("auc", r"(?<!pr )(roc )?auc( roc)?|auroc|area under the (?!precision)(\w+ ){1,4}curve|roc"),
    (
        "log_loss",
        r"(binary |multi ?class )?(log ?loss|logarithmic loss|(binary )?cross entropy)( loss)?",
    ),
    ("qwk", r"qwk|quadratic(ally)? weighted (cohens? )?kappa"),
    ("mcc", r"mcc|matthews( correlation)?( coefficient)?"),
    ("macro_f1", r"(?<!micro )(?<!mean )(?<!weighted )(macro )?f1( score)?( macro)?"),
    ("accuracy", r"(?<!balanced )(multi ?class )?(classification |categorization )?accuracy|acc"),
)
"""Our metric, and what people call it, hyphens and underscores as spaces."""
_UNKNOWN = (
    r"kappa|f2|(micro|mean|weighted) f1|map@\d+|mean average precision|ndcg|precision|recall|gini"
    r"|msle|mean squared log(arithmic)? error|pinball|quantile loss|wape|wmae|brier|jaccard|dice"
    r"|iou|levenshtein|smapep1|balanced accuracy|median absolute error|hausdorff|auprc|pr auc"
)
_ASKED = r"predict|forecast|classify|estimate|target(?: column| variable)?(?: is|:)?"
_KINDS: tuple[tuple[str, str], ...] = (
    ("time-series", r"forecast\w*|time[- ]series"),
    ("regression", r"regress\w*"),
    ("classification", r"classif\w*"),
)


def metric_called(name: str) -> str:
    """Our name of a metric.

    Raises:
        UsageError: None of ours is called so.
    """
    found = metric_in(name)
    if found is None or unknown_metric_in(name):
        raise UsageError(
            f"the metric {name!r} is not one of: {', '.join(METRICS)}. Choose the nearest with "
            "--metric"
        )
    return found


def metric_in(text: str) -> str | None:
    """The metric a text names first; None: it names none of ours."""
    places = [
        (match.start(), order, name)
        for order, (name, words) in enumerate(_SPOKEN)
        if (match := _search(words, _spaced(text)))
    ]
    found = min(places)[2] if places else None
    # "RMSE between the logarithms of the prices", as people write RMSLE.
    if found == "rmse" and re.search(r"\b(log|logarithms?|rmsle)\b", text, re.IGNORECASE):
        return "rmsle"
    return found


def unknown_metric_in(text: str) -> str | None:
    """A metric that a text names and that cannot be computed here."""
    rest = _spaced(text)
    # "quadratic weighted kappa" is one of ours, "kappa" is not.
    for _, words in _SPOKEN:
        rest = re.sub(rf"(?<!\w)({words})(?!\w)", "|", rest, flags=re.IGNORECASE)
    match = _search(_UNKNOWN, rest)
    return match.group(0) if match else None


def _search(words: str, text: str) -> re.Match[str] | None:
    return re.search(rf"(?<!\w)({words})(?!\w)", text, re.IGNORECASE)


def _spaced(text: str) -> str:
    """The same words without hyphens, underscores and apostrophes."""
    return re.sub(r"[-_]", " ", text).replace("'", "")


def kind_in(text: str) -> str | None:
    """The kind of problem a text names; None: it names none."""
    for kind, words in _KINDS:
        if re.search(rf"(?<!\w)({words})(?!\w)", text, re.IGNORECASE):
            return kind
    return None


def column_in(text: str, columns: Sequence[str]) -> str | None:
    """The column that a user's sentence asks to predict; None: it names none, or several alike.

    One named after "predict" or "target", else the only one that is named at all.
    """
    if (asked := column_asked_in(text, columns)) is not None:
        return asked
    words = _plain(text)
    mentioned = [name for name in columns if len(name) > 2 and _place(name, words)]
    return mentioned[0] if len(mentioned) == 1 else None


def column_asked_in(text: str, columns: Sequence[str]) -> str | None:
    """The column named after "predict" or "target"; what is only mentioned does not count.

    A column counts as named in any spelling: "sale price" is SalePrice.
    """
    asked = [_plain(found) for found in re.findall(rf"(?:{_ASKED})\s+(.{{1,120}})", text, re.I)]
    for spoken in asked:
        at = {name: _place(name, spoken) for name in columns}
        named = {name: place for name, place in at.items() if place is not None}
        if named:
            first = min(place[0] for place in named.values())
            # Of "price" and "price per unit" at one place the longer name is meant.
            return max((n for n in named if named[n][0] == first), key=lambda n: named[n][1])
    return None


def closest(name: str, columns: Iterable[str]) -> str | None:
    """The column a name means whatever its case and spaces; None: there is none."""
    plain = _plain(name).replace(" ", "")
    found = [one for one in columns if _plain(one).replace(" ", "") == plain]
    return found[0] if len(found) == 1 else None


def _place(name: str, plain_text: str) -> tuple[int, int] | None:
    """Where a column is named in a text, and how long the name is there."""
    plain = _plain(name)
    if not plain:
        return None
    parts = " ?".join(re.escape(part) for part in plain.split())
    match = re.search(rf"(?<!\w){parts}s?(?!\w)", plain_text)
    return (match.start(), len(match.group(0))) if match else None


def _plain(text: str) -> str:
    """Small letters and digits, words apart: "SalePrice (USD)" is "sale price usd"."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return re.sub(r"[^a-z0-9]+", " ", apart.lower()).strip()
