"""What namespaces would do by themselves: nobody outlives a run, and nothing is left of it."""

import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from uuid import uuid4

import pytest
from box_conformance import SMALL, but, play
from canaries import attack, is_running, wait_for
from own_python import attack_from, own_python
from processes import children
from reachable import open_python

from ml_agent.core.errors import NoIsolation, SandboxError, UsageError
from ml_agent.sandbox import ColdBox, Snapshots, Tier
from ml_agent.sandbox.confinement import scratch
from ml_agent.sandbox.leftovers import end_session, scratch_folder

DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in range(3):
            os.close(fd)
        time.sleep(1)
        open("late.txt", "w").close()
        time.sleep(60)
    os._exit(0)
os.wait()
"""

CHAIN = """
import os, time
if os.fork() == 0:
    os.setpgid(0, 0)
    for _ in range(60):
        if os.fork():
            os._exit(0)
        time.sleep(0.002)
    time.sleep(60)
time.sleep(60)
"""
"""A look at all processes may come too late for each of them."""


@pytest.fixture(scope="module", autouse=True)
def reachable() -> Iterator[None]:
    with open_python():
        yield


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where scratch folders are made; nothing may be in there afterwards."""
    assert tmp_path.exists()  # Made before, or it would be made in there.
    with tempfile.TemporaryDirectory(prefix="ml-agent-", dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)
        assert list(Path(name).iterdir()) == []


@pytest.fixture
def box(snapshots: Snapshots) -> ColdBox:
    return ColdBox(snapshots, tier="reduced")


@pytest.mark.parametrize("tier", ["reduced", "none"])
def test_a_daemon_ends_with_its_run(snapshots: Snapshots, tier: Tier) -> None:
    box = ColdBox(snapshots, tier=tier)
    box.write("script.py", DAEMON.encode())
    token = f"daemon-{uuid4().hex}"
    seen = box.run(("script.py", token), limits=SMALL)
    assert (seen.succeeded, seen.tier) == (True, tier)
    assert not is_running(token)
    assert box.read("late.txt") is None


def test_processes_that_hand_over_to_each_other_are_found_all_the_same() -> None:
    for _ in range(12):
        token = f"chain-{uuid4().hex}"
        call = [sys.executable, "-S", "-c", CHAIN, token]
        with subprocess.Popen(call, start_new_session=True) as leader:
            wait_for(lambda token=token: is_running(token))
            time.sleep(0.06)
            leader.kill()
        end_session(leader.pid)
        assert not is_running(token)


def test_all_of_a_script_goes_with_a_launcher_that_is_killed(box: ColdBox) -> None:
    box.write("script.py", (DAEMON + "time.sleep(60)").encode())
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
    wait_for(lambda: len(_named(token)) == 2)
    (launcher,) = children(os.getpid()) - others
    os.kill(launcher, signal.SIGKILL)
    thread.join(timeout=10)
    assert [str(error) for error in errors] == ["the launcher died with -9: it said nothing"]
    assert not is_running(token)


def test_all_of_a_script_goes_with_a_caller_that_is_killed(temporary: Path, tmp_path: Path) -> None:
    token = f"widow-{uuid4().hex}"
    script = f"""
        import tempfile
        from pathlib import Path
        from ml_agent.core.records import Limits
        from ml_agent.sandbox import ColdBox, Snapshots
        tempfile.tempdir = {str(temporary)!r}
        box = ColdBox(Snapshots(Path("unused")), tier="reduced")
        box.write("script.py", {(DAEMON + "time.sleep(60)").encode()!r})
        box.run(("script.py", {token!r}), limits=Limits())
        """
    (tmp_path / "caller.py").write_text(dedent(script))
    with subprocess.Popen([sys.executable, str(tmp_path / "caller.py")]) as caller:
        wait_for(lambda: len(_named(token)) == 2)
        caller.kill()
    wait_for(lambda: not is_running(token))
    wait_for(lambda: list(temporary.iterdir()) == [])


def test_a_program_that_may_not_be_read_hides_nothing(box: ColdBox) -> None:
    # Its list of open files is closed, and so the removed one that it fills could not be seen.
    box.write(
        "script.py",
        rb"""
import os, shutil
made = os.open("sh", os.O_CREAT | os.O_WRONLY, 0o111)
with open("/bin/sh", "rb") as source, open(made, "wb") as target:
    shutil.copyfileobj(source, target)
fill = "exec 3>f; rm f; x=$(printf '%65536s' x); while :; do echo \"$x\" >&3; done"
os.execv("./sh", ["sh", "-c", fill])
""",
    )
    assert box.run(("script.py",), limits=SMALL).killed_by == "disk"


@pytest.mark.parametrize("tier", ["reduced", "none"])
def test_a_folder_however_deep_closed_or_linked_is_removed(
    snapshots: Snapshots, tier: Tier, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("kept")
    box = ColdBox(snapshots, tier=tier)
    attack(
        box,
        f"""
        os.symlink({str(tmp_path)!r}, "link")
        for _ in range(900):
            os.mkdir("d")
            os.chdir("d")
        open("deep", "w").close()
        """,
    )
    assert box.names() == ["script.py"]
    assert (tmp_path / "kept").read_text() == "kept"


def test_a_folder_that_cannot_be_looked_into_ends_the_run(box: ColdBox) -> None:
    seen = play(box, "import os, time\nos.mkdir('closed', 0o300)\ntime.sleep(60)")
    assert (seen.exit_code, seen.killed_by) == (None, "disk")


def test_what_two_kills_left_behind_is_removed_later(temporary: Path) -> None:
    left, young, used = (temporary / f"ml-agent-box-{name}" for name in ("left", "young", "used"))
    for folder in (left, young, used):
        (folder / "box" / "closed").mkdir(parents=True)
        (folder / "box" / "closed").chmod(0)
    for folder in (left, used):
        os.utime(folder, (0, 0))
    with subprocess.Popen(
        ["flock", str(used), "sh", "-c", "echo locked; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with scratch_folder() as folder:
            assert {young, used, folder} == set(temporary.iterdir())
        holder.communicate(b"")
    for folder in (young, used):
        scratch.remove(str(folder))


def test_what_is_hidden_inside_a_visible_folder_cannot_be_read() -> None:
    with own_python() as prefix:
        libraries = prefix / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
        (libraries / "library.py").write_text("print('imported')")
        home = prefix / "lib" / "cache"
        (home / "tasks").mkdir(parents=True)
        (home / "tasks" / "valid.csv").write_text("id,label\n")
        (prefix / "lib" / "cache-beside").write_text("beside")
        lines = attack_from(
            prefix,
            f"""
            home = {str(home)!r}
            attempt("read", lambda: open(home + "/tasks/valid.csv").read())
            attempt("run", lambda: os.execv(home + "/tasks/valid.csv", ["x"]))
            attempt("write", lambda: open(home + "/tasks/new", "w"))
            attempt("beside", lambda: open(home + "-beside").read())
            # The known gap: listing the way to it cannot be allowed without listing it.
            attempt("list", lambda: os.listdir(home + "/tasks"))
            import library
            """,
            tier="reduced",
            home=home,
        )
    assert lines == [
        *("read 13", "run 13", "write 13"),
        *("beside SUCCEEDED beside", "list SUCCEEDED ['valid.csv']", "imported"),
    ]


def test_data_that_scripts_cannot_reach_is_shown_as_a_copy(
    snapshots: Snapshots, tmp_path: Path
) -> None:
    data = tmp_path / "closed" / "data"
    (data / "images").mkdir(parents=True)
    (data / "images" / "0.png").write_bytes(b"png")
    (data / "link").symlink_to("images/0.png")
    (tmp_path / "closed").chmod(0o700)
    box = ColdBox(snapshots, data=data, tier="reduced")
    lines = attack(
        box,
        """
        print(open("data/images/0.png").read(), open("data/link").read())
        attempt("write", lambda: open("data/images/0.png", "w"))
        attempt("add", lambda: open("data/new", "w"))
        """,
    )
    assert lines == ["png png", "write 13", "add 13"]


def test_events_and_shared_things_of_the_user_are_out_of_reach(box: ColdBox) -> None:
    lines = attack(
        box,
        """
        names = ("inotify", "shmctl", "semctl", "semop", "msgctl", "msgsnd", "mq_unlink", "ioprio")
        x86, arm = (294, 31, 66, 65, 71, 69, 241, 251), (26, 195, 191, 193, 187, 189, 181, 30)
        for name, number in zip(names, dict(x86_64=x86, aarch64=arm)[os.uname().machine]):
            attempt(name, lambda: call(number, 0, 0, 0, 0, 0))
        """,
    )
    assert [line.split()[-1] for line in lines] == ["13"] * 8


def test_a_script_may_still_set_what_is_its_own(box: ColdBox) -> None:
    lines = attack(
        box,
        """
        import resource
        attempt("limits", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
        attempt("cores", lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)))
        before = os.nice(0)
        attempt("nice", lambda: os.nice(1) - before)
        child = os.fork()
        if child == 0:
            time.sleep(60)
        attempt("signal", lambda: os.kill(child, 9))
        print(os.waitstatus_to_exitcode(os.wait()[1]))
        """,
    )
    assert lines == [
        *("limits SUCCEEDED None", "cores SUCCEEDED None", "nice SUCCEEDED 1"),
        *("signal SUCCEEDED None", "-9"),
    ]


def test_others_of_the_same_user_do_not_use_up_the_limit_of_processes(box: ColdBox) -> None:
    sleeps = "import threading, time; [threading.Thread(target=time.sleep, args=(30,)).start() "
    sleeps += "for _ in range(30)]; print('ready', flush=True); time.sleep(30)"
    user = 65534 if os.geteuid() == 0 else None
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", sleeps], stdout=subprocess.PIPE, user=user
    ) as neighbour:
        assert neighbour.stdout is not None
        neighbour.stdout.readline()
        lines = attack(
            box,
            """
            import threading
            started = 0
            try:
                while True:
                    threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
                    started += 1
            except RuntimeError:
                print(started)
            """,
            processes=8,
        )
        neighbour.kill()
    assert lines == ["7"]


def test_a_folder_that_is_in_the_way_of_nobody_is_refused_with_the_fix(
    snapshots: Snapshots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(closed))
    box = ColdBox(snapshots, tier="reduced")
    if os.geteuid() != 0:
        # Only root runs scripts as somebody else.
        assert play(box, "pass").succeeded
        return
    with pytest.raises(NoIsolation, match=r"is closed to nobody: chmod a\+x /"):
        play(box, "pass")


def test_a_plain_run_keeps_time_output_and_files(snapshots: Snapshots) -> None:
    box = ColdBox(snapshots, tier="none")
    seen = play(
        box,
        "print('started'); open('part.txt', 'w').write('half')\nwhile True: pass",
        limits=but(wall_s=0.5),
    )
    assert (seen.killed_by, seen.output, seen.tier) == ("time", "started\n", "none")
    assert box.read("part.txt") == b"half"


def test_there_are_three_tiers(snapshots: Snapshots) -> None:
    with pytest.raises(UsageError, match="choose one of strong, reduced, none"):
        ColdBox(snapshots, tier="weak")  # type: ignore[arg-type]


def _named(token: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if token.encode() in words and words[1] == b"script.py":
                found.append(int(entry.name))
        except (OSError, IndexError):
            continue
    return found
