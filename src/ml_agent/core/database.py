"""SQLite as we use it: whole transactions, and failures in our own words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ml_agent.core.errors import DiskFull, StoreError, is_full


@contextmanager
def guarded(path: Path, doing: str) -> Iterator[None]:
    """Tell of a failure of the database at `path` what was being done.

    Raises:
        DiskFull: No space is left.
        StoreError: Anything else went wrong with the file.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        # An error of the module itself, not of the database, has no code.
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_FULL or (isinstance(error, OSError) and is_full(error)):
            raise DiskFull(
                f"{doing} in {path}: {error}. Free some space and run the same command "
                "again; what is finished is kept."
            ) from error
        raise StoreError(f"{doing} in {path}: {error}.") from error


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All that is written in the block, or nothing of it.

    Args:
        db: Opened with `isolation_level=None`.
    """
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
