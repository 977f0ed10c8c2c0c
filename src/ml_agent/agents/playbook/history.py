"""What has happened in an attempt so far, read from what the agent is shown.

Two prompt styles are read. `compact`: one user message with the script's listing and a line for
every step. `paper`: the whole conversation, in which listings stand in what an inspection showed.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from ml_agent.core.actions import ACTIONS, EditScript, EditScriptAI, ExecuteScript
from ml_agent.core.listing import read_listings
from ml_agent.core.records import Message
from ml_agent.core.replies import parse_reply

_STEP = re.compile(r"^Step \d+: (.*)$", re.MULTILINE)
_SAVED = re.compile(r" -> saved to (.+)$")
_REFUSED = "Invalid action: "
_CRASH = re.compile(r"crashed: (.*)")
_LAST_OF_TRACEBACK = re.compile(r"^((?:\w+\.)*\w+(?:Error|Exception|Exit)\b.*)$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One step: an edit, a run, or anything else."""

    kind: Literal["edit", "run", "other"]
    error: str | None = None
    """Of a run that crashed: the last line of its traceback."""
    script: str | None = None
    """Of an edit: where it was saved."""


@dataclass(frozen=True, kw_only=True)
class History:
    """What an agent knows."""

    source: str | None
    """The script as it stands; None: it must be looked at."""
    events: tuple[Event, ...]


def read_history(messages: Sequence[Message], script_name: str) -> History:
    """Read an attempt from its messages, in either style."""
    if any(message.role == "assistant" for message in messages):
        return _read_conversation(messages, script_name)
    shown = next((one.text for one in reversed(messages) if one.role == "user"), "")
    events = tuple(_event_of_line(line) for line in _STEP.findall(shown))
    return History(source=read_listings(shown).get(script_name), events=events)


def _event_of_line(line: str) -> Event:
    if line.startswith("Edit Script"):
        saved = _SAVED.search(line)
        return Event(kind="edit", script=saved.group(1) if saved else None)
    if not line.startswith("Execute Script"):
        return Event(kind="other")
    crash = _CRASH.search(line)
    return Event(kind="run", error=crash.group(1).strip() if crash else None)


def _read_conversation(messages: Sequence[Message], script_name: str) -> History:
    source = None
    events = []
    for said, shown in _turns(messages):
        source = read_listings(shown).get(script_name, source)
        if said is None:
            continue
        action = parse_reply(said, ACTIONS).action
        if shown.startswith(_REFUSED):
            events.append(Event(kind="other"))
        elif isinstance(action, EditScript | EditScriptAI):
            events.append(Event(kind="edit", script=action.save_name))
            # What the editor really wrote is only known after another look.
            source = read_listings(shown).get(script_name)
        elif isinstance(action, ExecuteScript):
            events.append(Event(kind="run", error=_error_in(shown)))
        else:
            events.append(Event(kind="other"))
    return History(source=source, events=tuple(events))


def _turns(messages: Sequence[Message]) -> Iterator[tuple[str | None, str]]:
    """(reply, what was shown for it); the reply of the opening message is None."""
    said: str | None = None
    for message in messages:
        match message.role:
            case "assistant":
                said = message.text
            case "user":
                yield said, message.text
                said = None
            case "system":
                pass


def _error_in(output: str) -> str | None:
    if crash := _CRASH.search(output):
        return crash.group(1).strip()
    found = _LAST_OF_TRACEBACK.findall(output) if "Traceback" in output else []
    return found[-1].strip() if found else None
