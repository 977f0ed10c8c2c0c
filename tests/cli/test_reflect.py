"""`ml-agent reflect`: a run's failed steps become trajectories, whatever happens meanwhile."""

import json
import shutil
import signal
import sqlite3
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from commands import Terminal
from small_runs import command, played, said

import three_arms
from chat_server import TOKENS_IN, TOKENS_OUT, ChatServer, status
from made_records import made_task
from ml_agent.cli.options import Call
from ml_agent.cli.reflect import _without_expert
from ml_agent.cli.reflecting import Account, Tally, Verdicts, in_words
from ml_agent.core.actions import EDITS
from ml_agent.core.records import End
from ml_agent.env import COMPACT_ACTIONS
from ml_agent.store import Sample, Stage, Store
from ml_agent.train.examples import examples_from
from ml_agent.train.marks import Mark
from ml_agent.train.reflection import error_of, is_mended
from puppet import write_puppet

REPLY = (
    "Thought: That was wrong.\nAction: Edit Script\nAction Input: "
    '{"start_line_number": 1, "end_line_number": 0, "script_name": "train.py", '
    '"save_name": "train.py", "new_code": "1 / 0"}'
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_puppet(tmp_path_factory.mktemp("models") / "puppet")


@pytest.fixture(scope="module")
def collected(model: Path, terminal: Terminal, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cwd = tmp_path_factory.mktemp("collected")
    ended = terminal.start(command("collect", model), cwd).end()
    assert ended.code == 0, ended.said
    return cwd / "runs" / "small"


@pytest.fixture(scope="module")
def reflected(
    collected: Path, model: Path, terminal: Terminal, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    cwd = tmp_path_factory.mktemp("reflected")
    run = copied(collected, cwd)
    ended = terminal.start(command("reflect", model), cwd).end()
    assert ended.code == 0, ended.said
    return run


def copied(run: Path, cwd: Path) -> Path:
    return Path(shutil.copytree(run, cwd / "runs" / "small"))


def practise_another_task(run: Path) -> None:
    """Every attempt once more at a task that is practised on alone; each step was tried there."""
    with closing(Store(run / "trajectories" / "store.sqlite")) as store:
        tried: list[Sample] = []
        for one in [*store.select(stage=Stage.COLLECT)]:
            other = one.model_copy(update={"id": f"{one.id}-other", "task": "loan-rates"})
            store.begin(other, Stage.COLLECT)
            store.finish(other)
            tried += [
                Sample(update=2, trajectory=other.id, t=t, step=step, reward=0.0)
                for t, step in enumerate(other.steps)
            ]
        store.add_samples(tried)


def test_a_reflection_that_was_killed_ends_as_if_it_had_not_been(
    collected: Path, reflected: Path, model: Path, terminal: Terminal, tmp_path: Path
) -> None:
    run = copied(collected, tmp_path)
    # Practice has taken an action in an attempt that was forgotten since.
    with closing(Store(run / "trajectories" / "store.sqlite")) as store:
        step = next(store.select(stage=Stage.COLLECT)).steps[0]
        store.add_samples([Sample(update=1, trajectory="gone", t=0, step=step, reward=0.0)])
    practise_another_task(run)
    # No result is remembered, so that it takes as long as the first time.
    call = [*command("reflect", model), "--no-cache"]
    killed = terminal.start(call, tmp_path).until(lambda: played(run, Stage.REFLECT) != [])
    assert killed.stop(signal.SIGKILL).code == -signal.SIGKILL
    assert None in {one.end for one in played(run, Stage.REFLECT)}
    ended = terminal.start(call, tmp_path).end()
    assert ended.code == 0, ended.said
    assert terminal.nothing_is_left()

    straight = played(reflected, Stage.REFLECT)
    again = played(run, Stage.REFLECT)
    # Their ids name the errors: made from the same run, they are the same.
    assert sorted(one.id for one in again) == sorted(one.id for one in straight)
    assert len(straight) >= 3
    assert said(again) == said(straight)
    assert all(one.end is End.OUT_OF_BUDGET for one in again)
    assert json.loads((run / "run.json").read_text())["stages"]["reflect"]["status"] == "done"


def test_a_language_model_teaches_a_run_that_the_playbook_played_and_is_billed(
    collected: Path, model: Path, terminal: Terminal, tmp_path: Path
) -> None:
    run = copied(collected, tmp_path)
    before = (run / "config.json").read_bytes()
    with ChatServer(answer=lambda asked: REPLY) as server:
        call = [*command("reflect", model), "--expert", server.url, "--expert-model", "wise"]
        call += ["--price", "1000000:2000000", "--at-most", "2"]
        ended = terminal.start(call, tmp_path).end()
        assert ended.code == 0, ended.said
        assert (len(server.asked), {one["model"] for one in server.asked}) == (2, {"wise"})
        found = played(run, Stage.REFLECT)
        assert {one.policy for one in found} == {"wise"}
        assert {one.versions["endpoint"] for one in found} == {server.url}
        assert {one.steps[-1].completion.text for one in found} == {REPLY}
        usage = json.loads((run / "usage.json").read_text())
        assert (usage["answers"], usage["cost"]) == (2, 2 * (TOKENS_IN + 2 * TOKENS_OUT))
        assert (run / "config.json").read_bytes() == before
        # Nothing is left to ask: the same two errors have been reflected on.
        assert terminal.start(call, tmp_path).end().code == 0
        assert len(server.asked) == 2
        refusing(server)
        ended = terminal.start([*call[:-1], "3"], tmp_path).end()
    assert ended.code == 1
    assert "401" in ended.said[-1]
    assert [one.end for one in played(run, Stage.REFLECT)].count(None) == 1
    assert len(played(run, Stage.REFLECT)) == 3


def test_what_a_judge_calls_an_error_is_corrected_and_imitated_no_more(
    collected: Path, model: Path, terminal: Terminal, tmp_path: Path
) -> None:
    run = copied(collected, tmp_path)
    good = sorted(
        {
            step.completion.text
            for one in played(run, Stage.COLLECT)
            for t, step in enumerate(one.steps)
            if step.score is not None and step.action is not None and step.action.kind in EDITS
        }
    )

    def answer(asked: dict[str, Any]) -> str:
        text = asked["messages"][-1]["content"]
        if "<outcome>" not in text:
            return REPLY.replace("1 / 0", "# mended")
        found = any(f"<step>\n{one}\n" in text for one in good[::2])
        return "ERROR: You could have known better." if found else "FINE"

    with ChatServer(answer=answer) as server:
        call = [*command("reflect", model), "--expert", server.url, "--expert-model", "wise"]
        call += ["--judge", "50"]
        ended = terminal.start(call, tmp_path).end()
        assert ended.code == 0, ended.said
        asked = len(server.asked)
        assert terminal.start(call, tmp_path).end().code == 0
        # Everything has been judged, and every correction was asked for.
        assert len(server.asked) == asked
        practise_another_task(copied(run, tmp_path / "practised"))
        assert terminal.start(call, tmp_path / "practised").end().code == 0
        assert len(server.asked) == asked

    steps = [step for one in played(run, Stage.COLLECT) for step in one.steps]
    wrong = {step.completion.text for step in steps if step.step_ok is False}
    assert {step.verdict for step in steps} == {None, "", "You could have known better"}
    assert wrong == {step.completion.text for step in steps if step.verdict}
    assert wrong <= set(good[::2])

    assert not wrong & {one.reply for one in examples_from(played(run, Stage.COLLECT), {})}
    of_judged = [one for one in played(run, Stage.REFLECT) if one.steps[error_of(one)].verdict]
    assert {one.steps[error_of(one)].completion.text for one in of_judged} == wrong
    # Whatever was known before was better than a hundred.
    task = made_task("concrete-strength", m_init=100.0, m_best=0.0, higher=False)
    assert any(is_mended(task, one) for one in of_judged)
    # Who teaches is told why, and no record says so but that of the error.
    told = [one["messages"][-1]["content"] for one in server.asked]
    assert sum("whatever it scored: You could have known better" in text for text in told) >= 1


def test_a_run_that_was_fine_tuned_is_told_before_the_work_that_nothing_will_imitate_it(
    reflected: Path, model: Path, terminal: Terminal, tmp_path: Path
) -> None:
    run = copied(reflected, tmp_path)
    info = json.loads((run / "run.json").read_text())
    info["stages"]["sft"] = {"status": "done", "seconds": 1.0}
    (run / "run.json").write_text(json.dumps(info))
    ended = terminal.start(command("reflect", model), tmp_path).end()
    assert ended.code == 0, ended.said
    assert ended.said[0].startswith("sft was done before, so nothing will imitate")


def test_what_the_run_was_made_with_says_nothing_of_how_a_teacher_beside_it_is_asked() -> None:
    call = Call(
        recipe="quickstart",
        expert="https://models.example/v1",
        expert_model="m",
        coder_model="c",
        length_field="max_completion_tokens",
        leave_out="seed",
        change=["expert.temperature=0", "rl.updates=3"],
    )
    assert _without_expert(call).changes() == ["rl.updates=3"]


def test_an_account_says_what_the_judge_said() -> None:
    tally = {Mark.JUDGED: Tally(played=2, mended=1)}
    judged = Verdicts(fine=3, errors=2, unclear=1)
    told = in_words(Account(failed_steps=2, unknown=0, by_mark=tally, imitated=1, judged=judged))
    assert told.splitlines() == [
        "the judge found 2 errors, and 3 edits fine",
        "it said neither, or nothing, of 1",
        "2 failed steps, 2 corrections played: 1 are better, of which fine-tuning imitates 1; "
        "1 are not",
        "  judged     1 of 2",
    ]


def refusing(server: ChatServer) -> None:
    server.faults = deque([status(401, said="no such key")] * 9)


def without(what: str, run: Path) -> None:
    with closing(sqlite3.connect(run / "trajectories" / "store.sqlite")) as db, db:
        if what == "errors":
            finish = json.dumps({"kind": "Final Answer", "final_answer": ""})
            db.execute("UPDATE steps SET step=json_set(step, '$.action', json(?))", (finish,))
        else:
            db.execute("DELETE FROM trajectories")


@pytest.mark.parametrize(
    ("wrong", "code", "told"),
    [
        ("name", 2, "is no run: it has no run.json"),
        ("errors", 1, "no recorded step has failed, so there is nothing to reflect on"),
        ("attempts", 2, "has collected nothing yet: run `ml-agent collect` for it first"),
        ("fine-tuning", 2, "is in the middle of fine-tuning"),
        ("half", 2, "an expert is an address and a model's name"),
        ("judge", 2, "--judge needs a language model"),
    ],
)
def test_what_cannot_be_reflected_on_is_one_line(
    wrong: str,
    code: int,
    told: str,
    collected: Path,
    model: Path,
    terminal: Terminal,
    tmp_path: Path,
) -> None:
    call = command("reflect", model)
    match wrong:
        case "name":
            pass
        case "errors" | "attempts":
            without(wrong, copied(collected, tmp_path))
        case "fine-tuning":
            (copied(collected, tmp_path) / "checkpoints" / "sft-unfinished").mkdir(parents=True)
        case "judge":
            copied(collected, tmp_path)
            call += ["--judge", "3"]
        case _:
            call += ["--expert", "https://nowhere.invalid/v1"]
    ended = terminal.start(call, tmp_path).end()
    assert ended.code == code, ended.said
    assert told in ended.said[-1]
    assert not (tmp_path / "runs").exists() or wrong not in {"name", "half"}


@pytest.mark.parametrize(
    ("error", "answer", "same"),
    [
        (REPLY, REPLY.replace("That was wrong", "So"), True),
        (REPLY, REPLY.replace("1 / 0", "2 / 0"), False),
        (REPLY, "no", False),
        ("no", "neither", True),
        ("no", REPLY, False),
    ],
)
def test_an_error_is_repeated_where_the_action_is_the_same(
    error: str, answer: str, same: bool
) -> None:
    assert three_arms.is_the_same(error, answer, COMPACT_ACTIONS) == same


def test_three_arms_are_trained_alike_and_compared(
    reflected: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {"evaluation.attempts_per_task": 1, "evaluation.steps": 1}
    small |= {"imitate_corrections": 2, "imitate_longest": "none"}
    changes = [f"--set={key}={value}" for key, value in small.items()]
    call = [str(reflected), "--out", str(tmp_path), "--updates", "2", "--samples", "3"]
    three_arms.main([*call, *changes])
    told: dict[str, Any] = json.loads((tmp_path / "three_arms.json").read_text())
    assert set(told["arms"]) == {"golden", "masked", "unmasked"}
    shown = [[one["trajectory"] for one in arm["shown"]["0"]] for arm in told["arms"].values()]
    assert shown[0] == shown[1] == shown[2]
    task = made_task("concrete-strength", m_init=100.0, m_best=0.0, higher=False)
    mended = {one.id for one in played(reflected, Stage.REFLECT) if is_mended(task, one)}
    assert shown[0]
    assert set(shown[0]) <= mended
    assert len(shown[0]) == min(2, len(mended))
    for arm in told["arms"].values():
        assert arm["budget"]["0"]["updates"] == 2
        answers = [one["repeated"] for one in arm["shown"]["0"]]
        assert set(map(len, answers)) == {3}
        repeated = sum(map(sum, answers)) / (3 * len(answers))
        assert arm["repeat"]["mean"] == pytest.approx(repeated)
        assert arm["error_logprob"] < 0
    assert set(told["summary"]["policies"]) == set(told["arms"])
    assert set(told["repeat_differences"]) == {"masked-golden", "unmasked-masked"}
    assert "unmasked-masked" in capsys.readouterr().out
