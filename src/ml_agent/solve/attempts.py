"""What became of every attempt, and which script it began with: a tree, from the records alone.

An attempt hangs below the one that first wrote the script it began with, whoever chose it and why.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from ml_agent.agents.playbook.library import PLAYS
from ml_agent.core.actions import EDITS
from ml_agent.core.base import Record
from ml_agent.core.records import Metric, Trajectory
from ml_agent.core.replies import thought_in
from ml_agent.tasks import STARTER

ROOT = 0
"""The number of the starter, in the place of an attempt's."""

Workspace = Callable[[str], Mapping[str, bytes]]
"""The files of a snapshot by its digest."""
Came = Literal["best so far", "not better", "no score", "our failure"]


class Tried(Record):
    """One attempt."""

    number: int
    """From 1, in the order in which they were begun."""
    start: int
    """The attempt whose script it began with; 0: the starter. Below 0: a script that no attempt
    before had written, such as one of the user's that did not run."""
    why: tuple[str, ...]
    """Its ideas as sentences; what was thought at its first edit where it was given none."""
    score: float | None
    """The best of its scripts' on validation; None: none was ever graded."""
    came: Came
    leads: bool = False
    """Whether the best script came of it, or of what began with its scripts."""


def attempts_of(
    played: Iterable[Trajectory], metric: Metric, starter: str, m_init: float, load: Workspace
) -> list[Tried]:
    """Every attempt, in order.

    Args:
        played: As recorded.
        metric: What scripts were chosen by.
        starter: The script that all began with.
        m_init: Its validation score.
        load: Reads a workspace.

    Raises:
        SandboxError: A workspace is gone.
    """
    written = {starter: ROOT}
    found: list[Tried] = []
    best, best_by = m_init, ROOT
    for number, one in enumerate(played, 1):
        if not one.workspace:  # It could not even begin.
            continue
        begun_with = load(one.workspace).get(STARTER, b"").decode(errors="replace")
        if begun_with not in written:
            written[begun_with] = min(written.values()) - 1
        for step in one.steps:
            if step.workspace and step.script and step.action and step.action.kind in EDITS:
                text = load(step.workspace).get(step.script, b"").decode(errors="replace")
                written.setdefault(text, number)
        scores = [step.score for step in one.steps if step.score is not None]
        score = max(scores, key=lambda value: metric.sign * value, default=None)
        came: Came = "our failure" if one.failure is not None else "no score"
        if score is not None:
            came = "not better"
            if metric.sign * (score - best) > 0:
                came, best, best_by = "best so far", score, number
        why = reasons(one)
        found.append(
            Tried(number=number, start=written[begun_with], why=why, score=score, came=came)
        )
    return _with_the_way(found, best_by)


def reasons(played: Trajectory) -> tuple[str, ...]:
    """Why an attempt did what it did: see `Tried.why`."""
    if played.ideas:
        return tuple(PLAYS[one].idea.text if one in PLAYS else one for one in played.ideas)
    edits = [step for step in played.steps if step.action and step.action.kind in EDITS]
    thought = thought_in(edits[0].completion.text) if edits else ""
    return (thought,) if thought else ()


def _with_the_way(found: Sequence[Tried], best_by: int) -> list[Tried]:
    """Mark the attempts that the best script came of."""
    way: set[int] = set()
    # An attempt that began with a script of its own ends the way; so does an odd circle.
    while best_by > ROOT and best_by not in way:
        way.add(best_by)
        best_by = found[best_by - 1].start
    return [one.model_copy(update={"leads": one.number in way}) for one in found]
