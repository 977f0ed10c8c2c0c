"""Several tables become two: rows with labels and rows to predict, with all that can be joined."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import pandas as pd

from ml_agent.core.errors import UsageError
from ml_agent.solve.naming import words_of
from ml_agent.solve.reading import Table, typed
from ml_agent.solve.records import Hints, Notes
from ml_agent.solve.target import Claims, stated_target
from ml_agent.solve.wide import moments
from ml_agent.solve.words import (
    closest,
    column_in,
    names_labelled,
    names_labels,
    names_unseen,
    twins,
)

_COVERED_AT_LEAST = 0.5
"""Share of the keys of the rows with labels, and of those to predict, that another table must know
to be joined. What is known of the first alone would be missing where it counts."""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Which table is what."""

    train: Table
    unseen: Table | None
    sample: Table | None
    others: tuple[Table, ...]


@dataclass(frozen=True)
class _Named:
    """What the names of tables say: by whole words, else by two that differ in train and test."""

    glued: frozenset[str]
    """Names of which "train" is only a part."""
    glued_unseen: frozenset[str]

    @classmethod
    def of(cls, tables: Sequence[Table]) -> "_Named":
        names = [_bare(one) for one in tables]
        pairs = {} if any(map(names_labelled, names)) else twins(names)
        return cls(frozenset(pairs), frozenset(pairs.values()))

    def labelled(self, table: Table) -> bool:
        return names_labelled(_bare(table)) or _bare(table) in self.glued

    def unseen(self, table: Table) -> bool:
        return names_unseen(_bare(table)) or _bare(table) in self.glued_unseen


def assign_roles(tables: Sequence[Table], hints: Hints, notes: Notes) -> Roles:
    """Say which table has the labels, which is to predict, which shows the answer's form.

    Raises:
        UsageError: A file that was named is not there, or nothing tells the tables apart.
    """
    rest = _without_copies(tables, hints, notes)
    sample = _taken(rest, "", lambda table: "submission" in table.stem)
    named = _Named.of(rest)
    train = None if hints.train else _paired_up(rest, named, notes)
    if train is None:
        train = _taken(rest, hints.train, named.labelled)
    unseen = _taken(rest, hints.test, lambda table: False)
    if train is None and not rest:
        if unseen is None:
            raise UsageError("there is no table with labels. Give one with --train FILE")
        train, unseen = unseen, None
    guessed = False
    if train is None:
        main = [one for one in rest if not named.unseen(one)] or rest
        guessed = len(main) > 1 and not (hints.target or hints.say)
        train = _main_of(main, sample, hints)
        rest = [one for one in rest if one is not train]
    if unseen is None:
        unseen = _to_predict(rest, train, named, _asked(train, sample, hints), notes)
        rest = [one for one in rest if one is not unseen]
    if named.labelled(train) or hints.train:
        why = "it is named so"
    else:
        why = "it is the only one" if len(tables) == 1 else "the others describe its rows"
    rows = f"{len(train.frame)} rows, {train.frame.shape[1]} columns"
    notes.conclude("rows with labels", f"{train.name} ({rows})", why, guess=guessed)
    if unseen is not None:
        found = f"{unseen.name} ({len(unseen.frame)} rows)"
        notes.conclude("rows to predict", found, "it is named so")
    if sample is not None:
        notes.conclude("form of the answer", sample.name, "it is named so")
    for table in tables:
        if table.oddities:
            notes.conclude("file", table.name, "; ".join(table.oddities))
    return Roles(train=train, unseen=unseen, sample=sample, others=tuple(rest))


def join_others(
    train: pd.DataFrame,
    unseen: pd.DataFrame | None,
    others: Sequence[Table],
    target: str,
    notes: Notes,
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Add to both tables what the others know about their rows.

    A table with one row for a key is looked up. Of one with several rows for a key, the number of
    rows and the means of its numbers are added. One that holds the target is left out: an older
    copy of the rows would tell it.
    """
    waiting: list[Table] = []
    for other in others:
        if target in other.frame:
            notes.warn(
                f"{other.name} is not used: it holds {target} too, which is to be predicted."
            )
        else:
            waiting.append(other)
    idle: list[Table] = []
    while waiting:
        other = waiting.pop(0)
        key = _key(train, unseen, other.frame)
        if key is None:
            idle.append(other)
            continue
        frame, how = _to_add(train, other, key)
        train = train.merge(frame, on=key, how="left")
        unseen = None if unseen is None else unseen.merge(frame, on=key, how="left")
        added = set(frame.columns) - set(key)
        # What was added may be a key of what found none before: the city of a customer.
        waiting += [one for one in idle if added & set(one.frame.columns)]
        idle = [one for one in idle if not added & set(one.frame.columns)]
        notes.conclude(
            "joined",
            f"{other.name}: {len(added)} columns",
            f"{how} {' and '.join(key)}, a column of both",
        )
    both = "" if unseen is None else ", and of those to predict"
    for other in idle:
        notes.warn(
            f"{other.name} is not used: no column of it names half of the rows with labels{both}."
        )
    return train, unseen


def _to_add(train: pd.DataFrame, other: Table, key: list[str]) -> tuple[pd.DataFrame, str]:
    """One row for a key, with columns that the main table does not have; and how they came."""
    frame, how = other.frame.dropna(subset=key), "looked up by"
    if frame.duplicated(key).any():
        frame, how = _summed_up(frame, key, other.stem), "means and counts for each"
    clash = {n: f"{n}_{other.stem}" for n in frame.columns if n in train and n not in key}
    return frame.rename(columns=clash), how


def _without_copies(tables: Sequence[Table], hints: Hints, notes: Notes) -> list[Table]:
    """The tables without copies of others: an archive often lies beside what was unpacked of it."""
    kept: list[Table] = []
    for one in sorted(tables, key=_depth):
        asked = _is_called(one, hints.train) or _is_called(one, hints.test)
        same = next((other for other in kept if other.frame.equals(one.frame)), None)
        if same is None or asked:
            kept.append(one)
        else:
            notes.warn(f"{one.name} holds the same rows as {same.name}, so it is left out.")
    return kept


def _depth(table: Table) -> int:
    """How many folders and archives a table lies in."""
    return table.name.count("/")


def _is_called(table: Table, named: str) -> bool:
    return named in {table.name, table.name.rsplit("/", 1)[-1], table.stem}


def _paired_up(rest: list[Table], named: _Named, notes: Notes) -> Table | None:
    """Take two tables that hold features and labels of the same rows, as one; None: no two do."""
    made = [
        (labels, features, *joint)
        for labels, features in _pairs(rest, named)
        if (
            joint := _as_one(
                labels, features, by_key=names_labels(_bare(labels)) or named.labelled(labels)
            )
        )
        is not None
    ]
    if len(made) != 1:
        return None
    labels, features, frame, why = made[0]
    rest[:] = [one for one in rest if one is not labels and one is not features]
    notes.conclude("labels", f"{labels.name}, of the rows of {features.name}", why)
    return replace(features, frame=frame, oddities=features.oddities + labels.oddities)


def _pairs(rest: Sequence[Table], named: _Named) -> list[tuple[Table, Table]]:
    """Tables that may hold labels, and features of the same rows.

    Two are named like train, or one is and others like labels, or none is and a single one like
    labels, or there are no others but rows to predict.
    """
    train = [one for one in rest if named.labelled(one)]
    main = [one for one in rest if not named.unseen(one)]
    marked = [one for one in main if names_labels(_bare(one))]
    if len(train) == 1:
        return [(one, train[0]) for one in marked if one is not train[0]]
    if not train and len(marked) == 1:
        return [(marked[0], one) for one in main if one is not marked[0]]
    two = train or main
    if len(two) != 2:
        return []
    labels, features = sorted(
        two, key=lambda one: (not names_labels(_bare(one)), one.frame.shape[1])
    )
    return [(labels, features)]


def _as_one(labels: Table, features: Table, *, by_key: bool) -> tuple[pd.DataFrame, str] | None:
    """The rows of both tables, and how they were found; None: they are not of the same rows."""
    shared = [name for name in labels.frame.columns if name in features.frame.columns]
    if _is_label_alone(labels, features):
        name = labels.stem if shared else labels.frame.columns[0]
        frame = features.frame.assign(**{name: labels.frame.iloc[:, 0]})
        return frame, f"it has one column, and both have {len(frame)} rows"
    if len(shared) != 1 or not by_key:
        return None
    known, asked = labels.frame[shared[0]], features.frame[shared[0]]
    # Labels of the rows to predict may lie there, too.
    if not (known.is_unique and asked.is_unique and set(asked) <= set(known)):
        return None
    return features.frame.merge(
        labels.frame, on=shared[0]
    ), f"both have one row for every {shared[0]}"


def _is_label_alone(labels: Table, features: Table) -> bool:
    """Whether a table is nothing but a column for the rows of another, in their order."""
    if labels.frame.shape[1] != 1 or len(labels.frame) != len(features.frame):
        return False
    if features.frame.shape[1] == 1 and not names_labels(_bare(labels)):
        return False
    name, column = next(iter(labels.frame.items()))
    return name not in features.frame or not features.frame[name].equals(column)


def _taken(rest: list[Table], named: str, fits: Callable[[Table], bool]) -> Table | None:
    """Take the table a hint names, else the only one that fits, out of the rest."""
    if named:
        found = [one for one in rest if _is_called(one, named)]
        if not found:
            there = ", ".join(one.name for one in rest) or "none"
            raise UsageError(f"there is no table {named!r}; there are: {there}")
    else:
        found = [one for one in rest if fits(one)]
    if not found:
        return None
    chosen = min(found, key=lambda one: (len(one.stem), _depth(one), one.name))
    rest[:] = [one for one in rest if one is not chosen]
    return chosen


def _to_predict(
    rest: Sequence[Table], train: Table, named: _Named, target: str | None, notes: Notes
) -> Table | None:
    """The table that is named like one to predict and whose columns are mostly those of the labels.

    Not the other way round: the rows with labels may have many columns more, as of other targets.
    """
    # The columns of a wide table are moments, and those of a later one are others.
    wide = bool(moments(train.frame, letters=True))
    known = set(train.frame.columns).union(
        *(one.frame.columns for one in rest if named.labelled(one))
    )
    found: list[tuple[int, int, int, str, int]] = []
    for place, one in enumerate(rest):
        if not named.unseen(one):
            continue
        shared = known.intersection(one.frame.columns)
        if _are_answers(set(one.frame.columns) if wide else shared, train, target):
            why = f"it has answers and no feature of {train.name}"
        elif wide or 2 * len(shared) > one.frame.shape[1]:
            found.append((-len(shared), len(one.stem), _depth(one), one.name, place))
            continue
        else:
            why = f"few of its columns are those of {train.name}"
        notes.warn(f"{one.name} is not taken for rows to predict: {why}.")
    return rest[min(found)[-1]] if found else None


def _are_answers(columns: set[str], train: Table, target: str | None) -> bool:
    """Whether a table has the target, at most an id beside it, and none of the features there are.

    Where nothing says what the target is, it is the last column; but a table that lacks a single
    column may lack the target.
    """
    known = list(map(str, train.frame.columns))
    lacking = set(known) - columns
    left = columns - {target or known[-1]}
    enough = len(lacking) > (0 if target else 1)
    return len(left) < len(columns) and enough and all(map(_names_rows, left))


def _names_rows(name: str) -> bool:
    """Whether a column is named like one that says which row is meant."""
    return name.lower().endswith("id") or bool({"index", "idx", "key", "row"} & {*words_of(name)})


def _asked(train: Table, sample: Table | None, hints: Hints) -> str | None:
    """What is to be predicted; None: that cannot be told before the rows to predict are known."""
    columns = tuple(map(str, train.frame.columns))
    form = () if sample is None else tuple(map(str, sample.frame.columns))
    claims = Claims(columns=columns, sample=form, lacking=(), readme="")
    return closest(hints.target, columns) if hints.target else stated_target(claims, hints)


def _bare(table: Table) -> str:
    """Its stem in the letters it is written in."""
    return PurePosixPath(table.name.removesuffix(".gz")).stem


def _main_of(rest: Sequence[Table], sample: Table | None, hints: Hints) -> Table:
    """The table whose rows the others describe."""
    if len(rest) == 1:
        return rest[0]
    every = list(dict.fromkeys(str(name) for one in rest for name in one.frame.columns))
    target = hints.target or column_in(hints.say, every)
    holding = [one for one in rest if target in one.frame.columns]
    if len(holding) == 1:
        return holding[0]
    asked = set(sample.frame.columns) if sample is not None else set()
    if len(holding := [one for one in rest if len(asked & set(one.frame.columns)) > 1]) == 1:
        return holding[0]
    linked = {
        one.name: sum(
            _key(one.frame, None, other.frame, looked_up=True) is not None
            for other in rest
            if other is not one
        )
        for one in rest
    }
    best = max(rest, key=lambda one: (linked[one.name], len(one.frame)))
    if not linked[best.name]:
        raise UsageError(
            f"nothing tells which of {', '.join(one.name for one in rest)} has the labels, and "
            "they share no key. Say it with --train FILE"
        )
    return best


def _key(
    train: pd.DataFrame,
    unseen: pd.DataFrame | None,
    other: pd.DataFrame,
    *,
    looked_up: bool = False,
) -> list[str] | None:
    """The columns by which rows of a main table find theirs in another; None: there are none."""
    shared = [name for name in other.columns if name in train.columns]
    shared = [name for name in shared if unseen is None or name in unseen.columns]
    candidates = [[name] for name in shared] + ([shared] if len(shared) > 1 else [])
    unique = [key for key in candidates if not other.duplicated(key).any()]
    named = [key for key in candidates if len(key) == 1 and not train.duplicated(key).any()]
    mains = [train] if unseen is None else [train, unseen]
    for key in unique if looked_up else unique + named:
        if all(_covered(main, other, key) >= _COVERED_AT_LEAST for main in mains):
            return key
    return None


def _covered(train: pd.DataFrame, other: pd.DataFrame, key: list[str]) -> float:
    known = set(other[key].itertuples(index=False, name=None))
    asked = list(train[key].dropna().itertuples(index=False, name=None))
    return sum(one in known for one in asked) / len(asked) if asked else 0.0


def _summed_up(frame: pd.DataFrame, key: list[str], stem: str) -> pd.DataFrame:
    numbers = frame[key].copy()
    for name in frame.columns:
        column = typed(frame[name])
        if name not in key and pd.api.types.is_numeric_dtype(column):
            numbers[f"{stem}_{name}_mean"] = column
    grouped = numbers.groupby(key)
    means = grouped.mean()
    means[f"{stem}_count"] = grouped.size()
    return means.reset_index()
