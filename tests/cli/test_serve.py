"""`ml-agent serve`: a run's policy answers, and plays as somebody's expert."""

import json
import re
import signal
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import Command, Terminal

from ml_agent.cli import main
from ml_agent.cli.policies import chosen_policy, load_policy
from ml_agent.cli.recipes import recipe_named
from ml_agent.core.errors import TrainingError
from ml_agent.core.records import End, Message
from ml_agent.models import Sampling
from ml_agent.models.local import LocalModel
from ml_agent.store import RunFolder, Stage, Store
from ml_agent.train.policy import Policy, Weights
from tiny_model import write_tiny_model

PROMPT = [Message(role="user", text="Say something.")]
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
GREEDY = Sampling(temperature=0, max_tokens=16)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")
    config = json.loads((folder / "config.json").read_text())
    # The paper's prompts, byte by byte.
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 65_536}))
    return folder


def trained(model: Path, path: Path, weights: Weights) -> tuple[RunFolder, dict[str, str]]:
    """A run with the checkpoints sft, step-2 and step-10, and what each of them says greedily."""
    run = RunFolder(path)
    recipe = recipe_named("quickstart", [f"model={model}", f"weights={weights}"])
    policy = Policy.load(str(model), weights=weights)
    said = {"base": answer(LocalModel.load(str(model)))}
    with run.working(recipe.name, recipe.as_json()):
        for seed, name in enumerate(("sft", "rl/step-2", "rl/step-10")):
            generator = torch.Generator().manual_seed(seed)
            with torch.no_grad():
                for one in policy.trained:
                    one.add_(0.1 * torch.randn(one.shape, generator=generator))
            policy.save(run.checkpoints / name)
            said[Path(name).name] = answer(policy.sampler(name))
    assert len(set(said.values())) == 4
    return run, said


def answer(model: LocalModel) -> str:
    return model.sample([PROMPT], GREEDY, seed=0)[0][0].text


@pytest.mark.parametrize("weights", ["alora", "lora", "full"])
def test_a_checkpoint_answers_as_it_was_trained_and_not_as_the_base(
    model: Path, tmp_path: Path, weights: Weights
) -> None:
    run, said = trained(model, tmp_path / "run", weights)
    asked = {
        "base": ("tiny", "base"),
        "sft": ("tiny+sft", "sft"),
        "step-2": ("tiny+rl@step-2", "step-2"),
        "rl": ("tiny+rl@step-10", "step-10"),
        "": ("tiny+rl@step-10", "step-10"),
    }
    for checkpoint, (name, same) in asked.items():
        found, folder = chosen_policy(run, str(model), checkpoint)
        served = load_policy(str(model), weights, folder, name=found)
        assert (served.policy, answer(served)) == (name, said[same])
    with pytest.raises(TrainingError, match="Use the model and the kind of training"):
        other: Weights = "lora" if weights == "full" else "full"
        load_policy(str(model), other, run.checkpoints / "sft", name="x")


def address(serving: Command) -> tuple[str, str]:
    """The policy and the address that are told when the server listens."""
    told = re.compile(r"^serving (\S+) at (http://\S+/v1)  \(Ctrl-C ends it\)$", re.MULTILINE)
    serving.until(lambda: told.search(serving.said()) is not None)
    found = told.search(serving.said())
    assert found is not None
    return found[1], found[2]


def chat(url: str, **asked: Any) -> Any:
    body = json.dumps(asked).encode()
    request = urllib.request.Request(f"{url}/chat/completions", body)
    request.add_header("Content-Type", "application/json")
    with OPENER.open(request, timeout=60) as came:
        return json.load(came)


def answering(url: str) -> int:
    with OPENER.open(url.removesuffix("/v1") + "/health", timeout=60) as came:
        return int(json.load(came)["answering"])


def test_a_served_policy_plays_as_an_expert_and_ctrl_c_ends_the_server(
    model: Path, terminal: Terminal, tmp_path: Path
) -> None:
    _, said = trained(model, tmp_path / "runs" / "mine", "alora")
    call = ["serve", "--policy", "mine", "--checkpoint", "sft", "--port", "0"]
    serving = terminal.start(call, tmp_path)
    name, url = address(serving)
    asked = [{"role": "user", "content": PROMPT[0].text}]
    came = chat(url, model=name, messages=asked, temperature=0, max_tokens=16)
    assert came["choices"][0]["message"]["content"] == said["sft"]

    small = ["train_tasks=concrete-strength", "collect.attempts_per_task=1"]
    small += ["expert.max_tokens=16"]
    played = ["collect", "quickstart", "--run", "played", "--expert", url, "--expert-model", name]
    played += [part for one in small for part in ("--set", one)]
    ended = terminal.start(played, tmp_path).end()
    assert ended.code == 0, ended.said
    run = tmp_path / "runs" / "played"
    with closing(Store(run / "trajectories" / "store.sqlite")) as store:
        (attempt,) = store.select(stage=Stage.COLLECT)
    # An untrained network's bytes are no action: that is its fault, and the record says so.
    assert (attempt.policy, attempt.end, attempt.failure) == ("tiny+sft", End.OUT_OF_BUDGET, None)
    assert {step.action for step in attempt.steps} == {None}
    assert all(step.invalid for step in attempt.steps)
    usage = json.loads((run / "usage.json").read_text())
    assert usage["answers"] == len(attempt.steps) > 1
    assert (usage["malformed"], usage["unsure"]) == (0, 0)
    assert usage["tokens_in"] == sum(step.completion.prompt_tokens for step in attempt.steps)
    assert usage["tokens_out"] <= 16 * usage["answers"]

    ended = serving.stop(signal.SIGINT)
    assert (ended.code, ended.said[-1]) == (0, "stopped")


def test_ctrl_c_twice_does_not_wait_for_an_answer_under_way(
    model: Path, terminal: Terminal, tmp_path: Path
) -> None:
    trained(model, tmp_path / "runs" / "mine", "alora")
    serving = terminal.start(["serve", "--policy", "mine", "--port", "0"], tmp_path)
    name, url = address(serving)
    asked = [{"role": "user", "content": "x"}]
    with ThreadPoolExecutor(1) as pool:
        # Far longer than this test waits.
        coming = pool.submit(chat, url, model=name, messages=asked, max_tokens=4096, n=15)
        serving.until(lambda: answering(url) == 1)
        serving.signal(signal.SIGINT).until(lambda: "Ctrl-C again" in serving.said())
        ended = serving.stop(signal.SIGINT)
        assert (ended.code, ended.said[-1]) == (130, "stopped at once")
        with pytest.raises(OSError):
            coming.result()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--policy", "none"], "is no run: it has no run.json"),
        (["--checkpoint", "rl"], "name it with --policy RUN"),
        (["--policy", "mine"], "has no trained policy yet"),
        (["--policy", "mine", "--checkpoint", "step-3"], "choose one of base"),
        (["--key-env", "NO_SUCH_VARIABLE"], "that --key-env names holds no key"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    recipe = recipe_named("quickstart", [f"model={model}"])
    with RunFolder(tmp_path / "runs" / "mine").working(recipe.name, recipe.as_json()):
        pass
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ml-agent", "serve", *options])
    assert main.run() == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.strip().splitlines()) == 1


def test_other_machines_are_let_in_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # Refused after the warning, so that no model is loaded.
    call = ["serve", "--host", "0.0.0.0", "--checkpoint", "rl"]
    monkeypatch.setattr(sys, "argv", ["ml-agent", *call])
    assert main.run() == 2
    warned = capsys.readouterr().err.splitlines()[0]
    assert warned.startswith("WARNING: --host 0.0.0.0: other machines can reach this")
    assert warned.endswith("There is no key (--key-env): all of them may ask.")
