"""What every box must do. Subclass it beside an engine and give the fixture `make_box`."""

import os
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from ml_agent.core.errors import SandboxError, UsageError
from ml_agent.core.records import Execution, Limits
from ml_agent.sandbox import Sandbox

MakeBox = Callable[[Path | None], Sandbox]
SMALL = Limits(wall_s=20.0, cpu_s=20.0, memory_mib=256, disk_mib=16, processes=16)


def play(box: Sandbox, script: str, *, limits: Limits = SMALL) -> Execution:
    box.write("script.py", dedent(script).encode())
    return box.run(("script.py",), limits=limits)


def but(**changes: float) -> Limits:
    return SMALL.model_copy(update=changes)


class BoxConformance:
    @pytest.fixture
    def box(self, make_box: MakeBox, tmp_path: Path) -> Sandbox:
        data = tmp_path / "data"
        (data / "images").mkdir(parents=True)
        (data / "train.csv").write_text("x,y\n1,2\n")
        (data / "images" / "0.png").write_bytes(b"png")
        return make_box(data)

    def test_a_script_that_ends_well_succeeds(self, box: Sandbox) -> None:
        seen = play(box, "import sys; print('out'); print('err', file=sys.stderr)")
        assert seen.succeeded
        assert seen.output == "out\nerr\n"
        assert seen.tier == box.tier

    def test_a_crash_is_reported_with_its_traceback(self, box: Sandbox) -> None:
        seen = play(box, "x = 1\nprint('before')\nx / 0")
        assert (seen.exit_code, seen.killed_by) == (1, None)
        assert seen.output.startswith("before\nTraceback")
        assert "line 3" in seen.output
        assert seen.output.endswith("ZeroDivisionError: division by zero\n")

    def test_the_exit_code_is_the_scripts_own(self, box: Sandbox) -> None:
        assert play(box, "import sys; sys.exit(7)").exit_code == 7

    def test_a_missing_script_is_the_callers_crash_not_ours(self, box: Sandbox) -> None:
        seen = box.run(("nothing.py",), limits=SMALL)
        assert seen.exit_code == 2
        assert "No such file" in seen.output

    def test_arguments_reach_the_script(self, box: Sandbox) -> None:
        box.write("script.py", b"import sys; print(sys.argv[1:])")
        assert box.run(("script.py", "a b", ""), limits=SMALL).output == "['a b', '']\n"

    def test_there_is_nothing_to_read_on_standard_input(self, box: Sandbox) -> None:
        assert play(box, "import sys; print(repr(sys.stdin.read()))").output == "''\n"

    def test_scripts_import_each_other_and_read_their_data(self, box: Sandbox) -> None:
        box.write("lib/tools.py", b"def read(): return open('data/train.csv').read()")
        seen = play(box, "from lib.tools import read; print(repr(read()))")
        assert seen.output == "'x,y\\n1,2\\n'\n"

    def test_the_same_seedless_script_prints_the_same_twice(self, box: Sandbox) -> None:
        script = "print(list({'a', 'b', 'c'}), hash('x'))"
        assert play(box, script).output == play(box, script).output

    def test_processor_and_wall_time_are_measured(self, box: Sandbox) -> None:
        script = "import time; time.sleep(0.3)\nwhile time.process_time() < 0.2: pass"
        seen = play(box, script)
        assert seen.wall_s >= 0.45
        assert 0.2 <= seen.cpu_s <= seen.wall_s

    def test_what_a_script_leaves_is_in_the_workspace(self, box: Sandbox) -> None:
        box.write("old.txt", b"old")
        play(
            box,
            """
            import os
            os.makedirs("out/deep")
            open("out/deep/a.bin", "wb").write(bytes(range(256)))
            open("empty", "w").close()
            os.remove("old.txt")
            """,
        )
        assert box.read("out/deep/a.bin") == bytes(range(256))
        assert box.read("empty") == b""
        assert box.read("old.txt") is None
        assert box.names() == ["data/", "empty", "out/", "script.py"]

    def test_what_a_killed_script_printed_and_wrote_is_kept(self, box: Sandbox) -> None:
        seen = play(
            box,
            "print('started'); open('part.txt', 'w').write('half')\nwhile True: pass",
            limits=but(wall_s=0.5),
        )
        assert (seen.exit_code, seen.killed_by, seen.output) == (None, "time", "started\n")
        assert box.read("part.txt") == b"half"

    def test_processor_time_is_limited_over_all_processes(self, box: Sandbox) -> None:
        seen = play(box, "import os\nos.fork()\nos.fork()\nwhile True: pass", limits=but(cpu_s=1.0))
        assert (seen.exit_code, seen.killed_by) == (None, "time")
        assert 1.0 <= seen.cpu_s < 3.0

    def test_long_output_keeps_head_and_tail_and_says_what_is_cut(self, box: Sandbox) -> None:
        seen = play(box, "print('first'); print('x' * 300_000); print('last')")
        assert seen.succeeded
        assert seen.output.startswith("first\nxxx")
        assert seen.output.endswith("xxx\nlast\n")
        # 6 + 300,001 + 5 bytes are printed, 65,536 kept.
        assert "\n... 234476 bytes of output cut ...\n" in seen.output

    def test_output_that_is_no_text_is_no_error(self, box: Sandbox) -> None:
        seen = play(box, r"import sys; sys.stdout.buffer.write(b'a\xff\x00b')")
        assert seen.output == "a\ufffd\0b"

    def test_files_are_written_read_and_listed(self, box: Sandbox) -> None:
        box.write("sub/a.txt", b"a")
        box.write("./b.txt", b"b")
        assert box.read("sub/a.txt") == b"a"
        assert box.names() == ["b.txt", "data/", "sub/"]
        assert box.names("sub") == ["a.txt"]
        assert box.names("data") == ["images/", "train.csv"]
        assert box.names("data/images") == ["0.png"]
        assert box.read("data/images/0.png") == b"png"

    def test_what_is_not_there_is_none(self, box: Sandbox) -> None:
        box.write("sub/a.txt", b"a")
        assert box.read("sub") is None
        assert box.read("data/images") is None
        assert box.read("data/none") is None
        assert box.names("none") is None
        assert box.names("sub/a.txt") is None
        assert box.names("data/train.csv") is None

    def test_a_link_out_of_the_data_is_not_followed(
        self, make_box: MakeBox, tmp_path: Path
    ) -> None:
        data = tmp_path / "data"
        data.mkdir()
        (tmp_path / "labels.csv").write_text("secret")
        (data / "labels.csv").symlink_to(tmp_path / "labels.csv")
        (data / "up").symlink_to(tmp_path)
        box = make_box(data)
        assert box.read("data/labels.csv") is None
        assert box.names("data/up") is None

    @pytest.mark.parametrize("path", ["data/new.csv", "data", "../x", "/etc/x", ".", "a\0b"])
    def test_nothing_is_written_outside_the_workspace(self, box: Sandbox, path: str) -> None:
        with pytest.raises(UsageError):
            box.write(path, b"")

    def test_a_file_and_a_folder_cannot_share_a_name(self, box: Sandbox) -> None:
        box.write("a", b"")
        box.write("b/c", b"")
        with pytest.raises(UsageError, match="a file has the name"):
            box.write("a/b", b"")
        with pytest.raises(UsageError, match="is a folder"):
            box.write("b", b"")

    def test_a_snapshot_brings_everything_back(self, box: Sandbox) -> None:
        box.write("a.txt", b"1")
        before = box.snapshot()
        play(box, "import os; os.remove('a.txt'); open('b.txt', 'w').write('2')")
        after = box.snapshot()
        box.restore(before)
        assert (box.read("a.txt"), box.read("b.txt")) == (b"1", None)
        assert box.snapshot() == before
        box.restore(after)
        assert (box.read("a.txt"), box.read("b.txt")) == (None, b"2")

    def test_equal_workspaces_have_equal_digests_in_any_box(self, make_box: MakeBox) -> None:
        one, other = make_box(None), make_box(None)
        one.write("a", b"1")
        one.write("b", b"2")
        other.write("b", b"2")
        other.write("a", b"1")
        assert one.snapshot() == other.snapshot()

    def test_data_is_on_no_snapshot(self, box: Sandbox, make_box: MakeBox) -> None:
        play(box, "pass")
        other = make_box(None)
        other.write("script.py", b"pass")
        assert box.snapshot() == other.snapshot()

    def test_an_unknown_snapshot_is_our_error(self, box: Sandbox) -> None:
        with pytest.raises(SandboxError, match="cannot be read"):
            box.restore("0" * 64)

    def test_closing_twice_is_harmless(self, box: Sandbox) -> None:
        box.close()
        box.close()

    @pytest.mark.skipif(
        len(os.sched_getaffinity(0)) < 2,
        reason="on one core a pool of two threads has one: allow the tests two cores",
    )
    def test_a_run_keeps_to_its_cores_and_threads(self, box: Sandbox) -> None:
        box.write(
            "script.py",
            b"import os, numpy, sklearn.metrics, threadpoolctl\n"
            b"print(sorted(os.sched_getaffinity(0)))\n"
            b"print({pool['num_threads'] for pool in threadpoolctl.threadpool_info()})",
        )
        core = max(os.sched_getaffinity(0))
        one = box.run(("script.py",), limits=SMALL, cores=[core])
        assert one.output == f"[{core}]\n{{1}}\n"
        two = box.run(("script.py",), limits=but(threads=2))
        assert two.output == f"{sorted(os.sched_getaffinity(0))}\n{{2}}\n"

    def test_the_libraries_of_machine_learning_work(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import multiprocessing, subprocess, sys, tempfile, threading

            def main():
                import joblib, matplotlib.pyplot as plt, numpy as np, pandas as pd, torch
                from sklearn.linear_model import LogisticRegression
                from torch.utils.data import DataLoader, TensorDataset

                x = np.random.default_rng(0).normal(size=(200, 5))
                y = (x[:, 0] > 0).astype(int)
                pd.DataFrame(x).assign(y=y).to_csv("all.csv", index=False)
                print("sklearn", LogisticRegression().fit(x, y).score(x, y) > 0.9)
                rows = TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(y))
                layer = torch.nn.Linear(5, 2)
                for inputs, labels in DataLoader(rows, batch_size=100, num_workers=1):
                    torch.nn.functional.cross_entropy(layer(inputs), labels).backward()
                print("torch", tuple(layer.weight.grad.shape))
                plt.plot([1, 2]); plt.savefig("plot.png")
                print("joblib", joblib.Parallel(n_jobs=1)(joblib.delayed(abs)(-i) for i in (1, 2)))
                with multiprocessing.Pool(2) as pool:
                    print("fork", pool.map(abs, [-1, -2]))
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    print("spawn", pool.map(abs, [-3]))
                thread = threading.Thread(target=print, args=("thread",))
                thread.start()
                thread.join()
                print("program", subprocess.check_output([sys.executable, "-c", "print(1)"]))
                print("temporary", tempfile.TemporaryFile().write(b"12"))

            if __name__ == "__main__":
                main()
            """,
            limits=Limits(wall_s=90.0, cpu_s=90.0),
        )
        assert seen.output.splitlines()[-8:] == [
            "sklearn True",
            "torch (2, 5)",
            "joblib [1, 2]",
            "fork [1, 2]",
            "spawn [3]",
            "thread",
            "program b'1\\n'",
            "temporary 2",
        ]
        assert seen.succeeded
        assert (box.read("plot.png") or b"").startswith(b"\x89PNG")
