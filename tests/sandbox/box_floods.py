"""No script takes more than its share, or wears us down: attacks on limits and on the harvest.

Numbers are those of the list of attacks in the design (`sandbox.md`, 5.2).
"""

import os
from textwrap import dedent

import pytest
from box_conformance import SMALL, MakeBox, but, play
from canaries import attack, is_running

from ml_agent.sandbox import Sandbox


class BoxFloods:
    @pytest.fixture
    def box(self, make_box: MakeBox) -> Sandbox:
        return make_box(None)

    def test_17_a_flat_fork_bomb_meets_its_limit(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import os, time
            while True:
                if os.fork() == 0:
                    time.sleep(60)
                print("one")
            """,
        )
        assert (seen.exit_code, seen.killed_by) == (1, "processes")
        assert seen.output.count("one") == SMALL.processes - 1
        assert seen.output.endswith("Resource temporarily unavailable\n")

    def test_18_a_recursive_fork_bomb_is_stopped_whole(self, box: Sandbox) -> None:
        script = """
            import os, sys
            while True:
                try:
                    os.fork()
                except OSError:
                    pass
            """
        box.write("script.py", dedent(script).encode())
        token = f"bomb-{os.getpid()}"
        seen = box.run(("script.py", token), limits=but(wall_s=0.5))
        assert (seen.exit_code, seen.killed_by) == (None, "time")
        assert not is_running(token)

    def test_19_a_thread_bomb_meets_its_limit(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import threading, time
            while True:
                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            """,
        )
        assert (seen.exit_code, seen.killed_by) == (1, "processes")

    def test_20_too_much_memory_at_once_is_a_memory_error(self, box: Sandbox) -> None:
        seen = play(box, "print('before')\nx = bytearray(6 << 30)")
        assert (seen.exit_code, seen.killed_by) == (1, "memory")
        assert seen.output.startswith("before\n")
        assert seen.output.endswith("MemoryError\n")

    def test_20_numpy_out_of_memory_is_the_same(self, box: Sandbox) -> None:
        seen = play(box, "import numpy\nx = numpy.ones(1 << 30)")
        assert (seen.exit_code, seen.killed_by) == (1, "memory")

    def test_21_memory_is_limited_over_all_processes(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import os, time
            for _ in range(5):
                if os.fork() == 0:
                    x = bytearray(b"1" * (100 << 20))
                    time.sleep(60)
            time.sleep(60)
            """,
        )
        assert (seen.exit_code, seen.killed_by) == (None, "memory")

    def test_21_memory_that_processes_share_counts_once(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import os, time
            x = bytearray(b"1" * (90 << 20))
            for _ in range(5):
                if os.fork() == 0:
                    time.sleep(0.5)
                    os._exit(0)
            time.sleep(0.7)
            """,
        )
        assert seen.succeeded

    def test_22_shared_anonymous_memory_counts(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import mmap, time
            x = mmap.mmap(-1, 1 << 30)
            for start in range(0, 1 << 30, 4096):
                x[start] = 1
            time.sleep(60)
            """,
        )
        assert (seen.exit_code, seen.killed_by) == (None, "memory")

    def test_23_memory_that_no_limit_counts_is_refused(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            attempt("memfd", lambda: os.memfd_create("x"))
            attempt("memfd_secret", lambda: call(447, 0))
            numbers = dict(x86_64=(29, 68, 64, 240), aarch64=(194, 186, 190, 180))
            for number in numbers[os.uname().machine]:
                attempt("ipc", lambda: call(number, 0, 4096, 0o1600, 0))
            """,
        )
        assert lines == ["memfd 38", "memfd_secret 1", "ipc 1", "ipc 1", "ipc 1", "ipc 1"]

    @pytest.mark.parametrize("folder", [".", "/tmp", "/dev/shm"])
    def test_25_disk_is_limited_wherever_it_is_written(self, box: Sandbox, folder: str) -> None:
        seen = play(
            box,
            f"""
            for number in range(100):
                with open(f"{folder}/{{number}}", "wb") as file:
                    file.write(bytes(1 << 20))
                print(number)
            """,
        )
        assert (seen.exit_code, seen.killed_by) == (1, "disk")
        assert "\n14\n" in seen.output
        assert "\n16\n" not in seen.output

    def test_27_one_huge_file_meets_the_limit(self, box: Sandbox) -> None:
        seen = play(box, "open('huge', 'wb').write(bytes(64 << 20))")
        assert (seen.exit_code, seen.killed_by) == (1, "disk")

    def test_29_the_number_of_files_is_limited(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            for number in range(60_000):
                open(f"/tmp/{number}", "w").close()
            """,
        )
        assert (seen.exit_code, seen.killed_by) == (1, "disk")

    def test_30_a_loop_that_ignores_all_signals_is_killed_in_time(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import signal
            for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, signal.SIG_IGN)
            while True:
                pass
            """,
            limits=but(wall_s=0.5),
        )
        assert (seen.exit_code, seen.killed_by) == (None, "time")
        assert seen.wall_s < 1.5

    def test_31_a_daemon_does_not_outlive_the_run(self, box: Sandbox) -> None:
        script = """
            import os, time
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    for fd in range(3):
                        os.close(fd)
                    time.sleep(0.5)
                    open("late.txt", "w").close()
                    time.sleep(60)
                os._exit(0)
            os.wait()
            """
        box.write("script.py", dedent(script).encode())
        token = f"daemon-{os.getpid()}"
        seen = box.run(("script.py", token), limits=SMALL)
        assert seen.succeeded
        assert not is_running(token)
        assert box.read("late.txt") is None

    def test_32_a_daemon_that_holds_the_output_does_not_delay_us(self, box: Sandbox) -> None:
        seen = play(
            box,
            "import os, time\nif os.fork() == 0:\n    time.sleep(60)\nprint('done')",
        )
        assert seen.succeeded
        assert seen.output == "done\n"
        assert seen.wall_s < 5

    def test_33_endless_output_ends_the_run(self, box: Sandbox) -> None:
        seen = play(box, "import os\nwhile True: os.write(1, b'x' * 65536)")
        assert (seen.exit_code, seen.killed_by) == (None, "disk")
        assert 65_536 <= len(seen.output) < 65_600

    def test_41_a_segmentation_fault_is_reported(self, box: Sandbox) -> None:
        seen = play(box, "import ctypes; ctypes.string_at(0)")
        assert (seen.exit_code, seen.killed_by) == (-11, None)

    def test_42_an_abort_is_reported(self, box: Sandbox) -> None:
        # Signals that a first process sends to itself are ignored; the C library then faults.
        seen = play(box, "import os; os.abort()")
        assert seen.exit_code in {-6, -11}
        assert seen.killed_by is None

    def test_49_what_is_too_large_is_not_taken_out(self, box: Sandbox) -> None:
        attack(
            box,
            """
            import resource
            with open("sparse.csv", "w") as file:
                attempt("sparse", lambda: file.truncate(100 << 30))
                file.truncate(70 << 20)
            """,
            disk_mib=256,
        )
        assert box.names() == ["script.py"]

    def test_49_a_workspace_that_is_closed_is_taken_for_empty(self, box: Sandbox) -> None:
        attack(box, "os.chmod('.', 0)")
        assert box.names() == []

    def test_52_odd_names_and_deep_folders_do_no_harm(self, box: Sandbox) -> None:
        attack(
            box,
            r"""
            odd = (b"new\nline", b"\xff\xfe", b"\x1b[31m", b"n" * 255)
            for name in (*odd, b"-rf", b" ", "\u00e9".encode()):
                open(name, "w").close()
            for _ in range(900):
                os.mkdir("d")
                os.chdir("d")
            open("deep", "w").close()
            """,
        )
        assert box.names() == [" ", "-rf", "script.py", "\u00e9"]

    def test_61_very_many_files_neither_exhaust_us_nor_push_the_script_out(
        self, box: Sandbox
    ) -> None:
        attack(
            box,
            """
            for number in range(5_000):
                open(f"{number:05}" + "x" * 190, "w").close()
            """,
        )
        names = box.names()
        assert names is not None
        assert len(names) == 1000
        assert "script.py" in names
