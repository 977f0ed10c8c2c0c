"""Tricks that meet another answer in the reduced tier; `test_reduced_box.DIFFERENCES` says why."""

from box_conformance import but, play
from box_tricks import BoxTricks
from canaries import attack

from ml_agent.sandbox import Sandbox


class ReducedTricks(BoxTricks):
    def test_45_files_that_interpreters_look_for_are_not_run(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            import site
            for place in (".", os.environ["TMPDIR"], site.getusersitepackages()):
                os.makedirs(place, exist_ok=True)
                for name in ("sitecustomize.py", "usercustomize.py", "x.pth"):
                    open(f"{place}/{name}", "w").write("import os; os.write(1, b'PWNED')")
            for place in (sys.prefix + "/pyvenv.cfg", "/etc/ld.so.preload", "/etc/ld.so.cache"):
                attempt("write", lambda: open(place, "a"))
            """,
        )
        assert lines == ["write 13"] * 3
        assert play(box, "import numpy; print('clean')").output == "clean\n"

    def test_46_what_a_run_leaves_behind_no_other_run_finds(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            import tempfile
            for path in ("/tmp/left", "/dev/shm/left"):
                attempt(path, lambda: open(path, "w"))
            open(tempfile.gettempdir() + "/left", "w").write("x")
            """,
        )
        assert lines == ["/tmp/left 13", "/dev/shm/left 13"]
        seen = play(box, "import os, tempfile; print(os.listdir(tempfile.gettempdir()))")
        assert seen.output == "[]\n"

    def test_49_only_plain_files_are_taken_out(self, box: Sandbox) -> None:
        lines = attack(
            box,
            """
            open("good.csv", "w").write("id,y\\n")
            os.mkfifo("pipe.csv")
            os.mkdir("folder.csv")
            open("one.csv", "w").close()
            os.link("one.csv", "two.csv")
            post = socket.socket(socket.AF_UNIX)
            attempt("socket", lambda: post.bind("socket.csv"))
            os.close(os.open("closed.csv", os.O_CREAT, 0))
            open("open.csv", "w").close()
            os.chmod("open.csv", 0)
            """,
        )
        assert lines == ["socket 13"]
        assert box.names() == ["good.csv", "open.csv", "script.py"]

    def test_49_a_workspace_that_is_closed_is_taken_for_empty(self, box: Sandbox) -> None:
        attack(box, "os.chmod('.', 0)")
        assert box.names() == ["script.py"]

    def test_54_no_clock_game_changes_what_is_measured(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import os, signal, time
            time.monotonic = time.time = time.process_time = lambda: 0.0
            os.kill(os.getpid(), signal.SIGSTOP)
            """,
            limits=but(wall_s=0.5),
        )
        assert (seen.exit_code, seen.killed_by) == (None, "time")
        assert seen.wall_s >= 0.5

    def test_62_no_variable_is_set_for_later_runs(self, box: Sandbox) -> None:
        show = "import os; own = ('HOME', 'TMPDIR')\n"
        show += "print(sorted((k, v) for k, v in os.environ.items() if k not in own))"
        clean = play(box, show).output
        play(
            box,
            """
            import os
            open("evil.py", "w").write("print('PWNED')")
            for name in ("PYTHONSTARTUP", "PYTHONPATH", "PYTHONHOME", "LD_PRELOAD", "PATH"):
                os.environ[name] = os.getcwd() + "/evil.py"
            """,
        )
        assert play(box, show).output == clean
        assert "evil" not in clean
