"""Ways in which a good score may say nothing about new rows.

Covered: rows that stand in the labelled and in the unseen table, or twice among the labelled ones;
a feature from which alone the target follows; ids or an order of rows that follow the target.
Not covered: leaks that take two features together, and what a column means.
"""

from typing import Any

import numpy as np
import pandas as pd

from ml_agent.core.base import Record
from ml_agent.solve.records import Material, Perceived
from ml_agent.tasks import METRICS

_ROWS = 20_000
_TELLING = 0.999
"""Rank correlation, or share of rows, from which on one thing tells another."""
_ORDERED = 0.5


class Leak(Record):
    """One check."""

    check: str
    found: str
    alarming: bool


def check_leaks(perceived: Perceived, material: Material) -> list[Leak]:
    """All checks, also those that found nothing."""
    rows, target = material.labelled, material.labelled[perceived.target]
    features = rows.drop(columns=[perceived.target, *perceived.hidden])
    leaks = []
    if features.shape[1]:
        leaks.append(_twice(features, target))
        if material.unseen is not None:
            leaks.append(_shared(features, material.unseen))
        leaks.append(_telling(features.head(_ROWS), target.head(_ROWS), perceived))
    if perceived.split != "time":
        leaks.append(_ordered(perceived, material))
    return leaks


def _twice(features: pd.DataFrame, target: "pd.Series[Any]") -> Leak:
    count = int(features.duplicated().sum())
    clash = int(features.duplicated().sum() - features.assign(_=target).duplicated().sum())
    found = "none" if not count else f"{count} of {len(features)} rows repeat another one"
    if clash:
        found += f", {clash} of them with another target"
    # What stands in training and in a held-back split makes its score too good.
    return Leak(check="labelled rows twice", found=found, alarming=count > 0.01 * len(features))


def _shared(features: pd.DataFrame, unseen: pd.DataFrame) -> Leak:
    known = set(_hashes(features))
    count = sum(one in known for one in _hashes(unseen[list(features.columns)]))
    found = "none" if not count else f"{count} of {len(unseen)} rows to predict have labels"
    return Leak(
        check="rows to predict among the labelled", found=found, alarming=count > 0.01 * len(unseen)
    )


def _hashes(frame: pd.DataFrame) -> list[int]:
    # As text: a column may be whole numbers in one table and have gaps in the other.
    plain = frame.apply(lambda column: column.map(_as_text))
    return [int(one) for one in pd.util.hash_pandas_object(plain, index=False)]


def _as_text(cell: object) -> str:
    if isinstance(cell, float):
        return "" if np.isnan(cell) else repr(cell)
    return repr(float(cell)) if isinstance(cell, int) else str(cell)


def _telling(features: pd.DataFrame, target: "pd.Series[Any]", perceived: Perceived) -> Leak:
    of_classes = METRICS[perceived.metric.name].of_classes
    tells = _tells_class if of_classes else _tells_number
    found = [str(name) for name in features if tells(features[name], target)]
    told = f"{', '.join(found[:3])}: the target follows from it alone" if found else "none"
    return Leak(check="a feature that is the target in disguise", found=told, alarming=bool(found))


def _tells_class(feature: "pd.Series[Any]", target: "pd.Series[Any]") -> bool:
    """Whether a few values of the feature, or cuts of its range, decide the class."""
    classes = target.nunique()
    if feature.nunique() < 2 or feature.isna().mean() > 0.5:
        return False
    if pd.api.types.is_numeric_dtype(feature):
        ranked = target[feature.dropna().sort_values(kind="stable").index].astype(str)
        changes = int((ranked != ranked.shift()).sum()) - 1
        return changes == classes - 1
    if feature.nunique() > len(feature) / 5:
        return False
    most = target.astype(str).groupby(feature.astype(str)).agg(lambda one: one.value_counts().max())
    return bool(most.sum() >= _TELLING * len(feature))


def _tells_number(feature: "pd.Series[Any]", target: "pd.Series[Any]") -> bool:
    if not pd.api.types.is_numeric_dtype(feature) or feature.nunique() < 10:
        return False
    return abs(_rank_correlation(feature, target)) >= _TELLING


def _ordered(perceived: Perceived, material: Material) -> Leak:
    target = material.labelled[perceived.target]
    codes = target if pd.api.types.is_numeric_dtype(target) else pd.Series(pd.factorize(target)[0])
    place = pd.Series(np.arange(len(target)))
    names = {"the order of rows": place}
    numbers = pd.to_numeric(pd.Series(material.ids, dtype=str), errors="coerce")
    if len(material.ids) == len(target) and numbers.notna().all():
        names[f"{perceived.id}"] = numbers
    found = [
        f"{name} follows the target (rank correlation {rho:+.2f})"
        for name, order in names.items()
        if abs(rho := _rank_correlation(order, codes)) > _ORDERED
    ]
    told = "; ".join(found) + ". Scripts here see neither" if found else "none"
    return Leak(check="an order that follows the target", found=told, alarming=False)


def _rank_correlation(one: "pd.Series[Any]", other: "pd.Series[Any]") -> float:
    """Spearman's, of the rows where both are known; 0 where one does not vary."""
    both = pd.DataFrame({"a": one, "b": other}).dropna()
    if both["a"].nunique() < 2 or both["b"].nunique() < 2:
        return 0.0
    return float(both["a"].rank().corr(both["b"].rank()))
