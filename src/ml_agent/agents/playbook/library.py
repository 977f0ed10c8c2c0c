"""The library of ideas, and which of them apply to the script that stands there."""

from collections.abc import Mapping
from functools import lru_cache

import libcst as cst

from ml_agent.agents.playbook.builders import Change
from ml_agent.agents.playbook.data_plays import DATA_PLAYS
from ml_agent.agents.playbook.edits import smallest_edit
from ml_agent.agents.playbook.flawed_plays import FLAWED_PLAYS
from ml_agent.agents.playbook.graph_plays import GRAPH_PLAYS
from ml_agent.agents.playbook.learning_plays import LEARNING_PLAYS
from ml_agent.agents.playbook.model_plays import MODEL_PLAYS
from ml_agent.agents.playbook.plays import Play
from ml_agent.agents.playbook.script import Script
from ml_agent.agents.playbook.signal_plays import SIGNAL_PLAYS
from ml_agent.agents.playbook.text_plays import TEXT_PLAYS
from ml_agent.core.errors import UsageError
from ml_agent.core.records import Domain, Idea

LONGEST_CODE = 330
"""Characters one edit may write: about 110 tokens of a small model's reply."""

PLAYS: Mapping[str, Play] = {
    one.idea.id: one
    for one in (
        *DATA_PLAYS,
        *MODEL_PLAYS,
        *LEARNING_PLAYS,
        *TEXT_PLAYS,
        *SIGNAL_PLAYS,
        *GRAPH_PLAYS,
        *FLAWED_PLAYS,
    )
}
"""Every play by its idea's id."""

IDEAS: tuple[Idea, ...] = tuple(one.idea for one in PLAYS.values())
"""Every idea."""


def play_of(idea_id: str) -> Play:
    """The play of an idea.

    Raises:
        UsageError: There is no such idea.
    """
    if idea_id not in PLAYS:
        raise UsageError(
            f"there is no idea {idea_id!r}; ids are those of `IDEAS`, such as {IDEAS[0].id!r}"
        )
    return PLAYS[idea_id]


def changed(change: Change, source: str) -> str | None:
    """The script after a change.

    None: the change does not apply, or would be longer than one short edit, or the script is not
    Python.
    """
    script = _read(source)
    new = change(script) if script else None
    if new is None or new.splitlines() == source.splitlines():
        return None
    edit = smallest_edit(source, new, "script.py", "script.py")
    return new if len(edit.new_code) <= LONGEST_CODE else None


@lru_cache(maxsize=32)
def _read(source: str) -> Script | None:
    # Many plays look at one script, and reading it is most of the work.
    try:
        return Script(source)
    except cst.ParserSyntaxError:
        return None


def applicable(domain: Domain, source: str) -> tuple[Idea, ...]:
    """The ideas that make sense for a kind of task and apply to a script as it stands."""
    return tuple(one.idea for one in _suited(domain, source))


def sound(domain: Domain, source: str) -> tuple[Idea, ...]:
    """Like `applicable`, without the ideas whose code is flawed on purpose.

    Those are there to be learned from; nobody wants them tried on data of their own.
    """
    return tuple(one.idea for one in _suited(domain, source) if not one.flawed)


def _suited(domain: Domain, source: str) -> list[Play]:
    suited = [one for one in PLAYS.values() if domain in one.idea.domains]
    return [one for one in suited if changed(one.change, source) is not None]
