"""Results outlive a run: real boxes, real processes, and everything that may go wrong with them."""

import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ml_agent.core.errors import SandboxError
from ml_agent.core.records import Execution, Limits
from ml_agent.env import Experiments, Finding, ResultCache
from ml_agent.env.experiments import is_due
from ml_agent.env.result_cache import Result, experiment_key, software_versions
from ml_agent.sandbox import ColdBox, Snapshots
from ml_agent.tasks import Grader, PreparedTask

GUESSES = """
import csv, os, sys
ids = [row["id"] for row in csv.DictReader(open("data/predict.csv"))]
print(os.urandom(8).hex())
open("left.txt", "w").write("left")
with open("submission.csv", "w") as out:
    print("id,prediction", file=out)
    for name in ids:
        print(f"{name},{GUESS}", file=out)
"""
REPEATABLE = "GUESS = 7.0" + GUESSES
"""Prints something else every time, which is not what decides; its error is 3."""
RANDOM = "import random\nGUESS = random.SystemRandom().random()" + GUESSES
FOREVER = "while True: pass"
KILLED = "while True: print('endless' * 1000)"
CRASHING = "1 / 0"


class Run:
    """One run with snapshots of its own, as a session would have it."""

    def __init__(
        self, folder: Path, grader: Grader, cache: ResultCache | None, *, checked: bool = False
    ) -> None:
        self.snapshots = Snapshots(folder)
        self.checks = 0
        self.experiments = Experiments(
            grader, self.snapshots, cache=cache, check_box=self._check_box if checked else None
        )

    def _check_box(self, prepared: PreparedTask) -> ColdBox:
        self.checks += 1
        return self.box(prepared)

    def box(self, prepared: PreparedTask) -> ColdBox:
        return ColdBox(self.snapshots, data=prepared.public)

    def ask(self, prepared: PreparedTask, source: str) -> Finding:
        box = self.box(prepared)
        box.write("train.py", source.encode())
        found = self.experiments.run(prepared, box, "train.py")
        assert box.snapshot() == found.workspace
        return found

    def cached(self, prepared: PreparedTask, source: str) -> bool:
        return self.ask(prepared, source).execution.cached


NewRun = Callable[..., Run]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(root: Path) -> Iterator[ResultCache]:
    with ResultCache(root) as one:
        yield one


@pytest.fixture
def new_run(tmp_path: Path, grader: Grader, cache: ResultCache) -> NewRun:
    def make(name: str, *, checked: bool = False) -> Run:
        return Run(tmp_path / name, grader, cache, checked=checked)

    return make


def result(text: str, *, size: int = 1, workspace: dict[str, bytes] | None = None) -> Result:
    """A made-up result; `size` bytes of predictions."""
    return Result(
        execution=Execution(exit_code=0, output=text, wall_s=1.0, cpu_s=1.0),
        predictions=(text.encode() * size)[:size],
        workspace=workspace or {},
    )


def blobs(root: Path) -> list[Path]:
    return [path for path in (root / "v1" / "blobs").rglob("*") if path.is_file()]


def test_a_result_of_an_earlier_run_is_used_and_graded_again(
    new_run: NewRun, root: Path, guess_task: PreparedTask
) -> None:
    first = new_run("one").ask(guess_task, REPEATABLE)
    later = new_run("two")
    second = later.ask(guess_task, REPEATABLE)
    assert (first.execution.cached, second.execution.cached) == (False, True)
    assert second.execution.model_copy(update={"cached": False}) == first.execution
    assert (first.score, second.score) == (3.0, 3.0)
    assert (second.submission, second.workspace) == (first.submission, first.workspace)


def test_a_runs_own_folder_is_enough_to_read_a_cached_result(
    new_run: NewRun, root: Path, cache: ResultCache, guess_task: PreparedTask
) -> None:
    new_run("one").ask(guess_task, REPEATABLE)
    later = new_run("two")
    found = later.ask(guess_task, REPEATABLE)
    cache.close()
    for path in blobs(root):
        path.unlink()
    assert later.snapshots.load(found.workspace) == {
        "train.py": REPEATABLE.encode(),
        "left.txt": b"left",
    }
    assert found.submission is not None
    assert later.snapshots.get(found.submission).startswith(b"id,prediction\na,7.0\n")


def test_no_score_lies_in_the_cache(new_run: NewRun, root: Path, guess_task: PreparedTask) -> None:
    new_run("one").ask(guess_task, REPEATABLE)
    (execution,) = [
        json.loads(path.read_bytes()) for path in blobs(root) if b"wall_s" in path.read_bytes()
    ]
    assert set(execution) == set(Execution.model_fields)
    assert not any("score" in name for name in execution)


HERE = f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
ELSEWHERE = (
    HERE
    + """
from test_result_cache import *
from ml_agent.core.records import Task
given = json.loads(sys.stdin.read())
task = PreparedTask(
    task=Task.model_validate(given["task"]),
    public=Path(given["public"]),
    answers=Path(given["answers"]),
    workspace={},
)
with Grader() as grader, ResultCache(Path(given["root"])) as cache:
    found = Run(Path(given["snapshots"]), grader, cache).ask(task, REPEATABLE)
    print(found.execution.model_dump_json())
"""
)


def test_a_result_of_another_process_is_used(
    tmp_path: Path, root: Path, new_run: NewRun, guess_task: PreparedTask
) -> None:
    given = {
        "task": guess_task.task.model_dump(mode="json"),
        "public": str(guess_task.public),
        "answers": str(guess_task.answers),
        "root": str(root),
        "snapshots": str(tmp_path / "elsewhere"),
    }
    call = [sys.executable, "-c", ELSEWHERE]
    done = subprocess.run(
        call, input=json.dumps(given), capture_output=True, text=True, check=True, timeout=60
    )
    theirs = Execution.model_validate_json(done.stdout)
    ours = new_run("here").ask(guess_task, REPEATABLE).execution
    assert (theirs.cached, ours.cached) == (False, True)
    assert (ours.output, ours.wall_s) == (theirs.output, theirs.wall_s)


def test_without_a_cache_nothing_is_kept_or_used(
    tmp_path: Path, grader: Grader, new_run: NewRun, root: Path, guess_task: PreparedTask
) -> None:
    new_run("one").ask(guess_task, REPEATABLE)
    before = sorted(blobs(root))
    alone = Run(tmp_path / "alone", grader, None)
    assert not alone.cached(guess_task, REPEATABLE)
    assert not alone.cached(guess_task, CRASHING)
    assert alone.cached(guess_task, REPEATABLE)
    assert sorted(blobs(root)) == before


PARTS = {
    "script": "train.py",
    "workspace": "a" * 64,
    "data": "b" * 64,
    "limits": Limits(),
    "tier": "strong",
    "software": software_versions(),
}


@pytest.mark.parametrize(
    "changed",
    [
        {"script": "other.py"},
        {"workspace": "c" * 64},
        {"data": "c" * 64},
        {"limits": Limits(wall_s=31.0)},
        {"limits": Limits(threads=2)},
        {"limits": Limits(output_kib=65)},
        {"tier": "none"},
        *({"software": {**software_versions(), name: "0"}} for name in software_versions()),
    ],
)
def test_whatever_a_result_depends_on_is_in_its_key(changed: dict[str, object]) -> None:
    key = experiment_key(**PARTS)
    assert key == experiment_key(**(PARTS | {"software": None}))
    assert len(key) == 64
    assert experiment_key(**(PARTS | changed)) != key


def test_the_software_of_a_key_is_python_the_machine_and_the_libraries() -> None:
    import numpy as np
    import torch

    found = software_versions()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["machine"] == os.uname().machine
    assert found["numpy"] == np.__version__
    assert found["torch"] == str(torch.__version__)
    assert {"pandas", "scikit-learn", "scipy", "networkx"} <= set(found)


def test_a_run_stopped_by_its_time_limit_is_run_again(
    new_run: NewRun, guess_task: PreparedTask
) -> None:
    short = guess_task.task.budget.experiment.model_copy(update={"wall_s": 0.5})
    budget = guess_task.task.budget.model_copy(update={"experiment": short})
    quick = replace(guess_task, task=guess_task.task.model_copy(update={"budget": budget}))
    run = new_run("one")
    found = [run.ask(quick, FOREVER).execution for _ in range(2)]
    assert [one.killed_by for one in found] == ["time", "time"]
    assert [one.cached for one in found] == [False, False]


def test_a_run_that_was_killed_is_not_known_to_later_runs(
    new_run: NewRun, guess_task: PreparedTask
) -> None:
    first = new_run("one")
    assert first.ask(guess_task, KILLED).execution.exit_code is None
    assert first.cached(guess_task, KILLED)
    assert not new_run("two").cached(guess_task, KILLED)


def test_a_crash_is_a_result_like_any_other(new_run: NewRun, guess_task: PreparedTask) -> None:
    new_run("one").ask(guess_task, CRASHING)
    found = new_run("two").ask(guess_task, CRASHING)
    assert found.execution.cached
    assert found.execution.exit_code == 1
    assert "ZeroDivisionError" in found.execution.output
    assert (found.score, found.submission) == (None, None)


def test_a_failure_of_ours_is_no_result(new_run: NewRun, guess_task: PreparedTask) -> None:
    run = new_run("one")
    box = run.box(guess_task)
    box.write("train.py", REPEATABLE.encode())
    away = guess_task.public.rename(guess_task.public.with_name("away"))
    with pytest.raises(SandboxError):
        run.experiments.run(guess_task, box, "train.py")
    away.rename(guess_task.public)
    again = run.experiments.run(guess_task, box, "train.py")
    assert (again.execution.cached, again.score) == (False, 3.0)


class SlowBox(ColdBox):
    """Says that its run has begun, waits to be told to go on, and may break down then."""

    began: threading.Event
    go_on: threading.Event
    breaks = False

    def run(self, argv: Sequence[str], *, limits: Limits, cores: Collection[int] = ()) -> Execution:
        self.began.set()
        assert self.go_on.wait(30)
        if self.breaks:
            raise SandboxError("broke down")
        return super().run(argv, limits=limits, cores=cores)


def twins(run: Run, task: PreparedTask, *, breaks: bool) -> list[Finding | Exception]:
    """Ask twice for the same, the second time while the first is running."""
    first = SlowBox(run.snapshots, data=task.public)
    first.began, first.go_on, first.breaks = threading.Event(), threading.Event(), breaks
    found: list[Finding | Exception | None] = [None, None]

    def ask(place: int, box: ColdBox) -> None:
        box.write("train.py", REPEATABLE.encode())
        try:
            found[place] = run.experiments.run(task, box, "train.py")
        except SandboxError as error:
            found[place] = error

    threads = [threading.Thread(target=ask, args=(0, first))]
    threads[0].start()
    assert first.began.wait(30)
    threads.append(threading.Thread(target=ask, args=(1, run.box(task))))
    threads[1].start()
    threads[1].join(0.3)
    assert found == [None, None]
    first.go_on.set()
    for one in threads:
        one.join(60)
    return [one for one in found if one is not None]


def test_twins_asked_for_at_the_same_time_run_once(
    new_run: NewRun, guess_task: PreparedTask
) -> None:
    first, second = twins(new_run("one"), guess_task, breaks=False)
    assert isinstance(first, Finding)
    assert isinstance(second, Finding)
    assert (first.execution.cached, second.execution.cached) == (False, True)
    assert first.execution.output == second.execution.output


def test_a_twin_tries_itself_if_the_first_breaks_down(
    new_run: NewRun, guess_task: PreparedTask
) -> None:
    first, second = twins(new_run("one"), guess_task, breaks=True)
    assert isinstance(first, SandboxError)
    assert isinstance(second, Finding)
    assert (second.execution.cached, second.score) == (False, 3.0)


def test_a_damaged_result_is_noticed_dropped_and_computed_again(
    new_run: NewRun, root: Path, guess_task: PreparedTask, caplog: pytest.LogCaptureFixture
) -> None:
    found = new_run("one").ask(guess_task, REPEATABLE)
    (kept,) = [path for path in blobs(root) if path.name == found.submission]
    # As long as before, so that only its digest can tell.
    kept.write_bytes(kept.read_bytes().replace(b"7.0", b"9.9"))
    again = new_run("two").ask(guess_task, REPEATABLE)
    assert (again.execution.cached, again.score) == (False, 3.0)
    assert "damaged and dropped" in caplog.text
    assert new_run("three").cached(guess_task, REPEATABLE)


def test_a_damaged_blob_takes_all_results_with_it_that_need_it(
    cache: ResultCache, root: Path
) -> None:
    shared = {"model.bin": b"shared" * 100}
    cache.keep("one", result("1", workspace=shared))
    cache.keep("two", result("2", workspace=shared))
    cache.keep("three", result("3"))
    (kept,) = [path for path in blobs(root) if path.read_bytes() == shared["model.bin"]]
    kept.unlink()
    assert cache.find("one") is None
    cache.keep("one", result("1", workspace=shared))
    assert cache.find("one") == result("1", workspace=shared)
    assert cache.hit("two") == 0
    assert cache.find("three") == result("3")


# The execution, the predictions and the manifest of a small result: a block each.
SMALL = 3 * 4096


def test_beyond_its_bound_the_cache_forgets_what_was_used_longest_ago(root: Path) -> None:
    with ResultCache(root, bytes_at_most=5 * SMALL) as cache:
        for name in "abcde":
            cache.keep(name, result(name))
        assert cache.hit("a") == 1
        assert len(blobs(root)) == 15
        # Six are too many; down to four fifths of the bound, b and c go.
        cache.keep("f", result("f"))
        found = {name: cache.find(name) for name in "abcdef"}
        assert [name for name, one in found.items() if one] == ["a", "d", "e", "f"]
        assert found["a"] == result("a")
        assert len(blobs(root)) == 12


def test_a_blob_stays_as_long_as_a_result_needs_it(root: Path) -> None:
    shared = {"model.bin": b"x" * 5000}
    with ResultCache(root, bytes_at_most=5 * SMALL) as cache:
        for name in "abcdefghijk":
            cache.keep(name, result(name, workspace=shared))
        kept = [name for name in "abcdefghijk" if cache.find(name)]
        assert kept[-1] == "k"
        assert 0 < len(kept) < 6
        assert cache.find("k") == result("k", workspace=shared)
        # Three of each, and the one they share.
        assert len(blobs(root)) == 3 * len(kept) + 1


def test_what_is_larger_than_the_bound_is_not_kept_at_the_cost_of_all_else(root: Path) -> None:
    with ResultCache(root, bytes_at_most=5 * SMALL) as cache:
        cache.keep("small", result("s"))
        cache.keep("large", result("l", size=6 * SMALL))
        assert cache.find("large") is None
        assert cache.find("small") == result("s")


KEEPS = (
    HERE
    + """
from test_result_cache import *
cache = ResultCache(Path(sys.argv[1]))
for number in range(10_000):
    name = f"{sys.argv[2]}{number}"
    cache.keep(name, result(name, size=200_000, workspace={"same": b"same" * 10_000}))
    print(name, flush=True)
"""
)


def test_kill_9_while_writing_leaves_a_cache_that_works(root: Path) -> None:
    told: list[str] = []
    for turn in range(3):
        call = [sys.executable, "-c", KEEPS, str(root), f"{turn}-"]
        with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            told += [writer.stdout.readline().strip() for _ in range(5 + turn)]
            os.kill(writer.pid, signal.SIGKILL)
    with ResultCache(root, bytes_at_most=1 << 20) as cache:
        for name in told:
            expected = result(name, size=200_000, workspace={"same": b"same" * 10_000})
            assert cache.find(name) == expected
        # Clearing removes what the kills left over, too: what is left is what is needed.
        cache.keep("new", result("new"))
        assert cache.find("new") == result("new")
    needed = read(root, "SELECT digest FROM blobs")
    assert {path.name for path in blobs(root)} == needed
    assert sum(path.stat().st_size for path in blobs(root)) <= 1 << 20


def read(root: Path, query: str) -> set[str]:
    with closing(sqlite3.connect(root / "v1" / "index.sqlite")) as index:
        return {row[0] for row in index.execute(query)}


WORKS = (
    HERE
    + """
from test_result_cache import *
cache = ResultCache(Path(sys.argv[1]), bytes_at_most=20 * SMALL)
wrong, found = [], []
def work(turn):
    for number in range(60):
        name = str((number * 7 + turn * 13) % 40)
        kept = cache.find(name)
        found.append(kept)
        if kept not in (None, result(name)):
            wrong.append(name)
        cache.hit(name)
        cache.keep(name, result(name))
threads = [threading.Thread(target=work, args=(turn,)) for turn in range(3)]
for one in threads: one.start()
for one in threads: one.join()
print(len(wrong), any(found))
"""
)


def test_many_processes_and_threads_share_a_cache_that_is_being_cleared(root: Path) -> None:
    call = [sys.executable, "-c", WORKS, str(root)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    workers = [subprocess.Popen(call, text=True, **pipes) for _ in range(3)]
    for worker in workers:
        # Nothing on standard error: no result was called damaged, and no cache went out of use.
        assert worker.communicate(timeout=120) == ("0 True\n", "")
    needed = read(root, "SELECT digest FROM blobs")
    assert needed
    assert {path.name for path in blobs(root)} == needed


def test_one_of_any_32_hits_of_a_key_is_checked_and_which_depends_on_the_key() -> None:
    keys = [experiment_key(**(PARTS | {"script": str(number)})) for number in range(300)]
    firsts = []
    for key in keys:
        due = [hits for hits in range(1, 129) if is_due(key, hits)]
        assert [hits - due[0] for hits in due] == [0, 32, 64, 96]
        firsts.append(due[0])
    assert set(firsts) == set(range(1, 33))


def test_a_repeatable_script_passes_its_checks_and_stays_cached(
    new_run: NewRun, guess_task: PreparedTask
) -> None:
    run = new_run("one", checked=True)
    assert [run.cached(guess_task, REPEATABLE) for _ in range(65)] == [False] + [True] * 64
    assert (run.checks, run.experiments.unstable) == (2, 0)


def test_hits_of_all_runs_count_together(new_run: NewRun, guess_task: PreparedTask) -> None:
    runs = [new_run(str(number), checked=True) for number in range(33)]
    for run in runs:
        run.ask(guess_task, REPEATABLE)
    assert sum(run.checks for run in runs) == 1


def until_noticed(run: Run, prepared: PreparedTask, first: Finding) -> Finding:
    """Ask for a random script until its check finds it out; the finding of that check."""
    for _ in range(32):
        found = run.ask(prepared, RANDOM)
        if run.checks:
            return found
        assert found.execution.cached
        assert found.submission == first.submission
    pytest.fail("32 hits without a check")


def test_a_script_that_is_not_repeatable_is_noticed_and_never_served_again(
    new_run: NewRun, guess_task: PreparedTask, caplog: pytest.LogCaptureFixture
) -> None:
    run, beside = new_run("one", checked=True), new_run("two")
    first = run.ask(guess_task, RANDOM)
    assert beside.ask(guess_task, RANDOM).submission == first.submission
    fresh = until_noticed(run, guess_task, first)
    assert not fresh.execution.cached
    assert fresh.submission != first.submission
    assert fresh.score != first.score
    assert (run.checks, run.experiments.unstable) == (1, 1)
    assert "train.py of guess is not repeatable" in caplog.text
    for later in (run, beside, new_run("three", checked=True)):
        assert not any(later.cached(guess_task, RANDOM) for _ in range(2))
    assert beside.experiments.unstable == 0


def test_of_an_unstable_key_nothing_stays_and_nothing_is_kept(
    cache: ResultCache, root: Path
) -> None:
    cache.keep("a", result("a"))
    cache.mark_unstable("a")
    assert blobs(root) == []
    cache.keep("a", result("a"))
    assert cache.find("a") is None
    assert cache.is_unstable("a")
    assert not cache.is_unstable("b")


def test_a_script_that_is_not_repeatable_is_noticed_without_a_cache(
    tmp_path: Path, grader: Grader, guess_task: PreparedTask
) -> None:
    run = Run(tmp_path / "alone", grader, None, checked=True)
    first = run.ask(guess_task, RANDOM)
    assert until_noticed(run, guess_task, first).submission != first.submission
    assert [run.cached(guess_task, RANDOM) for _ in range(3)] == [False] * 3
    assert run.experiments.unstable == 1


def test_a_check_that_runs_out_of_time_says_nothing(
    tmp_path: Path, grader: Grader, guess_task: PreparedTask
) -> None:
    short = guess_task.task.budget.experiment.model_copy(update={"wall_s": 1.0})
    budget = guess_task.task.budget.model_copy(update={"experiment": short})
    task = guess_task.task.model_copy(update={"budget": budget})
    quick = replace(guess_task, task=task)
    # Checks find other data, in which the script waits: as a cold box is slower than a warm one.
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "wait").write_text("")
    checks: list[ColdBox] = []

    def check_box(_: PreparedTask) -> ColdBox:
        checks.append(ColdBox(run.snapshots, data=slow))
        return checks[-1]

    run = Run(tmp_path / "run", grader, None)
    run.experiments = Experiments(grader, run.snapshots, check_box=check_box)
    waiting = 'import os\nwhile os.path.exists("data/wait"): pass\n' + REPEATABLE
    assert [run.cached(quick, waiting) for _ in range(33)] == [False] + [True] * 32
    assert (len(checks), run.experiments.unstable) == (1, 0)


def test_a_cache_that_cannot_be_used_is_a_warning_and_no_more(
    tmp_path: Path, grader: Grader, guess_task: PreparedTask, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    run = Run(tmp_path / "run", grader, ResultCache(tmp_path / "file"))
    assert run.ask(guess_task, REPEATABLE).score == 3.0
    assert run.cached(guess_task, REPEATABLE)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "cannot be opened" in caplog.text


def test_an_index_that_is_none_is_a_warning_and_no_more(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "v1").mkdir(parents=True)
    (root / "v1" / "index.sqlite").write_bytes(b"no database at all" * 100)
    with ResultCache(root) as cache:
        cache.keep("a", result("a"))
        assert cache.find("a") is None
        assert (cache.hit("a"), cache.is_unstable("a")) == (0, False)
    assert "not a database" in caplog.text
    assert len(caplog.records) == 1
