"""No script gets out: attacks on what is around a box. See `box_conformance` for how to use it.

Numbers are those of the list of attacks in the design (`sandbox.md`, 5.2).
"""

import threading

import attacks
import pytest
from box_conformance import MakeBox, play
from canaries import Outside, attack

from ml_agent.core.records import Execution
from ml_agent.sandbox import Sandbox

EPERM, ENOENT, EACCES, EROFS, ENOSYS, EAFNOSUPPORT = 1, 2, 13, 30, 38, 97


class BoxEscapes:
    @pytest.fixture
    def box(self, make_box: MakeBox, outside: Outside) -> Sandbox:
        return make_box(outside.data)

    def test_01_labels_beside_the_data_are_not_there(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(box, attacks.look_for_labels(outside))
        assert lines == [f"{name} 2" for name in ("beside", "absolute", "list", "stat", "above")]
        assert not outside.was_touched()

    def test_02_no_folder_above_the_labels_leads_to_them(
        self, box: Sandbox, outside: Outside
    ) -> None:
        lines = attack(
            box,
            f"""
            parts = {list(outside.answers.parts)!r}
            print(parts[1] in os.listdir("/"))
            for depth in range(2, len(parts)):
                path = os.path.join(*parts[:depth])
                attempt("list", lambda: os.listdir(path))
                attempt("read", lambda: open(os.path.join(*parts)).read())
            print(sorted(os.listdir("/box")), os.listdir("/box/data"), os.listdir("/box/.."))
            """,
        )
        assert lines[0] == "False"
        assert set(lines[1:-1]) == {"list 2", "read 2"}
        assert lines[-1].startswith("['data', 'script.py'] ['train.csv'] ")
        assert outside.folder.parts[1] not in lines[-1]

    def test_03_proc_leads_nowhere_else(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(
            box,
            attacks.follow_proc(outside)
            + f"""
        for root in ("1/root", "1/cwd/..", "1/task/1/root"):
            attempt(root, lambda: open("/proc/" + root + {str(outside.answers)!r}).read())
        print(sorted(pid for pid in os.listdir("/proc") if pid.isdigit()))
        """,
        )
        assert [line.split()[-1] for line in lines[:5]] == ["2"] * 5
        assert lines[5] == "['1']"

    def test_04_links_to_the_outside_are_not_taken_out(
        self, box: Sandbox, outside: Outside
    ) -> None:
        lines = attack(
            box,
            attacks.take_labels(outside)
            + """
        os.symlink(answers, "submission.csv")
        os.symlink("/etc/passwd", "passwd")
        os.symlink("/", "root")
        attempt("link to data", lambda: os.link("data/train.csv", "train"))
        """,
        )
        assert lines == ["hard link 2", "symbolic link 2", "rename 2", "link to data 18"]
        assert box.names() == ["data/", "script.py"]
        assert box.read("submission.csv") is None
        assert not outside.was_touched()

    def test_05_there_is_no_home_and_nothing_of_the_host(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            print(sorted(os.listdir("/etc")), os.environ["HOME"], os.listdir("/tmp"))
            for name in ("etc/shadow", "etc/hostname", "root/.ssh", "home", "var", "sys", "run"):
                path = "/" + name
                attempt(path, lambda: os.stat(path))
            print(open("/etc/passwd").read().count(":x:"))
            """,
        )
        assert "'shadow'" not in lines[0]
        assert lines[0].endswith("/tmp []")
        assert [line.split()[-1] for line in lines[1:8]] == ["2"] * 7
        assert lines[8] == "1"

    def test_06_nothing_outside_can_be_seen(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(box, attacks.look_around(outside))
        assert lines == [f"{name} 2" for name in ("var", "sockets", "space", "go there", "run")]

    def test_07_attributes_of_what_it_sees_cannot_be_changed(
        self, box: Sandbox, outside: Outside
    ) -> None:
        lines = attack(
            box,
            """
            for path in ("data/train.csv", "data", sys.prefix, "/usr", "/etc/passwd", "/dev/null"):
                attempt("chmod", lambda: os.chmod(path, 0o777))
                attempt("utime", lambda: os.utime(path))
                attempt("xattr", lambda: os.setxattr(path, "user.x", b"1"))
            """,
        )
        assert {line.split()[-1] for line in lines} <= {str(EROFS), str(EPERM), str(EACCES)}
        assert len(lines) == 18

    def test_08_the_environment_holds_no_secret(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(
            box,
            attacks.read_secrets(outside) + "\n        print(' '.join(sorted(os.environ)))",
        )
        assert lines[:3] == ["own environment 61", "another's environment 2", "handle 3"]
        assert "SECRET" not in lines[3].split()
        assert {"HOME", "PATH", "PYTHONHASHSEED", "OMP_NUM_THREADS"} <= set(lines[3].split())

    def test_09_other_processes_cannot_be_inspected(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(
            box,
            f"""
            pid = {outside.process.pid}
            child = os.fork()
            if child == 0:
                time.sleep(20)
            numbers = dict(x86_64=(101, 310, 438), aarch64=(117, 270, 438))[os.uname().machine]
            attempt("ptrace outside", lambda: call(numbers[0], 16, pid, 0, 0))
            attempt("ptrace child", lambda: call(numbers[0], 16, child, 0, 0))
            attempt("process_vm_readv", lambda: call(numbers[1], pid, 0, 0, 0, 0, 0))
            attempt("pidfd_getfd", lambda: call(numbers[2], 0, 0, 0))
            attempt("mem", lambda: open(f"/proc/{{pid}}/mem"))
            attempt("pidfd_open", lambda: os.pidfd_open(pid))
            """,
        )
        assert lines == [
            "ptrace outside 1",
            "ptrace child 1",
            "process_vm_readv 1",
            "pidfd_getfd 1",
            "mem 2",
            "pidfd_open 3",
        ]

    def test_10_nothing_outside_can_be_signalled(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(
            box,
            attacks.stop_others(outside)
            + """
        attempt("everybody", lambda: os.kill(-1, 9))
        attempt("own group", lambda: os.killpg(0, 0))
        print(os.getppid())
        """,
        )
        assert lines == [
            "ask 3",
            "parent 3",
            "kill 3",
            "everybody 3",
            "own group SUCCEEDED None",
            "0",
        ]
        assert not outside.was_touched()

    def test_11_nothing_outside_can_be_written(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(
            box,
            """
            import site
            places = [site.getsitepackages()[0] + "/evil.pth", sys.prefix + "/x"]
            places += [sys.base_prefix + "/x", "/etc/ld.so.preload", "/usr/lib/x", "/x"]
            places += ["/dev/x", "/proc/sys/kernel/x", "/bin"]
            for place in places:
                attempt("write", lambda: open(place, "w"))
            """,
        )
        lines += attack(box, attacks.write_outside(outside))
        refused = {str(EROFS), str(EACCES), str(ENOENT), "21"}
        assert len(lines) == 12
        assert {line.split()[-1] for line in lines} <= refused
        assert not outside.was_touched()

    def test_12_the_data_can_be_read_and_not_changed(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(
            box,
            """
        print(repr(open("data/train.csv").read()))
        attempt("rename", lambda: os.rename("data", "other"))
        """
            + attacks.change_data(outside),
        )
        assert lines[:2] == ["'x,y\\n1,2\\n'", "rename 16"]
        changes = ("mode", "time", "append", "truncate", "create", "unlink")
        assert lines[2:] == [f"{name} {EROFS}" for name in changes]
        assert not outside.was_touched()

    def test_13_there_is_no_network(self, box: Sandbox, outside: Outside) -> None:
        lines = attack(
            box,
            attacks.use_the_network(outside)
            + """
        for family, kind in ((2, 3), (10, 1), (17, 3), (40, 1), (38, 5)):
            # raw, tcp6, packet, vsock, the kernel's ciphers
            attempt("other", lambda: socket.socket(family, kind))
        attempt("name", lambda: socket.getaddrinfo("example.org", 80))
        """,
        )
        names = ["tcp", "udp", "netlink", "connect", *["other"] * 5]
        assert lines[:9] == [f"{name} {EAFNOSUPPORT}" for name in names]
        assert lines[9] in {"name -2", "name -3"}
        assert not outside.was_touched()

    def test_14_unix_sockets_outside_cannot_be_reached(
        self, box: Sandbox, outside: Outside
    ) -> None:
        assert attack(box, attacks.connect_by_path(outside)) == ["path 2"]
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
        # The name is free here: its owner is in another network.
        attempt("same name", lambda: socket.socket(socket.AF_UNIX).bind(address))
        """,
        )
        assert lines == ["abstract 111", "letter 111", "same name SUCCEEDED None"]
        assert not outside.was_touched()

    def test_16_no_descriptor_is_inherited(self, box: Sandbox) -> None:
        # The fourth is the one that lists the folder.
        lines = attack(box, "print(os.listdir('/proc/self/fd'), os.readlink('/proc/self/fd/0'))")
        assert lines == ["['0', '1', '2', '3'] /dev/null"]

    def test_34_namespaces_and_mounts_are_refused(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            # unshare, clone, mount, umount, chroot, pivot_root, setns
            numbers = dict(x86_64=(272, 56, 165, 166, 161, 155, 308))
            numbers |= dict(aarch64=(97, 220, 40, 39, 51, 41, 268))
            for number in numbers[os.uname().machine]:
                attempt("new user", lambda: call(number, 0x10000011, 0, 0, 0, 0))
            attempt("open_tree", lambda: call(428, 0, 0, 1))
            attempt("fsopen", lambda: call(430, 0, 0))
            attempt("clone3", lambda: call(435, 0, 0))
            """,
        )
        refused = [*["new user"] * 7, "open_tree", "fsopen"]
        assert lines == [*(f"{name} {EPERM}" for name in refused), f"clone3 {ENOSYS}"]

    def test_35_risky_parts_of_the_kernel_are_refused(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            x86 = [321, 298, 323, 250, 304, 175, 246, 164, 278, 169]
            arm = [280, 241, 282, 219, 265, 105, 104, 170, 75, 142]
            for number in dict(x86_64=x86, aarch64=arm)[os.uname().machine]:
                attempt("call", lambda: call(number, 0, 0, 0, 0, 0))
            attempt("asynchronous", lambda: call(dict(x86_64=206, aarch64=0)[os.uname().machine]))
            attempt("io_uring", lambda: call(425, 8, 0))
            attempt("newer than the list", lambda: call(466, 0, 0))
            attempt("x32", lambda: call(0x40000000 + 39))
            """,
        )
        assert lines[:11] == [*[f"call {EPERM}"] * 10, f"asynchronous {EPERM}"]
        assert [line.split()[-1] for line in lines[11:]] == [str(ENOSYS)] * 3

    def test_36_nothing_can_be_kept_in_the_kernel(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            # add_key, request_key, keyctl, mq_open, msgget, semget, shmget
            numbers = dict(x86_64=(248, 249, 250, 240, 68, 64, 29))
            numbers |= dict(aarch64=(217, 218, 219, 180, 186, 190, 194))
            for number in numbers[os.uname().machine]:
                attempt("keep", lambda: call(number, 0, 0, 0, 0, 0))
            made = ctypes.c_int()
            create = dict(x86_64=222, aarch64=107)[os.uname().machine]
            try:
                for number in range(100_000):
                    call(create, time.CLOCK_MONOTONIC, 0, ctypes.addressof(made))
            except OSError as error:
                print(number <= 1024, error.errno)
            """,
        )
        # Timers end with their process, but the whole machine's signals are in short supply.
        assert lines == [*[f"keep {EPERM}"] * 7, "True 11"]

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
        assert lines[4:] == ["NoNewPrivs: 1", "Seccomp: 2", "setuid 22", "setgid 22"]

    def test_38_limits_cannot_be_raised(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            import resource
            for kind in ("CPU", "DATA", "FSIZE", "NPROC", "NOFILE", "CORE"):
                number = getattr(resource, "RLIMIT_" + kind)
                most = resource.getrlimit(number)[1]
                try:
                    resource.setrlimit(number, (most + 1, most + 1))
                except ValueError:
                    print(kind, "refused")
            attempt("nice", lambda: os.nice(-5))
            attempt("scheduler", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
            """,
        )
        kinds = ("CPU", "DATA", "FSIZE", "NPROC", "NOFILE", "CORE")
        assert lines == [*(f"{kind} refused" for kind in kinds), "nice 1", "scheduler 1"]

    def test_39_settings_of_the_kernel_cannot_be_written(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            paths = ["sys/kernel/core_pattern", "sys/kernel/hostname", "sysrq-trigger"]
            paths += ["self/oom_score_adj", "self/comm", "self/uid_map"]
            for path in paths:
                attempt("write", lambda: open("/proc/" + path, "w"))
            """,
        )
        # There may be no sysrq at all.
        assert set(lines) <= {f"write {EACCES}", f"write {ENOENT}"}
        assert len(lines) == 6

    def test_40_there_are_harmless_devices_only(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            print(*sorted(os.listdir("/dev")))
            attempt("mknod", lambda: os.mknod("disk", 0o060666, os.makedev(8, 0)))
            """,
        )
        assert lines[0] == "fd full null random shm stderr stdin stdout urandom"
        assert lines[1] in {f"mknod {EPERM}", f"mknod {EACCES}"}

    def test_56_boxes_do_not_see_each_other(self, make_box: MakeBox, outside: Outside) -> None:
        seen: list[Execution] = []
        first, second = make_box(outside.data), make_box(outside.data)
        script = """
            import os, socket, time
            server = socket.socket(socket.AF_UNIX)
            server.bind("\\0boxes")
            open("/tmp/mine", "w").close()
            time.sleep(0.5)
            print(len([pid for pid in os.listdir("/proc") if pid.isdigit()]), os.listdir("/tmp"))
            """
        runs = [
            threading.Thread(target=lambda box=box: seen.append(play(box, script)))
            for box in (first, second)
        ]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
        assert [run.output for run in seen] == ["1 ['mine']\n"] * 2
