"""Between an agent's text and its action: one grammar for every prompt style.

A reply is a list of labelled fields; the last two decide:

    Thought: why
    Action: Edit Script
    Action Input: {"script_name": "train.py", ...}

Code is better written as it will stand in the script than escaped inside JSON, all the more by a
small model, so an edit may leave out `new_code` and write it below, as a block:

    Action Input: {"start_line_number": 8, "end_line_number": 8, ...}
    ```python
    model = Ridge(alpha=10)
    ```

The paper's style has four more fields before them (`PAPER_FIELDS`); they carry thought, not
meaning, so one parser reads both styles.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from ml_agent.core.actions import ACTIONS, Action
from ml_agent.core.base import Record

PAPER_FIELDS = ("Reflection", "Research Plan and Status", "Fact Check", "Thought")

_ACTION = re.compile(r"^Action:[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_INPUT = re.compile(r"^Action Input:\s*", re.MULTILINE)
_BLOCK = re.compile(r"\s*```\w*[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
_CODE = "new_code"
_FENCE = re.compile(r"^```", re.MULTILINE)


@dataclass(frozen=True)
class Parsed:
    """Either an action, or the reason why there is none; never both."""

    action: Action | None
    invalid: str | None = None


def parse_reply(text: str, offered: Collection[str]) -> Parsed:
    """Read the action from a reply. Whatever is wrong with it is data, not an error.

    Args:
        text: The model's whole reply.
        offered: Names of the actions on offer; another action is invalid, not hidden.
    """
    named = _ACTION.search(text)
    if named is None:
        return Parsed(None, 'no line "Action: NAME"')
    name = named.group(1)
    if name not in ACTIONS or name not in offered:
        return Parsed(None, f"{name[:60]!r} is not one of: {', '.join(offered)}")
    given = _INPUT.search(text, named.end())
    if given is None:
        return Parsed(None, 'no line "Action Input: {...}" after the action')
    try:
        fields, end = json.JSONDecoder().raw_decode(text, given.end())
    except (ValueError, RecursionError) as error:
        why = "nested too deeply, or too long a number"
        why = error.msg if isinstance(error, json.JSONDecodeError) else why
        return Parsed(None, f"the action input is not JSON: {why}")
    if not isinstance(fields, dict) or "kind" in fields:
        return Parsed(None, "the action input is not one JSON object with the action's keys")
    if _CODE in ACTIONS[name].model_fields and _CODE not in fields:
        block = _BLOCK.match(text, end)
        if block is None:
            return Parsed(None, "no new_code: no whole ```python block follows the action input")
        fields[_CODE] = block.group(1)
    try:
        return Parsed(ACTIONS[name].model_validate(fields))  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return Parsed(None, f"action input: {where + ': ' if where else ''}{first['msg']}")


def thought_in(text: str) -> str:
    """What a reply says before its action; empty: nothing."""
    said, _, _ = text.partition("\nAction:")
    return "" if said.startswith("Action:") else said.removeprefix("Thought:").strip()


def format_reply(action: Record, *, fields: Mapping[str, str]) -> str:
    """Write a reply that `parse_reply` reads back as `action`.

    Args:
        action: One of `core.actions`.
        fields: What stands before the action, in order: {"Thought": "..."} or the paper's four.
    """
    given = action.model_dump(mode="json")
    name = given.pop("kind")
    # Code that has such a block in itself would end the block early: it stays in the JSON.
    block = _CODE in given and not _FENCE.search(given[_CODE])
    code = ["```python", f"{given.pop(_CODE)}```"] if block else []
    lines = [f"{label}: {text}" for label, text in fields.items()]
    lines += [f"Action: {name}", f"Action Input: {json.dumps(given)}", *code]
    return "\n".join(lines)
