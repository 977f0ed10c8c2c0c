"""A run's tasks as they were when it first used them: what it has recorded fits no others."""

import math
from collections.abc import Iterable
from hashlib import sha256

from ml_agent.core.base import Record
from ml_agent.core.errors import UsageError
from ml_agent.core.records import SplitDigests
from ml_agent.store import RunFolder, read_record, write_json
from ml_agent.tasks import PreparedTask

_NOISE = 0.01
"""Of a score, relative: what the same script may differ by on another machine."""


class PinnedTask(Record):
    """What attempts at a task depend on."""

    statement: str
    splits: SplitDigests
    starter: str
    """sha256 of the files that a workspace begins with."""
    m_init: float
    m_best: float

    @classmethod
    def of(cls, prepared: PreparedTask) -> "PinnedTask":
        """As it is prepared now."""
        task, whole = prepared.task, sha256()
        for path, content in sorted(prepared.workspace.items()):
            whole.update(f"{path}\0{len(content)}\n".encode() + content)
        return cls(
            statement=task.statement,
            splits=task.splits,
            starter=whole.hexdigest(),
            m_init=task.m_init,
            m_best=task.m_best,
        )

    def differs_in(self, other: "PinnedTask") -> list[str]:
        """Names of what is not the same."""
        parts = {
            "its statement": self.statement == other.statement,
            "its data": self.splits == other.splits,
            "its starter": self.starter == other.starter,
            "the starter's score": math.isclose(self.m_init, other.m_init, rel_tol=_NOISE),
            "the reference's score": math.isclose(self.m_best, other.m_best, rel_tol=_NOISE),
        }
        return [name for name, same in parts.items() if not same]


class PinnedTasks(Record):
    """tasks.json of a run."""

    tasks: dict[str, PinnedTask]
    """By id."""


def pin(run: RunFolder, tasks: Iterable[PreparedTask]) -> None:
    """Note tasks that a run has not used before, and refuse those that have changed since.

    Raises:
        UsageError: One is not what it was.
        StoreError: The note is damaged, or cannot be written.
    """
    known: dict[str, PinnedTask] = {}
    if run.tasks_path.exists():
        remedy = "Start a new run under another name."
        known = read_record(run.tasks_path, PinnedTasks, remedy=remedy).tasks
    now = {one.task.id: PinnedTask.of(one) for one in tasks}
    for name, task in now.items():
        if differing := known.get(name, task).differs_in(task):
            raise UsageError(
                f"the task {name} is not what it was when {run.path} first used it: it differs in "
                f"{', '.join(differing)}. The task or a library that cuts its data has changed, "
                "and what the run has recorded is of the one before: start a new run under "
                "another name"
            )
    if not now.keys() <= known.keys():
        pinned = PinnedTasks(tasks={**now, **known})
        write_json(run.tasks_path, pinned.model_dump(mode="json"))
