"""What the classes of a target are called in the task."""

import csv
import io
from typing import Any

import pandas as pd

from ml_agent.core.records import Metric
from ml_agent.solve.records import Notes
from ml_agent.tasks import METRICS
from ml_agent.tasks.tables import canonical

_YES = {"1", "yes", "y", "true", "t", "positive", "pos", "spam", "bad", "fraud", "churn"}


def class_names(metric: Metric, target: "pd.Series[Any]", notes: Notes) -> dict[str, str]:
    """Class names of the files to those of the task; empty: they are the same.

    AUC wants 0 and 1. A name that pandas would read as something else ("TRUE", "01", "None") would
    come back from a script in another spelling, and one that is the name of a column of the answer
    would be mistaken for it: both get an underscore.
    """
    names = sorted({str(value) for value in target})
    if METRICS[metric.name].two_classes:
        if set(names) <= {"0", "1", "0.0", "1.0"}:
            return {}
        likely = [name for name in names if name.lower() in _YES]
        counts = target.astype(str).value_counts()
        positive = likely[0] if len(likely) == 1 else str(counts.idxmin())
        why = "its name" if len(likely) == 1 else "it is rarer"
        notes.conclude("positive class", f"{positive!r} is 1", why)
        return {name: "1" if name == positive else "0" for name in names}
    if not METRICS[metric.name].of_classes:
        return {}
    misread = _misread(names)
    if METRICS[metric.name].predicts == "probabilities":
        # These are graded by columns, of which "01" and "1" are the same.
        misread = {name: read for name, read in misread.items() if canonical(name) != read}
    unsafe = {"id", *misread} & set(names)
    return _renamed(names, unsafe) if unsafe else {}


def _misread(names: list[str]) -> dict[str, str]:
    """Names that pandas does not read as they are written, and as what it reads them.

    Each alone: a script sees a part of the rows, and one class may be all there is in it.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    # A row of one empty cell would be no row.
    writer.writerows([["", *map(str, range(len(names)))], ["", *names]])
    text.seek(0)
    read = pd.read_csv(text).iloc[0, 1:]
    pairs = zip(names, map(str, read), strict=True)
    return {name: canonical(found) for name, found in pairs if found != name}


def _renamed(names: list[str], unsafe: set[str]) -> dict[str, str]:
    renamed: dict[str, str] = {}
    for name in names:
        new = name
        while new in unsafe or (new != name and new in names):
            new += "_"
        renamed[name] = new
    return renamed
