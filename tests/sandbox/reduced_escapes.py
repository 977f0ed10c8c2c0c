"""Attacks that meet another answer in the reduced tier; `test_reduced_box.DIFFERENCES` says why."""

import os
import threading
import time
from pathlib import Path
from uuid import uuid4

import attacks
from box_conformance import SMALL, MakeBox, play
from box_escapes import BoxEscapes
from canaries import Outside, attack

from ml_agent.core.records import Execution
from ml_agent.sandbox import Sandbox


class ReducedEscapes(BoxEscapes):
    def test_01_labels_beside_the_data_are_not_there(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(
            box,
            f"""
            answers, folder = {str(outside.answers)!r}, {str(outside.folder)!r}
            attempt("beside", lambda: open("data/../private/answers.csv").read())
            attempt("absolute", lambda: open(answers).read())
            attempt("write", lambda: open(answers, "r+"))
            attempt("list", lambda: os.listdir(folder))
            attempt("above", lambda: open("/.." + answers).read())
            attempt("stat", lambda: os.stat(answers).st_size)
            """,
        )
        names = ("beside", "absolute", "write", "list", "above")
        assert lines == [*(f"{name} 13" for name in names), "stat SUCCEEDED 16"]
        assert not outside.was_touched()

    def test_02_no_folder_above_the_labels_leads_to_them(
        self, box: Sandbox, outside: Outside
    ) -> None:
        lines = attack(
            box,
            f"""
            parts = {list(outside.answers.parts)!r}
            for depth in range(1, len(parts)):
                path = os.path.join(*parts[:depth])
                attempt("list", lambda: os.listdir(path))
            os.chdir(os.path.join(*parts[:-1]))
            attempt("list", lambda: os.listdir("."))
            attempt("read", lambda: open(parts[-1]).read())
            """,
        )
        assert set(lines) == {"list 13", "read 13"}

    def test_03_proc_leads_nowhere_else(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(
            box,
            f"""
            for root in ("1/root", "self/root", "self/cwd" + "/.." * 12, "thread-self/root"):
                attempt(root, lambda: open("/proc/" + root + {str(outside.answers)!r}).read())
            attempt("list", lambda: os.listdir("/proc"))
            attempt("net", lambda: open("/proc/self/net/unix").read())
            attempt("mounts", lambda: open("/proc/self/mountinfo").read())
            """,
        )
        assert [line.split()[-1] for line in lines] == ["13"] * 7

    def test_04_links_to_the_outside_are_not_taken_out(
        self, box: Sandbox, outside: Outside
    ) -> None:
        lines = attack(
            box,
            f"""
            answers = {str(outside.answers)!r}
            os.symlink(answers, "submission.csv")
            os.symlink("/", "root")
            attempt("through", lambda: open("submission.csv").read())
            attempt("hard link", lambda: os.link(answers, "hard"))
            attempt("rename", lambda: os.rename(answers, "moved"))
            attempt("link to data", lambda: os.link("data/train.csv", "train"))
            """,
        )
        assert lines == ["through 13", "hard link 18", "rename 13", "link to data 18"]
        assert box.names() == ["data/", "script.py"]
        assert not outside.was_touched()

    def test_05_there_is_no_home_and_nothing_of_the_host(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            print(os.environ["HOME"] == os.environ["TMPDIR"], os.listdir(os.environ["HOME"]))
            for path in ("/etc", "/root", "/home", "/var", "/sys", "/run", "/tmp", "/dev/shm"):
                attempt(path, lambda: os.listdir(path))
            for path in ("/etc/passwd", "/etc/hostname"):
                attempt(path, lambda: open(path).read())
            attempt("stat", lambda: os.stat("/etc/passwd").st_nlink)
            """,
        )
        assert lines[0] == "True []"
        assert [line.split()[-1] for line in lines[1:11]] == ["13"] * 10
        assert lines[11] == "stat SUCCEEDED 1"

    def test_06_nothing_outside_can_be_seen(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(box, attacks.look_around(outside))
        assert [line.split()[-1] for line in lines if "SUCCEEDED" not in line] == ["13", "13"]
        assert [line.split(" SUCC")[0] for line in lines] == [
            *("var 13", "sockets", "space", "go there", "run 13")
        ]

    def test_07_attributes_of_what_it_sees_cannot_be_changed(
        self, box: Sandbox, outside: Outside
    ) -> None:
        seen = (outside.data / "train.csv", outside.data, outside.answers, outside.folder)
        before = [path.stat() for path in seen]
        lines = attack(
            box,
            f"""
            import fcntl
            for path in {[str(path) for path in seen]!r}:
                attempt("chmod", lambda: os.chmod(path, 0))
                attempt("chown", lambda: os.chown(path, os.getuid(), os.getgid()))
                attempt("utime", lambda: os.utime(path, (1, 1)))
                attempt("xattr", lambda: os.setxattr(path, "user.x", b"1"))
                attempt("remove", lambda: os.removexattr(path, "user.y"))
            with open("data/train.csv") as file:
                attempt("flags", lambda: fcntl.ioctl(file, 0x40086602, bytes(8)))
                attempt("verity", lambda: fcntl.ioctl(file, 0x40806685, bytes(128)))
            """,
        )
        assert {line.split(maxsplit=1)[1] for line in lines[:20]} == {"SUCCEEDED None"}
        assert lines[20:] == ["flags 25", "verity 25"]
        for path, old in zip(seen, before, strict=True):
            new = path.stat()
            assert (new.st_mode, new.st_mtime_ns) == (old.st_mode, old.st_mtime_ns)
            assert (new.st_uid, os.listxattr(path)) == (old.st_uid, [])

    def test_08_the_environment_holds_no_secret(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(
            box,
            f"""
            print(" ".join(sorted(os.environ)))
            for pid in (1, os.getppid(), {os.getpid()}, {outside.process.pid}):
                attempt("environ", lambda: open(f"/proc/{{pid}}/environ").read())
            """,
        )
        assert "SECRET" not in lines[0].split()
        assert lines[1:] == ["environ 13"] * 4

    def test_09_other_processes_cannot_be_inspected(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(
            box,
            f"""
            import resource
            pid = {outside.process.pid}
            numbers = dict(x86_64=(101, 310, 438), aarch64=(117, 270, 438))[os.uname().machine]
            attempt("ptrace", lambda: call(numbers[0], 16, pid, 0, 0))
            attempt("process_vm_readv", lambda: call(numbers[1], pid, 0, 0, 0, 0, 0))
            attempt("pidfd_getfd", lambda: call(numbers[2], 0, 0, 0))
            for name in ("mem", "maps", "cmdline", "status", "fd/0", "root/etc/passwd"):
                attempt(name, lambda: open(f"/proc/{{pid}}/{{name}}"))
            attempt("limits", lambda: resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1)))
            attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))
            attempt("everybody's", lambda: os.setpriority(os.PRIO_USER, 0, 19))
            pidfd = os.pidfd_open(pid)
            attempt("signal", lambda: signal.pidfd_send_signal(pidfd, 9))
            """,
        )
        names = ("mem", "maps", "cmdline", "status", "fd/0", "root/etc/passwd")
        assert lines == [
            *("ptrace 1", "process_vm_readv 1", "pidfd_getfd 1"),
            *(f"{name} 13" for name in names),
            *("limits 1", "priority 1", "everybody's 1", "signal 1"),
        ]
        assert not outside.was_touched()

    def test_10_nothing_outside_can_be_signalled(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(
            box,
            f"""
            attempt("by id", lambda: os.kill({outside.process.pid}, 9))
            # The kernel reports success if it found anybody, though it reached none.
            attempt("everybody", lambda: os.kill(-1, 9))
            attempt("ours", lambda: os.kill({os.getpid()}, 9))
            attempt("parent", lambda: os.kill(os.getppid(), 9))
            """,
        )
        assert lines == ["by id 1", "everybody SUCCEEDED None", "ours 1", "parent 1"]
        assert not outside.was_touched()

    def test_12_the_data_can_be_read_and_not_changed(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(
            box,
            """
            print(repr(open("data/train.csv").read()))
            attempt("append", lambda: open("data/train.csv", "a"))
            attempt("truncate", lambda: os.truncate("data/train.csv", 0))
            attempt("unlink", lambda: os.unlink("data/train.csv"))
            attempt("create", lambda: open("data/new", "w"))
            attempt("rename", lambda: os.rename("data/train.csv", "train.csv"))
            attempt("rename the link", lambda: os.rename("data", "other"))
            os.mkdir("data")
            open("data/train.csv", "w").write("forged")
            """,
        )
        assert lines[0] == "'x,y\\n1,2\\n'"
        assert [line.split()[-1] for line in lines[1:6]] == ["13"] * 5
        assert lines[6] == "rename the link SUCCEEDED None"
        assert not outside.was_touched()
        assert box.read("data/train.csv") == b"x,y\n1,2\n"
        assert play(box, "print(open('data/train.csv').read())").output == "x,y\n1,2\n\n"

    def test_14_unix_sockets_outside_cannot_be_reached(
        self, box: Sandbox, outside: Outside
    ) -> None:
        lines = attack(
            box,
            f"""
            path, name = {str(outside.folder / "socket")!r}, "\\0" + {outside.abstract!r}
            for address in (path, name):
                attempt("connect", lambda: socket.socket(socket.AF_UNIX).connect(address))
                post = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                attempt("sendto", lambda: post.sendto(b"x", address))
                attempt("sendmsg", lambda: post.sendmsg([b"x"], [], 0, address))
            attempt("bind", lambda: post.bind("\\0squatted"))
            ours, theirs = socket.socketpair()
            ours.send(b"within")
            print(theirs.recv(9))
            """,
        )
        assert lines == [*["connect 13", "sendto 13", "sendmsg 13"] * 2, "bind 13", "b'within'"]
        assert not outside.was_touched()

    def test_15_sockets_without_a_path_cannot_be_reached(
        self, box: Sandbox, outside: Outside
    ) -> None:
        lines = attack(
            box,
            attacks.connect_by_abstract_name(outside)
            + """
        letter = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        attempt("letter", lambda: letter.sendto(b"x", address))
        attempt("other name", lambda: letter.bind(address + "x"))
        """,
        )
        assert lines == ["abstract 13", "letter 13", "other name 13"]
        assert not outside.was_touched()

    def test_37_no_program_gives_privileges_back(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            for line in open("/proc/self/status"):
                if line.startswith(("Cap", "NoNewPrivs", "Seccomp:")) and "CapBnd" not in line:
                    print(*line.split())
            for name in ("setuid", "setgid"):
                attempt(name, lambda: getattr(os, name)(0))
            """,
        )
        none = "0000000000000000"
        assert lines[:4] == [f"Cap{kind}: {none}" for kind in ("Inh", "Prm", "Eff", "Amb")]
        assert lines[4:] == ["NoNewPrivs: 1", "Seccomp: 2", "setuid 1", "setgid 1"]

    def test_40_there_are_harmless_devices_only(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            for name in ("null", "full", "random", "urandom"):
                open("/dev/" + name, "rb").close()
            open("/dev/null", "w").write("x")
            attempt("list", lambda: os.listdir("/dev"))
            for name in ("zero", "kmsg", "tty", "ptmx", "mem", "vda"):
                attempt(name, lambda: open("/dev/" + name))
            attempt("mknod", lambda: os.mknod("disk", 0o060666, os.makedev(8, 0)))
            """,
        )
        assert lines[0] == "list 13"
        assert {line.split()[-1] for line in lines[1:7]} <= {"2", "13"}
        assert lines[7] in {"mknod 1", "mknod 13"}

    def test_56_boxes_do_not_see_each_other(self, make_box: MakeBox, outside: Outside) -> None:
        # The second learns the first one's number from us, as it could by counting.
        seen: list[Execution] = []
        first, second = make_box(outside.data), make_box(outside.data)
        token = f"box-{uuid4().hex}"
        first.write(
            "wait.py", b"import os, time\nwhile not os.path.exists('end'): time.sleep(0.01)"
        )
        argv = ("wait.py", token)
        run = threading.Thread(target=lambda: seen.append(first.run(argv, limits=SMALL)))
        run.start()
        pid, folder = started(token)
        lines = attack(
            second,
            f"""
            attempt("signal", lambda: os.kill({pid}, 9))
            attempt("group", lambda: os.killpg({pid}, 9))
            attempt("folder", lambda: os.listdir({folder!r}))
            attempt("file", lambda: open({folder!r} + "/wait.py").read())
            attempt("write", lambda: open({folder!r} + "/x", "w"))
            attempt("exists", lambda: os.kill({pid}, 0))
            attempt("seen", lambda: os.path.exists("/proc/{pid}"))
            """,
        )
        (Path(folder) / "end").touch()
        run.join()
        assert lines == [
            *("signal 1", "group 1", "folder 13", "file 13", "write 13", "exists 1"),
            "seen SUCCEEDED True",
        ]
        assert seen[0].succeeded
        assert not outside.was_touched()


def started(token: str) -> tuple[int, str]:
    """Number and folder of the script that was given this argument."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if token.encode() in words and b"-c" not in words:
                    return int(entry.name), str((entry / "cwd").readlink())
            except OSError:
                continue
        time.sleep(0.02)
    raise AssertionError("the script did not start")
