"""No script fools us: attacks on the harvest, on `script.run` and on the runs after it.

Numbers are those of the list of attacks in the design (`sandbox.md`, 5.2); from 63 on, our own.
"""

import os
import secrets
from textwrap import dedent
from uuid import uuid4

import pytest
from attacks import FIND_IT, LEAVE_SOMETHING
from box_conformance import SMALL, MakeBox, but, play
from canaries import ATTEMPT, Outside, attack, is_running

from ml_agent.core.records import Limits
from ml_agent.sandbox import Sandbox

HOOKS = {
    "os._exit": "import os; os._exit = lambda status: print('again')",
    "threading._shutdown": "import threading; threading._shutdown = lambda: 1 / 0",
    "the end": "import atexit; atexit.register(lambda: 1 / 0); atexit._run_exitfuncs = None",
    "no modules": "import sys; sys.modules.clear()",
    "no builtins": "import builtins; builtins.__dict__.clear()",
    "an excepthook": "import sys; sys.excepthook = None; 1 / 0",
    "broken output": "import sys; sys.stdout = sys.stderr = type('Out', (), {'closed': 0})()",
    "no output": "import sys; del sys.stdout, sys.stderr",
    "the caller's frames": (
        "import sys\nframe = sys._getframe()\nwhile frame := frame.f_back:\n"
        "    frame.f_globals.clear()"
    ),
    "a trace": "import sys; sys.settrace(lambda *_: 1 / 0); sys.setprofile(lambda *_: 1 / 0)",
    "no recursion": "import sys; sys.setrecursionlimit(20)",
    "closed descriptors": "import os; os.closerange(0, 1 << 16); print('unheard')",
}
WORDS = {
    "text": "class E(Exception):\n    def __str__(self): raise SystemExit(0)\nraise E",
    "representation": "class E(Exception):\n    def __repr__(self): return 1\nraise E(1)",
    "recursion": "class E(Exception):\n    def __str__(self): return str(self)\nraise E",
    "endless cause": "a, b = ValueError(), ValueError()\na.__cause__, b.__cause__ = b, a\nraise a",
    "an exit": "class C:\n    def __str__(self): raise KeyError\nraise SystemExit(C())",
    "a class": "class E(BaseException):\n    __module__ = 1\nraise E",
    "a traceback": "class E(Exception):\n    __traceback__ = 1\nraise E",
}


class BoxTricks:
    @pytest.fixture
    def box(self, make_box: MakeBox) -> Sandbox:
        return make_box(None)

    def test_44_what_a_run_changes_in_its_libraries_no_other_run_sees(self, box: Sandbox) -> None:
        play(
            box,
            "import builtins, json, numpy, sys\n"
            "builtins.x = numpy.x = 1; numpy.mean = json.dumps = builtins.len = None\n"
            "sys.path.append('/evil'); sys.meta_path.clear(); sys.setrecursionlimit(50)",
        )
        seen = play(
            box,
            "import builtins, json, numpy, sys\n"
            "print(hasattr(builtins, 'x'), numpy.__dict__.get('x'), '/evil' in sys.path)\n"
            "print(numpy.mean([1, 2]), json.dumps([len('ab')]), sys.getrecursionlimit())",
        )
        assert seen.output == "False None False\n1.5 [2] 1000\n"

    def test_45_files_that_interpreters_look_for_are_not_run(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            import site
            places = [".", "/tmp", "/tmp/.local/lib", site.getusersitepackages(), "/dev/shm"]
            for place in places:
                os.makedirs(place, exist_ok=True)
                for name in ("sitecustomize.py", "usercustomize.py", "x.pth"):
                    open(f"{place}/{name}", "w").write("import os; os.write(1, b'PWNED')")
            for place in (sys.prefix + "/pyvenv.cfg", "/etc/ld.so.preload", "/etc/ld.so.cache"):
                attempt("write", lambda: open(place, "a"))
            """,
        )
        assert {line.split()[-1] for line in lines} <= {"2", "13", "30"}
        assert play(box, "import numpy; print('clean')").output == "clean\n"

    @pytest.mark.parametrize("folder", ["/dev/shm", "/tmp"], ids=["46", "47"])
    def test_46_what_a_run_leaves_behind_no_other_run_finds(
        self, box: Sandbox, folder: str
    ) -> None:
        for script in (LEAVE_SOMETHING, f"print(os.listdir({folder!r}))", FIND_IT):
            box.write("script.py", (ATTEMPT + script).encode())
            seen = box.run(("script.py", "left"), limits=SMALL)
            if "listdir" in script:
                assert seen.output == "[]\n"
        assert seen.output == "/tmp 2\n/dev/shm 2\n"

    def test_49_only_plain_files_are_taken_out(self, box: Sandbox) -> None:
        attack(
            box,
            """
            open("good.csv", "w").write("id,y\\n")
            os.mkfifo("pipe.csv")
            os.mkdir("folder.csv")
            open("one.csv", "w").close()
            os.link("one.csv", "two.csv")
            socket.socket(socket.AF_UNIX).bind("socket.csv")
            open("closed.csv", "w").close()
            os.chmod("closed.csv", 0)
            os.mkdir("closed")
            open("closed/in.csv", "w").close()
            os.chmod("closed", 0)
            """,
        )
        assert box.names() == ["good.csv", "script.py"]

    def test_53_files_called_data_do_not_hide_the_data(self, make_box: MakeBox) -> None:
        box = make_box(None)
        attack(box, "os.mkdir('data'); open('data/train.csv', 'w').write('forged')")
        assert box.read("data/train.csv") is None

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

    def test_54_no_clock_game_changes_what_is_measured(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            # settimeofday, clock_settime, clock_adjtime, adjtimex
            for number in dict(x86_64=(164, 227, 305, 159), aarch64=(170, 112, 266, 171))[
                os.uname().machine
            ]:
                attempt("clock", lambda: call(number, 0, 0))
            """,
        )
        assert lines == ["clock 1"] * 4
        seen = play(
            box,
            """
            import os, signal, time
            wait = time.sleep
            time.monotonic = time.time = time.process_time = lambda: 0.0
            os.times = os.wait4 = None
            # Stopping oneself is no pause either: the first process of a box cannot be stopped.
            os.kill(os.getpid(), signal.SIGSTOP)
            wait(0.4)
            """,
        )
        assert seen.succeeded
        assert seen.wall_s >= 0.4
        seen = play(
            box,
            """
            import os, signal, time
            child = os.fork()
            if child == 0:
                time.sleep(60)
            os.kill(child, signal.SIGSTOP)
            os.waitpid(child, 0)
            """,
            limits=but(wall_s=0.5),
        )
        assert (seen.exit_code, seen.killed_by) == (None, "time")

    def test_55_workers_of_joblib_are_gone_with_the_run(self, box: Sandbox) -> None:
        script = """
            import subprocess, sys, joblib

            def work(number):
                # A worker's own child, which bears the mark.
                wait = "import time; time.sleep(60)"
                return number, subprocess.Popen([sys.executable, "-c", wait, MARK]).poll()

            MARK = sys.argv[1] if len(sys.argv) > 1 else ""
            if __name__ == "__main__":
                pool = joblib.Parallel(n_jobs=2, backend="loky")
                print(pool(joblib.delayed(work)(n) for n in (1, 2)))
            """
        box.write("script.py", dedent(script).encode())
        token = f"worker-{uuid4().hex}"
        seen = box.run(("script.py", token), limits=Limits(wall_s=60.0))
        assert seen.output.splitlines()[-1] == "[(1, None), (2, None)]"
        assert not is_running(token)

    def test_60_a_workspace_is_what_it_was_after_any_run(self, box: Sandbox) -> None:
        box.write("train.py", b"print('mine')")
        box.write("lib/tools.py", b"x = 1")
        box.write("script.py", b"")
        before = box.snapshot()
        for script in (
            "import os, shutil; shutil.rmtree('lib'); os.remove('train.py')",
            "import os; os.remove('train.py'); os.mkdir('train.py'); open('train.py/x', 'w')",
            "open('train.py', 'w').write('theirs'); open('lib/new.py', 'w')",
            "import os; os.chmod('train.py', 0); os.chmod('lib', 0); os.chmod('.', 0)",
            "import os; os.rename('lib', 'other'); os.symlink('other', 'lib')",
            "import os; os.link('train.py', 'twin.py')",
        ):
            assert play(box, script).succeeded
            assert box.snapshot() != before
            box.restore(before)
            assert box.snapshot() == before
            assert box.read("train.py") == b"print('mine')"
            assert box.names("lib") == ["tools.py"]

    def test_62_no_variable_is_set_for_later_runs(self, box: Sandbox) -> None:
        show = "import os; print(sorted(os.environ.items()), open('/proc/self/environ').read())"
        clean = play(box, show).output
        play(
            box,
            """
            import os
            open("evil.py", "w").write("print('PWNED')")
            for name in ("PYTHONSTARTUP", "PYTHONPATH", "PYTHONHOME", "LD_PRELOAD", "BASH_ENV"):
                os.putenv(name, "/box/evil.py")
                os.environ[name] = "/box/evil.py"
            os.environ["PATH"] = "/box"
            """,
        )
        assert play(box, show).output == clean
        assert "evil" not in clean

    @pytest.mark.parametrize("hook", HOOKS)
    def test_63_no_hook_makes_a_run_anything_but_the_scripts(self, box: Sandbox, hook: str) -> None:
        seen = play(box, HOOKS[hook])
        assert seen.killed_by is None
        assert seen.exit_code is not None
        assert "unheard" not in seen.output
        assert box.names() == ["script.py"]
        assert play(box, "print('next')").output == "next\n"

    @pytest.mark.parametrize("kind", WORDS)
    def test_64_an_exception_with_bad_words_is_a_crash(self, box: Sandbox, kind: str) -> None:
        seen = play(box, WORDS[kind])
        assert (seen.exit_code, seen.killed_by) == (1, None)

    def test_65_words_that_imitate_ours_earn_nothing(self, box: Sandbox) -> None:
        cut = "\n... 234476 bytes of output cut ...\n"
        seen = play(box, f"print({cut!r}, end=''); print('MemoryError')")
        assert (seen.exit_code, seen.killed_by) == (0, None)
        assert seen.output == cut + "MemoryError\n"
        # A crash that names a limit is believed: it is the same crash, in kinder words.
        seen = play(box, "print('MemoryError'); raise SystemExit(1)")
        assert (seen.exit_code, seen.killed_by, seen.succeeded) == (1, "memory", False)

    def test_66_odd_things_under_the_names_of_ours_are_dropped(self, box: Sandbox) -> None:
        box.write("train.py", b"")
        attack(
            box,
            """
            os.mkfifo("submission.csv")
            os.remove("train.py")
            os.mkdir("train.py")
            os.symlink("loop", "loop")
            os.symlink("..", "up")
            os.mkdir("folder")
            os.symlink("../folder", "folder/again")
            open("folder/two\\nlines.csv", "w").close()
            open("folder/real", "w").close()
            os.link("folder/real", "data")
            os.link("folder/real", "script.py.twin")
            """,
        )
        assert box.names() == ["script.py"]
        assert box.read("submission.csv") is None
        assert box.read("train.py") is None
        # Nothing is in the way of putting it back.
        box.write("train.py", b"back")
        assert box.read("train.py") == b"back"

    def test_67_a_file_of_just_the_size_is_taken_and_no_byte_more(self, box: Sandbox) -> None:
        script = """
            for name, size in (("just", 64 << 20), ("more", (64 << 20) + 1)):
                with open(name, "wb") as file:
                    file.truncate(size)
            """
        attack(box, script, disk_mib=256)
        assert box.names() == ["just", "script.py"]
        assert len(box.read("just") or b"") == 64 << 20

    def test_68_old_files_are_kept_before_new_ones_wherever_they_are(self, box: Sandbox) -> None:
        box.write("lib/deep/tools.py", b"x = 1")
        attack(box, "for number in range(1500): open(f'{number:05}', 'w').close()")
        assert box.read("lib/deep/tools.py") == b"x = 1"
        assert len(box.names() or ()) == 1000

    def test_69_nothing_of_other_runs_is_in_memory(
        self, make_box: MakeBox, outside: Outside
    ) -> None:
        earlier = secrets.token_hex(8)
        play(make_box(None), f"secret = {earlier!r}\nprint(secret)")
        box = make_box(outside.data)
        script = """
            import re, sys
            # The halves, so that the search does not find itself.
            halves = [word.encode() for word in sys.argv[1:]]
            searched = 0
            found = [0] * (len(halves) // 2)
            with open("/proc/self/mem", "rb", buffering=0) as memory:
                for line in open("/proc/self/maps"):
                    start, end = (int(word, 16) for word in line.split()[0].split("-"))
                    if "r" not in line.split()[1] or "[v" in line:
                        continue
                    for at in range(start, end, 1 << 22):
                        try:
                            memory.seek(at)
                            part = memory.read(min(1 << 22, end - at))
                        except (OSError, OverflowError):
                            continue
                        searched += len(part)
                        for number in range(len(found)):
                            first, second = halves[2 * number : 2 * number + 2]
                            for place in re.finditer(first, part):
                                found[number] += part[place.end() :][:8] == second
            print(searched > 1 << 20, found)
            """
        box.write("script.py", dedent(script).encode())
        present = "findable-" + secrets.token_hex(4)
        box.write("script.py", f"present = {present!r}\n{dedent(script)}".encode())
        secret = (earlier, outside.secret)
        halves = [half for word in secret for half in (word[:8], word[8:])]
        seen = box.run(("script.py", *halves, present[:-8], present[-8:]), limits=SMALL)
        assert seen.output.startswith("True [0, 0, ")
        assert not seen.output.endswith(", 0]\n")

    def test_70_a_run_cannot_leave_the_cores_it_was_given(self, box: Sandbox) -> None:
        core = min(os.sched_getaffinity(0))
        box.write(
            "script.py",
            b"import os\nos.sched_setaffinity(0, range(64))\nprint(os.sched_getaffinity(0))",
        )
        assert box.run(("script.py",), limits=SMALL, cores=[core]).output == f"{{{core}}}\n"
