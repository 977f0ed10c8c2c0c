"""Exported chats hold what was seen and answered, in the fields that other programs read."""

from itertools import zip_longest
from typing import Any

import pytest

from made_records import CRASHED, RAN, made_step, made_task, made_trajectory
from ml_agent.core.actions import ListFiles
from ml_agent.core.errors import TrainingError, UsageError
from ml_agent.core.records import End, Message, Trajectory
from ml_agent.train.export import dataset_info, steps_as_chats, trajectories_as_chats

TASK = made_task("a")
SAID = ["first é", 'second "2"', "third\n3"]
SCORES = [0.7, 0.9, None]


def played(*, style: str = "paper", end: End | None = End.SUBMITTED) -> Trajectory:
    """Three edits: better, better, crash."""
    messages = [("system", "s"), ("user", "u0")]
    steps = []
    for t, (said, score) in enumerate(zip(SAID, SCORES, strict=True)):
        prompt = tuple(range(len(messages))) if style == "paper" else (0, len(messages) - 1)
        ran = CRASHED if score is None else RAN
        steps.append(made_step(execution=ran, score=score, text=said, prompt=prompt))
        if style == "paper":
            messages.append(("assistant", said))
        messages.append(("user", f"u{t + 1}"))
    return made_trajectory(steps, task="a", messages=messages, end=end)


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


@pytest.mark.parametrize("keep", ["successful-steps", "improving-edits"])
def test_a_whole_trajectory_ends_with_the_last_step_kept_and_before_the_first_error(
    keep: Any,
) -> None:
    """All answers of a conversation are learned from."""
    whole = played()
    looked = made_step(ListFiles(), None, text=SAID[0], prompt=whole.steps[0].prompt)
    (row,) = trajectories_as_chats([whole], {"a": TASK}, "trl", keep=keep)
    assert [one["content"] for one in row["messages"]] == ["s", "u0", SAID[0], "u1", SAID[1]]
    # What is neither an edit nor an error may stand before one that is kept.
    first = whole.model_copy(update={"steps": (looked, *whole.steps[1:])})
    (row,) = trajectories_as_chats([first], {"a": TASK}, "trl", keep=keep)
    assert [one["content"] for one in row["messages"]][-1] == SAID[1]
    first, second, third = played().steps
    wrong = {"step_ok": False}
    judged = [
        played().model_copy(update={"steps": steps})
        for steps in (
            (first, second.model_copy(update=wrong), third),
            (first.model_copy(update=wrong), second, third),
        )
    ]
    (row,) = trajectories_as_chats(judged, {"a": TASK}, "trl", keep="none")
    assert [one["content"] for one in row["messages"]] == ["s", "u0", SAID[0]]
    steps = list(steps_as_chats([played()], {}, "trl", keep="successful-steps"))
    assert sorted(one["completion"][0]["content"] for one in steps) == SAID[:2]


def test_broken_attempts_are_left_out_and_nothing_left_is_said() -> None:
    lost = [played(end=End.BROKEN), played(end=None)]
    with pytest.raises(TrainingError, match="no trajectory is left to export"):
        list(trajectories_as_chats(lost, {}, "trl", keep="none"))
    with pytest.raises(TrainingError, match="no finished trajectory"):
        list(steps_as_chats(lost, {}, "trl", keep="none"))


def test_compact_prompts_are_no_conversation() -> None:
    with pytest.raises(UsageError, match="leave out --whole"):
        list(trajectories_as_chats([played(style="compact")], {}, "trl", keep="none"))


def test_llama_factory_is_told_which_columns_hold_what() -> None:
    (row,) = trajectories_as_chats([played()], {}, "llama-factory", keep="none")
    info = dataset_info("x.json")
    assert (info["file_name"], info["formatting"]) == ("x.json", "sharegpt")
    assert set(info["columns"].values()) == set(row)
