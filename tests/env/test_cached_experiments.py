"""Results outlive a run: real boxes, twins, and scripts that are not repeatable."""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cached_runs import (
    CRASHING,
    FOREVER,
    HERE,
    KILLED,
    PARTS,
    RANDOM,
    REPEATABLE,
    NewRun,
    Run,
    blobs,
)

from ml_agent.core.errors import SandboxError
from ml_agent.core.records import Execution, Limits
from ml_agent.env import Experiments, Finding, ResultCache
from ml_agent.env.experiments import is_due
from ml_agent.env.result_cache import experiment_key
from ml_agent.sandbox import ColdBox
from ml_agent.tasks import Grader, PreparedTask


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


ELSEWHERE = (
    HERE
    + """
import json
from cached_runs import *
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


@pytest.mark.parametrize("script", [KILLED, "x = [0] * 10**9"], ids=["killed", "memory-error"])
def test_a_run_that_met_a_limit_is_not_known_to_later_runs(
    new_run: NewRun, guess_task: PreparedTask, script: str
) -> None:
    first = new_run("one")
    assert first.ask(guess_task, script).execution.killed_by is not None
    assert first.cached(guess_task, script)
    assert not new_run("two").cached(guess_task, script)


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


def test_a_script_that_is_not_repeatable_is_noticed_without_a_cache(
    tmp_path: Path, grader: Grader, guess_task: PreparedTask
) -> None:
    run = Run(tmp_path / "alone", grader, None, checked=True)
    first = run.ask(guess_task, RANDOM)
    assert until_noticed(run, guess_task, first).submission != first.submission
    assert [run.cached(guess_task, RANDOM) for _ in range(3)] == [False] * 3
    assert run.experiments.unstable == 1


@pytest.mark.parametrize(
    "stops",
    ['while os.path.exists("data/wait"): pass', 'os.path.exists("data/wait") and [0] * 10**9'],
)
def test_a_check_that_runs_out_of_time_or_memory_says_nothing(
    tmp_path: Path, grader: Grader, guess_task: PreparedTask, stops: str
) -> None:
    short = guess_task.task.budget.experiment.model_copy(update={"wall_s": 1.0})
    budget = guess_task.task.budget.model_copy(update={"experiment": short})
    task = guess_task.task.model_copy(update={"budget": budget})
    quick = replace(guess_task, task=task)
    # Checks find other data, by which the script goes too far: a cold box imports libraries first.
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "wait").write_text("")
    checks: list[ColdBox] = []

    def check_box(_: PreparedTask) -> ColdBox:
        checks.append(ColdBox(run.snapshots, data=slow))
        return checks[-1]

    run = Run(tmp_path / "run", grader, None)
    run.experiments = Experiments(grader, run.snapshots, check_box=check_box)
    waiting = f"import os\n{stops}\n" + REPEATABLE
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
