"""A run so small that a test can afford it, and what can be read of its folder."""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ml_agent.core.records import Trajectory
from ml_agent.store import Sample, Stage, Store
from ml_agent.train.pool import Pool

SMALL = {
    "train_tasks": "concrete-strength",
    "held_out_tasks": "credit-default",
    "collect.attempts_per_task": 4,
    "collect.retold": 1,
    "collect.retold_best": 1,
    "imitate_states": 3,
    "sft.max_tokens": 8192,
    "sft.batch": 1,
    "sft.epochs": 8,
    "sft.lr": 1e-5,
    "sft.checkpoint_every": 2,
    "rl.updates": 7,
    "rl.states": 1,
    "rl.actions": 3,
    "rl.max_tokens": 8,
    "rl.rehearse": 1,
    "rl.checkpoint_every": 2,
    "evaluation.attempts_per_task": 3,
    "evaluation.steps": 2,
    "evaluation.max_tokens": 8,
}


def command(verb: str, model: Path) -> list[str]:
    changes = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    return [verb, "quickstart", "--run", "small", "--model", str(model), *changes]


@contextmanager
def opened(run: Path) -> Iterator[Store]:
    """A copy of a run's store: SQLite would look for a small disk's in our own file system."""
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "trajectories"
        shutil.copytree(run / "trajectories", copied, ignore=shutil.ignore_patterns("*-shm", ".*"))
        with closing(Store(copied / "store.sqlite")) as store:
            yield store


def played(run: Path, stage: Stage) -> list[Trajectory]:
    if not (run / "trajectories" / "store.sqlite").exists():
        return []
    with opened(run) as store:
        return list(store.select(stage=stage))


def sampled(run: Path) -> list[Sample]:
    with opened(run) as store:
        return list(store.samples())


def said(attempts: list[Trajectory]) -> list[tuple[object, ...]]:
    """What was decided and scored in each; neither ids nor times, nor the order they began in."""
    found = [
        (
            (one.task, one.policy, one.seed, one.ideas, one.end),
            [(step.completion.text, step.completion.token_ids, step.score) for step in one.steps],
        )
        for one in attempts
    ]
    return sorted(found, key=repr)


def updates(run: Path, stage: str) -> list[int]:
    path = run / "metrics" / f"{stage}.jsonl"
    if not path.exists():
        return []
    whole = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [json.loads(line)["update"] for line in whole]


def weights(run: Path, checkpoint: str) -> bytes:
    return (run / "checkpoints" / checkpoint / "adapter_model.safetensors").read_bytes()


def assert_every_group_was_taken_once(run: Path) -> None:
    """Practice that overlapped has ended, with no group lost, learned from twice or too stale."""
    rl = json.loads((run / "config.json").read_text())["rl"]
    assert updates(run, "rl") == list(range(1, rl["updates"] + 1))
    samples = sampled(run)
    assert sorted({one.update for one in samples}) == updates(run, "rl")
    by = [int(one.step.completion.policy.partition("puppet+rl@step-")[2]) for one in samples]
    stale = [one.update - 1 - version for one, version in zip(samples, by, strict=True)]
    assert 0 <= min(stale) <= max(stale) <= rl["staleness"]
    (kept,) = (run / "checkpoints" / "rl").rglob("waiting.json")
    assert kept.parent.name == f"step-{rl['updates']}"
    waiting = json.loads(kept.read_text())
    assert waiting["samples"] == []
    # Every state that was drawn, once, with all of its actions.
    pool = Pool(played(run, Stage.COLLECT), seed=0, first_steps=rl["first_steps"])
    drawn = Counter((one.trajectory.id, one.t) for one in pool.draw(waiting["rounds"]))
    taken = Counter((one.trajectory, one.t) for one in samples)
    assert taken == {place: rl["actions"] * times for place, times in drawn.items()}
