"""What kind of values columns hold, and what kind of problem that makes."""

import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from ml_agent.core.errors import UsageError
from ml_agent.core.records import Domain, Metric
from ml_agent.solve.naming import names_group, names_time
from ml_agent.solve.reading import first_no_number, typed
from ml_agent.solve.records import ColumnType, Hints, Kind, Notes, Stated
from ml_agent.solve.target import named_column
from ml_agent.solve.times import are_dates
from ml_agent.solve.words import (
    kind_in,
    metric_called,
    metric_in,
    unknown_metric_in,
    without_asked,
)
from ml_agent.tasks import METRICS
from ml_agent.tasks.tables import canonical

_TEXT_WORDS = 5.0
"""Mean number of words from which on a column holds texts."""
_CLASSES_AT_MOST = 100
_FEW = 10
"""So many different whole numbers are taken for classes."""
_VOUCHING = re.compile(r"\b(metrics?|evaluat(ed|ion|e)|scored|judged|measured by)\b", re.IGNORECASE)
"""Words of a text that says how predictions are measured."""
_CLOCKS = ("t", "step", "tick", "epoch")
"""More names of what may be a time, where a column counts its rows."""
_KINDS: dict[Kind, Domain] = {
    "classification": Domain.TABULAR_CLASSIFICATION,
    "regression": Domain.TABULAR_REGRESSION,
    "text": Domain.TEXT,
    "image": Domain.IMAGE,
    "time-series": Domain.TIME_SERIES,
}


def type_of(column: "pd.Series[Any]") -> ColumnType:
    """What a column holds. Of text all values count for a date, the mean for the rest."""
    if pd.api.types.is_numeric_dtype(column):
        return "number"
    given = column.dropna().astype(str)
    if given.empty:
        return "category"
    if are_dates(given):
        return "date"
    words = given.str.count(r"\S+").mean()
    return "text" if words >= _TEXT_WORDS and given.nunique() > len(given) / 2 else "category"


def is_label(target: "pd.Series[Any]") -> bool:
    """Whether a target looks like classes rather than like a quantity."""
    if not pd.api.types.is_numeric_dtype(target):
        return True
    whole = bool((target == target.round()).all())
    return whole and target.nunique() <= _FEW and target.nunique() < len(target) / 4


def _is_count(target: "pd.Series[Any]", spoken: str | None) -> bool:
    """Whether a forecast is asked for of numbers: few of them are small counts, no classes."""
    numbers = pd.api.types.is_numeric_dtype(target)
    return spoken == "time-series" and numbers and target.nunique() > 2


def counters(frame: pd.DataFrame, target: str, hints: Hints) -> list[str]:
    """Columns that merely count the rows, from 0 or from 1, whatever they are called.

    None of them is one that the user gave another meaning, or that is named like a time.
    """
    forecast = "time-series" in {hints.kind, kind_in(hints.say)}
    meant = {target, hints.time, hints.group}
    found = [
        str(name)
        for name in frame.columns
        if name not in meant
        and not (forecast or names_time(name) or str(name).lower() in _CLOCKS)
        and _counts(frame[name])
    ]
    # A table of a number and its square has nothing else to learn from.
    return found if frame.shape[1] > len(found) + 1 else []


def _counts(column: "pd.Series[Any]") -> bool:
    numbers = typed(column)
    if not pd.api.types.is_numeric_dtype(numbers) or numbers.iloc[0] not in {0, 1}:
        return False
    return bool((numbers.diff().iloc[1:] == 1).all())


def conclude_group(
    frame: pd.DataFrame,
    unseen: pd.DataFrame | None,
    hints: Hints,
    notes: Notes,
) -> str | None:
    """The column whose equal values must not be split; None: there is none.

    Raises:
        UsageError: The column that the user named is not there.
    """
    if hints.group == "none":
        return None
    if hints.group:
        name = named_column(hints.group, list(frame.columns), "--group")
        notes.conclude("group", name, "--group says so")
        return name
    for name in frame.columns:
        if not names_group(name):
            continue
        count = frame[name].nunique()
        if not _FEW <= count <= len(frame) / 2:
            continue
        if unseen is None:
            notes.conclude("group", name, "it is named so, and several rows share a value")
            return str(name)
        if not set(frame[name]) & set(unseen[name]):
            notes.conclude("group", name, "the rows to predict have other values of it")
            return str(name)
    return None


def conclude_metric(
    target: "pd.Series[Any]",
    sample: pd.DataFrame | None,
    stated: Stated,
    hints: Hints,
    notes: Notes,
) -> Metric:
    """How predictions are measured.

    Raises:
        UsageError: The user, or a benchmark's own file, asks for a metric that is not known, or
            that does not fit the target.
    """
    spoken, readme = _kind_asked(target, hints), stated.readme
    label = is_label(target) and not _is_count(target, spoken)
    said, where = _asked(stated, hints, str(target.name), notes)
    said = _of_so_many_classes(said, target)
    if said:
        if (why := _unfit(said, target)) is not None:
            raise UsageError(f"{said} does not fit: {why}. Choose another --metric or --target")
        return _metric(said, where, notes)
    if found := metric_in(readme):
        found = _of_so_many_classes(found, target)
        why = _unfit(found, target) or _unlikely(found, target, label, readme, spoken)
        if why is None:
            return _metric(found, "a text of the folder names it", notes)
        notes.warn(
            f"A text of the folder asks for {found}, which does not fit the target ({why}); it is "
            "not followed."
        )
    elif strange := unknown_metric_in(readme):
        notes.warn(
            f"A text of the folder asks for {strange}, which cannot be computed here. Another "
            "metric is used: choose it with --metric."
        )
    if spoken == "regression" or (not label and spoken != "classification"):
        return _metric("rmse", "the target is a quantity", notes)
    if sample is not None and has_all_classes(sample.columns, target):
        why = "the form of the answer has a column for every class"
        return _metric("multiclass_log_loss", why, notes)
    shown = None if sample is None else typed(sample.iloc[:, -1])
    scores = (
        shown is not None
        and pd.api.types.is_numeric_dtype(shown)
        and bool((shown != shown.round()).any())
    )
    if target.nunique() == 2 and scores:
        return _metric("auc", "two classes, and the form of the answer has fractions", notes)
    counts = target.value_counts(normalize=True)
    if counts.min() < 0.2 / len(counts):
        return _metric("macro_f1", "the classes are of very different size", notes)
    return _metric("accuracy", "the target is a class", notes)


def _kind_asked(target: "pd.Series[Any]", hints: Hints) -> str | None:
    """The kind of problem that the user names; None: none."""
    spoken, strange = hints.kind or kind_in(hints.say), first_no_number(target)
    if spoken != "regression" or not strange:
        return spoken
    if hints.kind is None:
        return None  # "logistic regression" is said of classes
    raise UsageError(
        f"--kind regression: the target is no number: {strange!r} is none. Choose another --kind "
        "or --target"
    )


def _of_so_many_classes(metric: str, target: "pd.Series[Any]") -> str:
    """What log loss is called where there are more than two classes; any other metric as it is."""
    if metric == "log_loss" and target.nunique() > 2:
        return "multiclass_log_loss"
    return metric


def _asked(stated: Stated, hints: Hints, target: str, notes: Notes) -> tuple[str, str]:
    """The metric that must be used, and who says so; both empty: nobody does."""
    if hints.metric:
        return metric_called(hints.metric), "--metric says so"
    say = without_asked(hints.say, target)
    known = metric_in(say)
    if known is None and (strange := unknown_metric_in(say)):
        if unknown_metric_in(say, plainly=True):
            metric_called(strange)
        notes.warn(
            f"The sentence says {strange}. If that is the metric it asks for, it cannot be "
            "computed here: choose the nearest with --metric."
        )
    if known is not None:
        return known, "the sentence names it"
    if stated.where:
        return _benchmarks(stated, target, notes), f"{stated.where} names it"
    return "", ""


def _benchmarks(stated: Stated, target: str, notes: Notes) -> str:
    """The metric that a benchmark's file names, which no other may stand for."""
    if not stated.metric:
        raise UsageError(
            "no file of the benchmark's task names its metric plainly. Say it with --metric: "
            f"{', '.join(METRICS)}"
        )
    said = stated.metric if len(stated.metric) <= 120 else stated.metric[:117] + "..."
    found = metric_in(stated.metric)
    # An ordinary word beside one of ours explains it; another metric may be a part of the score.
    if found is None or unknown_metric_in(stated.metric, plainly=True):
        raise UsageError(
            f"{stated.where} asks for {said!r}, which cannot be computed here. Choose the nearest "
            f"with --metric: {', '.join(METRICS)}"
        )
    if re.search(r"column[-_ ]?wise|mcrmse", stated.metric, re.IGNORECASE):
        notes.warn(f"{stated.where} asks for a mean over columns; here {target} counts alone.")
    return found


def _metric(name: str, why: str, notes: Notes) -> Metric:
    higher = METRICS[name].higher_is_better
    notes.conclude("metric", f"{name}, {'higher' if higher else 'lower'} is better", why)
    return Metric(name=name, higher_is_better=higher)


def has_all_classes(names: Iterable[object], target: "pd.Series[Any]") -> bool:
    """Whether every class of a target is among the names of an answer's columns."""
    return {canonical(str(one)) for one in target} <= {canonical(str(one)) for one in names}


def _unlikely(
    metric: str, target: "pd.Series[Any]", label: bool, readme: str, spoken: str | None
) -> str | None:
    """Why a text does not mean the metric it names, which nobody vouches for; None: it may."""
    if not label:
        # "Accuracy" is written of other things, too.
        return "it is a quantity" if metric == "accuracy" else None
    if METRICS[metric].of_classes or spoken == "regression":
        return None
    # Grades are counted as classes, and their error is a metric where it is said to be one.
    if target.nunique() > 2 and _VOUCHING.search(readme):
        return None
    return "it looks like classes"


def _unfit(metric: str, target: "pd.Series[Any]") -> str | None:
    """Why a target cannot be measured so; None: it can."""
    measure = METRICS[metric]
    if measure.two_classes:
        count = target.nunique()
        return None if count == 2 else f"it wants two classes, the target has {count} values"
    if measure.of_classes:
        if target.nunique() > _CLASSES_AT_MOST:
            return f"the target has {target.nunique()} different values, too many for classes"
        numbers = pd.api.types.is_numeric_dtype(target)
        if measure.whole and not (numbers and bool((target == target.round()).all())):
            return "it wants classes that are whole numbers"
        return None
    if not pd.api.types.is_numeric_dtype(target):
        return f"the target is no number: {first_no_number(target)!r} is none"
    if measure.lowest is not None and target.min() < measure.lowest:
        return f"the target goes below {measure.lowest:g}"
    if measure.divides and (target == 0).any():
        return "it divides by the target, which is 0 in some rows"
    return None


def conclude_domain(
    metric: Metric,
    target: "pd.Series[Any]",
    types: dict[str, ColumnType],
    time: str | None,
    hints: Hints,
    notes: Notes,
) -> Domain:
    """What kind of problem it is: decides about splits, starter and ideas.

    Raises:
        UsageError: The target is neither a class nor a quantity.
    """
    label = METRICS[metric.name].of_classes
    if label and target.nunique() > _CLASSES_AT_MOST:
        strange = first_no_number(target)
        raise UsageError(
            f"the target has {target.nunique()} different values, too many for classes"
            + (f", and is no number: {strange!r} is none" if strange else "")
            + ". Correct such values, or choose another --target"
        )
    texts = [name for name, kind in types.items() if kind == "text"]
    numbers = [name for name, kind in types.items() if kind in {"number", "category"}]
    if hints.kind is not None:
        found, why = _KINDS[hints.kind], "--kind says so"
        if found is Domain.IMAGE:
            raise UsageError(
                "--kind image: a table is read here. Images are read from folders named for their "
                "classes, without a table beside them"
            )
        if (
            hints.kind in {"classification", "regression"}
            and (hints.kind == "classification") != label
        ):
            raise UsageError(
                f"--kind {hints.kind}: {metric.name} is not measured of that. Choose another "
                "--kind or --metric"
            )
        if found is Domain.TEXT and not texts:
            raise UsageError("--kind text: no column holds texts")
    elif time is not None and not label:
        found, why = Domain.TIME_SERIES, f"a quantity over time ({time})"
    elif texts and len(numbers) <= 2:
        found, why = Domain.TEXT, f"{texts[0]} holds texts, and there is little else"
    elif label:
        found, why = Domain.TABULAR_CLASSIFICATION, f"{target.nunique()} classes"
    else:
        found, why = Domain.TABULAR_REGRESSION, "the target is a quantity"
    notes.conclude("kind", found.value, why)
    return found
