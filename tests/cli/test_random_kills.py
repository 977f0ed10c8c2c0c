"""All stages of a run, killed at twenty random moments from its first step on.

Each kill comes after more work than the one before, so that the run gets ahead; how long after a
step was recorded is left to chance.
"""

import json
import random
import signal
import sqlite3
import time
from contextlib import closing
from itertools import pairwise
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
)

from ml_agent.store import Sample, Stage
from puppet import write_puppet

KILLS = 5
"""In each of the four stages, or a moment after it."""
LATEST_S = 0.4
"""As long as the longest experiment."""
MODES = {
    "step": {"rl.algorithm": "ppo", "rl.learnability": True, "rl.evolve_every": 2},
    "episode": {"rl.mode": "episode", "rl.episode_steps": 2},
}


def work(run: Path) -> int:
    """How much is recorded: steps of attempts, samples, and updates."""
    path = run / "trajectories" / "store.sqlite"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        counted = [db.execute(f"SELECT count(*) FROM {name}") for name in ("steps", "samples")]
        recorded = sum(int(one.fetchone()[0]) for one in counted)
    return recorded + len(updates(run, "sft")) + len(updates(run, "rl"))


def moments(run: Path, chance: random.Random) -> list[int]:
    """How much is recorded when a kill comes, by the work that each stage of a run has been."""
    first, whole = sum(len(one.steps) for one in played(run, Stage.COLLECT)), work(run)
    last = whole - sum(len(one.steps) for one in played(run, Stage.EVAL))
    # In the first half of the evaluation: the rest outlasts what passes until the kill.
    ends = [0, first, first + len(updates(run, "sft")), last, (last + whole) // 2]
    drawn: list[int] = []
    for begin, end in pairwise(ends):
        drawn += sorted(chance.sample(range(begin, end - 2), KILLS))
    return drawn


def under_way(run: Path) -> str | None:
    """The stage that a kill has cut off."""
    path = run / "run.json"
    stages = json.loads(path.read_text())["stages"] if path.exists() else {}
    return next((name for name, it in stages.items() if it["status"] == "running"), None)


def decided(samples: list[Sample]) -> list[tuple[object, ...]]:
    return [(one.update, one.t, one.step.completion, one.reward) for one in samples]


def files(run: Path) -> dict[str, bytes]:
    """Weights, momenta and the critic of every checkpoint."""
    found = (run / "checkpoints").rglob("*.safetensors")
    return {str(path.relative_to(run)): path.read_bytes() for path in found}


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_run_killed_at_twenty_random_moments_ends_as_if_it_had_not_been(
    mode: str, terminal: Terminal, tmp_path: Path
) -> None:
    model = write_puppet(tmp_path / "puppet")
    call = [*command("train", model), "--no-cache", "--set", "evaluation.attempts_per_task=8"]
    for name, value in MODES[mode].items():
        call += ["--set", f"{name}={value}"]
    for where in ("straight", "killed"):
        (tmp_path / where).mkdir()
    straight, run = (tmp_path / where / "runs" / "small" for where in ("straight", "killed"))
    ended = terminal.start(call, straight.parents[1]).end()
    assert ended.code == 0, ended.said

    chance, hit = random.Random(mode), []
    for moment in moments(straight, chance):
        working = terminal.start(call, run.parents[1])
        working.until(lambda least=moment: work(run) >= least)
        time.sleep(chance.uniform(0, LATEST_S))
        assert working.stop(signal.SIGKILL).code == -signal.SIGKILL
        assert terminal.nothing_is_left()
        hit.append(under_way(run))
    assert set(hit) >= {"collect", "sft", "rl", "eval"}
    ended = terminal.start(call, run.parents[1]).end()
    assert ended.code == 0, ended.said
    assert terminal.nothing_is_left()

    for stage in Stage:
        assert said(played(run, stage)) == said(played(straight, stage))
    assert decided(sampled(run)) == decided(sampled(straight))
    assert files(run) == files(straight)
    learned, momenta, imitated = (
        files(run)[f"checkpoints/{name}.safetensors"]
        for name in ("rl/step-7/adapter_model", "rl/step-7/optimizer", "sft/adapter_model")
    )
    assert learned != imitated
    assert len(momenta) > len(learned)
    found, expected = (json.loads((one / "summary.json").read_text()) for one in (run, straight))
    assert found["per_task"] == expected["per_task"]
    assert found["comparisons"] == expected["comparisons"]


@pytest.mark.slow
def test_practice_that_overlaps_is_killed_at_random_moments_and_loses_no_group(
    terminal: Terminal, tmp_path: Path
) -> None:
    call = [*command("train", write_puppet(tmp_path / "puppet")), "--no-cache"]
    call += ["--set", "rl.staleness=2", "--set", "rl.algorithm=ppo"]
    run, chance = tmp_path / "runs" / "small", random.Random("overlapping")
    for least in (0, 1, 2, 3, 4, 5, 6):
        working = terminal.start(call, tmp_path)
        working.until(
            lambda least=least: under_way(run) == "rl" and len(updates(run, "rl")) >= least
        )
        time.sleep(chance.uniform(0, LATEST_S))
        assert working.stop(signal.SIGKILL).code == -signal.SIGKILL
        assert terminal.nothing_is_left()
    ended = terminal.start(call, tmp_path).end()
    assert ended.code == 0, ended.said
    assert terminal.nothing_is_left()
    assert_every_group_was_taken_once(run)
    assert (run / "report.html").exists()
