"""What a user's own runs hold to learn from: attempts, their workspaces, and their tasks.

Of a solve run the recorded attempts are read, which know validation scores alone, and the prepared
task. What the run found on its test split (result.json, report.html) is never opened; the labels of
the test go along unread, for the grader, which refuses a task whose answers are not whole.

Own tasks lie in RUN/own/, under the id TASK@RUN: a folder of the user's may be called like a task
of the library, and two runs may be of one folder.
"""

import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ml_agent.assets import building
from ml_agent.core.base import Record
from ml_agent.core.errors import UsageError
from ml_agent.core.records import SCHEMA, Task, Trajectory
from ml_agent.env import PromptStyle, system_text
from ml_agent.sandbox import Snapshots
from ml_agent.store import RunFolder, Stage, Store, read_record, write_json
from ml_agent.tasks import STARTER, PreparedTask, find_package, read_prepared
from ml_agent.tasks.preparation import TASK_FILE
from ml_agent.train.examples import improved

Kind = Literal["solve", "training"]
SOLVE = "solve"
"""What run.json calls the recipe of a solve run."""
_STARTER = "starter.py"


class Taken(Record):
    """What was taken of one run."""

    run: str
    kind: Kind
    tasks: tuple[str, ...]
    """Those that attempts were taken of, by the id they have from now on."""
    attempts: tuple[str, ...]
    """Ids."""
    helped: int
    """Steps of theirs that can be imitated: edits after which the score was better."""
    left_out: dict[str, int]
    """Attempts that were passed over, by reason."""


class Gathered(Record):
    """own/gathered.json: all that a run has taken of other runs."""

    schema_version: int = SCHEMA
    taken: tuple[Taken, ...]
    library: tuple[str, ...]
    """Tasks that are not the recipe's and not the user's own, by name."""


@dataclass(frozen=True, kw_only=True)
class OwnRun:
    """A run as it was found."""

    folder: RunFolder
    kind: Kind
    tasks: Mapping[str, PreparedTask]
    """Tasks that lie in the run itself, by the id they have from now on."""
    names: tuple[str, ...]
    """Names of its other tasks."""
    attempts: tuple[Trajectory, ...]
    """Those that can be learned from; their tasks have the ids they have from now on."""
    left_out: Mapping[str, int]

    def taken(self, tasks: Mapping[str, Task], *, longest: int | None = None) -> Taken:
        """What the run gives.

        Args:
            tasks: By id; those of the attempts are among them.
            longest: Characters an answer may have to be imitated; None: any number.
        """
        helped = sum(
            improved(tasks[one.task], one, t)
            for one in self.attempts
            for t, step in enumerate(one.steps)
            if step.step_ok is not False
            and (longest is None or len(step.completion.text) <= longest)
        )
        return Taken(
            run=str(self.folder.path),
            kind=self.kind,
            tasks=tuple(sorted({one.task for one in self.attempts})),
            attempts=tuple(one.id for one in self.attempts),
            helped=helped,
            left_out=dict(self.left_out),
        )


def look_into(
    folder: RunFolder,
    *,
    style: PromptStyle,
    offered: Collection[str],
    held_out: Collection[str],
    known: Collection[str],
) -> OwnRun:
    """Find what a run holds to learn from; nothing is written.

    Args:
        folder: The run.
        style: Of the prompts that the policy knows.
        offered: The actions that these offer.
        held_out: Tasks on which the policy is measured, by id.
        known: Ids of attempts that the policy has learned from already.

    Raises:
        UsageError: It is no run, or of another version; it is of a held-out task; there is nothing
            in it to learn from.
        TaskError: Its prepared task is damaged.
        StoreError: Its attempts cannot be read.
    """
    kind: Kind = "solve" if folder.info().recipe == SOLVE else "training"
    if not folder.store_path.exists():
        raise UsageError(f"{folder.path} holds no attempts, so there is nothing to learn from")
    stage = Stage.SOLVE if kind == "solve" else Stage.COLLECT
    store = Store(folder.store_path)
    try:
        recorded = list(store.select(stage=stage))
    finally:
        store.close()
    tasks, names, ids = _tasks_of(folder, kind, recorded)
    if both := sorted({*names, *ids} & set(held_out)):
        raise UsageError(
            f"{folder.path} is of {', '.join(both)}, on which the policy is measured: what is "
            "learned there would make the measurement worthless. Leave this run out."
        )
    system = system_text(style, offered)
    left_out: Counter[str] = Counter()
    attempts = []
    for one in recorded:
        if why := _unfit(one, kind, system, known, ids):
            left_out[why] += 1
        else:
            attempts.append(one.model_copy(update={"task": ids[one.task]}))
    if not attempts:
        reasons = ", ".join(f"{count} {why}" for why, count in sorted(left_out.items()))
        raise UsageError(
            f"{folder.path} holds nothing to learn from: {reasons or 'it has no attempt'}"
        )
    return OwnRun(
        folder=folder,
        kind=kind,
        tasks=tasks,
        names=names,
        attempts=tuple(attempts),
        left_out=dict(left_out),
    )


def take(found: OwnRun, into: RunFolder, store: Store, snapshots: Snapshots) -> None:
    """Copy tasks, attempts and workspaces into a run; what is there already stays.

    Raises:
        UsageError: The run has another task of the same id.
        SandboxError: A workspace is gone.
        StoreError: The run cannot be written.
        DiskFull: No space is left.
    """
    keep_tasks(found.tasks, into)
    copy_attempts(found.attempts, found.folder, store, snapshots)


def copy_attempts(
    attempts: Iterable[Trajectory], source: RunFolder, store: Store, snapshots: Snapshots
) -> None:
    """Copy attempts into a store, as collected ones, and the workspaces they stood in.

    Raises:
        SandboxError: A workspace is gone.
        StoreError: The store cannot be written.
        DiskFull: No space is left.
    """
    kept = Snapshots(source.snapshots)
    copied: set[str] = set()
    for one in attempts:
        stood_in = {one.workspace, *(step.workspace for step in one.steps if step.workspace)}
        for digest in sorted(stood_in - copied):
            snapshots.save(kept.load(digest))
        copied |= stood_in
        if not store.holds(one.id):
            store.begin(one, Stage.COLLECT)
            store.finish(one)


def keep_tasks(tasks: Mapping[str, PreparedTask], into: RunFolder) -> None:
    """Copy prepared tasks, by id, into a run's own folder; what is there already stays.

    Raises:
        UsageError: The run has another task of the same id.
        DiskFull: No space is left.
    """
    for name, prepared in tasks.items():
        _keep_task(name, prepared, into)


def own_tasks(run: RunFolder) -> dict[str, PreparedTask]:
    """The tasks that lie in a run's own folder, by id.

    Raises:
        TaskError: One is damaged.
    """
    folders = sorted(path.parent for path in (run.path / "own").glob(f"*/{TASK_FILE}"))
    found = [read_prepared(folder, (folder / _STARTER).read_bytes()) for folder in folders]
    return {one.task.id: one for one in found}


def write_gathered(run: RunFolder, gathered: Gathered) -> None:
    """Note what a run has taken of others.

    Raises:
        StoreError: It cannot be written.
        DiskFull: No space is left.
    """
    write_json(_gathered_path(run), gathered.model_dump(mode="json"))


def read_gathered(run: RunFolder) -> Gathered:
    """What a run has taken of others; nothing, if it never has.

    Raises:
        StoreError: The note is damaged.
    """
    path = _gathered_path(run)
    if not path.exists():
        return Gathered(taken=(), library=())
    remedy = "Delete the folder of this run, and learn again."
    return read_record(path, Gathered, remedy=remedy)


def _gathered_path(run: RunFolder) -> Path:
    return run.path / "own" / "gathered.json"


def _tasks_of(
    folder: RunFolder, kind: Kind, recorded: list[Trajectory]
) -> tuple[dict[str, PreparedTask], tuple[str, ...], dict[str, str]]:
    """Tasks in the run itself, names of all others, and what each is called from now on."""
    config = folder.config()
    if kind == "training":
        own = own_tasks(folder)
        names = {*map(str, config.get("train_tasks", ())), *read_gathered(folder).library}
        # A task may be named by a folder; attempts are of its id.
        recorded_ids = {one.task for one in recorded}
        others = {
            name: its
            for name in sorted(names)
            if (its := _id_of(name)) is not None and its in recorded_ids
        }
        return own, tuple(others), {its: its for its in (*own, *others.values())}
    prepared = _solved(folder, recorded)
    name = f"{prepared.task.id}@{folder.path.name}"
    task = prepared.task.model_copy(update={"id": name})
    package = config.get("package")
    played = (str(package),) if package is not None else ()
    return {name: replace(prepared, task=task)}, played, {prepared.task.id: name}


def _id_of(name: str) -> str | None:
    """Of a task by its name or folder; None: it is not there any more."""
    try:
        return find_package(name).card.id
    except UsageError:
        return None


def _solved(folder: RunFolder, recorded: list[Trajectory]) -> PreparedTask:
    """The prepared task of a solve run, and the script its search began with."""
    found = [path.parent for path in (folder.path / "prepared").glob(f"*/{TASK_FILE}")]
    begun = [one.workspace for one in recorded if one.workspace]
    if len(found) != 1 or not begun:
        why = "nothing was tried" if len(found) == 1 else f"it has {len(found)} prepared tasks"
        raise UsageError(f"{folder.path} holds nothing to learn from: {why}")
    kept = folder.path / "task" / "starter" / STARTER
    if kept.is_file():
        return read_prepared(found[0], kept.read_bytes())
    # Of a task package, whose search begins with its starter.
    first = Snapshots(folder.snapshots).load(begun[0])
    return read_prepared(found[0], first[STARTER])


def _unfit(
    one: Trajectory, kind: Kind, system: str, known: Collection[str], ids: Mapping[str, str]
) -> str:
    """Why an attempt cannot be learned from; empty: it can."""
    if one.id in known:
        return "known already"
    if not one.whole:
        return "not finished"
    if one.task not in ids:
        return "of a task that is not there"
    if one.messages[0].text != system:
        return "with other prompts than the policy knows"
    if kind == "solve" and one.m_init is None:
        return "recorded by a version that did not note where it began"
    return ""


def _keep_task(name: str, prepared: PreparedTask, into: RunFolder) -> None:
    folder = into.path / "own" / name
    if folder.exists():
        if own_tasks(into)[name].task.splits != prepared.task.splits:
            raise UsageError(
                f"two runs that are called alike hold different data as {name}: rename the folder "
                "of one"
            )
        return
    with building(folder) as partial:
        for part in (prepared.public, prepared.answers):
            shutil.copytree(part, partial / part.name)
        (partial / _STARTER).write_bytes(prepared.workspace[STARTER])
        text = prepared.task.model_dump_json(indent=1)
        (partial / TASK_FILE).write_text(text, encoding="utf-8")
        # A box may run as another user.
        partial.chmod(0o755)
