import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from ml_agent.core.errors import NoIsolation
from ml_agent.core.records import Execution, Limits
from ml_agent.sandbox import ColdBox, Snapshots, isolation
from ml_agent.sandbox.isolation import attack
from ml_agent.sandbox.refusal import no_isolation


def test_isolation_is_strong_where_the_tests_run() -> None:
    assert isolation() == "strong"


class NakedBox(ColdBox):
    """A box without walls: the positive control."""

    folder: Path

    def run(self, argv: Sequence[str], *, limits: Limits, cores: Collection[int] = ()) -> Execution:
        (self.folder / argv[0]).write_bytes(self.read(argv[0]) or b"")
        # A file, not a pipe: the daemon would hold it open.
        with (self.folder / "output").open("wb") as output:
            command = [sys.executable, "-u", *argv]
            subprocess.run(command, cwd=self.folder, stdout=output, check=True)
        seen = (self.folder / "output").read_text()
        return Execution(exit_code=0, output=seen, wall_s=0.0, cpu_s=0.0)


def test_the_test_notices_a_box_without_walls(tmp_path: Path) -> None:
    box = NakedBox(Snapshots(tmp_path / "snapshots"))
    box.folder = tmp_path
    token = f"control-{os.getpid()}"
    try:
        harm = attack(box, token)
    finally:
        (Path(sys.prefix) / token).unlink(missing_ok=True)
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if token.encode() in entry.read_bytes():
                    os.kill(int(entry.parent.name), signal.SIGKILL)
    assert set(harm) >= {
        "read a file outside",
        "wrote a file outside",
        "reached the network",
        "signalled a process outside",
        "killed a process outside",
        "connected to a port outside",
        "outlived the run",
    }


def test_without_namespaces_it_is_refused_with_the_fix() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("util-linux is not installed")
    script = (
        "from ml_agent.sandbox import isolation\n"
        "open('/proc/sys/user/max_user_namespaces', 'w').write('0')\n"
        "isolation()"
    )
    seen = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    last = seen.stderr.splitlines()[-1]
    assert last.startswith("ml_agent.core.errors.NoIsolation: scripts cannot be isolated")
    assert "new namespaces" in last
    assert last.endswith("sudo sysctl -w user.max_user_namespaces=15000")


def test_a_refusal_says_what_was_found_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    error = no_isolation("this is darwin")
    assert isinstance(error, NoIsolation)
    assert str(error) == (
        "scripts cannot be isolated on this machine (this is darwin). "
        "Isolation needs Linux: run this in a Linux container or virtual machine."
    )
