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
    ("rmse", r"rmse|mse|root mean squared? error|mean squared? error|r2|r\^2|r squared"),
    ("mae", r"mae|mean absolute error|absolute error"),
    ("auc", r"(roc[- _]?)?auc|area under the (roc )?curve|roc"),
    ("macro_f1", r"(macro[- _]?)?f1([- _]?score)?([- _]?macro)?"),
    ("accuracy", r"accuracy|acc"),
)
"""Our metric, and what people call it. What orders solutions alike is the same to us: mean squared
error and R2 on one data set order them as its root does."""
_UNKNOWN = (
    r"log[- ]?loss|cross[- ]entropy|smape|mape|quadratic weighted kappa|qwk|kappa|map@\d+|ndcg"
    r"|precision|recall|spearman|pearson|matthews|mcc|pinball|wape|wmae|brier"
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
    spoken = text.replace("-", " ")
    places = [
        (match.start(), order, name)
        for order, (name, words) in enumerate(_SPOKEN)
        if (match := re.search(rf"(?<!\w)({words})(?!\w)", spoken, re.IGNORECASE))
    ]
    found = min(places)[2] if places else None
    # "RMSE between the logarithms of the prices", as people write RMSLE.
    if found == "rmse" and re.search(r"\b(log|logarithms?|rmsle)\b", text, re.IGNORECASE):
        return "rmsle"
    return found


def unknown_metric_in(text: str) -> str | None:
    """A metric that a text names and that cannot be computed here."""
    match = re.search(rf"(?<!\w)({_UNKNOWN})(?!\w)", text, re.IGNORECASE)
    return match.group(0) if match else None


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
