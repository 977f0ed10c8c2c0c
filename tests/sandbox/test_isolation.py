import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from reachable import open_python

from ml_agent.core.errors import NoIsolation
from ml_agent.core.records import Execution, Limits
from ml_agent.sandbox import ColdBox, Snapshots, choose_tier
from ml_agent.sandbox.isolation import attack
from ml_agent.sandbox.refusal import no_isolation


def test_isolation_is_strong_where_the_tests_run() -> None:
    assert choose_tier("auto") == choose_tier("strong") == "strong"


def test_reduced_is_what_one_gets_who_asks_for_it() -> None:
    with open_python():
        assert choose_tier("reduced") == "reduced"


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
    token = f"control-{uuid4().hex}"
    try:
        harm = attack(box, token)
    finally:
        (Path(sys.prefix) / token).unlink(missing_ok=True)
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if token.encode() in entry.read_bytes():
                    os.kill(int(entry.parent.name), signal.SIGKILL)
    if os.geteuid() == 0:
        # Others have a limit of their own, which may be lower.
        assert "started more processes than allowed" in harm
    assert set(harm) >= {
        "read a file outside",
        "wrote a file outside",
        "reached the network",
        "signalled a process outside",
        "killed a process outside",
        "reached a socket outside",
        "reached an abstract socket outside",
        "connected to a socket outside",
        "inspected a process outside",
        "changed a file outside",
        "outlived the run",
    }


def chosen(wanted: str, world: Sequence[str], *, in_container: bool = True) -> str:
    """What is chosen in a world (see `worlds`), or the last line that was said instead."""
    code = "from ml_agent.sandbox import choose_tier, refusal\n"
    code += "" if in_container else "refusal._MARKS = ()\n"
    code += f"print(choose_tier({wanted!r}))"
    with open_python():
        seen = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("worlds.py")), *world, code],
            capture_output=True,
            text=True,
            check=False,
        )
    if seen.returncode == 77:
        pytest.skip(f"no such world can be made here: {seen.stderr}")
    return (seen.stdout + seen.stderr).strip().splitlines()[-1]


@pytest.mark.parametrize("world", [["docker"], ["no-namespaces"]])
def test_without_namespaces_the_reduced_tier_is_there_for_whoever_asks(world: list[str]) -> None:
    assert chosen("reduced", world) == "reduced"
    assert chosen("none", world) == "none"


def test_inside_a_container_the_reduced_tier_needs_no_asking() -> None:
    assert chosen("auto", ["docker"]) == "reduced"


def test_processes_of_the_same_user_that_end_during_the_test_are_no_leak(tmp_path: Path) -> None:
    token = f"control-{uuid4().hex}"
    neighbour = """
import contextlib, os, sys, threading, time
for _ in range(20):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
print("ready", flush=True)
while True:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline") as command:
            if os.environ["TOKEN"] in command.read():
                os._exit(0)
"""
    with (
        open_python(),
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", neighbour],
            stdout=subprocess.PIPE,
            user=65534 if os.geteuid() == 0 else None,
            env={"TOKEN": token},
        ) as others,
    ):
        assert others.stdout is not None
        others.stdout.readline()
        assert attack(ColdBox(Snapshots(tmp_path), tier="reduced"), token) == []
        assert others.wait() == 0


@pytest.mark.parametrize("wanted", ["auto", "strong"])
def test_elsewhere_it_is_refused_with_the_fix(wanted: str) -> None:
    said = chosen(wanted, ["no-namespaces"], in_container=False)
    assert said.startswith("ml_agent.core.errors.NoIsolation: scripts cannot be isolated")
    assert "new namespaces" in said
    assert "sudo sysctl -w user.max_user_namespaces=15000." in said
    assert said.endswith("--sandbox reduced")


def test_a_container_that_shall_be_strong_is_refused_with_the_fix() -> None:
    said = chosen("strong", ["docker"])
    assert "NoIsolation: scripts cannot be isolated" in said
    assert said.endswith("--sandbox reduced")


def test_an_old_kernel_is_refused_even_the_reduced_tier() -> None:
    said = chosen("reduced", ["docker", "no-landlock"])
    assert "Landlock has version 0 here" in said
    assert "Linux 6.12" in said


def test_a_container_where_neither_holds_is_told_both_reasons_and_the_better_fix_first() -> None:
    said = chosen("auto", ["docker", "no-landlock"])
    assert said.index("--security-opt seccomp=unconfined") < said.index("Landlock has version 0")


def test_a_refusal_says_what_was_found_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    error = no_isolation("this is darwin")
    assert isinstance(error, NoIsolation)
    assert str(error) == (
        "scripts cannot be isolated on this machine (this is darwin). "
        "Isolation needs Linux: run this in a Linux container or virtual machine."
    )
