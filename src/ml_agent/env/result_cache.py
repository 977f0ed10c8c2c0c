"""Results of experiments, kept from run to run.

    ROOT/v1/index.sqlite      which result belongs to a key, and which blobs it needs
    ROOT/v1/blobs/3f/3f9a...  the results themselves, by content (see `sandbox.Snapshots`)

Covered: many processes and threads at once; a kill at any moment (blobs are written before the one
transaction that names them, and removed only when none does, both under the index's write lock;
what a kill leaves over goes at the next clearing); a damaged blob is noticed when it is read, and
its entry dropped; beyond `bytes_at_most`, what was used longest ago goes; a cache that cannot be
used is a warning, and work goes on without it. Not covered: a folder on a network (SQLite's WAL
needs shared memory), and somebody writing false results into it.
"""

import fcntl
import hashlib
import json
import logging
import platform
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Self

from ml_agent import __version__
from ml_agent.core.errors import DiskFull, SandboxError
from ml_agent.core.records import Execution, Limits
from ml_agent.sandbox import Snapshots
from ml_agent.sandbox.cold import environment

logger = logging.getLogger(__name__)

SCHEMA = 1
"""Names the folder: programs of two versions never meet in one index."""

BYTES_AT_MOST = 4 << 30
_KEPT_AFTER_CLEARING = 0.8
_BLOCK = 4096
"""File systems give out space by the block: a short script takes a whole one."""
_WAIT_S = 60.0

_TABLES = """
CREATE TABLE IF NOT EXISTS entries (
    key TEXT PRIMARY KEY, snapshot TEXT, hits INTEGER NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON entries (used);
CREATE TABLE IF NOT EXISTS blobs (digest TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS needs (
    key TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (key, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_digest ON needs (digest);
CREATE TABLE IF NOT EXISTS total (bytes INTEGER NOT NULL);
INSERT INTO total SELECT 0 WHERE NOT EXISTS (SELECT * FROM total);
CREATE TRIGGER IF NOT EXISTS more AFTER INSERT ON blobs
    BEGIN UPDATE total SET bytes = bytes + new.bytes; END;
CREATE TRIGGER IF NOT EXISTS less AFTER DELETE ON blobs
    BEGIN UPDATE total SET bytes = bytes - old.bytes; END;
"""
# An unstable key has an entry without a snapshot, for good.

_EXECUTION, _PREDICTIONS, _WORKSPACE = "execution.json", "predictions", "workspace/"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a box showed of one experiment. Ungraded: scores are never kept here."""

    execution: Execution
    predictions: bytes | None
    """None: there are none that could be graded."""
    workspace: Mapping[str, bytes]
    """What the run left, without the predictions."""


def experiment_key(
    *,
    script: str,
    workspace: str,
    data: str,
    limits: Limits,
    tier: str,
    software: Mapping[str, str] | None = None,
) -> str:
    """Digest (sha256) of all that an experiment's result can depend on.

    The whole workspace counts, a superset of the files the script reads. There is no seed to name:
    a box fixes the hash seed in its environment, and a script sets its own in its source. Nor do
    the cores count that a run is placed on, only how many threads it may use.

    Args:
        script: Name of the script that is run.
        workspace: Digest of the workspace it finds.
        data: Digest of the task's public data.
        limits: What the run may use.
        tier: Which isolation it runs under.
        software: Versions of what computes; None: of this process.
    """
    parts = {
        "script": script,
        "workspace": workspace,
        "data": data,
        "limits": limits.model_dump(mode="json"),
        "tier": tier,
        "environment": environment(limits.threads),
        "software": dict(software_versions() if software is None else software),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def software_versions() -> Mapping[str, str]:
    """What computes here: this program, the interpreter, the machine's kind, all that is installed.

    All, for a script may import anything: its crash for want of a library is over once it is there.
    """
    ours = {"ml-agent": __version__, "python": platform.python_version()}
    installed = {one.name: one.version for one in metadata.distributions()}
    return {**installed, **ours, "machine": platform.machine()}


class ResultCache:
    """Results by key, in one folder. Safe to share between threads and processes."""

    def __init__(self, root: Path, *, bytes_at_most: int = BYTES_AT_MOST) -> None:
        """Open the cache, making it if there is none.

        Args:
            root: Its folder.
            bytes_at_most: What its blobs may take on the disk.
        """
        self._root = root / f"v{SCHEMA}"
        self._blobs = Snapshots(self._root / "blobs")
        self._bytes_at_most = bytes_at_most
        self._lock = threading.RLock()
        self._index: sqlite3.Connection | None = None
        with self._spared("opened"):
            self._root.mkdir(parents=True, exist_ok=True)
            self._index = _open(self._root)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index; a closed cache knows nothing and keeps nothing. Twice is harmless."""
        with self._lock:
            if self._index is not None:
                self._index.close()
            self._index = None

    def find(self, key: str) -> Result | None:
        """The result kept for a key, None if there is none that can be read back whole."""
        with self._spared("read"):
            row = self._one("SELECT snapshot FROM entries WHERE key = ?", key)
            if row is None or row[0] is None:
                return None
            try:
                return _unpacked(self._blobs.load(row[0]))
            except (SandboxError, ValueError) as error:
                self._drop_if_damaged(key, error)
        return None

    def hit(self, key: str) -> int:
        """Note that a key's result is used; returns how often it has been, 0 if there is none."""
        with self._spared("written"), self._writing() as index:
            row = index.execute(
                "UPDATE entries SET hits = hits + 1, used = (SELECT max(used) + 1 FROM entries) "
                "WHERE key = ? RETURNING hits",
                (key,),
            ).fetchone()
            return row[0] if row else 0
        return 0

    def keep(self, key: str, result: Result) -> None:
        """Keep a result, unless there is one or the key is unstable."""
        files = _packed(result)
        with self._spared("written"):
            with self._writing() as index:
                if index.execute("SELECT * FROM entries WHERE key = ?", (key,)).fetchone():
                    return
                snapshot = self._blobs.save(files)
                manifest: dict[str, str] = json.loads(whole := self._blobs.get(snapshot))
                sizes = {digest: _on_disk(files[path]) for path, digest in manifest.items()}
                sizes[snapshot] = _on_disk(whole)
                if sum(sizes.values()) > self._bytes_at_most:
                    return
                index.execute(
                    "INSERT INTO entries SELECT ?, ?, 0, coalesce(max(used), 0) + 1 FROM entries",
                    (key, snapshot),
                )
                index.executemany("INSERT OR IGNORE INTO blobs VALUES (?, ?)", sizes.items())
                index.executemany("INSERT INTO needs VALUES (?, ?)", [(key, one) for one in sizes])
            self._make_room()

    def mark_unstable(self, key: str) -> None:
        """Forget a key's result and never keep another: its experiment is not repeatable."""
        with self._spared("written"):
            with self._writing() as index:
                _forget(index, key)
                index.execute("INSERT INTO entries VALUES (?, NULL, 0, 0)", (key,))
            self._sweep()

    def is_unstable(self, key: str) -> bool:
        """Whether a key was marked, by this process or another."""
        with self._spared("read"):
            return self._one("SELECT snapshot FROM entries WHERE key = ?", key) == (None,)
        return False

    def _one(self, query: str, key: str) -> tuple[str | None] | None:
        with self._lock:
            if self._index is None:
                return None
            found: tuple[str | None] | None = self._index.execute(query, (key,)).fetchone()
            return found

    def _drop_if_damaged(self, key: str, error: Exception) -> None:
        """Drop every entry that needs a damaged blob of `key`.

        None may be damaged: another process may have cleared the entry away while it was read, and
        may even have kept it again since. Under the lock that is settled.
        """
        with self._writing() as index:
            needed = index.execute("SELECT digest FROM needs WHERE key = ?", (key,)).fetchall()
            damaged = [digest for (digest,) in needed if not self._is_whole(digest)]
            sharing = "SELECT key FROM needs WHERE digest = ?"
            dropped = {
                other
                for digest in damaged
                for (other,) in index.execute(sharing, (digest,)).fetchall()
            }
            # All is whole, and yet it is no result: nothing that this program has written.
            dropped |= {key} if isinstance(error, ValueError) else set()
            for other in dropped:
                _forget(index, other)
        if dropped:
            logger.warning("a kept result is damaged and dropped: %s", error)
            self._sweep()

    def _is_whole(self, digest: str) -> bool:
        try:
            self._blobs.get(digest)
        except SandboxError:
            return False
        return True

    def _make_room(self) -> None:
        """Forget what was used longest ago, if there is too much."""
        with self._writing() as index:
            (held,) = index.execute("SELECT bytes FROM total").fetchone()
            if held <= self._bytes_at_most:
                return
            oldest = "SELECT key FROM entries WHERE snapshot IS NOT NULL ORDER BY used, key"
            for (key,) in index.execute(oldest).fetchall():
                _forget(index, key)
                (held,) = index.execute("SELECT bytes FROM total").fetchone()
                if held <= _KEPT_AFTER_CLEARING * self._bytes_at_most:
                    break
        self._sweep()

    def _sweep(self) -> None:
        """Remove the files that no entry needs. Nobody can be writing one: we hold the lock."""
        with self._writing() as index:
            needed = {digest for (digest,) in index.execute("SELECT digest FROM blobs")}
            for path in self._blobs.root.glob("*/*"):
                if path.name not in needed:
                    path.unlink(missing_ok=True)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction; no other thread or process writes meanwhile."""
        with self._lock:
            if self._index is None:
                raise SandboxError("it is closed")
            self._index.execute("BEGIN IMMEDIATE")
            try:
                yield self._index
            except BaseException:
                if self._index.in_transaction:
                    self._index.execute("ROLLBACK")
                raise
            self._index.execute("COMMIT")

    @contextmanager
    def _spared(self, doing: str) -> Iterator[None]:
        """Go on without a cache that cannot be used: experiments need none."""
        try:
            yield
        except (sqlite3.Error, OSError, SandboxError, DiskFull) as error:
            if self._index is not None or doing == "opened":
                logger.warning(
                    "the cache of experiments in %s cannot be %s (%s). Going on without it. If "
                    "there is space left on the disk, delete that folder: it holds nothing that "
                    "cannot be computed again.",
                    self._root,
                    doing,
                    error,
                )
            self.close()


def _open(root: Path) -> sqlite3.Connection:
    # One process at a time: SQLite cannot be asked to wait while a file turns to WAL.
    with (root / "opening").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        index = sqlite3.connect(
            root / "index.sqlite", timeout=_WAIT_S, check_same_thread=False, isolation_level=None
        )
        try:
            index.execute("PRAGMA journal_mode=WAL")
            index.execute("PRAGMA synchronous=NORMAL")
            index.executescript(_TABLES)
        except BaseException:
            index.close()
            raise
    return index


def _forget(index: sqlite3.Connection, key: str) -> None:
    """Delete an entry and the blobs that it alone needs; their files stay until `_sweep`."""
    index.execute("DELETE FROM entries WHERE key = ?", (key,))
    index.execute(
        "DELETE FROM blobs WHERE digest IN (SELECT digest FROM needs WHERE key = ?1) AND NOT EXISTS"
        " (SELECT * FROM needs WHERE needs.digest = blobs.digest AND needs.key <> ?1)",
        (key,),
    )
    index.execute("DELETE FROM needs WHERE key = ?", (key,))


def _packed(result: Result) -> dict[str, bytes]:
    files = {_WORKSPACE + path: content for path, content in result.workspace.items()}
    files[_EXECUTION] = result.execution.model_dump_json().encode()
    if result.predictions is not None:
        files[_PREDICTIONS] = result.predictions
    return files


def _unpacked(files: Mapping[str, bytes]) -> Result:
    return Result(
        execution=Execution.model_validate_json(files[_EXECUTION]),
        predictions=files.get(_PREDICTIONS),
        workspace={
            path.removeprefix(_WORKSPACE): content
            for path, content in files.items()
            if path.startswith(_WORKSPACE)
        },
    )


def _on_disk(content: bytes) -> int:
    return -(-len(content) // _BLOCK) * _BLOCK
