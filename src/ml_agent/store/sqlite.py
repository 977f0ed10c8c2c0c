"""The trajectory store: one SQLite file in WAL mode, the truth of a run.

Covered: a finished step survives `kill -9` (each is one transaction); a reader may look while a
run writes; each message is stored once. Not covered: power loss may take the last transactions
(`synchronous=NORMAL`), never the file.
"""

import json
import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from ml_agent.core.base import Record
from ml_agent.core.database import guarded, transaction
from ml_agent.core.errors import StoreError
from ml_agent.core.records import SCHEMA, End, Message, Step, Trajectory

_R = TypeVar("_R", bound=Record)

_TABLES = """
CREATE TABLE meta (schema_version INTEGER NOT NULL);
CREATE TABLE trajectories (
    id TEXT PRIMARY KEY, stage TEXT NOT NULL, task TEXT NOT NULL, policy TEXT NOT NULL,
    seed INTEGER NOT NULL, ended TEXT, failure TEXT, header TEXT NOT NULL
);
CREATE TABLE messages (
    trajectory TEXT NOT NULL, place INTEGER NOT NULL, role TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (trajectory, place)
) WITHOUT ROWID;
CREATE TABLE steps (
    trajectory TEXT NOT NULL, t INTEGER NOT NULL, step TEXT NOT NULL,
    PRIMARY KEY (trajectory, t)
) WITHOUT ROWID;
CREATE TABLE samples (
    run_update INTEGER NOT NULL, place INTEGER NOT NULL, sample TEXT NOT NULL,
    PRIMARY KEY (run_update, place)
) WITHOUT ROWID;
"""
# Came later than the others: a store that was made before has it once it is judged.
_JUDGEMENTS = """
CREATE TABLE IF NOT EXISTS judgements (
    trajectory TEXT NOT NULL, t INTEGER NOT NULL, judgement TEXT NOT NULL,
    PRIMARY KEY (trajectory, t)
) WITHOUT ROWID;
"""


class Stage(StrEnum):
    """What a trajectory was played for."""

    COLLECT = "collect"
    PRACTICE = "practice"
    """By the policy under training, for states of its own."""
    REFLECT = "reflect"
    """To correct an error that was recorded; the steps up to it stand in it too."""
    EVAL = "eval"
    SOLVE = "solve"
    """By any policy, on a user's own data."""


class Sample(Record):
    """One action of practice: a step taken again from a recorded state, or a step of an attempt."""

    update: int
    trajectory: str
    """With `t`, the state it started from."""
    t: int
    step: Step
    reward: float | None
    """None: it trained nothing, by our failure or, where there is none, as it was not known in
    time (`rl.staleness`)."""
    failure: str | None = None


class Judgement(Record):
    """What a judge found of a recorded step."""

    trajectory: str
    t: int
    ok: bool
    reason: str
    judge: str
    """Name of the model."""


class Begun(Record):
    """What tells one attempt from another, and how it ended."""

    id: str
    task: str
    seed: int
    ideas: tuple[str, ...]
    end: End | None


class Store:
    """All trajectories and training samples of one run. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """Open the store, making it if there is none.

        Raises:
            StoreError: It cannot be opened, or another version of this program wrote it.
        """
        self._path = path
        self._lock = threading.Lock()
        with guarded(self._path, "opening"):
            if not path.exists():
                _make(path)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA synchronous=NORMAL")
            (version,) = self._db.execute("SELECT max(schema_version) FROM meta").fetchone()
            if version != SCHEMA:
                raise StoreError(
                    f"{path} has schema version {version}, this program reads version {SCHEMA}. "
                    "Open it with the version that made it, or start a new run."
                )

    def close(self) -> None:
        """Close the file; what was appended is in it already."""
        self._db.close()

    def begin(self, trajectory: Trajectory, stage: Stage) -> None:
        """Record the start of an attempt, with whatever it holds so far."""
        header = trajectory.model_dump_json(exclude={"messages", "steps", "end", "failure"})
        with self._transaction("beginning a trajectory"):
            self._db.execute(
                "INSERT INTO trajectories VALUES (?,?,?,?,?,NULL,NULL,?)",
                (
                    trajectory.id,
                    stage.value,
                    trajectory.task,
                    trajectory.policy,
                    trajectory.seed,
                    header,
                ),
            )
            self._put_messages(trajectory.id, trajectory.messages, 0)
            for t, step in enumerate(trajectory.steps):
                self._put_step(trajectory.id, t, step)

    def append(self, trajectory: Trajectory, *, messages_before: int) -> None:
        """Record the last step of `trajectory` and the messages from `messages_before` on."""
        with self._transaction("appending a step"):
            self._put_messages(
                trajectory.id, trajectory.messages[messages_before:], messages_before
            )
            self._put_step(trajectory.id, len(trajectory.steps) - 1, trajectory.steps[-1])

    def finish(self, trajectory: Trajectory) -> None:
        """Record how an attempt ended."""
        with self._transaction("finishing a trajectory"):
            self._db.execute(
                "UPDATE trajectories SET ended=?, failure=? WHERE id=?",
                (trajectory.end, trajectory.failure, trajectory.id),
            )

    def add_samples(self, samples: Sequence[Sample]) -> None:
        """Record the actions of one training update; an update done again replaces them."""
        with self._transaction("recording samples"):
            for update in {sample.update for sample in samples}:
                self._db.execute("DELETE FROM samples WHERE run_update=?", (update,))
            self._db.executemany(
                "INSERT INTO samples VALUES (?,?,?)",
                [(s.update, i, s.model_dump_json()) for i, s in enumerate(samples)],
            )

    def discard_samples(self, *, from_update: int) -> None:
        """Forget the samples of an update and of all after it: training goes on from before them.

        The weights that sampled them, and those that learned from them, were lost with the
        process; kept, they would stand beside the samples of the updates that take their place.
        """
        with self._transaction("forgetting samples"):
            self._db.execute("DELETE FROM samples WHERE run_update>=?", (from_update,))

    def samples(self, update: int | None = None) -> Iterator[Sample]:
        """Training samples in the order they were made."""
        query = "SELECT sample FROM samples"
        where = "" if update is None else " WHERE run_update=?"
        given = () if update is None else (update,)
        for (text,) in self._all(query + where + " ORDER BY run_update, place", given):
            yield _parsed(Sample, text, self._path)

    def judge(self, judgements: Sequence[Judgement]) -> None:
        """Record what a judge found; a step that is read later has it (`step_ok`, `verdict`)."""
        with self._transaction("recording judgements"):
            self._db.execute(_JUDGEMENTS)
            self._db.executemany(
                "INSERT OR REPLACE INTO judgements VALUES (?,?,?)",
                [(one.trajectory, one.t, one.model_dump_json()) for one in judgements],
            )

    def select(
        self, *, stage: Stage | None = None, task: str | None = None, policy: str | None = None
    ) -> Iterator[Trajectory]:
        """Trajectories by task and seed, and equal ones as they were begun.

        So what is made of them does not depend on where a run was stopped. Those cut off by a kill
        (`end` None) are among them.
        """
        asked = {"stage": stage, "task": task, "policy": policy}
        asked = {column: value for column, value in asked.items() if value is not None}
        where = " AND ".join(f"{column}=?" for column in asked) or "1"
        rows = self._all(
            f"SELECT id FROM trajectories WHERE {where} ORDER BY task, seed, rowid",
            tuple(asked.values()),
        )
        for (identity,) in rows:
            yield self.get(identity)

    def begun(self, stage: Stage, *, policy: str | None = None) -> Iterator[Begun]:
        """The attempts of a stage without what happened in them, so thousands at once.

        Args:
            stage: Which.
            policy: Only this one's; None: whoever played.
        """
        query = (
            "SELECT header, ended FROM trajectories WHERE stage=? AND policy=coalesce(?, policy)"
            " ORDER BY rowid"
        )
        for header, ended in self._all(query, (stage.value, policy)):
            given = json.loads(header)
            facts = {name: given[name] for name in ("id", "task", "seed", "ideas")}
            yield Begun.model_validate(facts | {"end": ended})

    def get(self, identity: str) -> Trajectory:
        """One trajectory whole.

        Raises:
            StoreError: There is none of that id, or it cannot be read.
        """
        query = "SELECT header, ended, failure FROM trajectories WHERE id=?"
        rows = self._all(query, (identity,))
        if not rows:
            raise StoreError(f"{self._path} holds no trajectory {identity!r}")
        header, ended, failure = rows[0]
        query = "SELECT role, text FROM messages WHERE trajectory=? ORDER BY place"
        messages = [{"role": role, "text": text} for role, text in self._all(query, (identity,))]
        query = "SELECT t, step FROM steps WHERE trajectory=? ORDER BY t"
        judged = self._judgements(identity)
        steps = [
            self._with_verdict(_parsed(Step, text, self._path), judged.get(int(t)))
            for t, text in self._all(query, (identity,))
        ]
        try:
            return Trajectory(
                **json.loads(header),
                messages=tuple(Message.model_validate(message) for message in messages),
                steps=tuple(steps),
                end=None if ended is None else End(ended),
                failure=failure,
            )
        except (ValidationError, ValueError) as error:
            raise StoreError(f"{self._path}: trajectory {identity} is damaged: {error}") from error

    def holds(self, identity: str) -> bool:
        """Whether there is a trajectory of that id."""
        return bool(self._all("SELECT id FROM trajectories WHERE id=?", (identity,)))

    def discard_unfinished(self, stage: Stage, *, policy: str | None = None) -> int:
        """Forget attempts of a stage that a kill cut off or our own failure broke.

        For a stage that is taken up again: they are to be played anew. Returns how many.

        Args:
            stage: Which.
            policy: Only this one's; None: whoever played.
        """
        query = (
            "SELECT id FROM trajectories WHERE stage=? AND (ended IS NULL OR ended=?)"
            " AND policy=coalesce(?, policy)"
        )
        return self._forget(self._all(query, (stage.value, End.BROKEN.value, policy)))

    def discard_attempts(self, stage: Stage, *, policy: str) -> int:
        """Forget a policy's attempts of a stage, whatever came of them. Returns how many."""
        query = "SELECT id FROM trajectories WHERE stage=? AND policy=?"
        return self._forget(self._all(query, (stage.value, policy)))

    def discard(self, identities: Sequence[str]) -> None:
        """Forget attempts by their ids: they are to be played anew."""
        self._forget([(one,) for one in identities])

    def _forget(self, lost: Sequence[tuple[str, ...]]) -> int:
        with self._transaction("forgetting attempts"):
            for row in lost:
                self._db.execute("DELETE FROM messages WHERE trajectory=?", row)
                self._db.execute("DELETE FROM steps WHERE trajectory=?", row)
                if self._is_judged():
                    self._db.execute("DELETE FROM judgements WHERE trajectory=?", row)
                self._db.execute("DELETE FROM trajectories WHERE id=?", row)
        return len(lost)

    def _put_messages(self, identity: str, messages: Sequence[Message], first: int) -> None:
        self._db.executemany(
            "INSERT INTO messages VALUES (?,?,?,?)",
            [(identity, first + i, m.role, m.text) for i, m in enumerate(messages)],
        )

    def _put_step(self, identity: str, t: int, step: Step) -> None:
        self._db.execute("INSERT INTO steps VALUES (?,?,?)", (identity, t, step.model_dump_json()))

    def _judgements(self, identity: str) -> dict[int, Judgement]:
        """What a judge found of the steps of a trajectory."""
        with self._lock, guarded(self._path, "reading"):
            if not self._is_judged():
                return {}
        rows = self._all("SELECT judgement FROM judgements WHERE trajectory=?", (identity,))
        found = [_parsed(Judgement, text, self._path) for (text,) in rows]
        return {one.t: one for one in found}

    def _is_judged(self) -> bool:
        """Whether there is a table of judgements; to be asked with the lock held."""
        query = "SELECT 1 FROM sqlite_master WHERE name='judgements'"
        return self._db.execute(query).fetchone() is not None

    @staticmethod
    def _with_verdict(step: Step, judged: Judgement | None) -> Step:
        """A step as it was recorded, with what a judge has found since."""
        if judged is None or step.step_ok is not None:
            return step
        return step.model_copy(update={"step_ok": judged.ok, "verdict": judged.reason})

    def _all(self, query: str, given: Sequence[object] = ()) -> list[tuple[str, ...]]:
        with self._lock, guarded(self._path, "reading"):
            return self._db.execute(query, tuple(given)).fetchall()

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        with self._lock, guarded(self._path, doing), transaction(self._db):
            yield


def _make(path: Path) -> None:
    """Put an empty store at `path` in one move, so that nobody ever opens half of one.

    SQLite cannot be asked to wait while a file turns to WAL: a reader there at that moment, or
    the maker itself, would be told that the database is locked.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as folder:
        made = Path(folder) / path.name
        with closing(sqlite3.connect(made, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(_TABLES)
            db.executescript(_JUDGEMENTS)
            db.execute("INSERT INTO meta VALUES (?)", (SCHEMA,))
        with suppress(FileExistsError):  # Another process was first, with the same.
            os.link(made, path)


def _parsed(kind: type[_R], text: str, path: Path) -> _R:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise StoreError(f"{path} holds a damaged {kind.__name__}: {error}") from error
