"""What a user's folder or script asks for: files, target, kind, metric, splits. By rules alone.

Each step adds what it concluded, and from what, to the notes; a hint of the user goes before any
rule. A language model may fill in `Hints` before the rules run: they check what it says.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from ml_agent.core.errors import UsageError
from ml_agent.core.records import Domain, Metric
from ml_agent.solve import columns as cols
from ml_agent.solve.files import FileGroups, FoundFile, look, only
from ml_agent.solve.pictures import SIDE, by_folder, pixels
from ml_agent.solve.reading import Table, read_table, read_text, typed
from ml_agent.solve.records import ColumnType, Hints, Material, Notes, Perceived, Split
from ml_agent.solve.tables import Roles, assign_roles, join_others
from ml_agent.solve.target import Ask, Claims, conclude_id, conclude_target
from ml_agent.solve.wide import TIME, VALUE, long_form, moments
from ml_agent.tasks import METRICS
from ml_agent.tasks.tables import canonical

ROWS_AT_LEAST = 30
ROWS_USED = 100_000
"""Of a larger table a sample is used."""
_TABLES_AT_MOST = 20
_SCRIPT_BYTES = 1 << 20
_PER_CLASS_AT_LEAST = 3


@dataclass(frozen=True, kw_only=True)
class Found:
    """A task as it was perceived, its data, and the script it starts from."""

    perceived: Perceived
    material: Material
    script: bytes | None
    """The user's; None: there is none."""


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Both tables, joined, every cell still text."""

    labelled: pd.DataFrame
    unseen: pd.DataFrame | None
    own: tuple[str, ...]
    """Columns of the main table itself: one of them is the target."""
    sample: tuple[str, ...]
    sample_values: "pd.Series[str] | None"
    readme: str


def perceive(path: Path, hints: Hints, *, ask: Ask | None = None) -> Found:
    """Conclude what is to be solved.

    Args:
        path: A folder with data, a table, or a training script with its data beside it.
        hints: What the user said.
        ask: Asks the user where only a guess is left; None: nobody is there.

    Raises:
        UsageError: The files are broken, empty, too large or contradict the hints; in one line.
    """
    if not path.exists():
        raise UsageError(f"there is no {path}. Give a folder with data, or a training script")
    notes = Notes()
    script = _script(path)
    groups = only(path) if path.is_file() and script is None else look(_folder(path))
    _tell_of_files(groups, script is not None, notes)
    readme = "\n".join(read_text(one) for one in groups.texts[:5])
    if len(groups.tables) > _TABLES_AT_MOST:
        raise UsageError(
            f"{len(groups.tables)} tables; at most {_TABLES_AT_MOST} are read. Give a folder with "
            "those of one task."
        )
    tables = [read_table(one, skip_broken=hints.skip_broken) for one in groups.tables]
    name = _task_name(path)
    data = [one for one in tables if "submission" not in one.stem]
    if groups.images and not data:
        perceived, material = _images(name, groups, hints, readme, notes)
    elif not data:
        there = ", ".join(one.name for one in groups.others[:5]) or "no table"
        raise UsageError(
            f"{path} holds no table and no images ({there}). Tables are read from .csv and .tsv "
            "files: export the data to one."
        )
    else:
        if groups.images:
            notes.warn(f"{len(groups.images)} images are not read: there is a table beside them.")
        perceived, material = _table_task(name, tables, hints, readme, notes, ask)
    return Found(perceived=perceived, material=material, script=script)


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _script(path: Path) -> bytes | None:
    if path.is_dir() or path.suffix != ".py":
        return None
    content = path.read_bytes()
    if len(content) > _SCRIPT_BYTES:
        raise UsageError(f"{path} has {len(content)} bytes: that is no training script")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8: {error}. Save it as UTF-8") from error
    return content


def _task_name(path: Path) -> str:
    given = path.resolve()
    bare = given.name if given.is_dir() else given.stem
    return re.sub(r"[^a-z0-9]+", "-", bare.lower()).strip("-")[:40] or "own-task"


def _tell_of_files(groups: FileGroups, by_script: bool, notes: Notes) -> None:
    if groups.links:
        notes.warn(f"{groups.links} links are passed over: only files in the folder are read.")
    if groups.others:
        named = ", ".join(one.name for one in groups.others[:3])
        more = f" and {len(groups.others) - 3} more" if len(groups.others) > 3 else ""
        notes.warn(f"Not read: {named}{more}.")
    if groups.scripts and not by_script:
        notes.warn(f"{groups.scripts[0].name} is not run. To start from it, give it as PATH.")


def _table_task(
    name: str, tables: Sequence[Table], hints: Hints, readme: str, notes: Notes, ask: Ask | None
) -> tuple[Perceived, Material]:
    roles = assign_roles(tables, hints, notes)
    rows = _rows(roles, readme, notes)
    train, unseen = rows.labelled, rows.unseen
    lacking = [] if unseen is None else [one for one in train if one not in unseen]
    claims = Claims(
        columns=rows.own,
        sample=rows.sample,
        lacking=tuple(one for one in rows.own if one in lacking),
        readme=readme,
    )
    if len(train.columns) > 1 and VALUE in train and TIME in train and not hints.target:
        hints = replace(hints, target=VALUE)
    target = conclude_target(claims, hints, notes, ask)
    train = _with_target(train, target, notes)
    known = typed(train[target])
    identity = conclude_id(train, target, rows.sample, hints, notes)
    features, unseen_features = _features(train, unseen, known, {target, identity}, notes)
    types = {str(one): cols.type_of(features[one]) for one in features}
    time = cols.conclude_time(features, unseen_features, types, hints, notes)
    group = None
    if time is None:
        group = cols.conclude_group(features, unseen_features, {time}, hints, notes)
    sample = None if rows.sample_values is None else typed(rows.sample_values)
    numbers = sample if sample is not None and pd.api.types.is_numeric_dtype(sample) else None
    metric = cols.conclude_metric(known, numbers, readme, hints, notes)
    domain = cols.conclude_domain(metric, known, types, time, hints, notes)
    labels = cols.class_names(metric, known, notes)
    labelled = features.assign(**{target: known})
    ids = tuple(train[identity].fillna("").astype(str)) if identity else ()
    labelled, ids = _fewer(labelled, ids, notes)
    if time is not None:
        order = cols.times_of(labelled[time]).argsort(kind="stable")
        labelled = labelled.iloc[order].reset_index(drop=True)
        ids = tuple(ids[i] for i in order) if ids else ()
    unseen_ids = _unseen_ids(unseen, identity)
    texts = [one for one, kind in types.items() if kind == "text"]
    answer = (identity or "id", target)
    if len(rows.sample) == 2:
        answer = (rows.sample[0], rows.sample[1])
    perceived = Perceived(
        name=name,
        domain=domain,
        target=target,
        metric=metric,
        id=identity,
        time=time,
        group=group,
        split=_split(metric, known, time, group, notes),
        features=types,
        text=texts[0] if domain is Domain.TEXT else None,
        labels=labels,
        answer_columns=answer,
        conclusions=tuple(notes.conclusions),
        warnings=tuple(notes.warnings),
    )
    material = Material(labelled=labelled, unseen=unseen_features, unseen_ids=unseen_ids, ids=ids)
    return perceived, material


def _rows(roles: Roles, readme: str, notes: Notes) -> _Rows:
    """Long and joined."""
    train = roles.train.frame
    unseen = None if roles.unseen is None else roles.unseen.frame
    if found := moments(train):
        train = long_form(train, found)
        notes.conclude(
            "form", f"wide: {len(found)} moments become rows", "a column is named for each moment"
        )
        if unseen is not None:
            notes.warn("The rows to predict are not used: a wide table is its own history.")
            unseen = None
    own = tuple(map(str, train.columns))
    train, unseen = join_others(train, unseen, roles.others, notes)
    sample = roles.sample.frame if roles.sample is not None else None
    return _Rows(
        labelled=train,
        unseen=unseen,
        own=own,
        sample=() if sample is None else tuple(map(str, sample.columns)),
        sample_values=None if sample is None else sample.iloc[:, -1],
        readme=readme,
    )


def _with_target(train: pd.DataFrame, target: str, notes: Notes) -> pd.DataFrame:
    """The rows whose target is known.

    Raises:
        UsageError: They are too few, or all alike.
    """
    known = train[train[target].notna()].reset_index(drop=True)
    if gone := len(train) - len(known):
        notes.warn(f"{gone} rows have no {target} and are left out.")
    if len(known) < ROWS_AT_LEAST:
        raise UsageError(
            f"{len(known)} rows have a {target}; {ROWS_AT_LEAST} are the least that can be cut "
            "into three splits. Give more rows, or another --target"
        )
    if known[target].nunique() == 1:
        raise UsageError(
            f"{target} is {known[target].iloc[0]!r} in every row, so there is nothing to learn. "
            "Choose another --target"
        )
    if known[target].str.contains(r"[\x00-\x1f]", regex=True).any():
        raise UsageError(f"{target} holds line ends or control characters. Take them out.")
    return known


def _features(
    train: pd.DataFrame,
    unseen: pd.DataFrame | None,
    known: "pd.Series[str] | pd.Series[float]",
    taken: set[str | None],
    notes: Notes,
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """What may be learned from, typed; the same columns of both tables."""
    names = [one for one in train if one not in taken]
    if unseen is not None:
        if absent := [one for one in names if one not in unseen]:
            listed = ", ".join(map(str, absent[:3]))
            notes.warn(f"Left out, as the rows to predict lack it: {listed}.")
        if {one for one in taken if one in unseen and one == known.name}:
            notes.warn(f"The rows to predict hold {known.name} too; it is not looked at.")
        names = [one for one in names if one in unseen]
    kept: dict[str, pd.Series] = {}
    later: dict[str, pd.Series] = {}
    for one in names:
        column = typed(train[one])
        new = None if unseen is None else typed(unseen[one])
        if new is not None and pd.api.types.is_numeric_dtype(column) != (
            pd.api.types.is_numeric_dtype(new)
        ):
            column, new = train[one], unseen[one] if unseen is not None else None
        if column.isna().all():
            continue
        if _same(column.head(50), known.head(50)) and _same(column, known):
            notes.warn(f"{one} equals {known.name} in every row, so it is left out.")
            continue
        name = f"{one}_given" if one == "id" else str(one)
        kept[name] = column
        if new is not None:
            later[name] = new
    if not kept:
        raise UsageError("there is no column to learn from. Give a table with more columns")
    frame = _with_calendar(pd.DataFrame(kept))
    return frame, None if unseen is None else _with_calendar(pd.DataFrame(later), like=frame)


def _same(one: "pd.Series", other: "pd.Series") -> bool:
    """Whether two columns say the same in every row, however numbers are written."""
    pairs = zip(one, other, strict=True)
    return all(canonical(str(a)) == canonical(str(b)) for a, b in pairs)


def _with_calendar(frame: pd.DataFrame, like: pd.DataFrame | None = None) -> pd.DataFrame:
    """Add the numbers of every date: days since 2000, month, weekday, and the hour if it varies."""
    added: dict[str, pd.Series] = {}
    for name in frame.columns:
        dated = cols.type_of(frame[name]) == "date" if like is None else f"{name}_days" in like
        if not dated or f"{name}_days" in frame:
            continue
        when = cols.times_of(frame[name])
        days = (when - pd.Timestamp("2000-01-01", tz="UTC")).dt.days
        parts = {"days": days, "month": when.dt.month, "weekday": when.dt.day_of_week}
        hours = when.dt.hour
        if (like is None and hours.nunique() > 1) or (like is not None and f"{name}_hour" in like):
            parts["hour"] = hours
        added |= {f"{name}_{part}": numbers for part, numbers in parts.items()}
    return frame.assign(**added)


def _fewer(
    labelled: pd.DataFrame, ids: tuple[str, ...], notes: Notes
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    if len(labelled) <= ROWS_USED:
        return labelled, ids
    notes.warn(f"Of {len(labelled)} rows a sample of {ROWS_USED} is used.")
    chosen = sorted(labelled.sample(ROWS_USED, random_state=0).index)
    return labelled.loc[chosen].reset_index(drop=True), tuple(ids[i] for i in chosen) if ids else ()


def _unseen_ids(unseen: pd.DataFrame | None, identity: str | None) -> tuple[str, ...]:
    if unseen is None:
        return ()
    if identity is None or identity not in unseen:
        return tuple(map(str, range(len(unseen))))
    return tuple(unseen[identity].fillna("").astype(str))


def _split(
    metric: Metric,
    known: "pd.Series[str] | pd.Series[float]",
    time: str | None,
    group: str | None,
    notes: Notes,
) -> Split:
    """How rows are held back; a user's own test rows are never part of it."""
    if time is not None:
        notes.conclude("splits", f"by {time}: the latest 20 % test, 20 % before validation", "time")
        return "time"
    if group is not None:
        notes.conclude("splits", f"whole values of {group}", "rows of one value are alike")
        return "group"
    measure = METRICS[metric.name]
    if measure.predicts == "label" or measure.two_classes:
        rare = known.value_counts()
        if rare.min() < _PER_CLASS_AT_LEAST:
            notes.warn(f"Class {rare.idxmin()!r} has {rare.min()} rows: too few to measure.")
        notes.conclude("splits", "random within each class, 60/20/20 %", "the target is a class")
        return "stratified"
    notes.conclude("splits", "random, 60/20/20 %", "nothing orders the rows")
    return "random"


def _images(
    name: str, groups: FileGroups, hints: Hints, readme: str, notes: Notes
) -> tuple[Perceived, Material]:
    gallery = by_folder(groups.images)
    target = hints.target or "class"
    known = pd.Series([label for _, label in gallery.labelled], name=target, dtype=str)
    counts = ", ".join(f"{one} {n}" for one, n in known.value_counts().sort_index().items())
    notes.conclude("target", target, f"folders of images are classes ({counts[:120]})")
    frame = _with_target(known.to_frame(), target, notes)
    if gallery.unseen:
        notes.conclude("rows to predict", f"{len(gallery.unseen)} images", "their folder says so")
    notes.conclude("images", f"brought to {SIDE} x {SIDE} pixels", "scripts read one array")
    metric = cols.conclude_metric(known, None, readme, hints, notes)
    domain = Domain.IMAGE
    notes.conclude("kind", domain.value, "there are images and no table")
    unseen = pd.DataFrame(index=range(len(gallery.unseen))) if gallery.unseen else None
    perceived = Perceived(
        name=name,
        domain=domain,
        target=target,
        metric=metric,
        id=None,
        time=None,
        group=None,
        split=_split(metric, known, None, None, notes),
        features={},
        text=None,
        labels=cols.class_names(metric, known, notes),
        answer_columns=("id", target),
        conclusions=tuple(notes.conclusions),
        warnings=tuple(notes.warnings),
    )
    material = Material(
        labelled=frame,
        unseen=unseen,
        unseen_ids=tuple(_bare(one) for one in gallery.unseen),
        ids=tuple(one.name for one, _ in gallery.labelled),
        images=pixels([one for one, _ in gallery.labelled]),
        unseen_images=pixels(gallery.unseen) if gallery.unseen else None,
    )
    return perceived, material


def _bare(file: FoundFile) -> str:
    return file.name.rsplit("/", 1)[-1]


def column_types(perceived: Perceived, kind: ColumnType) -> list[str]:
    """The features of one type, in the order of the table."""
    return [name for name, found in perceived.features.items() if found == kind]
