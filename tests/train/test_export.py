"""Exported chats hold what was seen and answered, in the fields that other programs read."""

from itertools import zip_longest
from typing import Any

import pytest

from ml_agent.core.actions import EditScript
from ml_agent.core.errors import TrainingError, UsageError
from ml_agent.core.records import (
    Completion,
    Domain,
    End,
    Execution,
    Message,
    Metric,
    SplitDigests,
    Step,
    Task,
    Trajectory,
)
from ml_agent.train.export import dataset_info, steps_as_chats, trajectories_as_chats

EDIT = EditScript(
    script_name="a.py", start_line_number=1, end_line_number=1, new_code="", save_name="a.py"
)
TASK = Task(
    id="a",
    domain=Domain.TEXT,
    statement="",
    metric=Metric(name="m", higher_is_better=True),
    m_init=0.5,
    m_best=1.0,
    splits=SplitDigests(public="", valid="", test=""),
)
SAID = ["first é", 'second "2"', "third\n3"]
SCORES = [0.7, 0.9, None]


def played(*, style: str = "paper", end: End | None = End.SUBMITTED) -> Trajectory:
    """Three edits: better, better, crash."""
    messages = [Message(role="system", text="s"), Message(role="user", text="u0")]
    steps = []
    for t, (said, score) in enumerate(zip(SAID, SCORES, strict=True)):
        whole = tuple(range(len(messages)))
        steps.append(
            Step(
                prompt=whole if style == "paper" else (0, len(messages) - 1),
                completion=Completion(text=said, policy="p"),
                action=EDIT,
                execution=Execution(exit_code=score is None, output="", wall_s=1.0, cpu_s=1.0),
                score=score,
            )
        )
        if style == "paper":
            messages.append(Message(role="assistant", text=said))
        messages.append(Message(role="user", text=f"u{t + 1}"))
    return Trajectory(
        id="x",
        task="a",
        seed=0,
        policy="p",
        versions={},
        workspace="w",
        messages=tuple(messages),
        steps=tuple(steps),
        end=end,
    )


def read_back(row: dict[str, Any]) -> list[Message]:
    """A row as messages again, read as the two programs' documentation says."""
    if "conversations" in row:
        roles = {"human": "user", "gpt": "assistant"}
        turns = [
            Message.model_validate({"role": roles[one["from"]], "text": one["value"]})
            for one in row["conversations"]
        ]
        assert [one.role for one in turns[::2]] == ["user"] * len(turns[::2])
        assert [one.role for one in turns[1::2]] == ["assistant"] * len(turns[1::2])
        return [Message(role="system", text=row["system"]), *turns]
    turns = row["messages"] if "messages" in row else row["prompt"] + row["completion"]
    return [Message.model_validate({"role": m["role"], "text": m["content"]}) for m in turns]


@pytest.mark.parametrize("form", ["trl", "llama-factory"])
@pytest.mark.parametrize("style", ["paper", "compact"])
def test_steps_come_back_as_they_were_recorded(form: Any, style: str) -> None:
    one = played(style=style)
    rows = list(steps_as_chats([one], {}, form, keep="none"))
    found = [read_back(row) for row in rows]
    expected = [
        [*one.prompt_of(t), Message(role="assistant", text=SAID[t])] for t in range(len(SAID))
    ]
    assert sorted(found, key=str) == sorted(expected, key=str)
    keys = {"trl": {"prompt", "completion"}, "llama-factory": {"conversations", "system"}}
    assert {frozenset(row) for row in rows} == {frozenset(keys[form])}


@pytest.mark.parametrize("form", ["trl", "llama-factory"])
def test_a_whole_trajectory_comes_back_as_it_was_recorded(form: Any) -> None:
    (row,) = trajectories_as_chats([played()], {}, form, keep="none")
    users = ["u0", "u1", "u2"]
    texts = [text for pair in zip_longest(users, SAID) for text in pair]
    assert [one.text for one in read_back(row)] == ["s", *texts]


def test_a_whole_trajectory_ends_with_the_last_step_that_is_kept() -> None:
    (row,) = trajectories_as_chats([played()], {"a": TASK}, "trl", keep="improving-edits")
    assert [one["content"] for one in row["messages"]] == ["s", "u0", SAID[0], "u1", SAID[1]]
    steps = list(steps_as_chats([played()], {}, "trl", keep="successful-steps"))
    assert sorted(one["completion"][0]["content"] for one in steps) == SAID[:2]


def test_broken_attempts_are_left_out_and_nothing_left_is_said() -> None:
    lost = [played(end=End.BROKEN), played(end=None)]
    with pytest.raises(TrainingError, match="no trajectory is left to export"):
        list(trajectories_as_chats(lost, {}, "trl", keep="none"))
    with pytest.raises(TrainingError, match="no step is left"):
        list(steps_as_chats(lost, {}, "trl", keep="none"))


def test_compact_prompts_are_no_conversation() -> None:
    with pytest.raises(UsageError, match="leave out --whole"):
        list(trajectories_as_chats([played(style="compact")], {}, "trl", keep="none"))


def test_llama_factory_is_told_which_columns_hold_what() -> None:
    (row,) = trajectories_as_chats([played()], {}, "llama-factory", keep="none")
    info = dataset_info("x.json")
    assert (info["file_name"], info["formatting"]) == ("x.json", "sharegpt")
    assert set(info["columns"].values()) == set(row)
