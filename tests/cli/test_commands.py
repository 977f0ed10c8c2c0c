"""The command line as a user meets it: real processes, exit codes, one clear line a mistake."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ML_AGENT = [sys.executable, "-m", "ml_agent.cli"]
HEAVY = ("torch", "transformers", "peft", "pandas", "sklearn", "matplotlib", "libcst", "ray")


def call(*arguments: str, cwd: Path, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"ML_AGENT_HOME": str(home)} if home else {})
    return subprocess.run(
        [*ML_AGENT, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("code", ["import ml_agent", "from ml_agent.cli import main"])
def test_nothing_heavy_is_loaded_before_it_is_needed(code: str) -> None:
    look = f"import sys; {code}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_loads_nothing_heavy_and_shows_an_example(tmp_path: Path) -> None:
    look = (
        "import sys\nfrom ml_agent.cli import main\nsys.argv = ['ml-agent', 'train', '--help']\n"
        "code = main.run()\n"
        f"assert not [m for m in {HEAVY!r} if m in sys.modules]\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ml-agent train quickstart" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "quikstart"], "there is no recipe 'quikstart'"),
        (["train", "quickstart", "--set", "rl.update=3"], "there is no 'update'"),
        (["train", "quickstart", "--set", "rl.updates=many"], "does not fit"),
        (["train", "quickstart", "--set", "rl.first_steps=0"], "rl.first_steps is 0"),
        (["train", "quickstart", "--set", "rl=3"], "choose one of its parts"),
        (["train", "quickstart", "--set", "nonsense"], "is not KEY=VALUE"),
        (["train", "quickstart", "--set", "train_tasks=hous-prices"], "house-prices"),
        (["train", "quickstart", "--set", "rl.reward=cubic"], "choose sigmoid, linear or gain"),
        (["train", "quickstart", "--set", "train_tasks=mnist-5k"], "trained on and held out"),
        (["tasks", "show", "hous-prices"], "Did you mean house-prices"),
        (["tasks", "check"], "name tasks, or say --all"),
        (["rl", "quickstart", "--run", "fresh"], "ml-agent sft"),
        (["train"], "Missing argument"),
        (["fly"], "No such command"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = call(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_task_folder_with_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "task.toml").write_text("id = 'mine'")
    done = call("tasks", "check", "./mine", cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "mine" in done.stderr


def test_a_model_that_is_not_there_is_one_line_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = call("train", "quickstart", "--model", "./empty", cwd=tmp_path)
    assert not (tmp_path / "runs").exists()
    assert done.returncode == 2
    assert "./empty" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_of_another_version_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "quickstart"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"schema_version": 99}))
    done = call("train", "quickstart", cwd=tmp_path)
    assert done.returncode == 2
    assert "schema version 99" in done.stderr


def test_the_dry_run_of_the_papers_recipe_needs_no_weights(tmp_path: Path) -> None:
    done = call("train", "paper_7b", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "recipe     paper_7b: valid" in done.stdout
    assert "39 updates of 256 states x 1 actions = 9984 experiments" in done.stdout
    assert "by ppo" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_tasks_are_listed_as_json_with_their_licences(tmp_path: Path) -> None:
    done = call("tasks", "list", "--json", cwd=tmp_path)
    tasks = json.loads(done.stdout)["tasks"]
    roles = [task["role"] for task in tasks]
    assert roles.count("train") >= 9
    assert roles.count("held-out") >= 6
    assert len({task["domain"] for task in tasks}) >= 4
    assert all(task["licence"] for task in tasks)


def test_ctrl_c_stops_with_one_line_and_a_run_that_can_go_on(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*ML_AGENT, "collect", "quickstart", "--set", "train_tasks=concrete-strength"],
        cwd=tmp_path,
        env=os.environ | {"ML_AGENT_HOME": str(tmp_path / "home")},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Not inherited: a shell's background job, as these tests may be, ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "runs" / "quickstart" / "run.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.strip().splitlines()[-1].startswith("ml-agent: stopped.")
    assert "Traceback" not in said
    info = json.loads((tmp_path / "runs" / "quickstart" / "run.json").read_text())
    assert all(stage["status"] == "stopped" for stage in info["stages"].values())
