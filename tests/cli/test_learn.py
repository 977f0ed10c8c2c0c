"""`ml-agent learn`: a tiny policy learns from a solve run, stops, goes on, and is judged.

Random weights write no valid action, so old and new policy are alike on the held-out task; where
one has to be better, its attempts are recorded beforehand.
"""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from small_tables import write_rows

from made_records import EDIT, RAN
from ml_agent.cli.learn import Lesson, further
from ml_agent.cli.learning import gather_stage, learn_stages, read_learned, read_runs
from ml_agent.cli.main import run
from ml_agent.cli.playing import prepared_tasks
from ml_agent.cli.policies import chosen_policy
from ml_agent.cli.recipes import recipe_from, recipe_named, with_changes
from ml_agent.cli.session import working
from ml_agent.core.records import Completion, End, Message, Step, Trajectory
from ml_agent.core.replies import format_reply
from ml_agent.env import COMPACT_ACTIONS, system_text
from ml_agent.sandbox import Snapshots
from ml_agent.store import RunFolder, Stage, Store
from ml_agent.tasks import PreparedTask, find_package
from ml_agent.train.own_runs import own_tasks, read_gathered
from ml_agent.train.policy import Policy
from tiny_model import write_tiny_model

RECIPE = {
    "train_tasks": "concrete-strength",
    "held_out_tasks": "credit-default",
    "imitate_longest": "none",
    "sft.max_tokens": 8192,
    "sft.batch": 1,
    "sft.lr": 3e-5,
    "sft.epochs": 1,
    "sft.checkpoint_every": 1,
    "rl.updates": 1,
    "rl.states": 2,
    "rl.actions": 2,
    "rl.max_tokens": 8,
    "rl.checkpoint_every": 1,
    "evaluation.attempts_per_task": 2,
    "evaluation.steps": 1,
    "evaluation.max_tokens": 8,
}
LEARN = ("learn", "solve-rows", "other", "--policy", "policy")


@dataclass(frozen=True)
class Desk:
    """A folder with a trained policy in runs/policy and a solved folder in runs/solve-rows."""

    cwd: Path
    result: dict[str, Any] = field(default_factory=dict)
    """What the solve run said of itself."""

    def run(self, name: str) -> RunFolder:
        return RunFolder(self.cwd / "runs" / name)

    def call(self, *arguments: str) -> int:
        """The command line in this process, which has imported everything."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.cwd)
            patch.setattr(sys, "argv", ["ml-agent", *arguments])
            return run()


def collected(seed: int, kept: Snapshots) -> Trajectory:
    """An attempt that made the starter of a training task better."""
    edit = EDIT.model_copy(update={"new_code": f"import pandas as pd  # {seed}\n"})
    text = format_reply(edit, fields={"Thought": "I try it."})
    workspace = kept.save({"train.py": find_package("concrete-strength").starter})
    return Trajectory(
        id=f"collected {seed}",
        task="concrete-strength",
        seed=seed,
        policy="playbook-1",
        versions={},
        workspace=workspace,
        messages=(
            Message(role="system", text=system_text("compact", COMPACT_ACTIONS)),
            Message(role="user", text="Improve train.py."),
        ),
        steps=(
            Step(
                prompt=(0, 1),
                completion=Completion(text=text, policy="playbook-1"),
                action=edit,
                execution=RAN,
                score=0.0,
                script="train.py",
                workspace=workspace,
            ),
        ),
        end=End.SUBMITTED,
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = Desk(tmp_path_factory.mktemp("desk"))
    model = write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")
    changes = [f"{name}={value}" for name, value in {"model": model, **RECIPE}.items()]
    recipe = recipe_named("quickstart", changes)
    for name, seeds in (("other", (3, 4)), ("policy", (0, 1, 2))):
        folder = made.run(name)
        with (
            folder.working(recipe.name, recipe.as_json()),
            closing(Store(folder.store_path)) as store,
        ):
            for seed in seeds:
                store.begin(one := collected(seed, Snapshots(folder.snapshots)), Stage.COLLECT)
                store.finish(one)
    policy = Policy.load(str(model), weights="alora")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for part in policy.trained:
            part.add_(0.01 * torch.randn(part.shape, generator=generator))
    policy.save(folder.checkpoints / "sft")
    write_rows(made.cwd / "rows", count=150)
    assert made.call("solve", "rows", "--experiments", "3", "--workers", "1") == 0
    made.result.update(json.loads((made.run("solve-rows").path / "result.json").read_text()))
    assert made.result["improved"]
    # What is not there cannot be learned from: only these tell a test score.
    for name in ("result.json", "report.html"):
        (made.run("solve-rows").path / name).unlink()
    yield made
    torch.set_num_threads(threads)


def digests(folder: Path) -> dict[str, str]:
    """Of every file; SQLite's own notes about readers are left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in {".sqlite-shm", ".sqlite-wal"}
    }


@pytest.fixture(scope="module")
def learned(desk: Desk) -> RunFolder:
    """What came of it, with a stop in the middle, and that nothing else was touched."""
    folder = desk.run("policy-learned")
    before = [digests(desk.run(name).path) for name in ("policy", "solve-rows", "other")]

    def stop() -> None:
        while len(folder.read_metrics("sft")) < 2:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    # Not inherited: a shell's background job, as these tests may be, ignores Ctrl-C.
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=stop, daemon=True).start()
    try:
        assert desk.call(*LEARN) == 130
    finally:
        signal.signal(signal.SIGINT, usual)
    assert (folder.is_done("gather"), folder.is_done("sft")) == (True, False)
    assert desk.call(*LEARN) == 0
    after = [digests(desk.run(name).path) for name in ("policy", "solve-rows", "other")]
    assert after == before
    return folder


def test_where_too_little_tells_nothing_is_kept_and_the_old_policy_stays(
    desk: Desk, learned: RunFolder
) -> None:
    told = read_learned(learned)
    assert not told.kept
    assert told.why.startswith("not kept: 2 pairs of attempts can be compared, and 5 are the least")
    assert told.difference is not None
    assert (told.difference.mean, told.difference.pairs) == (0.0, 2)
    assert (told.old, told.new) == ("policy: tiny+sft", "tiny+rl@step-1")
    assert (told.use, told.rejected) == ("checkpoints/old", "rejected/rl/step-1")
    # Whoever asks this run for its policy gets the old one, and the new one lies aside.
    name, path = chosen_policy(learned, "tiny", "")
    assert (name, path) == ("tiny+old", learned.checkpoints / "old")
    old = desk.run("policy").checkpoints / "sft" / "adapter_model.safetensors"
    assert (learned.checkpoints / "old" / old.name).read_bytes() == old.read_bytes()
    assert (learned.path / "rejected" / "rl" / "step-1" / old.name).exists()
    assert "old cannot be told apart" in (learned.path / "report.html").read_text()


def test_the_pool_holds_both_and_half_of_what_is_learned_is_of_the_users_run(
    desk: Desk, learned: RunFolder
) -> None:
    solved, trained = read_gathered(learned).taken
    assert (solved.kind, solved.tasks) == ("solve", ("rows@solve-rows",))
    assert (trained.kind, trained.tasks) == ("training", ("concrete-strength",))
    assert (solved.helped > 0, trained.helped) == (True, 2)
    with closing(Store(learned.store_path)) as store:
        played = list(store.select(stage=Stage.COLLECT))
        practised = [store.get(one.trajectory).task for one in store.samples()]
    assert {one.task for one in played} == {"rows@solve-rows", "concrete-strength"}
    ids = {one.id for one in played}
    assert {f"collected {seed}" for seed in range(5)} < ids
    assert {*solved.attempts, *trained.attempts} == ids - {f"collected {i}" for i in range(3)}
    # An update of two states with two actions each.
    assert practised.count("rows@solve-rows") == practised.count("concrete-strength") == 2
    updates = learned.read_metrics("sft")
    # The three of before, beside at least as many that are new; one epoch.
    assert sum(line["examples"] for line in updates) == 3 + solved.helped + trained.helped


def test_nothing_recorded_knows_a_test_score(desk: Desk, learned: RunFolder) -> None:
    own = own_tasks(learned)["rows@solve-rows"]
    result = desk.result
    assert own.task.m_init == result["starter"]
    with closing(sqlite3.connect(learned.store_path)) as db:
        texts = [str(cell) for row in db.execute("SELECT step FROM steps") for cell in row]
    assert any(repr(result["best"]) in text for text in texts)
    assert not any(repr(result["best_test"]) in text for text in texts)


def test_the_same_command_again_does_nothing_twice(
    desk: Desk, learned: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.call(*LEARN, "--json") == 0
    said = capsys.readouterr()
    assert said.err.count("done before") == 4
    assert json.loads(said.out) == read_learned(learned).model_dump(mode="json")
    assert desk.call(*LEARN, "--by", "sft") == 2
    assert "it differs in learn.by" in capsys.readouterr().err


def recorded(policy: str, seed: int, task: PreparedTask, kept: Snapshots, name: str) -> Trajectory:
    """An attempt that handed in the predictions of one of the task's own scripts."""
    better = name == "reference.csv"
    step = Step(
        prompt=(),
        completion=Completion(text="", policy=policy),
        action=EDIT,
        execution=RAN,
        score=task.task.m_best if better else task.task.m_init,
        submission=kept.put((task.answers / name).read_bytes()),
        script="train.py",
        workspace=kept.save({}),
    )
    return Trajectory(
        id=f"{policy} {seed}",
        task=task.task.id,
        seed=seed,
        policy=policy,
        versions={},
        workspace=kept.save({}),
        messages=(),
        steps=(step,),
        end=End.SUBMITTED,
    )


def test_a_policy_that_beats_the_old_one_takes_its_place(desk: Desk, learned: RunFolder) -> None:
    policy, folder = desk.run("policy"), desk.run("better")
    recipe = further(recipe_from(policy.config()))
    recipe = with_changes(recipe, ["evaluation.attempts_per_task=5"])
    lesson = Lesson(
        policy=policy,
        name="tiny+sft",
        checkpoint=policy.checkpoints / "sft",
        runs=(desk.run("solve-rows"), desk.run("other")),
        by="sft",
    )
    with working(folder, recipe, tier=lambda: "strong") as session:
        gather_stage(session, lesson, read_runs(lesson, recipe))
        learn_stages(session, lesson)["sft"]()
        (task,) = prepared_tasks(session, recipe.held_out_tasks).values()
        scripts = {"tiny+old": "starter.csv", "tiny+sft": "reference.csv"}
        for name, submission in scripts.items():
            for seed in range(5):
                one = recorded(name, seed, task, session.snapshots, submission)
                session.store.begin(one, Stage.EVAL)
                session.store.finish(one)
        learn_stages(session, lesson)["judge"]()
    told = read_learned(folder)
    assert told.kept
    assert told.why.startswith("kept: the new policy is above the old one: new minus old is +1.000")
    assert (told.use, told.rejected) == ("checkpoints/sft", None)
    assert chosen_policy(folder, "tiny", "") == ("tiny+sft", folder.checkpoints / "sft")

    # Nothing stopped this one, and yet it has learned the same.
    weights = "adapter_model.safetensors"
    stopped = (learned.path / "rejected" / "sft" / weights).read_bytes()
    assert (folder.checkpoints / "sft" / weights).read_bytes() == stopped


@pytest.fixture
def copied(desk: Desk) -> Iterator[RunFolder]:
    """A copy of the solve run, to be spoiled."""
    folder = desk.run("spoiled")
    shutil.copytree(desk.run("solve-rows").path, folder.path)
    yield folder
    shutil.rmtree(folder.path)


def of_another_version(folder: RunFolder) -> None:
    info = json.loads((folder.path / "run.json").read_text())
    (folder.path / "run.json").write_text(json.dumps(info | {"schema_version": 99}))


def of_a_held_out_task(folder: RunFolder) -> None:
    (folder.path / "config.json").write_text(json.dumps({"package": "credit-default", "seed": 0}))


def without_attempts(folder: RunFolder) -> None:
    with closing(sqlite3.connect(folder.store_path)) as db, db:
        db.execute("DELETE FROM trajectories")


def without_improvement(folder: RunFolder) -> None:
    with closing(sqlite3.connect(folder.store_path)) as db, db:
        db.execute("UPDATE steps SET step = json_set(step, '$.score', 1000.0)")


def broken_off(folder: RunFolder) -> None:
    with closing(sqlite3.connect(folder.store_path)) as db, db:
        db.execute("UPDATE trajectories SET ended = NULL")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (of_another_version, "has schema version 99, this program reads version 1"),
        (of_a_held_out_task, "spoiled is of credit-default, on which the policy is measured"),
        (without_attempts, "spoiled holds nothing to learn from: nothing was tried"),
        (without_improvement, "spoiled: no step made a score better by more than noise"),
        (broken_off, "spoiled holds nothing to learn from: "),
    ],
)
def test_a_run_that_cannot_be_learned_from_is_one_line_and_exit_code_2(
    spoil: Callable[[RunFolder], None],
    said: str,
    desk: Desk,
    copied: RunFolder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spoil(copied)
    assert desk.call("learn", "spoiled", "--policy", "policy", "--run", "never") == 2
    told = capsys.readouterr().err.strip()
    assert said in told
    assert len(told.splitlines()) == 1
    assert not desk.run("never").path.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere", "--policy", "policy"], "nowhere is no run: it has no run.json"),
        (["solve-rows", "--policy", "nowhere"], "nowhere is no run: it has no run.json"),
        (["solve-rows", "--policy", "solve-rows"], "a run is named twice"),
        (["solve-rows", "rows", "--policy", "policy"], "rows is no run"),
        (["policy", "--policy", "solve-rows"], "its config.json is no recipe of this version"),
        (["solve-rows", "--policy", "policy", "--checkpoint", "base"], "before all training"),
        (["solve-rows", "--policy", "policy", "--set", "rl.update=1"], "there is no 'update'"),
        (
            ["solve-rows", "--policy", "policy", "--set", "style=paper"],
            "holds nothing to learn from: ",
        ),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.call("learn", *arguments, "--run", "never") == 2
    told = capsys.readouterr().err.strip()
    assert said in told
    assert len(told.splitlines()) == 1
    assert not desk.run("never").path.exists()


def test_a_recipe_comes_back_from_its_run_as_it_was() -> None:
    changes = ["rl.updates=3", "rl.grpo.lr=1e-3", "collect.quotas=iris:2,wine:3", "imitate=none"]
    recipe = recipe_named("quickstart", changes)
    written = json.loads(json.dumps(recipe.as_json() | {"learn": {"by": "sft"}}))
    assert recipe_from(written) == recipe
