"""The cold box: every run starts a fresh interpreter in a fresh confinement."""

import functools
import marshal
import os
import re
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import ml_agent
from ml_agent.assets import cache_home
from ml_agent.core.errors import SandboxError, UsageError
from ml_agent.core.records import Execution, Limits
from ml_agent.sandbox.contract import Tier
from ml_agent.sandbox.leftovers import end_session, scratch_folder
from ml_agent.sandbox.refusal import no_isolation
from ml_agent.sandbox.snapshots import Snapshots
from ml_agent.sandbox.workspace import Workspace

_PACKAGE = Path(__file__).parent
"""Where the launchers find `confinement`, without anything of ours being imported."""
_LAUNCHERS: dict[Tier, str] = {"strong": "launch", "reduced": "reduced", "none": "unconfined"}
_GRACE_S = 60.0
"""For starting, killing and harvesting, on top of the run's own time."""
_SYSTEM = (
    *("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/alternatives", "/etc/fonts"),
    # Not /usr itself: people work in /usr/src.
    *("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec"),
    *("/usr/include", "/usr/share", "/usr/local/bin", "/usr/local/sbin", "/usr/local/lib"),
    *("/usr/local/lib64", "/usr/local/include", "/usr/local/share"),
)
_OF_PYTHON = ("bin", "include", "lib", "lib64", "pyvenv.cfg")
"""What a script needs of the folder that a Python is installed in."""
_MIB = 1 << 20
_KILLED, _OUT_OF_CPU = -9, -24

Limit = Literal["time", "memory", "disk", "processes"]
# What Python and the libraries say last when a limit stops them. A script could say so itself; all
# it would earn is the neutral reward of doing nothing.
_SAID: dict[Limit, re.Pattern[str]] = {
    "memory": re.compile(
        r"^(\S*MemoryError\b|OSError: \[Errno 12\])|can't allocate memory|std::bad_alloc", re.M
    ),
    "disk": re.compile(
        r"^\S+: \[Errno (28|27|122)\]|No space left on device|File too large"
        r"|requested and \d+ written|PytorchStreamWriter failed writing",
        re.M,
    ),
    "processes": re.compile(r"can't start new thread|^BlockingIOError: \[Errno 11\]", re.M),
}
_LAST_LINES = 5


class ColdBox:
    """A workspace in memory; each run gets a confined copy and hands back what it left.

    Nothing is confined by trust in an earlier test: a step of the confinement that fails ends the
    run before the script starts.
    """

    def __init__(self, snapshots: Snapshots, *, data: Path | None = None, tier: Tier = "strong"):
        """Start with an empty workspace.

        Args:
            snapshots: Where states are kept.
            data: Folder shown read-only as data/. Run by root, scripts are nobody: its files must
                be readable by all.
            tier: How runs are isolated: what `choose_tier` returned.

        Raises:
            UsageError: There is no such tier.
            SandboxError: `data` is no folder, or a script could not read it.
        """
        if tier not in get_args(Tier):
            raise UsageError(
                f"there is no tier {tier!r}; choose one of {', '.join(get_args(Tier))}"
            )
        self.tier: Tier = tier
        self._snapshots = snapshots
        self._workspace = Workspace(data)
        if data is not None and os.geteuid() == 0 and data.stat().st_mode & 0o005 != 0o005:
            raise SandboxError(
                f"{data} is closed to other users, and scripts run as nobody when root starts "
                f"them: chmod -R a+rX {data}"
            )

    def run(self, argv: Sequence[str], *, limits: Limits, cores: Collection[int] = ()) -> Execution:
        """See `Sandbox.run`. Takes up to 128 MiB of files of at most 64 MiB each from a run.

        Raises:
            NoIsolation: This machine does not allow the confinement.
            SandboxError: The box itself failed.
        """
        request: dict[str, Any] = {
            "argv": [sys.executable, *argv],
            "environment": environment(limits.threads),
            "files": self._workspace.files,
            "data": str(self._workspace.data) if self._workspace.data else None,
            "visible": list(_visible()),
            "hidden": _hidden(),
            "links": _links(),
            "wall_s": limits.wall_s,
            "cpu_s": limits.cpu_s,
            "memory_bytes": limits.memory_mib * _MIB,
            "disk_bytes": limits.disk_mib * _MIB,
            "processes": limits.processes,
            "output_bytes": limits.output_kib * 1024,
            "threads": limits.threads,
            "cores": sorted(cores),
        }
        timeout_s = limits.wall_s + _GRACE_S
        if self.tier == "strong":
            reply = self._serve(request, timeout_s=timeout_s)
        else:
            with scratch_folder() as folder:
                reply = self._serve(request | {"scratch": str(folder)}, timeout_s=timeout_s)
        if "refused" in reply:
            raise no_isolation(reply["refused"], tier=self.tier)
        if "failed" in reply:
            raise SandboxError(f"the box could not be started: {reply['failed']}")
        self._workspace.replace(reply["files"])
        return _observed(reply, limits, self.tier)

    def read(self, path: str) -> bytes | None:
        """See `Sandbox.read`."""
        return self._workspace.read(path)

    def write(self, path: str, content: bytes) -> None:
        """See `Sandbox.write`."""
        self._workspace.write(path, content)

    def names(self, folder: str = ".") -> list[str] | None:
        """See `Sandbox.names`."""
        return self._workspace.names(folder)

    def snapshot(self) -> str:
        """See `Sandbox.snapshot`."""
        return self._snapshots.save(self._workspace.files)

    def restore(self, digest: str) -> None:
        """See `Sandbox.restore`."""
        self._workspace.replace(self._snapshots.load(digest))

    def close(self) -> None:
        """See `Sandbox.close`."""
        self._workspace.replace({})

    def _serve(self, request: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Have a request answered by a launcher (see `confinement.launch`)."""
        command = program(_LAUNCHERS[self.tier])
        pipe = subprocess.PIPE
        # A session of its own: Ctrl-C in the terminal is for us, and we end the launcher.
        with subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env={}, cwd="/", start_new_session=True
        ) as launcher:
            try:
                reply, complaint = launcher.communicate(marshal.dumps(request), timeout=timeout_s)
            except BaseException as error:
                # A strong box dies with its launcher; what is left of others is ended.
                launcher.kill()
                end_session(launcher.pid)
                if isinstance(error, subprocess.TimeoutExpired):
                    raise SandboxError(
                        f"the launcher did not answer for {timeout_s:.0f} s"
                    ) from error
                raise
        if launcher.returncode != 0:
            end_session(launcher.pid)
            said = complaint.decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise SandboxError(f"the launcher died with {launcher.returncode}: {said[-1]}")
        return unframed(reply)


def program(module: str) -> list[str]:
    """The command of a program of `confinement`, which needs no installed package."""
    code = f"import sys; sys.path.append({str(_PACKAGE)!r}); "
    code += f"from confinement.{module} import main; main()"
    return [sys.executable, "-I", "-S", "-c", code]


def unframed(reply: bytes) -> dict[str, Any]:
    """What a launcher said.

    Raises:
        SandboxError: It was killed before it had said everything.
    """
    if len(reply) < 8 or len(reply) - 8 != int.from_bytes(reply[:8], "little"):
        raise SandboxError(f"the reply of a box was cut off after {len(reply)} bytes")
    said: dict[str, Any] = marshal.loads(reply[8:])
    return said


def _observed(reply: dict[str, Any], limits: Limits, tier: Tier) -> Execution:
    output = reply["output"].decode(errors="replace")
    status: int = reply["status"]
    killed_by: Limit | None = reply["killed_by"]
    if killed_by is None and status in {_KILLED, _OUT_OF_CPU}:
        # Not by us: by the kernel, at the processor limit or because the machine ran out of memory.
        killed_by = "time" if reply["cpu_s"] >= 0.9 * limits.cpu_s else "memory"
    exit_code = None if killed_by else status
    if exit_code:
        killed_by = _blamed(output) or ("disk" if reply["full"] else None)
    return Execution(
        exit_code=exit_code,
        killed_by=killed_by,
        output=output,
        wall_s=reply["wall_s"],
        cpu_s=reply["cpu_s"],
        tier=tier,
    )


def _blamed(output: str) -> Limit | None:
    """The limit that a crashed script names in its last words."""
    last = "\n".join([line for line in output.splitlines() if line.strip()][-_LAST_LINES:])
    return next((limit for limit, said in _SAID.items() if said.search(last)), None)


def environment(threads: int = 1) -> dict[str, str]:
    """All that a script finds in its environment.

    Args:
        threads: How many its numerical libraries are to use.
    """
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": "/tmp",
        "TMPDIR": "/tmp",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "MPLBACKEND": "Agg",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        # What a script printed before it was killed must not wait in its buffer.
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "LOKY_MAX_CPU_COUNT": str(threads),
        # pandas imports pyarrow where it is installed, whose allocator would start a thread: a
        # process with threads cannot be forked safely.
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
    }


@functools.cache
def _visible() -> tuple[str, ...]:
    """The system's libraries and this interpreter, wherever it is installed.

    Never a whole prefix: it may be somebody's home or project (~/.local, `python -m venv .`).
    """
    wanted: list[Path] = []
    for path in _places():
        # A link (/lib -> usr/lib) is made again in the box, not mounted.
        if path.exists() and not path.is_symlink() and not _is_in(wanted, path):
            wanted.append(path)
    python = Path(sys.executable).resolve()
    if not _is_in(wanted, python):
        wanted.append(python)
    return tuple(map(str, wanted))


@functools.cache
def _links() -> dict[str, str]:
    """Links that lead to what is visible, by their paths.

    A virtual environment's python is a chain of them, which may pass through somebody's ~/bin.
    """
    found = {path: path.readlink() for path in _places() if path.is_symlink()}
    stop, python = Path(sys.executable), Path(sys.executable).resolve()
    while stop != python:
        # A stop that is no link itself lies in a folder that is one.
        target = stop.readlink() if stop.is_symlink() else python
        found.setdefault(stop, target)
        stop = Path(os.path.normpath(stop.parent / target))
    shown = list(map(Path, _visible()))
    # Relative, as they are made where the box's root is a folder still.
    return {
        str(path): os.path.relpath(path.parent / target, path.parent)
        for path, target in found.items()
        if not _is_in(shown, path)
    }


def _places() -> list[Path]:
    prefixes = dict.fromkeys([sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix)])
    own = [Path(prefix, part) for prefix in prefixes for part in _OF_PYTHON]
    return [*map(Path, _SYSTEM), *own]


def _is_in(folders: list[Path], path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _hidden() -> list[str]:
    """What may lie inside a visible folder and is no business of a script.

    The package's own folder holds the reference solutions, the cache the labels.
    """
    shown = list(map(Path, _visible()))
    secret = (Path(ml_agent.__file__).parent.resolve(), cache_home())
    return [str(path) for path in secret if path.is_dir() and _is_in(shown, path)]
