"""Workspaces by content: a file that did not change is kept once, however many states hold it.

    ROOT/3f/3f9a...    a blob, named by its sha256: a file, or a manifest {path: digest of its file}

A state that was read lately is kept in memory, so that trying eight actions in it reads it once.

Covered: many writers at once, in threads and processes; a kill at any moment; a blob that is
missing, cut off or altered is noticed when it is read, never handed out. Not covered: a power cut
right after writing (nothing is forced to the disk), and removing what is no longer needed.
"""

# pathlib takes as long as reading does: a third of a restore.
# ruff: noqa: PTH123

import hashlib
import json
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from ml_agent.core.errors import DiskFull, SandboxError, is_full

_KEPT_BYTES = 64 << 20


class Snapshots:
    """Blobs and manifests in one folder."""

    def __init__(self, root: Path):
        """Use a folder; it is made when something is put in."""
        self.root = root
        self._lately = _Lately(_KEPT_BYTES)

    def put(self, content: bytes) -> str:
        """Keep some bytes and return their digest.

        Raises:
            DiskFull: No space is left.
            SandboxError: They cannot be written.
        """
        digest = hashlib.sha256(content).hexdigest()
        path = Path(self._path(digest))
        try:
            # The name vouches for the content, but a file that was cut off is worth repairing.
            if not path.exists() or path.stat().st_size != len(content):
                _write_whole(path, content)
        except OSError as error:
            kind, advice = (
                (DiskFull, "Free some space")
                if is_full(error)
                else (SandboxError, "Make the folder writable")
            )
            raise kind(
                f"cannot keep a snapshot in {self.root} ({error.strerror}). {advice} and run the "
                "command again; nothing half-written is kept."
            ) from error
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes of a digest.

        Raises:
            SandboxError: There are none, or they were altered.
        """
        path = self._path(digest)
        try:
            with open(path, "rb", buffering=0) as file:
                content = file.read()
        except OSError as error:
            raise SandboxError(
                f"snapshot {digest[:12]} cannot be read from {self.root} ({error.strerror}). Use "
                "the folder that was used when it was taken."
            ) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise SandboxError(
                f"snapshot {digest[:12]} was altered: {path} does not hold what its name says. "
                "Delete that file; the states that need it are lost."
            )
        return content

    def save(self, files: Mapping[str, bytes]) -> str:
        """Keep a workspace and return its digest; equal workspaces have equal digests.

        Raises:
            DiskFull: No space is left.
            SandboxError: It cannot be written.
        """
        manifest = {path: self.put(content) for path, content in files.items()}
        return self.put(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode())

    def load(self, digest: str) -> dict[str, bytes]:
        """The workspace of a digest.

        Raises:
            SandboxError: There is none, or a file of it is missing or altered.
        """
        if (known := self._lately.find(digest)) is not None:
            return known
        try:
            manifest = json.loads(self.get(digest))
        except ValueError:
            manifest = None
        if not isinstance(manifest, dict):
            raise SandboxError(f"snapshot {digest[:12]} is a file, not a workspace")
        files = {path: self.get(blob) for path, blob in manifest.items()}
        self._lately.keep(digest, files)
        return files

    def _path(self, digest: str) -> str:
        if len(digest) != 64 or digest.strip("0123456789abcdef"):
            raise SandboxError(f"{digest[:80]!r} is no snapshot: 64 hexadecimal digits name one")
        return f"{self.root}/{digest[:2]}/{digest}"


class _Lately:
    """The workspaces used last, by digest, up to a sum of bytes. Safe to share between threads."""

    def __init__(self, at_most: int):
        self._left = at_most
        self._files: OrderedDict[str, dict[str, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, digest: str) -> dict[str, bytes] | None:
        with self._lock:
            if digest not in self._files:
                return None
            self._files.move_to_end(digest)
            return dict(self._files[digest])

    def keep(self, digest: str, files: Mapping[str, bytes]) -> None:
        with self._lock:
            if digest not in self._files:
                self._files[digest] = dict(files)
                self._left -= _size(files)
            while self._left < 0:
                _, oldest = self._files.popitem(last=False)
                self._left += _size(oldest)


def _size(files: Mapping[str, bytes]) -> int:
    return sum(map(len, files.values()))


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, partial = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
