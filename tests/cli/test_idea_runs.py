"""`ml-agent ideas`, a collection that plays with them, and `ml-agent export` of what was played."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import Terminal
from test_experts import PLAN, played, plays

from chat_server import ChatServer
from ml_agent.agents.playbook import IDEAS
from ml_agent.cli import main
from ml_agent.cli.gathering import verdict
from ml_agent.core.records import Axis, Trajectory
from ml_agent.evals.diversity import Diversities
from ml_agent.store import RunFolder
from ml_agent.train.ideas import TaskIdeas

TASK, WANTED, CHOSEN, ATTEMPTS = "concrete-strength", 5, 2, 3
TEXTS = {axis: [idea.text for idea in IDEAS if idea.axis is axis] for axis in Axis}


def thinks(asked: dict[str, Any]) -> str:
    """Ideas are the playbook's; all else is played as planned."""
    text = asked["messages"][1]["content"]
    if "Write " not in text or "all about the " not in text:
        return plays(asked)
    axis = Axis(re.findall(r"all about the (\w+):", text)[0])
    new = [one for one in TEXTS[axis] if f"- {one}" not in text]
    return "\n".join(f"{n}. {one}" for n, one in enumerate(new[:3], 1))


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(answer=thinks) as one:
        yield one


def call(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    """A command in this process: its exit code, and what it printed."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["ml-agent", *words])
    code = main.run()
    said = capsys.readouterr()
    return code, said.out, said.err


def test_ideas_are_asked_for_once_played_with_judged_and_exported(
    server: ChatServer,
    terminal: Terminal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = [
        "quickstart",
        *("--run", "llm", "--ideas", str(WANTED)),
        *("--expert", server.url, "--expert-model", "expert", "--coder-model", "coder"),
        *("--set", f"train_tasks={TASK}"),
        *("--set", f"collect.quotas={TASK}:{ATTEMPTS}"),
        *("--set", f"collect.ideas_per_axis={CHOSEN}"),
    ]
    run = tmp_path / "runs" / "llm"
    ended = terminal.start(["ideas", *options], tmp_path).end()
    assert ended.code == 0, ended.said
    found = TaskIdeas.model_validate_json((run / "ideas" / f"{TASK}.json").read_text())
    assert [len(found.axes[axis].ideas) for axis in Axis] == [WANTED] * 3
    assert len(server.asked) == 2 * 3
    assert ended.said[-1].startswith("endpoint: 6 answers by 6 requests")
    assert json.loads((run / "usage.json").read_text())["models"]["expert"]["answers"] == 6
    judged = Diversities.model_validate_json((run / "diversity.json").read_text()).tasks[0]
    chosen = {place.text for place in judged.places if place.chosen}
    assert (judged.ideas, judged.chosen, len(chosen)) == (3 * WANTED, 3 * CHOSEN, 3 * CHOSEN)
    assert judged.edit_words.texts == 0

    ended = terminal.start(["collect", *options], tmp_path).end()
    assert ended.code == 0, ended.said
    # The coder is asked the same by every attempt, so once.
    assert len(server.asked) == 6 + ATTEMPTS * len(PLAN) + 1
    attempts = played(run)
    assert len(attempts) == ATTEMPTS
    by_id = {idea.id: idea.text for idea in found.ideas}
    for one in attempts:
        told = one.messages[1].text.partition("Try these ideas first:\n")[2].splitlines()
        assert told == [f"- {by_id[name]}" for name in one.ideas]
        assert 1 <= len(told) <= 3
        assert {by_id[name] for name in one.ideas} <= chosen
    judged = Diversities.model_validate_json((run / "diversity.json").read_text()).tasks[0]
    assert judged.edit_words.verbs == {"print": ATTEMPTS}
    assert judged.edit_words.nouns == {"environment": ATTEMPTS}
    assert any("diversity.html" in line for line in ended.said)

    check_exports(run, attempts, lambda *words: call(monkeypatch, tmp_path, capsys, *words))


def check_exports(run: Path, attempts: list[Trajectory], command: Any) -> None:
    code, out, _ = command("export", "llm", "--format", "trl", "--whole")
    assert (code, out) == (0, f"{ATTEMPTS} trajectories in runs/llm/trajectories-trl.jsonl\n")
    lines = (run / "trajectories-trl.jsonl").read_text().splitlines()
    for line, one in zip(lines, attempts, strict=True):
        last = len(one.steps) - 1
        texts = [message.text for message in one.prompt_of(last)]
        chat = [message["content"] for message in json.loads(line)["messages"]]
        assert chat == [*texts, one.steps[last].completion.text]

    other = run.parent / "out" / "steps.json"
    other.parent.mkdir()
    (other.parent / "dataset_info.json").write_text('{"theirs": {"file_name": "a.json"}}')
    form = ("--format", "llama-factory", "--filter", "successful-steps", "--out", str(other))
    code, out, err = command("export", str(run), *form)
    assert code == 0, err
    assert out.endswith(f"described as steps in {other.parent / 'dataset_info.json'}\n")
    rows = json.loads(other.read_text())
    # Attempts differ in their ideas, so no two steps are the same.
    assert len(rows) == ATTEMPTS * len(PLAN)
    assert rows[0]["system"] == attempts[0].messages[0].text
    known = json.loads((other.parent / "dataset_info.json").read_text())
    assert set(known) == {"theirs", "steps"}
    assert known["steps"]["file_name"] == "steps.json"


def test_without_an_endpoint_the_playbooks_ideas_are_judged(
    terminal: Terminal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("--run", "own", "--set", f"train_tasks={TASK}", "--set", "collect.ideas_per_axis=3")
    ended = terminal.start(["ideas", "quickstart", *options], tmp_path).end()
    assert ended.code == 0, ended.said
    run = RunFolder(tmp_path / "runs" / "own")
    judged = Diversities.model_validate_json((run.path / "diversity.json").read_text())
    told = verdict(judged, run).splitlines()
    assert told[0].startswith(f"{TASK}: The 9 chosen of {judged.tasks[0].ideas} ideas are 0.")
    assert told[1:] == [
        f"report   {run.path / 'diversity.html'}",
        f"figures  {run.path / 'diversity.json'}",
    ]
    assert (run.path / "diversity.html").exists()
    assert not run.ideas_path(TASK).exists()
    code, _, err = call(monkeypatch, tmp_path, capsys, "export", "own", "--format", "trl")
    assert code == 2
    assert "has collected nothing yet" in err


def test_a_damaged_file_of_ideas_is_named(terminal: Terminal, tmp_path: Path) -> None:
    (tmp_path / "runs" / "llm" / "ideas").mkdir(parents=True)
    (tmp_path / "runs" / "llm" / "ideas" / f"{TASK}.json").write_text('{"task"')
    options = ("--run", "llm", "--set", f"train_tasks={TASK}", "--ideas", "3")
    expert = ("--expert", "http://localhost:9/v1", "--expert-model", "x")
    ended = terminal.start(["ideas", "quickstart", *options, *expert], tmp_path).end()
    assert ended.code == 1
    assert f"{TASK}.json is damaged (" in ended.said[-1]
    assert "Delete it and run the same command again" in ended.said[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["collect", "quickstart", "--ideas", "5"], "leave out --ideas"),
        (["collect", "quickstart", "--ideas", "-1"], "ideas.per_axis starts at 0"),
        (["collect", "quickstart", "--set", "collect.quotas=x"], "is not TASK:NUMBER"),
        (
            ["train", "quickstart", "--set", "collect.quotas=email-spam:3,x:4", "--dry-run"],
            "collect.quotas names x, which is not played",
        ),
        (["export", "none", "--format", "trl"], "is no run"),
        (["export", "none", "--format", "csv"], "'csv' is not one of"),
        (["export", "none"], "Missing option"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    code, _, err = call(monkeypatch, tmp_path, capsys, *words)
    assert code == 2
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
