import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from box_conformance import SMALL
from canaries import is_running, wait_for
from processes import children

from ml_agent.core.errors import SandboxError
from ml_agent.sandbox import ColdBox, Snapshots, cold
from ml_agent.sandbox.confinement import calls, seccomp
from ml_agent.sandbox.confinement.supervise import Output

FOLDER = Path(cold.__file__).parent


def _headers() -> Iterator[tuple[str, Path]]:
    machine = os.uname().machine
    yield machine, Path(f"/usr/include/{machine}-linux-gnu/asm/unistd_64.h")
    yield "aarch64", Path("/usr/include/asm-generic/unistd.h")


@pytest.mark.parametrize(("machine", "header"), list(_headers()))
def test_call_numbers_are_those_of_the_kernels_headers(machine: str, header: Path) -> None:
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)\b", header.read_text()))
    column = list(seccomp._ARCHITECTURES).index(machine)
    tables = seccomp._REFUSED | seccomp._NOT_IMPLEMENTED | calls._REFUSED | calls._PRETENDED
    ours = {name: numbers[column] for name, numbers in tables.items()}
    ours |= seccomp._WATCHED[machine] | calls._WATCHED[machine]
    known = {name: number for name, number in ours.items() if name in found}
    assert len(known) > 50
    assert known == {name: int(found[name]) for name in known}


@pytest.mark.parametrize("launcher", ["launch", "reduced", "unconfined"])
def test_a_launcher_starts_without_installed_packages_and_imports_nothing_slow(
    launcher: str,
) -> None:
    script = f"import sys; sys.path.append({str(FOLDER)!r}); import confinement.{launcher}; "
    script += "print(*sys.modules)"
    seen = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
    )
    slow = {"typing", "json", "enum", "dataclasses", "re", "socket", "pathlib", "pydantic"}
    assert not slow & set(seen.stdout.split())


def test_a_process_can_be_confined_after_a_fork_and_go_on(tmp_path: Path) -> None:
    script = f"""
import os, sys
sys.path.append({str(FOLDER)!r})
from confinement import linux
from confinement.box import Box
from confinement.confine import confine, map_user

box = Box(argv=[], environment={{}}, files={{"a.txt": b"1"}}, data=None, visible=["/usr"],
    hidden=[], links={{}}, wall_s=10, cpu_s=10, memory_bytes=1 << 28, disk_bytes=1 << 20,
    processes=8, output_bytes=9)
waiting, go = os.pipe()
pid = linux.fork_into(linux.NEW_NAMESPACES)
if pid:
    map_user(pid)
    os.write(go, b"1")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
os.read(waiting, 1)
confine(box, hand_over=lambda fd: print(os.listdir("/proc/self/fd") != []))
print(os.getpid(), os.getuid(), os.getcwd(), os.listdir("."), os.path.exists({str(tmp_path)!r}))
print(open("/proc/self/comm").read().strip() != "")
"""
    seen = subprocess.run(
        [sys.executable, "-I", "-S", "-u", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert seen.stderr == ""
    assert seen.stdout == "True\n1 1000 /box ['a.txt'] False\nTrue\n"


def test_output_up_to_the_cap_is_whole() -> None:
    kept = Output(10)
    for chunk in (b"01", b"234567", b"89"):
        kept.add(chunk)
    assert kept.text() == b"0123456789"
    kept.add(b"abc")
    assert kept.text() == b"01234\n... 3 bytes of output cut ...\n89abc"


def test_a_launcher_that_dies_is_our_error_and_takes_the_script_along(
    snapshots: Snapshots,
) -> None:
    box = ColdBox(snapshots)
    box.write("script.py", b"import time; time.sleep(60)")
    token = f"orphan-{uuid4().hex}"
    errors: list[Exception] = []

    def run() -> None:
        try:
            box.run(("script.py", token), limits=SMALL)
        except SandboxError as error:
            errors.append(error)

    others = children(os.getpid())
    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: is_running(token))
    (launcher,) = children(os.getpid()) - others
    os.kill(launcher, signal.SIGKILL)
    thread.join(timeout=10)
    assert [str(error) for error in errors] == ["the launcher died with -9: it said nothing"]
    wait_for(lambda: not is_running(token))
    assert box.read("script.py") == b"import time; time.sleep(60)"


def test_a_script_does_not_outlive_a_caller_that_was_killed(tmp_path: Path) -> None:
    token = f"widow-{uuid4().hex}"
    script = f"""
from pathlib import Path
from ml_agent.core.records import Limits
from ml_agent.sandbox import ColdBox, Snapshots
box = ColdBox(Snapshots(Path({str(tmp_path)!r})))
box.write("script.py", b"import time; time.sleep(60)")
box.run(("script.py", {token!r}), limits=Limits())
"""
    (tmp_path / "caller.py").write_text(script)
    with subprocess.Popen([sys.executable, str(tmp_path / "caller.py")]) as caller:
        wait_for(lambda: is_running(token))
        caller.kill()
    wait_for(lambda: not is_running(token))
