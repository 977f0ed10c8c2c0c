"""How scripts are isolated is said on the command line, and stands in every record."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ml_agent.cli.recipes import quickstart
from ml_agent.cli.session import working
from ml_agent.core.records import Limits
from ml_agent.sandbox import Tier
from ml_agent.store import RunFolder
from ml_agent.tasks import PreparedTask

ML_AGENT = [sys.executable, "-m", "ml_agent.cli"]
LOUD = "WITHOUT ISOLATION"


def call(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ML_AGENT, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("verb", ["collect", "rl", "eval", "train", "tasks check", "tasks prepare"])
def test_every_verb_that_runs_experiments_can_be_told_how_to_isolate_them(
    verb: str, tmp_path: Path
) -> None:
    shown = call(*verb.split(), "--help", cwd=tmp_path).stdout
    assert "--sandbox" in shown
    assert "--unsafe-no-isolation" in shown


def test_the_verbs_of_a_run_share_their_options_and_keep_their_own(tmp_path: Path) -> None:
    shown = {name: call(name, "--help", cwd=tmp_path).stdout for name in ("collect", "train")}
    for text in shown.values():
        for option in ("--run", "--model", "--seed", "--set", "[required]"):
            assert option in text
    assert "--json" in shown["train"]
    assert "--json" not in shown["collect"]


def test_no_isolation_is_said_aloud_every_time(tmp_path: Path) -> None:
    dry = ("train", "paper_7b", "--dry-run")
    for _ in range(2):
        done = call(*dry, "--unsafe-no-isolation", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert LOUD in done.stderr
        assert "isolation  none" in done.stdout
    done = call(*dry, cwd=tmp_path)
    assert LOUD not in done.stderr
    assert "isolation  strong" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sandbox", "reduced", "--unsafe-no-isolation"], "contradict each other"),
        (["--sandbox", "none"], "'none' is not one of"),
    ],
)
def test_isolation_cannot_be_given_up_in_passing(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = call("train", "quickstart", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert LOUD not in done.stderr


def test_a_run_goes_on_under_another_tier_and_records_it(
    tmp_path: Path, guess_task: PreparedTask
) -> None:
    run, recipe = RunFolder(tmp_path / "run"), quickstart()
    tiers: tuple[Tier, ...] = ("none", "strong")
    for tier in tiers:
        with working(run, recipe, tier=lambda tier=tier: tier, cached=False) as session:
            assert session.stagehand.versions["isolation"] == tier
            box = session.stagehand.box(guess_task)
            box.write("train.py", b"print(1)")
            seen = box.run(("train.py",), limits=Limits())
            assert (seen.output, seen.tier) == ("1\n", tier)
    assert "sandbox" not in json.dumps(run.config())


def test_the_doctor_names_the_tier_and_says_what_the_other_would_be(tmp_path: Path) -> None:
    done = call("doctor", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)["isolation"]
    assert found["ok"]
    assert found["found"].startswith("strong: canary attacks")
    assert "`--sandbox reduced` would" in found["found"]
