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
from ml_agent.solve.benchmarks import benchmark_at
from ml_agent.solve.classes import class_names
from ml_agent.solve.features import (
    fewer,
    shared_features,
    with_columns_to_cut_by,
    with_target,
)
from ml_agent.solve.files import FileGroups, look, only
from ml_agent.solve.pictures import SIDE, by_folder, names_of, pixels
from ml_agent.solve.reading import Table, read_tables, read_text, typed
from ml_agent.solve.records import Hints, Material, Notes, Perceived, Split, Stated
from ml_agent.solve.splits import check_splits
from ml_agent.solve.tables import Roles, assign_roles, join_others
from ml_agent.solve.target import Ask, Claims, conclude_id, conclude_target
from ml_agent.solve.times import conclude_time, times_of
from ml_agent.solve.wide import VALUE, long_form, series_columns
from ml_agent.tasks import METRICS

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
    """Both tables, every cell still text."""

    labelled: pd.DataFrame
    unseen: pd.DataFrame | None
    own: tuple[str, ...]
    """Columns of the main table itself: one of them is the target."""
    sample: pd.DataFrame | None
    """The form of the answer."""
    melted: bool
    """The main table was wide."""


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
    alone = path.is_file() and script is None
    bench = None if alone else benchmark_at(_folder(path))
    groups = only(path) if alone else look(bench.data if bench else _folder(path))
    if bench:
        notes.conclude("benchmark", f"{bench.suite}, {bench.name}", bench.because)
    _tell_of_files(groups, script is not None, notes)
    readme = "\n".join(read_text(one) for one in groups.texts[:5])
    stated = replace(bench.metric if bench else Stated(), readme=readme)
    if len(groups.tables) > _TABLES_AT_MOST:
        raise UsageError(
            f"{len(groups.tables)} tables; at most {_TABLES_AT_MOST} are read. Give a folder with "
            "those of one task."
        )
    tables = read_tables(groups.tables, skip_broken=hints.skip_broken)
    name = _task_name(Path(bench.name) if bench else path)
    data = [one for one in tables if "submission" not in one.stem]
    if groups.images and not data:
        perceived, material = _images(name, groups, hints, stated, notes)
    elif not data:
        there = ", ".join(one.name for one in groups.others[:5]) or "no table"
        made_by = ": export the data to one"
        if bench and not groups.others:
            made_by = f". {bench.made_by}"
        raise UsageError(
            f"{path} holds no table and no images ({there}). Tables are read from .csv and .tsv "
            f"files{made_by}."
        )
    else:
        if groups.images:
            notes.warn(f"{len(groups.images)} images are not read: there is a table beside them.")
        perceived, material = _table_task(name, tables, hints, stated, notes, ask)
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
    name: str, tables: Sequence[Table], hints: Hints, stated: Stated, notes: Notes, ask: Ask | None
) -> tuple[Perceived, Material]:
    roles = assign_roles(tables, hints, notes)
    rows = _rows(roles, hints, notes)
    claims = _claims(rows, stated.readme)
    target = _target(rows, claims, hints, notes, ask)
    labelled, unseen = join_others(rows.labelled, rows.unseen, roles.others, target, notes)
    rows = replace(rows, labelled=labelled, unseen=unseen)
    train = with_target(rows.labelled, target, notes)
    known = typed(train[target])
    counting = [] if hints.id == "none" else cols.counters(rows.labelled, target, hints)
    identity = conclude_id(train, target, claims, counting, hints, notes)
    for one in counting:
        if one != identity:
            notes.warn(f"{one} only counts the rows, so it is left out.")
    taken = {target, identity, *counting}
    kept, unseen = shared_features(train, rows.unseen, known, taken, hints, notes)
    types = {str(one): cols.type_of(kept[one]) for one in kept}
    kept, hints = with_columns_to_cut_by(train, kept, target, hints, notes)
    hidden = tuple(str(one) for one in kept if one not in types)
    time = conclude_time(kept, unseen, types, hints, notes)
    group = cols.conclude_group(kept, unseen, hints, notes) if time is None else None
    metric = cols.conclude_metric(known, rows.sample, stated, hints, notes)
    domain = cols.conclude_domain(metric, known, types, time, hints, notes)
    texts = [one for one, kind in types.items() if kind == "text"]
    labels = class_names(metric, known, notes)
    ids = tuple(train[identity].fillna("").astype(str)) if identity else ()
    # Not `assign`, whose keywords leave no room for a column called self.
    kept[target] = known
    labelled, ids = fewer(kept, ids, notes)
    if time is not None:
        order = times_of(labelled[time]).argsort(kind="stable")
        labelled = labelled.iloc[order].reset_index(drop=True)
        ids = tuple(ids[i] for i in order) if ids else ()
    split = _split(metric, known, time, group, notes)
    by = time or group
    check_splits(labelled[target], None if by is None else labelled[by], metric, split, notes)
    perceived = Perceived(
        name=name,
        domain=domain,
        target=target,
        metric=metric,
        id=identity,
        time=time,
        group=group,
        split=split,
        features=types,
        hidden=hidden,
        text=texts[0] if domain is Domain.TEXT else None,
        labels=labels,
        answer_columns=_answer_columns(claims.sample, identity, known, metric, notes),
        conclusions=tuple(notes.conclusions),
        warnings=tuple(notes.warnings),
    )
    unseen_ids = _unseen_ids(rows, identity, target)
    return perceived, Material(labelled=labelled, unseen=unseen, unseen_ids=unseen_ids, ids=ids)


def _answer_columns(
    sample: tuple[str, ...],
    identity: str | None,
    known: "pd.Series[str] | pd.Series[float]",
    metric: Metric,
    notes: Notes,
) -> tuple[str, ...]:
    """The form of the answer where there is one that fits, else one of ours."""
    target = str(known.name)
    columns: tuple[str, ...] = (identity or "id", target)
    if METRICS[metric.name].predicts == "probabilities":
        if cols.has_all_classes(sample[1:], known):
            return sample
        columns = (columns[0], *sorted({str(one) for one in known}))
    elif len(sample) == 2 and sample[0] != target:
        return sample
    if sample:
        notes.warn(
            f"The form of the answer has the columns {_listed(sample)}; the predictions will have "
            f"{_listed(columns)}."
        )
    return columns


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _claims(rows: _Rows, readme: str) -> Claims:
    unseen, sample = rows.unseen, rows.sample
    return Claims(
        columns=rows.own,
        sample=() if sample is None else tuple(map(str, sample.columns)),
        lacking=() if unseen is None else tuple(one for one in rows.own if one not in unseen),
        readme=readme,
    )


def _target(rows: _Rows, claims: Claims, hints: Hints, notes: Notes, ask: Ask | None) -> str:
    if rows.melted and not hints.target:
        notes.conclude("target", VALUE, "what stands in the cells of a wide table is forecast")
        return VALUE
    return conclude_target(claims, hints, notes, ask)


def _rows(roles: Roles, hints: Hints, notes: Notes) -> _Rows:
    """As long tables, before others are joined."""
    train = roles.train.frame
    unseen = None if roles.unseen is None else roles.unseen.frame
    sample = None if roles.sample is None else roles.sample.frame
    if found := series_columns(train, unseen, sample, hints, notes):
        train = long_form(train, found)
        notes.conclude(
            "form", f"wide: {len(found)} moments become rows", "a column is named for each moment"
        )
        if unseen is not None:
            notes.warn("The rows to predict are not used: a wide table is its own history.")
            unseen = None
    return _Rows(
        labelled=train,
        unseen=unseen,
        own=tuple(map(str, train.columns)),
        sample=sample,
        melted=bool(found),
    )


def _unseen_ids(rows: _Rows, identity: str | None, target: str) -> tuple[str, ...]:
    """What the form of the answer calls the rows to predict, or else their id or their number."""
    unseen, sample = rows.unseen, rows.sample
    if unseen is None:
        return ()
    first = None if sample is None else str(sample.columns[0])
    for name in (first, identity):
        if name is not None and name != target and name in unseen:
            return tuple(unseen[name].fillna("").astype(str))
    if sample is not None and first != target and len(sample) == len(unseen):
        return tuple(sample.iloc[:, 0].fillna("").astype(str))
    return tuple(map(str, range(len(unseen))))


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
    if METRICS[metric.name].of_classes:
        rare = known.value_counts()
        if rare.min() < _PER_CLASS_AT_LEAST:
            notes.warn(f"Class {rare.idxmin()!r} has {rare.min()} rows: too few to measure.")
        notes.conclude("splits", "random within each class, 60/20/20 %", "the target is a class")
        return "stratified"
    notes.conclude("splits", "random, 60/20/20 %", "nothing orders the rows")
    return "random"


def _images(
    name: str, groups: FileGroups, hints: Hints, stated: Stated, notes: Notes
) -> tuple[Perceived, Material]:
    if hints.kind not in {None, "image", "classification"}:
        raise UsageError(f"--kind {hints.kind}: there are only images, whose folders are classes")
    gallery = by_folder(groups.images)
    target = hints.target or "class"
    known = pd.Series([label for _, label in gallery.labelled], name=target, dtype=str)
    counts = ", ".join(f"{one} {n}" for one, n in known.value_counts().sort_index().items())
    notes.conclude("target", target, f"folders of images are classes ({counts[:120]})")
    frame = with_target(known.to_frame(), target, notes)
    if gallery.unseen:
        notes.conclude("rows to predict", f"{len(gallery.unseen)} images", "their folder says so")
    notes.conclude("images", f"brought to {SIDE} x {SIDE} pixels", "scripts read one array")
    if gallery.copies:
        notes.warn(f"{gallery.copies} images are there twice and count once.")
    if gallery.without_class:
        notes.warn(f"{gallery.without_class} images lie in no folder of a class: not used.")
    metric = cols.conclude_metric(known, None, stated, hints, notes)
    domain = Domain.IMAGE
    split = _split(metric, known, None, None, notes)
    check_splits(known, None, metric, split, notes)
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
        split=split,
        features={},
        text=None,
        labels=class_names(metric, known, notes),
        answer_columns=_answer_columns((), None, known, metric, notes),
        conclusions=tuple(notes.conclusions),
        warnings=tuple(notes.warnings),
    )
    material = Material(
        labelled=frame,
        unseen=unseen,
        unseen_ids=names_of(gallery.unseen),
        ids=tuple(one.name for one, _ in gallery.labelled),
        images=pixels([one for one, _ in gallery.labelled]),
        unseen_images=pixels(gallery.unseen) if gallery.unseen else None,
    )
    return perceived, material
