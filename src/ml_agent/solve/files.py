"""What lies in a user's folder, sorted by what it may be. Nothing is trusted and nothing is run.

Covered: too many files, files that are too large, links (never followed), archives that declare
little and hold much (read member by member, in memory, never further than the bound). Not covered:
zip archives inside archives, and tar, which are named and left alone.
"""

import gzip
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import BinaryIO, NoReturn

from ml_agent.core.errors import UsageError

FILES_AT_MOST = 50_000
FILE_BYTES = 256 << 20
"""Of one file, unpacked."""
ALL_BYTES = 1 << 30
"""Of everything that is looked at, unpacked."""

_TABLES = {".csv", ".tsv", ".tab", ".data"}
_IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}
_TEXTS = {".txt", ".md", ".rst"}
_SKIPPED = {"__pycache__", "__MACOSX", "node_modules", "venv", "runs"}


_BROKEN = (
    zipfile.BadZipFile,
    OSError,
    RuntimeError,  # a password, or (NotImplementedError) a method that zipfile does not know
    EOFError,
    UnicodeDecodeError,
    zlib.error,
    lzma.LZMAError,
)
"""What opening or unpacking a zip archive may raise."""


@dataclass(frozen=True, kw_only=True)
class FoundFile:
    """One file, or one member of an archive."""

    name: str
    """Path from the folder, with slashes."""
    size: int
    """Bytes, unpacked; of a gzip file, packed: what it holds is known when it is read."""
    read: Callable[[], bytes]
    """All of it. Raises UsageError where it is too large or cannot be read."""

    @property
    def suffix(self) -> str:
        """Of its name, in small letters; of a.csv.gz it is .csv."""
        return PurePosixPath(self.name.removesuffix(".gz")).suffix.lower()

    @property
    def stem(self) -> str:
        """Its bare name, in small letters."""
        return PurePosixPath(self.name.removesuffix(".gz")).stem.lower()

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders it lies in, outermost first."""
        return PurePosixPath(self.name).parts[:-1]


@dataclass
class FileGroups:
    """A folder's files by kind, each kind in the order of names."""

    tables: list[FoundFile] = field(default_factory=list)
    images: list[FoundFile] = field(default_factory=list)
    texts: list[FoundFile] = field(default_factory=list)
    scripts: list[FoundFile] = field(default_factory=list)
    others: list[FoundFile] = field(default_factory=list)
    links: int = 0
    """Links that were passed over."""

    def add(self, file: FoundFile) -> None:
        """Sort a file in."""
        kinds = (
            (self.tables, _TABLES),
            (self.images, _IMAGES),
            (self.texts, _TEXTS),
            (self.scripts, {".py"}),
        )
        readme = file.stem == "readme"
        chosen = self.texts if readme else None
        for kind, suffixes in kinds:
            if file.suffix in suffixes and chosen is None:
                chosen = kind
        (self.others if chosen is None else chosen).append(file)


def look(folder: Path) -> FileGroups:
    """Sort the files of a folder.

    Raises:
        UsageError: There is nothing, too much, or something that cannot be read.
    """
    found = FileGroups()
    count, total = 0, 0
    for path in _walk(folder, found):
        for file in _members(path, _printable(path.relative_to(folder).as_posix())):
            count, total = count + 1, total + file.size
            if count > FILES_AT_MOST:
                raise UsageError(
                    f"{folder} holds more than {FILES_AT_MOST} files. Give a folder of this task's "
                    "data alone."
                )
            if total > ALL_BYTES:
                raise UsageError(
                    f"{folder} holds more than {ALL_BYTES >> 20} MiB. Give a part of the data, or "
                    "a folder of this task's data alone."
                )
            found.add(file)
    if not count:
        raise UsageError(f"{folder} holds no file. Give the folder that holds the data.")
    return found


def _walk(folder: Path, found: FileGroups) -> Iterator[Path]:
    for top, subfolders, names in os.walk(folder, onerror=_unreadable):
        subfolders[:] = sorted(n for n in subfolders if not _is_passed_over(Path(top, n)))
        for name in sorted(names):
            path = Path(top, name)
            if name[0] == ".":
                continue
            if path.is_symlink() or not S_ISREG(_status(path).st_mode):
                found.links += 1
                continue
            yield path


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        _unreadable(error)


def only(path: Path) -> FileGroups:
    """A file as if it were alone in its folder.

    Raises:
        UsageError: It cannot be read.
    """
    found = FileGroups()
    for file in _members(path, _printable(path.name)):
        found.add(file)
    return found


def _printable(name: str) -> str:
    """A name without line ends and control characters: it will stand in messages."""
    return "".join(one if one.isprintable() else "?" for one in name)


def _is_passed_over(folder: Path) -> bool:
    """Whether it is not to be looked at: hidden, a library's, a run of ours, a test's answers."""
    name = folder.name
    answers = name == "private" and folder.parent.name == "prepared"
    # Of a folder that must not be entered the walk will tell.
    ours = os.access(folder, os.X_OK) and (folder / "run.json").is_file()
    return name[0] == "." or name in _SKIPPED or answers or ours


def _unreadable(error: OSError) -> NoReturn:
    raise UsageError(
        f"{error.filename} cannot be read ({error.strerror}). Make it readable."
    ) from error


def _members(path: Path, name: str) -> list[FoundFile]:
    """The file, or what is in it if it is a zip archive."""
    if path.suffix.lower() == ".zip":
        return _unzipped(path, name)
    size = path.stat().st_size
    reader = _read_gzip if path.suffix.lower() == ".gz" else _read
    return [FoundFile(name=name, size=size, read=partial(reader, path, name))]


def _read(path: Path, name: str) -> bytes:
    if (size := path.stat().st_size) > FILE_BYTES:
        raise UsageError(too_large(name, size))
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{name} cannot be read ({error.strerror}). Make it readable.") from error


def _read_gzip(packed: Path | BinaryIO, name: str) -> bytes:
    try:
        with gzip.open(packed) as file:
            content = file.read(FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{name} is no whole gzip file ({error}). Make it anew.") from error
    if len(content) > FILE_BYTES:
        raise UsageError(too_large(name, None))
    return content


def _unzipped(path: Path, name: str) -> list[FoundFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [one for one in archive.infolist() if not one.is_dir()]
    except _BROKEN as error:
        raise UsageError(f"{name} is no whole zip archive ({error}). Make it anew.") from error
    declared = sum(one.file_size for one in members)
    if declared > ALL_BYTES or len(members) > FILES_AT_MOST:
        raise UsageError(
            f"{name} would unpack to {len(members)} files of {declared >> 20} MiB; at most "
            f"{FILES_AT_MOST} of {ALL_BYTES >> 20} MiB are read. Unpack what is needed of it."
        )
    inside = name.removesuffix(".zip")
    return [
        FoundFile(
            name=f"{inside}/{_printable(one.filename)}",
            size=one.file_size,
            read=partial(_read_member, path, one, name),
        )
        for one in members
        if not {"..", "__MACOSX"} & set(PurePosixPath(one.filename).parts)
    ]


def _read_member(path: Path, member: zipfile.ZipInfo, name: str) -> bytes:
    if member.file_size > FILE_BYTES:
        raise UsageError(too_large(f"{member.filename} in {name}", member.file_size))
    try:
        with zipfile.ZipFile(path) as archive, archive.open(member) as file:
            content = file.read(FILE_BYTES + 1)
    except _BROKEN as error:
        raise UsageError(
            f"{member.filename} in {name} cannot be unpacked ({error}). Unpack it yourself."
        ) from error
    if len(content) > FILE_BYTES:
        raise UsageError(too_large(f"{member.filename} in {name}", None))
    if member.filename.lower().endswith(".gz"):
        return _read_gzip(io.BytesIO(content), f"{member.filename} in {name}")
    return content


def too_large(name: str, size: int | None) -> str:
    """What is said about a file above the bound."""
    has = "unpacks to more" if size is None else f"has {size >> 20} MiB"
    return f"{name} {has}; at most {FILE_BYTES >> 20} MiB are read. Give a part of its rows."
