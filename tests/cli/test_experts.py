"""`ml-agent collect --expert`: a scripted endpoint plays a real task, whatever happens to it."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from commands import Terminal

import chat_server
from chat_server import TOKENS_IN, TOKENS_OUT, ChatServer, body, say, status
from ml_agent.cli import main
from ml_agent.cli.experts import read_asking, try_endpoint
from ml_agent.cli.recipes import ExpertConfig
from ml_agent.core.errors import MLAgentError, UsageError
from ml_agent.core.records import End, Trajectory
from ml_agent.env import SEVEN_ACTIONS
from ml_agent.models.http import Budget, Price, Secret
from ml_agent.store import Stage, Store
from tiny_model import write_tiny_model

KEY = "sk-secret-0123456789"
STOPPED = "ml-agent: stopped. The same command goes on where this one was."
PLAN = [
    ("List Files", {"dir_path": "."}),
    (
        "Inspect Script Lines",
        {"script_name": "train.py", "start_line_number": 1, "end_line_number": 9},
    ),
    (
        "Edit Script (AI)",
        {
            "script_name": "train.py",
            "edit_instruction": "print the environment",
            "save_name": "train.py",
        },
    ),
    ("Execute Script", {"script_name": "train.py"}),
    ("Final Answer", {"final_answer": "done"}),
]
ATTEMPTS = 3


def plays(asked: dict[str, Any]) -> str:
    messages = asked["messages"]
    if asked["model"] == "coder":
        script = messages[1]["content"].partition("```python\n")[2].rpartition("\n```")[0]
        return f"```python\nimport os\nprint(sorted(os.environ.items()))\n{script}\n```"
    action, given = PLAN[min((len(messages) - 2) // 2, len(PLAN) - 1)]
    return f"Thought: t\nAction: {action}\nAction Input: {json.dumps(given)}"


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(answer=plays) as one:
        yield one


def command(server: ChatServer, folder: Path) -> list[str]:
    (folder / "key").write_text(KEY)
    return [
        "collect",
        "quickstart",
        *("--run", "llm"),
        *("--expert", server.url, "--expert-model", "expert", "--coder-model", "coder"),
        *("--key-file", str(folder / "key"), "--price", "1000000:2000000"),
        *("--set", "train_tasks=concrete-strength"),
        *("--set", f"collect.attempts_per_task={ATTEMPTS}"),
    ]


def played(run: Path) -> list[Trajectory]:
    with closing(Store(run / "trajectories" / "store.sqlite")) as store:
        return list(store.select(stage=Stage.COLLECT))


def answers(run: Path) -> int:
    if not (run / "endpoint.sqlite").exists():
        return 0
    with closing(sqlite3.connect(run / "endpoint.sqlite", timeout=30)) as db:
        return int(db.execute("SELECT count(*) FROM answers").fetchone()[0])


def assert_whole(run: Path) -> None:
    """Every attempt once, each as the endpoint was told to play it."""
    attempts = played(run)
    assert Counter(one.seed for one in attempts) == dict.fromkeys(range(ATTEMPTS), 1)
    for one in attempts:
        assert (one.end, one.policy) == (End.SUBMITTED, "expert")
        assert one.versions["coder"] == "coder"
        assert [step.action.kind for step in one.steps if step.action] == [name for name, _ in PLAN]
        assert "Try these ideas first:" in one.messages[1].text
        assert one.steps[2].observation.startswith("Saved train.py.\n--- train.py\n")
        assert one.steps[3].score is not None
        assert "('PATH'" in one.steps[3].observation


def assert_no_key(folder: Path, said: list[str]) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "key"]
    assert len(files) > 5
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in "\n".join(said)


def test_an_endpoint_plays_with_the_papers_actions_and_is_accounted_for(
    server: ChatServer, terminal: Terminal, tmp_path: Path
) -> None:
    server.faults = deque([status(500, said=f"no {KEY}"), status(429, Retry_After="0")])
    small = {
        "model": write_tiny_model(tmp_path / "tiny"),
        "expert.evaluated": "true",
        "held_out_tasks": "credit-default",
        "evaluation.attempts_per_task": 1,
        "evaluation.steps": len(PLAN),
        "evaluation.max_tokens": 8,
    }
    call = command(server, tmp_path)
    call += [part for key, value in small.items() for part in ("--set", f"{key}={value}")]
    ended = terminal.start(call, tmp_path).end()
    assert ended.code == 0, ended.said
    run = tmp_path / "runs" / "llm"
    assert_whole(run)
    assert_no_key(tmp_path, ended.said)
    usage = json.loads((run / "usage.json").read_text())
    # The coder is asked the same by every attempt, so once.
    answered = ATTEMPTS * len(PLAN) + 1
    cost = answered * (TOKENS_IN + 2 * TOKENS_OUT)
    assert (usage["answers"], usage["requests"], usage["retries"]) == (answered, answered + 2, 2)
    assert (usage["tokens_in"], usage["cost"]) == (answered * TOKENS_IN, cost)
    assert usage["models"]["coder"]["answers"] == 1
    assert ended.said[-1] == (
        f"endpoint: {answered} answers by {answered + 2} requests (2 repeated); "
        f"{ATTEMPTS - 1} from the ledger; {answered * TOKENS_IN} tokens in, "
        f"{answered * TOKENS_OUT} out; cost {cost}.0000"
    )
    progress = [line for line in ended.said if line.startswith(f"collecting: {ATTEMPTS}/")]
    assert f"cost {cost}.0000" in progress[-1]
    config = json.loads((run / "config.json").read_text())
    assert (config["style"], config["actions"]) == ("paper", list(SEVEN_ACTIONS))
    # And it is measured beside the run's own policies, on tasks held out.
    asked = len(server.asked)
    ended = terminal.start(["eval", *call[1:]], tmp_path).end()
    assert ended.code == 0, ended.said
    summary = json.loads((run / "summary.json").read_text())
    assert summary["policies"]["expert"]["valid_action_rate"] == 1.0
    assert summary["policies"]["base"]["valid_action_rate"] == 0.0
    assert len(server.asked) - asked == len(PLAN) + 1
    assert_no_key(tmp_path, ended.said)


def test_whatever_the_endpoint_does_nothing_is_lost_or_billed_twice_and_the_budget_holds(
    server: ChatServer, terminal: Terminal, tmp_path: Path
) -> None:
    """429, 500, no answer in time, truncated, malformed, oversized: all in the first requests."""
    call, run = [*command(server, tmp_path), "--request-timeout", "2"], tmp_path / "runs" / "llm"
    server.faults = deque(
        [
            status(429),
            status(500),
            chat_server.silent,
            say("Thought: t\nAction: List", finish="length"),
            body(b"<html>gateway</html>"),
            chat_server.flooding,
        ]
    )
    small = 12_000
    ended = terminal.start([*call, "--max-tokens-spent", str(small)], tmp_path).end()
    assert ended.code == 1
    assert "the endpoint's budget is spent" in ended.said[-1]
    usage = json.loads((run / "usage.json").read_text())
    assert usage["tokens_in"] + usage["tokens_out"] + usage["unsure_tokens"] <= small
    flaws = {name: usage[name] for name in ("truncated", "malformed", "oversized")}
    assert flaws == {"truncated": 1, "malformed": 1, "oversized": 1}
    assert (usage["retries"], usage["unsure"]) == (3, 1)

    ended = terminal.start([*call, "--max-tokens-spent", str(10 * small)], tmp_path).end()
    assert ended.code == 0, ended.said
    attempts = played(run)
    assert Counter(one.seed for one in attempts) == dict.fromkeys(range(ATTEMPTS), 1)
    assert [one.end for one in attempts] == [End.SUBMITTED] * ATTEMPTS
    # What came back broken is a step without an action; it was asked once and is paid once.
    bad = [step for one in attempts for step in one.steps if step.action is None]
    assert len(bad) == 3
    once = Counter(json.dumps(one, sort_keys=True) for one in server.answered)
    assert set(once.values()) == {1}
    usage = json.loads((run / "usage.json").read_text())
    assert usage["answers"] == answers(run) == len(server.answered) + len(bad)
    assert usage["requests"] == len(server.asked) == usage["answers"] + 3
    assert_no_key(tmp_path, ended.said)


def test_attempts_that_broke_are_played_again_by_the_same_command(
    server: ChatServer, terminal: Terminal, tmp_path: Path
) -> None:
    call, run = command(server, tmp_path), tmp_path / "runs" / "llm"
    assert terminal.start(call, tmp_path).end().code == 0
    asked = len(server.asked)
    with closing(sqlite3.connect(run / "trajectories" / "store.sqlite")) as db, db:
        db.execute("UPDATE trajectories SET ended=? WHERE seed=1", (End.BROKEN.value,))
    ended = terminal.start(call, tmp_path).end()
    assert ended.code == 0, ended.said
    assert "collect: done before" not in ended.said
    assert_whole(run)
    # What was answered was paid for: the attempt is played from the ledger.
    assert len(server.asked) == asked
    assert "collect: done before" in terminal.start(call, tmp_path).end().said


def test_a_collection_stopped_then_killed_asks_nothing_twice_that_was_answered(
    server: ChatServer, terminal: Terminal, tmp_path: Path
) -> None:
    call, run = command(server, tmp_path), tmp_path / "runs" / "llm"
    server.faults = deque([status(503)] * 1000)
    stopped = terminal.start(call, tmp_path).until(lambda: len(server.asked) >= ATTEMPTS)
    ended = stopped.stop(signal.SIGINT)
    assert (ended.code, ended.said[-1]) == (130, STOPPED), ended.said
    assert ended.said[-2].startswith("endpoint: 0 answers by ")
    assert answers(run) == 0

    with server.lock:
        server.faults.clear()
        server.asked.clear()
    held, release, quick = [], threading.Event(), ATTEMPTS + 1

    def hold(asked: dict[str, Any]) -> str:
        with server.lock:
            slow = len(server.asked) > quick
        if slow:
            held.append(json.dumps(asked, sort_keys=True))
            release.wait(60)
        return plays(asked)

    server.answer = hold
    killed = terminal.start(call, tmp_path)
    killed.until(lambda: answers(run) == quick and len(held) == ATTEMPTS - 1)
    assert killed.stop(signal.SIGKILL).code == -signal.SIGKILL
    release.set()
    server.answer = plays
    assert terminal.nothing_is_left()

    ended = terminal.start(call, tmp_path).end()
    assert ended.code == 0, ended.said
    assert_whole(run)
    times = server.times_asked()
    assert sorted(one for one, number in times.items() if number > 1) == sorted(held)
    assert set(times.values()) == {1, 2}
    usage = json.loads((run / "usage.json").read_text())
    # What was out when it was killed may be billed, and is told apart.
    assert usage["unsure"] == len(held)
    assert usage["answers"] == ATTEMPTS * len(PLAN) + 1
    assert_no_key(tmp_path, ended.said)


def run_ml_agent(
    *arguments: str, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ml_agent.cli", *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_dry_run_asks_the_endpoint_one_tiny_question_each(
    server: ChatServer, tmp_path: Path
) -> None:
    server.answer = lambda asked: "yes"
    call = [*command(server, tmp_path), "--dry-run", "--leave-out", "seed,top_p"]
    call[call.index("--key-file") : call.index("--price")] = ["--key-env", "MY_KEY"]
    done = run_ml_agent(*call, cwd=tmp_path, MY_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert f"expert     expert at {server.url}: answered in " in done.stdout
    assert f"{TOKENS_IN} tokens in, {TOKENS_OUT} out, cost " in done.stdout
    assert "played by expert with coder as coder" in done.stdout
    assert [one["model"] for one in server.asked] == ["expert", "coder"]
    assert all(not {"seed", "top_p"} & set(one) for one in server.asked)
    assert {one["Authorization"] for one in server.headers} == {f"Bearer {KEY}"}
    assert not (tmp_path / "runs").exists()

    server.faults = deque([status(401, said=f"bad key {KEY}")])
    done = run_ml_agent(*call, cwd=tmp_path, MY_KEY=KEY)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "refuses with status 401: bad key ***. Give a valid key" in done.stderr
    assert KEY not in done.stdout


def test_an_address_of_something_else_is_told_before_anything_is_spent(server: ChatServer) -> None:
    expert = ExpertConfig(url=server.url, model="x")
    asking = read_asking(
        expert, key=Secret(""), budget=Budget(), at_once=1, timeout_s=5, any_http=False
    )
    server.faults = deque([body(b"<html>welcome</html>")])
    with pytest.raises(MLAgentError, match=r"<html>welcome</html>'\. Check the address"):
        try_endpoint(expert, asking)


def test_a_coder_that_is_free_has_a_price_and_one_that_is_not_told_has_none() -> None:
    def asked(price: str, coder_price: str) -> dict[str, Price | None]:
        expert = ExpertConfig(url="http://localhost:9/v1", model="m", coder="c")
        asking = read_asking(
            expert,
            key=Secret(""),
            price=price,
            coder_price=coder_price,
            budget=Budget(cost=1.0),
            at_once=1,
            timeout_s=5,
            any_http=False,
        )
        return dict(asking.prices)

    assert asked("1:2", "0:0") == {"m": Price(tokens_in=1.0, tokens_out=2.0), "c": Price()}
    with pytest.raises(UsageError, match="0:0 if they are free"):
        asked("", "0:0")


EXPERT = ["--expert", "http://localhost:9/v1", "--expert-model", "x"]
NAMESAKE = [*EXPERT[:-1], "smollm2-135m-instruct"]
"""Called in records as the policy before all training."""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--expert", "https://models.example/v1"], "give both --expert URL and --expert-model"),
        (["--expert-model", "x"], "give both --expert URL and --expert-model"),
        (["--set", "actions=Understand File,Final Answer"], "Understand File needs a coder"),
        (["--coder-model", "x"], "--coder-model: there is no language model"),
        (["--price", "1:2", "--max-cost", "5"], "--price, --max-cost: there is no language model"),
        (["--allow-http", "--key-env", "K"], "--key-env, --allow-http: there is no language"),
        ([*EXPERT, "--key-env", KEY], "that --key-env names holds no key"),
        ([*EXPERT, "--key-file", KEY], "that --key-file names cannot be read: No such file"),
        ([*EXPERT, "--key-env", "A", "--key-file", "b"], "contradict each other"),
        ([*EXPERT, "--max-cost", "1"], "give --price IN:OUT"),
        ([*EXPERT, "--price", "1:2", "--coder-price", "3:4"], "x is the coder too, and has one"),
        ([*EXPERT, "--coder-price", "3:4"], "x is the coder too, and has one price. Name another"),
        ([*EXPERT, "--price", "cheap"], "--price 0.15:0.60"),
        ([*EXPERT, "--price", "nan:1"], "--price 0.15:0.60"),
        (["--expert", "http://models.example/v1", "--expert-model", "x"], "--allow-http"),
        ([*EXPERT, "--requests-at-once", "0"], "must be above zero"),
        ([*EXPERT, "--tokens-per-minute", "0"], "a limit of 0 a minute allows nothing"),
        ([*NAMESAKE, "--set", "expert.evaluated=true"], "could not be told apart"),
        ([*EXPERT, "--set", "expert.length_field=length"], "max_completion_tokens"),
        ([*EXPERT, "--leave-out", "messages"], "messages cannot be left out of a request"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ml-agent", "collect", "quickstart", *options])
    assert main.run() == 2
    told = capsys.readouterr().err
    assert said in told
    assert KEY not in told
    assert len(told.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_fine_tuning_alone_is_told_of_no_price_where_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ml-agent", "sft", "quickstart", "--price", "1:2"])
    assert main.run() == 2
    assert "--price: there is no language model" in capsys.readouterr().err
