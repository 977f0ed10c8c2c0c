"""Whether the splits of a user's rows can be measured, before anything is run."""

import numpy as np
import pandas as pd

from ml_agent.core.errors import UsageError
from ml_agent.core.records import Metric
from ml_agent.solve.cutting import PARTS
from ml_agent.solve.records import Notes, Split
from ml_agent.tasks import METRICS

_SPLITS = {"train": "the rows to learn from", "valid": "validation", "test": "the test"}
_SMALL = 0.05
"""Share of all rows below which a split is told of."""


def check_splits(
    known: "pd.Series[str] | pd.Series[float]",
    by: "pd.Series[str] | pd.Series[float] | None",
    metric: Metric,
    split: Split,
    notes: Notes,
) -> None:
    """Cut the rows as prepare.py will, and look at what comes of it.

    Args:
        known: The target of every labelled row, in their order.
        by: The column of times or groups; None: the split has none.
        metric: By which it is measured.
        split: How rows are split.
        notes: Told of splits that are very small, or hold one value of a quantity.

    Raises:
        UsageError: There are fewer times or groups than splits, or a split holds one value, of
            which the metric is not defined.
    """
    if by is not None and (count := by.nunique()) < len(_SPLITS):
        raise UsageError(
            f"--{split} {by.name}: it has {count} different values, and each of the three splits "
            f"wants one. Name another column, or say --{split} none"
        )
    values = _as_written(known)
    rows = pd.DataFrame({"target": values, "by": values if by is None else _as_written(by)})
    cut = {"target": "target", "by": "by"}
    part = PARTS[split](rows, cut, np.random.default_rng(0))
    measure = METRICS[metric.name]
    where = f"split by {by.name}" if by is not None else f"{split} split"
    for name, called in _SPLITS.items():
        here = set(values[part == name])
        lacking = sorted(set(values) - here)
        if len(here) > 1:
            continue
        two = len(set(values)) == 2
        meant, told = (lacking[0], "no row of") if two else (min(here), "only")
        count = int((values == meant).sum())
        told = f"{called} has {told} {meant!r} ({count} of {len(values)} rows)"
        # How far off predictions are has a meaning for one value, too; what they explain has none.
        explains = measure.perfect == 1 and name != "train"
        if measure.of_classes or explains:
            raise UsageError(
                f"after the {where}, {told}, so {metric.name} cannot be measured. {_way_out(split)}"
            )
        notes.warn(f"After the {where}, {told}: {metric.name} says little of other rows.")
    sizes = [int((part == name).sum()) for name in _SPLITS]
    if min(sizes) < _SMALL * len(values):
        notes.warn(
            f"The {where} leaves {sizes[0]} rows to learn from, {sizes[1]} for validation and "
            f"{sizes[2]} for the test."
        )


def _as_written(column: "pd.Series[str] | pd.Series[float]") -> "pd.Series[str]":
    """As it stands in rows.csv: prepare.py reads text."""
    return column.astype(object).where(column.notna(), "").astype(str).reset_index(drop=True)


def _way_out(split: Split) -> str:
    if split in {"time", "group"}:
        return f"Give more rows, name another column with --{split}, or say --{split} none"
    return "Give more rows of other values (3 at least), or choose another --target or --metric"
