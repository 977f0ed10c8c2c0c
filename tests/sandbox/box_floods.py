"""No script takes more than its share: attacks on limits.

Numbers are those of the list of attacks in the design (`sandbox.md`, 5.2).
"""

import resource
from textwrap import dedent
from uuid import uuid4

import pytest
from attacks import OUTLIVE_THE_RUN
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
        token = f"bomb-{uuid4().hex}"
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

    @pytest.mark.parametrize("trick", ["libc.prctl(4, 0, 0, 0, 0)", "end_the_first_thread()"])
    def test_21_memory_cannot_be_hidden_from_its_limit(self, box: Sandbox, trick: str) -> None:
        # As if it held secrets (PR_SET_DUMPABLE), or behind a first thread that has ended.
        seen = play(
            box,
            f"""
            import ctypes, os, threading, time
            libc = ctypes.CDLL(None)

            def end_the_first_thread():
                threading.Thread(target=hold).start()
                libc.syscall(dict(x86_64=60, aarch64=93)[os.uname().machine], 0)

            def hold():
                time.sleep(0.3)
                x = bytearray(b"1" * (100 << 20))
                time.sleep(60)

            for _ in range(5):
                if os.fork() == 0:
                    {trick}
                    hold()
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

    def test_22_memory_that_nobody_shows_is_refused(self, box: Sandbox) -> None:
        # Shared memory is still held when no process shows it any more.
        seen = play(
            box,
            """
            import mmap, os
            kinds = [(-1, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS), (-1, 3 | mmap.MAP_ANONYMOUS)]
            for file, flags in kinds:
                try:
                    mmap.mmap(file, 1 << 20, flags=flags)
                except OSError as error:
                    print(error.errno)
            print(len(mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)))
            print(os.path.exists("/dev/zero"))
            """,
        )
        assert seen.output == "1\n1\n1048576\nFalse\n"

    def test_22_memory_of_files_counts_as_disk(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import mmap
            file = open("/dev/shm/shared", "w+b")
            file.truncate(16 << 20)
            shared = mmap.mmap(file.fileno(), 16 << 20)
            print("mapped")
            for at in range(0, 16 << 20, 4096):
                shared[at] = 1
            more = open("/dev/shm/more", "wb", buffering=0)
            more.write(bytes(8192))
            print("written")
            """,
        )
        assert (seen.exit_code, seen.killed_by) == (1, "disk")
        assert seen.output.startswith("mapped\n")
        assert "\nwritten" not in seen.output

    def test_22_page_tables_count(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import mmap
            only_addresses = mmap.MAP_PRIVATE | 0x4000
            x = mmap.mmap(-1, 1 << 39, flags=only_addresses, prot=mmap.PROT_READ)
            for at in range(0, 1 << 39, 2 << 20):
                x[at]
            """,
        )
        assert (seen.exit_code, seen.killed_by) == (None, "memory")

    def test_22_what_waits_in_sockets_counts(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import socket, time
            held = [socket.socketpair() for _ in range(500)]
            for one, _ in held[:20]:
                one.setblocking(False)
                try:
                    while True:
                        one.send(bytes(100_000))
                except BlockingIOError:
                    pass
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

    @pytest.mark.parametrize("folder", [".", "/tmp", "/dev/shm"], ids=["24", "26", "25"])
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

    def test_28_many_files_in_many_places_share_one_limit(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import os
            held = []
            for number in range(40):
                for folder in ("/box", "/tmp", "/dev/shm"):
                    file = open(f"{folder}/{number}", "wb", buffering=0)
                    # Out of sight, not gone.
                    os.unlink(file.name)
                    file.write(bytes(1 << 20))
                    held.append(file)
                    print(len(held))
            """,
        )
        # A single write that is cut short by the limit raises nothing, so one more may be said.
        said = [int(word) for word in seen.output.split() if word.isdigit()]
        assert (seen.exit_code, seen.killed_by) == (1, "disk")
        assert 15 <= max(said[:17]) <= 17
        assert box.names() == ["script.py"]

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

    def test_30_processor_time_of_children_that_nobody_waits_for_counts(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import os, signal, time
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            for _ in range(20):
                if os.fork() == 0:
                    while time.process_time() < 0.4:
                        pass
                    os._exit(0)
                try:
                    os.wait()
                except ChildProcessError:
                    pass
            """,
            limits=but(cpu_s=1.0),
        )
        assert (seen.exit_code, seen.killed_by) == (None, "time")
        assert 1.0 <= seen.cpu_s < 3.0

    def test_31_a_daemon_does_not_outlive_the_run(self, box: Sandbox) -> None:
        box.write("script.py", OUTLIVE_THE_RUN.encode())
        token = f"daemon-{uuid4().hex}"
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

    def test_33_output_that_is_taken_back_does_not_hold_us_up(self, box: Sandbox) -> None:
        # An ordinary user's script can open the other end of its output, too.
        seen = play(
            box,
            """
            import os, time
            try:
                end = os.open("/proc/self/fd/1", os.O_RDONLY)
            except PermissionError:
                print("not to be had")
                while True:
                    time.sleep(1)
            for _ in range(10):
                if os.fork() == 0:
                    while True:
                        os.read(end, 1)
            end = time.monotonic() + 0.4
            while time.monotonic() < end:
                os.write(1, b"x")
                time.sleep(0.0003)
            time.sleep(60)
            """,
            limits=but(wall_s=0.6),
        )
        assert (seen.exit_code, seen.killed_by) == (None, "time")
        assert seen.wall_s < 5

    def test_33_a_pipe_that_is_full_and_never_ends_is_no_trap(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import fcntl, os
            fcntl.fcntl(1, 1031, 4096)  # F_SETPIPE_SZ: one page
            while True:
                os.write(1, b"x" * 4096)
            """,
        )
        assert (seen.exit_code, seen.killed_by) == (None, "disk")

    def test_41_a_segmentation_fault_is_reported(self, box: Sandbox) -> None:
        show = "import ctypes, resource; print(resource.getrlimit(resource.RLIMIT_CORE))\n"
        seen = play(box, show + "ctypes.string_at(0)")
        assert (seen.exit_code, seen.killed_by) == (-11, None)
        # Too small for a file, and the kernel's sign not to call the machine's crash reporter.
        outside = resource.getrlimit(resource.RLIMIT_CORE)[1]
        assert seen.output == f"{(outside, outside) if outside == 0 else (1, 1)}\n"

    def test_42_an_abort_is_reported(self, box: Sandbox) -> None:
        # Signals that a first process sends to itself are ignored; the C library then faults.
        seen = play(box, "import os; os.abort()")
        assert seen.exit_code in {-6, -11}
        assert seen.killed_by is None
