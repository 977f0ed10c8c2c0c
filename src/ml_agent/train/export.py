"""Recorded trajectories as chat data sets that other programs train on.

TRL reads one JSON object a line: `{"prompt": [...], "completion": [...]}` for a step, of which the
completion alone carries loss, and `{"messages": [...]}` for a whole trajectory, each message with
`role` and `content` (https://huggingface.co/docs/trl/dataset_formats).

LLaMA-Factory reads a JSON list of `{"conversations": [{"from": "human" | "gpt", "value": ...}],
"system": ...}`, and an entry of `dataset_info.json` beside it that says so (its data/README.md,
"ShareGPT Format").
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from ml_agent.core.errors import TrainingError, UsageError
from ml_agent.core.records import Message, Task, Trajectory
from ml_agent.train.examples import Filter, examples_from, is_kept

Format = Literal["trl", "llama-factory"]
_SHAREGPT = {"user": "human", "assistant": "gpt"}


def steps_as_chats(
    trajectories: Iterable[Trajectory], tasks: Mapping[str, Task], form: Format, *, keep: Filter
) -> Iterator[dict[str, Any]]:
    """Each distinct step that a filter keeps: what was seen, and what was answered.

    Raises:
        TrainingError: No step is left.
    """
    for example in examples_from(trajectories, tasks, keep=keep):
        answer = Message(role="assistant", text=example.reply)
        if form == "trl":
            yield {"prompt": [*map(_turn, example.prompt)], "completion": [_turn(answer)]}
        else:
            yield _sharegpt((*example.prompt, answer))


def trajectories_as_chats(
    trajectories: Iterable[Trajectory], tasks: Mapping[str, Task], form: Format, *, keep: Filter
) -> Iterator[dict[str, Any]]:
    """Each trajectory as one conversation, which ends with the last step that a filter keeps.

    All its answers are learned from, so it also ends before the first error, if there is a filter,
    and before the first that a judge called one. Broken and cut-off attempts are passed over, and
    those of which no step is left.

    Raises:
        TrainingError: No trajectory is left.
        UsageError: The prompts are no conversation: the compact style shows something new each
            time.
    """
    written = 0
    for one in trajectories:
        kept = _kept_before_an_error(one, tasks, keep)
        if not (one.whole and kept):
            continue
        chat = _conversation(one, kept[-1])
        written += 1
        yield {"messages": [*map(_turn, chat)]} if form == "trl" else _sharegpt(chat)
    if not written:
        raise TrainingError(
            f"no trajectory is left to export after the filter {keep!r}. Collect more, or use the "
            "filter none."
        )


def dataset_info(file_name: str) -> dict[str, Any]:
    """LLaMA-Factory's description of a file made here."""
    return {
        "file_name": file_name,
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system"},
    }


def _kept_before_an_error(one: Trajectory, tasks: Mapping[str, Task], keep: Filter) -> list[int]:
    # What is no edit may stand before an edit that is kept.
    stand: Filter = "improving-steps" if keep == "improving-edits" else keep
    kept = []
    for t, step in enumerate(one.steps):
        if step.step_ok is False or not is_kept(tasks, one, t, stand):
            break
        if is_kept(tasks, one, t, keep):
            kept.append(t)
    return kept


def _conversation(one: Trajectory, last: int) -> tuple[Message, ...]:
    whole = _said(one, last)
    for t in range(last):
        earlier = _said(one, t)
        if whole[: len(earlier)] != earlier:
            raise UsageError(
                f"trajectory {one.id} is no conversation: a step's prompt does not go on from the "
                "one before, as in the compact style. Export its steps: leave out --whole."
            )
    return whole


def _said(one: Trajectory, t: int) -> tuple[Message, ...]:
    answer = Message(role="assistant", text=one.steps[t].completion.text)
    return (*one.prompt_of(t), answer)


def _turn(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.text}


def _sharegpt(chat: tuple[Message, ...]) -> dict[str, Any]:
    system = "\n".join(one.text for one in chat if one.role == "system")
    turns = [
        {"from": _SHAREGPT[one.role], "value": one.text} for one in chat if one.role != "system"
    ]
    return {"conversations": turns, "system": system}
