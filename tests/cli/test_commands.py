"""The command line as a user meets it: real processes, exit codes, one clear line a mistake."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ml_agent.cli import main
from ml_agent.cli.recipes import recipe_named
from ml_agent.store import RunFolder
from ml_agent.tasks import find_package

ML_AGENT = [sys.executable, "-m", "ml_agent.cli"]
HEAVY = ("torch", "transformers", "peft", "pandas", "sklearn", "matplotlib", "libcst", "ray")


def call(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ML_AGENT, *arguments],
        cwd=cwd,
        env=os.environ | environment,
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
        (["train", "quickstart", "--set", "rl.updates=many"], "fit: give a whole number"),
        (["train", "quickstart", "--set", "rl.first_steps=x"], "fit: give a whole number or none"),
        (["train", "quickstart", "--set", "rl.grpo.lr=fast"], "does not fit: give a number"),
        (["train", "quickstart", "--set", "rl.learnability=1"], "does not fit: give true or false"),
        (["train", "quickstart", "--seed", "-1"], "seed is -1; it must be 0 or more"),
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
        (["train", "quickstart", "rl.updates=3"], "(rl.updates=3). See `ml-agent --help`"),
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


@pytest.mark.parametrize("verb", ["train", "train --dry-run", "collect", "sft", "ideas"])
def test_a_model_that_is_not_there_is_one_line_before_any_work(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    for model, said in (("./empty", "no config.json"), ("./typo", "there is no folder ./typo")):
        call = ["ml-agent", *verb.split(), "quickstart", "--model", model]
        monkeypatch.setattr(sys, "argv", call)
        assert main.run() == 2
        told = capsys.readouterr().err.strip()
        assert said in told
        assert len(told.splitlines()) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["empty"]


class Hub(BaseHTTPRequestHandler):
    """A hub that has nothing, or nothing for us."""

    status, code = 404, "RepoNotFound"

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("X-Error-Code", self.code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def call_with_hub(
    kind: type[BaseHTTPRequestHandler], *arguments: str, cwd: Path
) -> subprocess.CompletedProcess[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as hub:
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        there = f"http://127.0.0.1:{hub.server_port}"
        facts = {"HF_ENDPOINT": there, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
        done = call(*arguments, cwd=cwd, **facts)
        hub.shutdown()
    return done


def test_a_name_that_the_hub_does_not_know_is_refused_before_any_work(tmp_path: Path) -> None:
    arguments = ("collect", "quickstart", "--model", "nobody/nothing")
    done = call_with_hub(Hub, *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "has none of that name" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


class GatedHub(Hub):
    status, code = 403, "GatedRepo"


class PrivateHub(Hub):
    status = 401


@pytest.mark.parametrize(
    ("kind", "said"),
    [(GatedHub, "Accept them on its page there and set HF_TOKEN"), (PrivateHub, "set HF_TOKEN")],
)
def test_a_model_that_the_hub_keeps_from_us_is_a_warning_where_it_is_not_needed_yet(
    kind: type[Hub], said: str, tmp_path: Path
) -> None:
    arguments = ("collect", "quickstart", "--dry-run", "--model", "somebody/model")
    done = call_with_hub(kind, *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the model was not checked: there is no model 'somebody/model'" in done.stderr
    assert said in done.stderr


def test_what_is_done_needs_no_hub_any_more(tmp_path: Path) -> None:
    recipe = recipe_named("quickstart", ["model=nobody/nothing"])
    run = RunFolder(tmp_path / "runs" / "quickstart")
    with run.working(recipe.name, recipe.as_json()), run.stage("sft"):
        pass
    again = ("sft", "quickstart", "--model", "nobody/nothing")
    done = call(*again, cwd=tmp_path, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert "sft: done before" in done.stderr


def test_where_the_hub_cannot_be_reached_a_plan_says_so_and_training_does_not_begin(
    tmp_path: Path,
) -> None:
    train = ("train", "quickstart", "--model", "nobody/nothing")
    plan = call(*train, "--dry-run", cwd=tmp_path, HF_HUB_OFFLINE="1")
    assert plan.returncode == 0, plan.stderr
    assert "the model was not checked: there is no model 'nobody/nothing'" in plan.stderr
    done = call(*train, cwd=tmp_path, HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert "the Hugging Face hub cannot give it" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_plan_is_compared_with_the_run_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_named("quickstart")
    with RunFolder(tmp_path / "runs" / "quickstart").working(recipe.name, recipe.as_json()):
        pass
    monkeypatch.chdir(tmp_path)
    dry = ["ml-agent", "train", "quickstart", "--dry-run"]
    monkeypatch.setattr(sys, "argv", dry)
    assert main.run() == 0
    assert "(there already: it would be gone on with)" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", [*dry, "--set", "rl.updates=3"])
    assert main.run() == 2
    assert "it differs in rl.updates" in capsys.readouterr().err


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


def test_a_task_is_shown_without_preparing_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    show = ("tasks", "show", "house-prices")
    shown = call(*show, cwd=tmp_path, ML_AGENT_HOME=str(home)).stdout
    package = find_package("house-prices")
    for part in (package.statement, package.card.source.licence, package.starter.decode()):
        assert part in shown
    assert "measured by `ml-agent tasks prepare house-prices`, which was not done" in shown
    assert "on validation" not in shown
    told = json.loads(call(*show, "--json", cwd=tmp_path, ML_AGENT_HOME=str(home)).stdout)
    assert (told["m_init"], told["source"]["licence"]) == (None, package.card.source.licence)
    assert not home.exists()


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
