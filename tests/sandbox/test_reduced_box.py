"""The reduced tier keeps the same contract and stands the same attacks, but for one table."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from box_conformance import BoxConformance, MakeBox, play
from box_floods import BoxFloods
from canaries import outside
from reachable import open_python
from reduced_escapes import ReducedEscapes
from reduced_tricks import ReducedTricks

from ml_agent.core.records import Limits
from ml_agent.sandbox import ColdBox, Sandbox, Snapshots

__all__ = ["outside"]


@dataclass(frozen=True)
class Difference:
    """How the reduced tier differs from the strong one in an attack or a duty."""

    stopped: bool
    """True: the attack earns nothing here either, it only meets another answer."""
    why: str


STOPPED = True
DIFFERENCES = {
    "test_01_labels_beside_the_data_are_not_there": Difference(
        not STOPPED, "Landlock closes files but does not cover stat: what is outside can be seen"
    ),
    "test_03_proc_leads_nowhere_else": Difference(STOPPED, "/proc is closed, not replaced"),
    "test_04_links_to_the_outside_are_not_taken_out": Difference(
        STOPPED, "files outside exist, so linking them is refused as crossing into another place"
    ),
    "test_05_there_is_no_home_and_nothing_of_the_host": Difference(
        not STOPPED, "folders of the host are closed, but that they exist can be seen"
    ),
    "test_07_attributes_of_what_it_sees_cannot_be_changed": Difference(
        STOPPED, "Landlock does not cover attributes: setting them is answered and not done"
    ),
    "test_08_the_environment_holds_no_secret": Difference(STOPPED, "/proc/1 is not the script"),
    "test_09_other_processes_cannot_be_inspected": Difference(
        not STOPPED, "that a process exists, and when it ends, can be seen"
    ),
    "test_10_nothing_outside_can_be_signalled": Difference(STOPPED, "refused, not unknown"),
    "test_12_the_data_can_be_read_and_not_changed": Difference(
        not STOPPED, "data is a link in the script's own folder, and that link can be renamed"
    ),
    "test_14_unix_sockets_outside_cannot_be_reached": Difference(STOPPED, "connecting is refused"),
    "test_37_no_program_gives_privileges_back": Difference(STOPPED, "refused, not unknown"),
    "test_40_there_are_harmless_devices_only": Difference(STOPPED, "/dev is closed, not replaced"),
    "test_49_only_plain_files_are_taken_out": Difference(
        not STOPPED, "no sockets with a name, and modes are not set, so files stay readable"
    ),
    "test_56_boxes_do_not_see_each_other": Difference(
        not STOPPED, "one network and one process table: process numbers can be seen"
    ),
    "test_25_disk_is_limited_wherever_it_is_written": Difference(
        not STOPPED, "bytes are bounded by looking every 50 ms, not by the disk"
    ),
    "test_29_the_number_of_files_is_limited": Difference(
        not STOPPED, "files are bounded by looking every 50 ms, not by the disk"
    ),
    "test_02_no_folder_above_the_labels_leads_to_them": Difference(
        STOPPED, "folders are closed, not absent; one may stand in them and see nothing"
    ),
    "test_06_nothing_outside_can_be_seen": Difference(
        not STOPPED, "Landlock does not cover stat: existence and sizes can be seen"
    ),
    "test_15_sockets_without_a_path_cannot_be_reached": Difference(
        STOPPED, "one network: sockets by name are refused, taking a name as well"
    ),
    "test_22_memory_that_nobody_shows_is_refused": Difference(
        STOPPED, "/dev/zero is closed, not absent"
    ),
    "test_22_memory_of_files_counts_as_disk": Difference(
        not STOPPED, "bytes are bounded by looking every 50 ms, not by the disk"
    ),
    "test_28_many_files_in_many_places_share_one_limit": Difference(
        not STOPPED, "bytes are bounded by looking every 50 ms, not by the disk"
    ),
    "test_45_files_that_interpreters_look_for_are_not_run": Difference(
        STOPPED, "TMPDIR and home are the script's own folder, not /tmp"
    ),
    "test_46_what_a_run_leaves_behind_no_other_run_finds": Difference(
        STOPPED, "/tmp and /dev/shm are closed; TMPDIR is new in every run"
    ),
    "test_54_no_clock_game_changes_what_is_measured": Difference(
        STOPPED, "a script can stop itself; its wall limit runs on and ends it"
    ),
    "test_62_no_variable_is_set_for_later_runs": Difference(
        STOPPED, "HOME and TMPDIR are new in every run, all else is the same"
    ),
    "test_49_a_workspace_that_is_closed_is_taken_for_empty": Difference(
        STOPPED, "modes are not set, so it cannot be closed"
    ),
    "test_the_libraries_of_machine_learning_work": Difference(
        not STOPPED, "/dev/shm is closed: no semaphores, so no Pool and no DataLoader workers"
    ),
}
"""Everything in which the reduced tier is known to differ; the tests of these names say how."""


@pytest.fixture(scope="module", autouse=True)
def reachable() -> Iterator[None]:
    with open_python():
        yield


class ReducedEngine:
    @pytest.fixture
    def make_box(self, snapshots: Snapshots) -> MakeBox:
        return lambda data: ColdBox(snapshots, data=data, tier="reduced")


class TestContract(ReducedEngine, BoxConformance):
    def test_the_libraries_of_machine_learning_work(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import multiprocessing, subprocess, sys, tempfile, threading

            def main():
                import joblib, numpy as np, pandas as pd, torch
                from sklearn.linear_model import LogisticRegression
                from torch.utils.data import DataLoader, TensorDataset

                x = np.random.default_rng(0).normal(size=(200, 5))
                y = (x[:, 0] > 0).astype(int)
                pd.DataFrame(x).assign(y=y).to_csv("all.csv", index=False)
                print("sklearn", LogisticRegression().fit(x, y).score(x, y) > 0.9)
                rows = TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(y))
                layer = torch.nn.Linear(5, 2)
                for inputs, labels in DataLoader(rows, batch_size=100):
                    torch.nn.functional.cross_entropy(layer(inputs), labels).backward()
                print("torch", tuple(layer.weight.grad.shape))
                print("joblib", joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(-i) for i in (1, 2)))
                for make in (lambda: multiprocessing.Pool(2), multiprocessing.Lock):
                    try:
                        make()
                    except PermissionError as error:
                        print("semaphores", error.errno)
                try:
                    next(iter(DataLoader(rows, num_workers=1)))
                except PermissionError as error:
                    print("workers", error.errno)
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
        lines = seen.output.splitlines()
        assert [*lines[:6], *lines[-3:]] == [
            "sklearn True",
            "torch (2, 5)",
            "joblib [1, 2]",
            "semaphores 13",
            "semaphores 13",
            "workers 13",
            "thread",
            "program b'1\\n'",
            "temporary 2",
        ]
        assert seen.succeeded


class TestEscapes(ReducedEngine, ReducedEscapes):
    pass


class TestFloods(ReducedEngine, BoxFloods):
    @pytest.mark.parametrize("folder", [".", "tmp", "removed"])
    def test_25_disk_is_limited_wherever_it_is_written(self, box: Sandbox, folder: str) -> None:
        seen = play(
            box,
            f"""
            import os, tempfile, time
            folder = {folder!r}.replace("tmp", tempfile.gettempdir())
            held = []
            for number in range(32):
                file = open(str(number) if folder == "removed" else f"{{folder}}/{{number}}", "wb")
                if folder == "removed":
                    os.unlink(str(number))
                    held.append(file)
                file.write(bytes(1 << 20))
                file.flush()
            print("written")
            time.sleep(60)
            """,
        )
        assert (seen.exit_code, seen.killed_by) == (None, "disk")

    def test_29_the_number_of_files_is_limited(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import time
            for number in range(25_000):
                open(str(number), "w").close()
            time.sleep(60)
            """,
        )
        assert (seen.exit_code, seen.killed_by) == (None, "disk")

    def test_22_memory_that_nobody_shows_is_refused(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import mmap
            kinds = [(-1, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS), (-1, 3 | mmap.MAP_ANONYMOUS)]
            for file, flags in kinds:
                try:
                    mmap.mmap(file, 1 << 20, flags=flags)
                except OSError as error:
                    print(error.errno)
            try:
                open("/dev/zero")
            except PermissionError as error:
                print(error.errno)
            """,
        )
        assert seen.output == "1\n1\n13\n"

    def test_22_memory_of_files_counts_as_disk(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import mmap, os, time
            file = open("shared", "w+b")
            for number in range(2):
                file = open(str(number), "w+b")
                file.truncate(16 << 20)
                shared = mmap.mmap(file.fileno(), 16 << 20)
                shared[:] = bytes([1]) * (16 << 20)
                shared.flush()
            print("written")
            time.sleep(60)
            """,
        )
        assert (seen.exit_code, seen.killed_by) == (None, "disk")

    def test_28_many_files_in_many_places_share_one_limit(self, box: Sandbox) -> None:
        seen = play(
            box,
            """
            import os, time
            for number in range(12):
                for folder in (".", os.environ["TMPDIR"]):
                    open(f"{folder}/{number}", "wb").write(bytes(1 << 20))
            time.sleep(60)
            """,
        )
        assert (seen.exit_code, seen.killed_by) == (None, "disk")


class TestTricks(ReducedEngine, ReducedTricks):
    pass


def test_the_table_names_all_that_the_reduced_tier_answers_in_its_own_way() -> None:
    own = set()
    for kind in (TestContract, ReducedEscapes, TestFloods, ReducedTricks):
        names = {name for name in vars(kind) if name.startswith("test_")}
        # Each stands in the place of one that the strong tier is held to.
        assert all(any(name in vars(base) for base in kind.__mro__[1:]) for name in names), names
        own |= names
    assert own == set(DIFFERENCES)
