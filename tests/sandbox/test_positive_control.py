"""The attacks of the suite succeed where there is no box: a test that cannot fail is noticed here.

Only what harms nobody is done on the bare machine: to a canary's own files, sockets and process.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from uuid import uuid4

import attacks
import pytest
from canaries import ATTEMPT, Outside, is_running, outside, wait_for

__all__ = ["outside"]

Script = Callable[[Outside], str]

CONTROLS: list[tuple[Script, str]] = [
    *((attacks.look_for_labels, name) for name in ("beside", "absolute", "list", "stat", "above")),
    *((attacks.look_around, name) for name in ("var", "sockets", "space", "go there", "run")),
    *((attacks.follow_proc, name) for name in ("self/root", "thread-self/root")),
    *((attacks.take_labels, name) for name in ("hard link", "symbolic link", "rename")),
    (attacks.read_secrets, "own environment"),
    (attacks.read_secrets, "another's environment"),
    (attacks.read_secrets, "handle"),
    *((attacks.stop_others, name) for name in ("ask", "parent", "kill")),
    *((attacks.write_outside, name) for name in ("new file", "new folder", "labels")),
    *((attacks.change_data, name) for name in ("mode", "time", "append", "truncate", "create")),
    (attacks.change_data, "unlink"),
    *((attacks.use_the_network, name) for name in ("tcp", "udp", "netlink", "connect")),
    (attacks.connect_by_path, "path"),
    (attacks.connect_by_abstract_name, "abstract"),
    *((attacks.take_uncounted_memory, name) for name in ("memory file", "shared memory", "zeroes")),
]
TOUCHING = {"rename", "kill", "new file", "new folder", "labels", "truncate", "create", "unlink"}
TOUCHING |= {"connect", "path"}
"""What the canary must notice as well."""


@pytest.fixture
def workspace(outside: Outside, tmp_path: Path) -> Iterator[Path]:
    """A plain folder, on the file system of the canary's so that links can be made."""
    folder = outside.folder.with_name(outside.folder.name + "-naked")
    folder.mkdir()
    (folder / "data").symlink_to(outside.data)
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def run_naked(folder: Path, script: str, *argv: str) -> list[str]:
    """Run a script with nothing around it and return what it printed."""
    (folder / "script.py").write_text(script)
    seen = subprocess.run(
        [sys.executable, "script.py", *argv],
        cwd=folder,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return seen.stdout.splitlines()


@pytest.mark.parametrize(("script", "name"), CONTROLS)
def test_without_a_box_the_attack_succeeds(
    script: Script, name: str, outside: Outside, workspace: Path
) -> None:
    lines = run_naked(workspace, ATTEMPT + dedent(script(outside)))
    assert [line for line in lines if line.startswith(f"{name} SUCCEEDED")], lines
    if name in TOUCHING:
        wait_for(outside.was_touched)


def test_without_a_box_a_daemon_outlives_its_run(workspace: Path) -> None:
    token = f"control-{uuid4().hex}"
    try:
        run_naked(workspace, attacks.OUTLIVE_THE_RUN, token)
        assert is_running(token)
        wait_for((workspace / "late.txt").exists)
    finally:
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if token.encode() in entry.read_bytes():
                    os.kill(int(entry.parent.name), signal.SIGKILL)


def test_without_a_box_the_next_run_finds_what_the_last_one_left(workspace: Path) -> None:
    token = f"control-{uuid4().hex}"
    run_naked(workspace, ATTEMPT + attacks.LEAVE_SOMETHING, token)
    assert run_naked(workspace, ATTEMPT + attacks.FIND_IT, token) == [
        "/tmp SUCCEEDED None",
        "/dev/shm SUCCEEDED None",
    ]
