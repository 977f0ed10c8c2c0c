"""The files of a box between runs: in memory, because no script can reach them there."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ml_agent.core.errors import SandboxError, UsageError

DATA = "data"


class Workspace:
    """Small files by path, and the task's data beside them."""

    def __init__(self, data: Path | None):
        """Start empty.

        Args:
            data: Folder shown as data/; None: there is none.

        Raises:
            SandboxError: It is no folder.
        """
        if data is not None and not data.is_dir():
            raise SandboxError(f"{data} is no folder: prepare the task first")
        self.data = data.resolve() if data else None
        self.files: dict[str, bytes] = {}

    def replace(self, files: Mapping[str, bytes]) -> None:
        """Hold exactly these files from now on."""
        self.files = dict(files)

    def read(self, path: str) -> bytes | None:
        """Bytes of a file, in data/ too; None: there is no such file."""
        inside = _parse(path)
        if inside.parts[:1] == (DATA,):
            found = self._in_data(inside)
            return found.read_bytes() if found and found.is_file() else None
        return self.files.get(str(inside))

    def write(self, path: str, content: bytes) -> None:
        """Put a file.

        Raises:
            UsageError: The path leaves the workspace, is in data/, or a folder is in its way.
        """
        inside = _parse(path)
        name = str(inside)
        if name == "." or inside.parts[0] == DATA:
            raise UsageError(f"{path!r} cannot be written: data/ is read-only, choose another name")
        above = {str(parent) for parent in inside.parents}
        if above & self.files.keys():
            raise UsageError(f"{path!r} cannot be written: a file has the name of its folder")
        if any(other.startswith(name + "/") for other in self.files):
            raise UsageError(f"{path!r} cannot be written: it is a folder")
        self.files[name] = content

    def names(self, folder: str) -> list[str] | None:
        """Sorted names in a folder, folders with a trailing slash; None: there is none."""
        inside = _parse(folder)
        if inside.parts[:1] == (DATA,):
            found = self._in_data(inside)
            if found is None or not found.is_dir():
                return None
            return sorted(entry.name + "/" * entry.is_dir() for entry in found.iterdir())
        start = "" if str(inside) == "." else f"{inside}/"
        rest = [path.removeprefix(start) for path in self.files if path.startswith(start)]
        names = {name + slash for name, slash, _ in (path.partition("/") for path in rest)}
        if start == "" and self.data:
            names.add(f"{DATA}/")
        return sorted(names) if names or start == "" else None

    def _in_data(self, path: PurePosixPath) -> Path | None:
        """Where it really is; None: nowhere, or behind a link that leaves the folder."""
        if self.data is None:
            return None
        found = self.data.joinpath(*path.parts[1:]).resolve()
        return found if found.is_relative_to(self.data) else None


def _parse(path: str) -> PurePosixPath:
    parsed = PurePosixPath(path)
    if parsed.is_absolute() or ".." in parsed.parts or "\0" in path:
        raise UsageError(f"{path!r} leaves the workspace: name a file inside it")
    return parsed
