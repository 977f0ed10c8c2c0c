"""All stages of a run, small: a network with random weights, two real tasks, real boxes.

Random weights write no valid action; what is tested is the road, not the traveller.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from small_runs import opened

import seeds
import step_or_episode
from homes import linked_home
from ml_agent.cli import pipeline
from ml_agent.cli.recipes import recipe_named
from ml_agent.store import Stage
from ml_agent.train.recompute import Recomputed
from tiny_model import write_tiny_model

TRAINED = ["concrete-strength", "digits-8x8"]
SMALL = {
    "train_tasks": ",".join(TRAINED),
    "practise_tasks": "digits-8x8",
    "held_out_tasks": "credit-default",
    "collect.attempts_per_task": 2,
    "collect.retold": 1,
    "collect.retold_practised": 2,
    "imitate_states": 3,
    "sft.max_tokens": 8192,
    "rl.updates": 2,
    "rl.states": 1,
    "rl.actions": 2,
    "rl.max_tokens": 8,
    "rl.checkpoint_every": 1,
    "evaluation.attempts_per_task": 2,
    "evaluation.steps": 1,
    "evaluation.max_tokens": 8,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def command(verb: str, model: Path) -> list[str]:
    changes = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    call = [sys.executable, "-m", "ml_agent.cli", verb, "quickstart", "--run", "small"]
    return [*call, "--model", str(model), *changes]


def train(model: Path, cwd: Path, verb: str = "train") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(verb, model), cwd=cwd, capture_output=True, text=True, timeout=400, check=False
    )


@pytest.fixture(scope="module")
def run(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cwd = tmp_path_factory.mktemp("work")
    home = linked_home(cwd / "home")
    done = subprocess.run(
        [*command("train", model), "--no-cache"],
        cwd=cwd,
        env=os.environ | {"ML_AGENT_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "normalised gain" in done.stdout
    assert not (home / "experiments").exists()
    return cwd / "runs" / "small"


def test_a_run_leaves_everything_needed_to_read_it(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    assert set(summary["policies"]) == {"base", "sft", "rl"}
    for policy in summary["policies"].values():
        assert {"valid_action_rate", "edits_that_run", "gain"} <= set(policy)
        assert {"mean", "low", "high"} <= set(policy["normalised_gain"])
    assert summary["train_tasks"] == TRAINED
    assert summary["held_out_tasks"] == ["credit-default"]
    assert set(summary["seconds"]) == {"collect", "sft", "rl", "eval"}
    assert "torch" in summary["versions"]
    assert summary["versions"]["isolation"] == "strong"
    report = (run / "report.html").read_text()
    assert "credit-default" in report
    assert "http://" not in report.replace("http://www.w3.org", "")
    assert (run / "checkpoints" / "rl" / "step-2" / "adapter_config.json").exists()
    metrics = [json.loads(line) for line in (run / "metrics" / "rl.jsonl").read_text().splitlines()]
    assert [line["update"] for line in metrics] == [1, 2]
    assert [line["unstable_experiments"] for line in metrics] == [0, 0]


def test_what_is_only_practised_is_not_imitated(run: Path) -> None:
    imitated = json.loads((run / "checkpoints" / "sft" / "imitated.json").read_text())
    assert {one["task"] for one in imitated["examples"]} == {"concrete-strength"}
    with opened(run) as store:
        assert {one.task for one in store.select(stage=Stage.COLLECT)} == set(TRAINED)
        tried = {one.trajectory for one in store.samples()}
        assert {store.get(one).task for one in tried} == {"digits-8x8"}


def test_what_is_only_practised_is_there_in_other_tellings(run: Path) -> None:
    with opened(run) as store:
        played = list(store.select(stage=Stage.COLLECT))
    steps = {task: [len(one.steps) for one in played if one.task == task] for task in TRAINED}
    # What helped is played again to be imitated; this one is not.
    assert len(steps["concrete-strength"]) > 2
    # Two attempts, and one step on each of two tellings.
    assert len(steps["digits-8x8"]) == 4
    assert steps["digits-8x8"].count(1) >= 2
    prompts = {one.prompt_of(0) for one in played if one.task == "digits-8x8"}
    assert len(prompts) == 3


def test_runs_are_judged_together_and_again_with_other_settings(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(*more: str) -> dict[str, Any]:
        seeds.main([*more, "--out", str(tmp_path)])
        found: dict[str, Any] = json.loads((tmp_path / "seeds.json").read_text())
        return found

    own = json.loads((run / "summary.json").read_text())
    with pytest.raises(SystemExit, match="two of the runs are one"):
        told(str(run), str(run))
    # Its twin: the same attempts, of a run with another seed.
    twin = shutil.copytree(run, tmp_path / "twin")
    config = json.loads((twin / "config.json").read_text())
    (twin / "config.json").write_text(json.dumps(config | {"seed": 1}))
    both = told(str(run), str(twin))
    assert {name: one["attempts"] for name, one in both["policies"].items()} == {"sft": 4, "rl": 4}
    for label, one in both["policies"].items():
        mine = own["policies"][label]["normalised_gain"]["mean"]
        assert one["normalised_gain"]["mean"] == pytest.approx(mine)
    assert both["comparisons"]["rl-sft"]["pairs"] == 4
    assert "credit-default" in capsys.readouterr().out
    again = told(str(run), "--policies", "rl", "--set", "evaluation.attempts_per_task=3")
    assert again["policies"]["rl"]["attempts"] == 3
    # The same copy, for more of its policies, the model as it came after what was trained.
    three = ("--set", "evaluation.attempts_per_task=3")
    again = told(str(run), "--policies", "sft", "rl", "base", *three)
    every = {"sft": 3, "rl": 3, "base": 3}
    assert {name: one["attempts"] for name, one in again["policies"].items()} == every
    with opened(run) as own_store, opened(tmp_path / "small") as store:
        first, again_first = (
            {one.seed: one.steps[0].completion.text for one in its.select(policy="tiny")}
            for its in (own_store, store)
        )
    assert first.items() <= again_first.items()
    assert json.loads((run / "summary.json").read_text()) == own


def test_both_ways_of_practice_pay_for_their_own_experiments(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = linked_home(tmp_path / "home")
    monkeypatch.setenv("ML_AGENT_HOME", str(home))
    out = tmp_path / "out"
    step_or_episode.main([str(run), "--out", str(out), "--scripts", "4", "--seeds", "0"])
    told = json.loads((out / "comparison.json").read_text())
    assert tuple(told["summary"]["policies"]) == step_or_episode.LABELS
    lines = {mode: told["curves"][f"{mode}-0"] for mode in ("step", "episode")}
    in_time = step_or_episode.updates_in_time(lines)
    for mode, its in lines.items():
        # Nothing was executed, for no reply is an action: it ends all the same.
        assert its[-1]["update"] == 4
        with opened(out / f"{mode}-0") as store:
            policies = {one.policy for one in store.select(stage=Stage.EVAL)}
        practised = {f"tiny+rl@step-{update}" for update in (4, in_time[mode])}
        assert policies == practised | ({"tiny+sft"} if mode == "step" else set())
    assert not (home / "experiments").exists()


@pytest.mark.parametrize("again", [False, True])
def test_a_recipe_decides_whether_layers_are_computed_again(again: bool, model: Path) -> None:
    changes = [f"model={model}", f"gradient_checkpointing={str(again).lower()}"]
    policy = pipeline.learning_policy(recipe_named("quickstart", changes))
    assert any(isinstance(one, Recomputed) for one in policy._network.modules()) == again


def test_the_same_command_again_does_no_stage_twice(run: Path, model: Path) -> None:
    before = (run / "trajectories" / "store.sqlite").stat().st_mtime
    again = train(model, run.parent.parent)
    assert again.returncode == 0
    assert again.stderr.count("done before") == 4
    assert (run / "trajectories" / "store.sqlite").stat().st_mtime == before


def test_another_configuration_is_refused_by_name(run: Path, model: Path) -> None:
    call = [*command("rl", model), "--set", "rl.updates=3"]
    done = subprocess.run(call, cwd=run.parent.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "it differs in rl.updates" in done.stderr


def test_kill_9_during_collection_loses_nothing_and_plays_nothing_twice(
    run: Path, model: Path, tmp_path: Path
) -> None:
    from ml_agent.assets import cache_home
    from ml_agent.store import Store

    said = tmp_path / "stderr"
    with said.open("w") as stderr:
        process = subprocess.Popen(
            command("collect", model), cwd=tmp_path, stderr=stderr, start_new_session=True
        )
    path = tmp_path / "runs" / "small" / "trajectories" / "store.sqlite"
    deadline = time.monotonic() + 120
    while not (path.exists() and any(one.steps for one in Store(path).select())):
        assert process.poll() is None, said.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (cache_home() / "experiments" / "v1" / "index.sqlite").exists()
    assert train(model, tmp_path, "collect").returncode == 0
    played = list(Store(path).select(stage=Stage.COLLECT))
    assert all(one.end is not None for one in played)
    with opened(run) as store:
        undisturbed = [(one.task, one.seed) for one in store.select(stage=Stage.COLLECT)]
    assert sorted((one.task, one.seed) for one in played) == sorted(undisturbed)
