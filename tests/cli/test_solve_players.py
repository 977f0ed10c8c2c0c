"""`ml-agent solve` played by a model: behind an endpoint, and of a run."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from small_tables import write_rows

from chat_server import ChatServer, Handler, reply, status
from ml_agent.agents.playbook import PlaybookExpert
from ml_agent.cli.main import run
from ml_agent.cli.recipes import recipe_named
from ml_agent.core.records import Message, Trajectory
from ml_agent.solve.perceive import perceive
from ml_agent.solve.records import Hints
from ml_agent.solve.starters import starter_script
from ml_agent.store import RunFolder, Stage, Store
from puppet import write_puppet

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A folder with a table, in which y follows from a, and a text that says so."""
    folder = write_rows(tmp_path / "rows", y=lambda a, _: 9 * (a - 0.5) ** 2, noise=0.02)
    (folder / "README.md").write_text("To predict y: it is a parabola of a.\n\nCall at noon.\n")
    return folder


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rows: Path) -> Call:
    """The verb in this process: exit code, standard output and error."""

    def called(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(rows.parent)
        monkeypatch.setattr(sys, "argv", ["ml-agent", "solve", "rows", *arguments])
        code = run()
        said = capsys.readouterr()
        return code, said.out, said.err

    return called


def plays(asked: dict[str, Any]) -> str:
    """One idea, as an expert would."""
    messages = [Message(role=one["role"], text=one["content"]) for one in asked["messages"]]
    (said,) = PlaybookExpert([["model-extra-trees"]]).act([messages], seeds=[0])
    return said.completion.text


def dear(handler: Handler, asked: dict[str, Any]) -> None:
    usage = {"prompt_tokens": 1500, "completion_tokens": 500}
    handler.send(200, reply(plays(asked), usage=usage), {})


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(answer=plays) as one:
        yield one


def recorded(folder: Path) -> list[Trajectory]:
    with closing(Store(RunFolder(folder).store_path)) as store:
        return list(store.select(stage=Stage.SOLVE))


def test_an_endpoint_solves_within_its_budget_and_a_policy_goes_on_from_there(
    server: ChatServer, call: Call, rows: Path
) -> None:
    out = rows.parent / "runs" / "solve-rows"
    # Each of the first answers takes 2,000 tokens, and the next one might take more than is left.
    server.faults.extend([dear] * 3)
    asks = ("--expert", server.url, "--expert-model", "m", "--search", "tree", "--workers", "1")
    # A model that reasons takes no more than this.
    asks += ("--leave-out", "temperature,top_p,seed", "--length-field", "max_completion_tokens")
    code, said, error = call(*asks, "--max-tokens-spent", "10000")
    assert code == 0, error
    assert set(server.asked[0]) == {"model", "messages", "max_completion_tokens"}
    assert "It ended because the tokens or the money for the endpoint are used up." in said
    assert json.loads((out / "result.json").read_text())["improved"]
    spent = json.loads((out / "usage.json").read_text())
    assert (spent["tokens_in"], spent["tokens_out"]) == (4500, 1500)
    assert "endpoint: " in error
    first = server.asked[0]["messages"][1]["content"]
    assert "What to do: try another way" in first
    assert "- To predict y: it is a parabola of a." in first
    assert (out / "best" / "train.py").read_text().count("ExtraTrees")

    trained(rows)
    code, said, error = call("--policy", "mine", "--checkpoint", "base", "--experiments", "1")
    assert code == 0, error
    played = recorded(out)
    assert [one.policy for one in played] == ["m", "m", "puppet"]
    assert [one.move for one in played] == ["draft", "draft", "improve"]
    assert played[0].versions["endpoint"] == server.url
    assert played[2].parents == (played[0].id,)
    # As it was trained: with one step, as it was measured, and without notes.
    assert len(played[2].steps) == 1
    assert played[2].steps[0].execution is not None
    assert "What to do" not in played[2].prompt_of(0)[-1].text


def test_an_endpoint_that_closes_its_door_leaves_the_answer_there_is(
    server: ChatServer, call: Call, rows: Path
) -> None:
    out = rows.parent / "runs" / "solve-rows"
    shut = [status(401, said="no such key")] * 9
    server.faults.extend(shut)
    asks = ("--expert", server.url, "--expert-model", "m", "--workers", "1")
    code, said, error = call(*asks)
    # Nothing was tried yet: what is wrong is all there is to say.
    assert (code, said.count("report")) == (1, 0)
    assert "401" in error.splitlines()[-1]
    assert (out / "best" / "train.py").exists()

    server.faults.clear()
    assert call(*asks, "--experiments", "1")[0] == 0
    server.faults.extend(shut)
    code, said, error = call(*asks)
    assert code == 0, error
    assert "It ended because the endpoint takes no more requests: " in said
    assert "no such key" in said
    assert "ExtraTrees" in (out / "best" / "train.py").read_text()
    assert "no such key" in (out / "report.html").read_text()

    # One that is gone for long is no fault of the key: each attempt breaks, until that is too much.
    server.faults.clear()
    server.faults.extend([status(503, said="down", **{"Retry-After": "900"})] * 30)
    code, said, error = call(*asks)
    assert code == 0, error
    assert "It ended because the search could not go on: " in said
    assert "attempts broke by our own fault" in said
    assert "ExtraTrees" in (out / "best" / "train.py").read_text()


def trained(rows: Path) -> None:
    """The run `mine`, of a network that always gives one answer."""
    puppet = write_puppet(rows.parent / "puppet", [_edit_of(rows)])
    config = json.loads((puppet / "config.json").read_text())
    # Its tokens are bytes, and a prompt has thousands.
    (puppet / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 65_536}))
    recipe = recipe_named("quickstart", [f"model={puppet}", "evaluation.steps=1"])
    with RunFolder(rows.parent / "runs" / "mine").working(recipe.name, recipe.as_json()):
        pass


def _edit_of(rows: Path) -> str:
    """A reply that makes the starter of these rows better."""
    from ml_agent.core.listing import format_listing

    source = starter_script(perceive(rows, Hints()).perceived)
    shown = Message(role="user", text=format_listing("train.py", source))
    (said,) = PlaybookExpert([["model-extra-trees"]]).act([[shown]], seeds=[0])
    return said.completion.text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--policy", "mine", "--expert", "https://h/v1"], "contradict each other"),
        (["--expert", "https://h/v1"], "give both --expert URL and --expert-model NAME"),
        (["--policy", "nobody"], "is no run: it has no run.json"),
        (["--checkpoint", "sft"], "name it with --policy RUN"),
        (
            ["--expert", "https://h/v1", "--expert-model", "m", "--max-cost", "1"],
            "a limit of money needs the price",
        ),
        (
            ["--max-cost", "1", "--length-field", "max_completion_tokens"],
            "--max-cost, --length-field",
        ),
        (["--expert", "http://far.example/v1", "--expert-model", "m"], "--allow-http"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, call: Call, rows: Path
) -> None:
    code, _, error = call(*arguments)
    assert code == 2
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not (rows.parent / "runs" / "solve-rows").exists()
