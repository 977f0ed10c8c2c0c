"""Workspaces by content: a file that did not change is kept once, however many states hold it.

    ROOT/3f/3f9a...    a blob, named by its sha256: a file, or a manifest {path: digest of its file}

Covered: many writers at once, in threads and processes; a kill at any moment; a blob that is
missing, cut off or altered is noticed when it is read, never handed out. Not covered: a power cut
right after writing (nothing is forced to the disk), and removing what is no longer needed.
"""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ml_agent.core.errors import SandboxError


class Snapshots:
    """Blobs and manifests in one folder."""

    def __init__(self, root: Path):
        """Use a folder; it is made when something is put in."""
        self.root = root

    def put(self, content: bytes) -> str:
        """Keep some bytes and return their digest.

        Raises:
            SandboxError: They cannot be written.
        """
        digest = hashlib.sha256(content).hexdigest()
        path = self._path(digest)
        try:
            # The name vouches for the content, but a file that was cut off is worth repairing.
            if not path.exists() or path.stat().st_size != len(content):
                _write_whole(path, content)
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            advice = "Free some space" if full else "Make the folder writable"
            raise SandboxError(
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
            content = path.read_bytes()
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
            SandboxError: It cannot be written.
        """
        manifest = {path: self.put(content) for path, content in files.items()}
        return self.put(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode())

    def load(self, digest: str) -> dict[str, bytes]:
        """The workspace of a digest.

        Raises:
            SandboxError: There is none, or a file of it is missing or altered.
        """
        try:
            manifest = json.loads(self.get(digest))
        except ValueError:
            manifest = None
        if not isinstance(manifest, dict):
            raise SandboxError(f"snapshot {digest[:12]} is a file, not a workspace")
        return {path: self.get(blob) for path, blob in manifest.items()}

    def _path(self, digest: str) -> Path:
        if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise SandboxError(f"{digest[:80]!r} is no snapshot: 64 hexadecimal digits name one")
        return self.root / digest[:2] / digest


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
