"""A stage that is stopped goes on where it was, whatever stopped it.

One run is played to its end; each test takes back a copy of it to before a stage, stops that stage
in the middle, and has the same command finish it.
"""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from commands import Terminal
from small_runs import (
    assert_every_group_was_taken_once,
    command,
    played,
    said,
    sampled,
    updates,
    weights,
)

from ml_agent.store import Stage, Store
from ml_agent.train.policy import Policy
from puppet import write_puppet

STAGES = ("collect", "sft", "rl", "eval")
POLICIES = {"puppet", "puppet+sft", "puppet+rl@step-7"}
STOPPED = "ml-agent: stopped. The same command goes on where this one was."
PROGRESS = re.compile(
    r"(collect|sft|rl|eval|preparing tasks|collecting|fine-tuning|practising|evaluating \w+): "
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_puppet(tmp_path_factory.mktemp("models") / "puppet")


@pytest.fixture(scope="module")
def finished(model: Path, terminal: Terminal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cwd = tmp_path_factory.mktemp("finished")
    ended = terminal.start(command("train", model), cwd).end()
    assert ended.code == 0, ended.said
    return cwd / "runs" / "small"


def taken_back(finished: Path, stage: str, cwd: Path) -> Path:
    """A copy of a finished run as it was before a stage."""
    run = cwd / "runs" / "small"
    if stage == "collect":
        return run
    shutil.copytree(finished, run)
    info = json.loads((run / "run.json").read_text())
    for later in STAGES[STAGES.index(stage) :]:
        del info["stages"][later]
        shutil.rmtree(run / "checkpoints" / later, ignore_errors=True)
        (run / "metrics" / f"{later}.jsonl").unlink(missing_ok=True)
    (run / "run.json").write_text(json.dumps(info))
    for result in ("summary.json", "report.html"):
        (run / result).unlink()
    with closing(sqlite3.connect(run / "trajectories" / "store.sqlite")) as db, db:
        db.execute("DELETE FROM trajectories WHERE stage='eval'")
        for table in ("messages", "steps"):
            db.execute(f"DELETE FROM {table} WHERE trajectory NOT IN (SELECT id FROM trajectories)")
        if stage != "eval":
            db.execute("DELETE FROM samples")
    return run


def under_way(run: Path, stage: str) -> bool:
    """Whether a stage has done something that is kept, and is not near its end."""
    match stage:
        case "collect":
            return any(one.steps for one in played(run, Stage.COLLECT))
        case "sft":
            return (run / "checkpoints" / "sft-unfinished").exists() and len(
                updates(run, "sft")
            ) >= 3
        case "rl":
            return (run / "checkpoints" / "rl" / "step-2").exists() and len(updates(run, "rl")) >= 3
        case _:
            return any(one.steps for one in played(run, Stage.EVAL))


def further(run: Path, stage: str) -> bool:
    """Whether it has come further than where `under_way` stopped it."""
    match stage:
        case "collect":
            return any(one.end for one in played(run, Stage.COLLECT))
        case "sft":
            unfinished = run / "checkpoints" / "sft-unfinished"
            return unfinished.exists() and len(updates(run, "sft")) >= 5
        case "rl":
            return (run / "checkpoints" / "rl" / "step-4").exists() and len(updates(run, "rl")) >= 5
        case _:
            return any(one.steps for one in played(run, Stage.EVAL) if one.policy == "puppet+sft")


def assert_complete(run: Path, stage: str, finished: Path) -> None:
    """A stage left all that it leaves where nothing stops it, and nothing twice."""
    info = json.loads((run / "run.json").read_text())
    assert info["stages"][stage]["status"] == "done"
    assert not [path for path in run.rglob(".*") if path.is_dir() or path.stat().st_size]
    model = json.loads((run / "config.json").read_text())["model"]
    for checkpoint in [run / "checkpoints" / "sft", *(run / "checkpoints" / "rl").glob("*")]:
        assert checkpoint.exists() == (stage != "collect")
        if checkpoint.exists():
            Policy.load(model).take(checkpoint)
    match stage:
        case "collect":
            attempts = Counter((one.seed, one.ideas) for one in played(run, Stage.COLLECT))
            whole = Counter((one.seed, one.ideas) for one in played(finished, Stage.COLLECT))
            assert attempts == whole
            # Four, and what helped most in them once more on a starter written another way.
            assert sorted(attempts.values()) == [1] * 5
            assert said(played(run, Stage.COLLECT)) == said(played(finished, Stage.COLLECT))
        case "sft":
            assert updates(run, "sft") == updates(finished, "sft")
            assert sorted(set(updates(run, "sft"))) == updates(run, "sft")
            assert {path.name for path in (run / "checkpoints").iterdir()} == {"sft"}
            assert weights(run, "sft") == weights(finished, "sft")
        case "rl":
            assert updates(run, "rl") == [1, 2, 3, 4, 5, 6, 7]
            names = {path.name for path in (run / "checkpoints" / "rl").iterdir()}
            assert names == {"step-2", "step-4", "step-6", "step-7"}
            assert Counter(one.update for one in sampled(run)) == dict.fromkeys(range(1, 8), 3)
            drawn = [(one.update, one.trajectory, one.t) for one in sampled(run)]
            assert drawn == [(one.update, one.trajectory, one.t) for one in sampled(finished)]
            replies = [one.step.completion for one in sampled(run)]
            assert replies == [one.step.completion for one in sampled(finished)]
            for name in names:
                assert weights(run, f"rl/{name}") == weights(finished, f"rl/{name}")
            assert weights(run, "rl/step-7") != weights(run, "sft")
            assert [path.parent.name for path in run.rglob("optimizer.*")] == ["step-7"]
        case _:
            attempts = Counter((one.policy, one.seed) for one in played(run, Stage.EVAL))
            assert attempts == {(name, seed): 1 for name in POLICIES for seed in range(3)}
            assert said(played(run, Stage.EVAL)) == said(played(finished, Stage.EVAL))
            assert set(json.loads((run / "summary.json").read_text())["policies"]) == {
                "base",
                "sft",
                "rl",
            }
            assert (run / "report.html").exists()
    for one in (*played(run, Stage.COLLECT), *played(run, Stage.EVAL)):
        assert one.whole


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_stopped_by_ctrl_c_and_then_killed_ends_as_if_it_had_not_been(
    stage: str, finished: Path, model: Path, terminal: Terminal, tmp_path: Path
) -> None:
    run = taken_back(finished, stage, tmp_path)
    call = command(stage, model)

    stopped = terminal.start(call, tmp_path).until(lambda: under_way(run, stage))
    ended = stopped.stop(signal.SIGINT)
    assert ended.code == 130, ended.said
    assert ended.said[-1] == STOPPED
    assert [line for line in ended.said[:-1] if not PROGRESS.match(line)] == []
    assert terminal.nothing_is_left()
    assert not list(run.rglob(".partial-*"))
    assert json.loads((run / "run.json").read_text())["stages"][stage]["status"] == "stopped"

    killed = terminal.start(call, tmp_path).until(lambda: further(run, stage))
    assert killed.stop(signal.SIGKILL).code == -signal.SIGKILL
    assert terminal.nothing_is_left()

    ended = terminal.start(call, tmp_path).end()
    assert ended.code == 0, ended.said
    assert terminal.nothing_is_left()
    assert_complete(run, stage, finished)


def test_practice_taken_up_again_forgets_the_samples_of_weights_that_were_lost(
    finished: Path, model: Path, terminal: Terminal, tmp_path: Path
) -> None:
    run = taken_back(finished, "rl", tmp_path)
    lost = [one.model_copy(update={"update": 7}) for one in sampled(finished)[:3]]
    with closing(Store(run / "trajectories" / "store.sqlite")) as store:
        store.add_samples(lost)
    practising = terminal.start(command("rl", model), tmp_path)
    practising.until(lambda: updates(run, "rl") != []).stop(signal.SIGINT)
    assert {one.update for one in sampled(run)} <= {1, 2, 3, 4, 5}


def test_a_kill_right_after_the_last_checkpoint_leaves_no_momenta_of_an_earlier_one(
    finished: Path, model: Path, terminal: Terminal, tmp_path: Path
) -> None:
    run = taken_back(finished, "eval", tmp_path)
    last, earlier = (run / "checkpoints" / "rl" / f"step-{number}" for number in (7, 6))
    shutil.copy(last / "optimizer.safetensors", earlier)
    info = json.loads((run / "run.json").read_text())
    info["stages"]["rl"]["status"] = "running"
    (run / "run.json").write_text(json.dumps(info))
    ended = terminal.start(command("rl", model), tmp_path).end()
    assert ended.code == 0, ended.said
    assert_complete(run, "rl", finished)


def test_practice_with_a_critic_and_a_pool_that_evolves_goes_on_to_the_same_weights(
    finished: Path, model: Path, terminal: Terminal, tmp_path: Path
) -> None:
    options = {
        "algorithm": "ppo",
        "learnability": True,
        "evolve_every": 2,
        "timeouts": "masked",
    }
    call = command("rl", model)
    for name, value in options.items():
        call += ["--set", f"rl.{name}={value}"]
    runs = []
    for where in ("stopped", "straight"):
        (tmp_path / where).mkdir()
        run = taken_back(finished, "rl", tmp_path / where)
        config = json.loads((run / "config.json").read_text())
        config["rl"] |= options
        (run / "config.json").write_text(json.dumps(config))
        runs.append(run)
    stopped, straight = runs

    killed = terminal.start(call, stopped.parents[1]).until(lambda: len(updates(stopped, "rl")) > 4)
    assert killed.stop(signal.SIGKILL).code == -signal.SIGKILL
    for run in runs:
        ended = terminal.start(call, run.parents[1]).end()
        assert ended.code == 0, ended.said
    assert weights(stopped, "rl/step-7") == weights(straight, "rl/step-7")
    reached = [(one.policy, one.task) for one in played(straight, Stage.PRACTICE)]
    assert reached == [(f"puppet+rl@step-{n}", "concrete-strength") for n in (2, 4, 6)]
    assert [(one.policy, one.task) for one in played(stopped, Stage.PRACTICE)] == reached
    starts = {one.trajectory for one in sampled(straight)}
    assert starts & {one.id for one in played(straight, Stage.PRACTICE)}


def test_practice_that_overlaps_goes_on_after_a_kill_with_the_groups_that_were_open(
    finished: Path, model: Path, terminal: Terminal, tmp_path: Path
) -> None:
    run = taken_back(finished, "rl", tmp_path)
    config = json.loads((run / "config.json").read_text())
    config["rl"]["staleness"] = 2
    (run / "config.json").write_text(json.dumps(config))
    call = [*command("rl", model), "--set", "rl.staleness=2"]

    for least in (3, 5):
        killed = terminal.start(call, tmp_path)
        killed.until(lambda least=least: len(updates(run, "rl")) >= least)
        assert killed.stop(signal.SIGKILL).code == -signal.SIGKILL
        assert terminal.nothing_is_left()
    ended = terminal.start(call, tmp_path).end()
    assert ended.code == 0, ended.said

    assert updates(run, "rl") == [1, 2, 3, 4, 5, 6, 7]
    assert_every_group_was_taken_once(run)
    assert weights(run, "rl/step-7") != weights(run, "sft")


class Disk:
    """A small file system that only some commands see as what it is."""

    def __init__(self, folder: Path, holder: int) -> None:
        self.folder = folder
        self.mounts = Path(f"/proc/{holder}/ns/mnt")
        self.seen = Path(f"/proc/{holder}/root") / folder.relative_to("/")

    def fill(self) -> None:
        """Leave not one byte."""
        with (self.seen / "ballast").open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                assert error.strerror == "No space left on device"

    def free(self) -> None:
        (self.seen / "ballast").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """32 MiB in a mount namespace of its own, which ends with its holder."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can mount a small disk, with unshare of util-linux")
    folder = tmp_path / "disk"
    folder.mkdir()
    hold = 'mount -t tmpfs -o size=32m tmpfs "$0" && echo ready && exec sleep 3600'
    call = ["unshare", "--mount", "--propagation", "private", "sh", "-c", hold, str(folder)]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        try:
            if holder.stdout.readline() != "ready\n":
                pytest.skip("nothing can be mounted here")
            yield Disk(folder, holder.pid)
        finally:
            holder.kill()


@pytest.mark.parametrize("stage", ["sft", "rl", "eval"])
def test_a_full_disk_is_one_line_and_the_stage_goes_on_when_there_is_space(
    stage: str, finished: Path, model: Path, terminal: Terminal, disk: Disk, tmp_path: Path
) -> None:
    run = disk.seen / "runs" / "small"
    shutil.copytree(taken_back(finished, stage, tmp_path), run)
    call = command(stage, model)

    working = terminal.start(call, disk.folder, mounts=disk.mounts)
    working.until(lambda: under_way(run, stage))
    disk.fill()
    ended = working.end()
    assert ended.code == 1, ended.said
    assert re.match(r"ml-agent: .*(full|No space left on device).* Free some space", ended.said[-1])
    assert [line for line in ended.said[:-1] if not PROGRESS.match(line)] == []
    assert terminal.nothing_is_left()

    disk.free()
    ended = terminal.start(call, disk.folder, mounts=disk.mounts).end()
    assert ended.code == 0, ended.said
    assert_complete(run, stage, finished)


def another_version(run: Path) -> None:
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(info | {"schema_version": 99}))


def a_file_for_the_folder(run: Path) -> None:
    shutil.rmtree(run)
    run.touch()


def a_file_above_the_folder(run: Path) -> None:
    shutil.rmtree(run.parent)
    run.parent.touch()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (another_version, "run.json has schema version 99, this program reads version"),
        (lambda run: (run / "run.json").write_text("{}"), "run.json has schema version None"),
        (
            lambda run: (run / "run.json").write_text('{"schema'),
            "run.json is damaged (Unterminated",
        ),
        (lambda run: (run / "config.json").write_text("{"), "config.json is damaged (Expecting"),
        (lambda run: (run / "config.json").write_text("[]"), "it holds no JSON object"),
        (lambda run: (run / "config.json").write_bytes(b"\xff"), "config.json is damaged ('utf-8'"),
        (lambda run: (run / "config.json").unlink(), "config.json is damaged ([Errno 2]"),
        (a_file_for_the_folder, "runs/small is a file; a run needs a folder"),
        (a_file_above_the_folder, "runs is a file; a run needs a folder"),
    ],
)
def test_a_folder_that_is_no_run_of_ours_is_refused_and_left_as_it_is(
    spoil: Callable[[Path], None],
    said: str,
    finished: Path,
    model: Path,
    terminal: Terminal,
    tmp_path: Path,
) -> None:
    run = taken_back(finished, "rl", tmp_path)
    spoil(run)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    ended = terminal.start(command("rl", model), tmp_path).end()
    assert ended.code == 2
    assert len(ended.said) == 1, ended.said
    assert said in ended.said[0]
    assert "Choose another name with --run" in ended.said[0] or "another name" in ended.said[0]
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


def test_a_policy_that_comes_after_an_evaluation_is_evaluated_by_the_next(
    finished: Path, model: Path, terminal: Terminal, tmp_path: Path
) -> None:
    run = taken_back(finished, "rl", tmp_path)
    for verb in ("eval", "rl", "eval"):
        ended = terminal.start(command(verb, model), tmp_path).end()
        assert ended.code == 0, ended.said
    assert {one.policy for one in played(run, Stage.EVAL)} == POLICIES


@pytest.mark.parametrize(
    ("part", "before", "said"),
    [
        ("splits", {"public": "1", "valid": "2", "test": "3"}, "its data"),
        ("starter", "of another script", "its starter"),
        ("statement", "Predict something else.", "its statement"),
        ("m_best", 0.0, "the reference's score"),
    ],
)
@pytest.mark.parametrize(
    ("stage", "task"), [("rl", "concrete-strength"), ("eval", "credit-default")]
)
def test_a_task_that_has_changed_since_a_run_used_it_is_refused(
    part: str,
    before: object,
    said: str,
    stage: str,
    task: str,
    finished: Path,
    model: Path,
    terminal: Terminal,
    tmp_path: Path,
) -> None:
    run = taken_back(finished, stage, tmp_path)
    noted = json.loads((run / "tasks.json").read_text())
    noted["tasks"][task][part] = before
    (run / "tasks.json").write_text(json.dumps(noted))
    ended = terminal.start(command(stage, model), tmp_path).end()
    assert ended.code == 2
    assert f"{task} is not what it was when runs/small first used it" in ended.said[-1]
    assert f"it differs in {said}." in ended.said[-1]
    assert json.loads((run / "tasks.json").read_text()) == noted
    assert not (updates(run, "rl") if stage == "rl" else played(run, Stage.EVAL))


def test_a_score_that_another_machine_measured_is_no_other_task(
    finished: Path, model: Path, terminal: Terminal, tmp_path: Path
) -> None:
    run = taken_back(finished, "rl", tmp_path)
    noted = json.loads((run / "tasks.json").read_text())
    noted["tasks"]["concrete-strength"]["m_init"] *= 1.0001
    (run / "tasks.json").write_text(json.dumps(noted))
    ended = terminal.start(command("rl", model), tmp_path).end()
    assert ended.code == 0, ended.said
