"""An expert without a language model: it plays the ideas it was given, one after the other."""

import re
from collections.abc import Sequence
from typing import Literal

from ml_agent.agents.contract import Reply
from ml_agent.agents.playbook.edits import quoted, smallest_edit
from ml_agent.agents.playbook.history import Event, History, read_history
from ml_agent.agents.playbook.library import changed, play_of
from ml_agent.agents.playbook.plays import Play
from ml_agent.agents.playbook.repairs import repair, repairable
from ml_agent.core.actions import (
    INSPECT_AT_MOST,
    Action,
    EditScript,
    ExecuteScript,
    FinalAnswer,
    InspectLines,
)
from ml_agent.core.errors import UsageError
from ml_agent.core.records import Completion, Message
from ml_agent.core.replies import PAPER_FIELDS, format_reply

SCRIPT = "train.py"
"""The script it works on: every task's starter has this name."""


class PlaybookExpert:
    """Edit, run, mend a crash, take the next idea; a final answer when there is none left.

    It reads the script, what was done and what came of it: never a reference solution or a label.
    """

    policy = "playbook-1"

    def __init__(
        self,
        ideas: Sequence[Sequence[str]],
        *,
        fields: Literal["compact", "paper"] = "compact",
    ) -> None:
        """Make an expert.

        Args:
            ideas: For each history that `act` will be given, the ids of its ideas in order.
            fields: Which fields its replies have: one Thought, or the paper's four.

        Raises:
            UsageError: There is no idea of some id.
        """
        self._plays = [[play_of(idea_id) for idea_id in ids] for ids in ideas]
        self._labels = PAPER_FIELDS if fields == "paper" else ("Thought",)

    def act(self, histories: Sequence[Sequence[Message]], *, seeds: Sequence[int]) -> list[Reply]:
        """Choose the next action in each of several attempts.

        Raises:
            UsageError: There are more or fewer histories than lists of ideas.
        """
        if len(histories) != len(self._plays):
            raise UsageError(
                f"{len(histories)} histories for {len(self._plays)} lists of ideas; "
                "give one list of ideas for each history"
            )
        pairs = zip(histories, self._plays, strict=True)
        return [self._reply(messages, plays) for messages, plays in pairs]

    def _reply(self, messages: Sequence[Message], plays: Sequence[Play]) -> Reply:
        history = read_history(messages, SCRIPT)
        action, thought = _next(history, plays)
        fields = {label: _paper_field(label, history, plays) for label in self._labels}
        text = format_reply(action, fields=fields | {"Thought": thought})
        return Reply(completion=Completion(text=text, policy=self.policy), action=action)


def _next(history: History, plays: Sequence[Play]) -> tuple[Action, str]:
    done = [event for event in history.events if event.kind != "other"]
    last = done[-1] if done else None
    if last is not None and last.kind == "edit":
        return ExecuteScript(script_name=SCRIPT), "I run the script to see the score."
    if history.source is not None:
        edit = _mend(done, history.source) or _play(done, history.source, plays)
        if edit is not None:
            return edit
    elif not _looked_in_vain(history) and (_tried(done) < len(plays) or _may_mend(done)):
        look = InspectLines(
            script_name=SCRIPT, start_line_number=1, end_line_number=INSPECT_AT_MOST
        )
        return look, "I look at the script before I change it."
    end = FinalAnswer(final_answer="All ideas are tried.")
    return end, "I have tried my ideas, so I stop here."


def _looked_in_vain(history: History) -> bool:
    """Whether the last step was no edit and no run, and yet the script is not known."""
    return bool(history.events) and history.events[-1].kind == "other"


def _mend(done: Sequence[Event], source: str) -> tuple[Action, str] | None:
    error = done[-1].error if done else None
    mended = repair(error, source) if error is not None and _may_mend(done) else None
    if error is None or mended is None:
        return None
    named = re.search(r"\w+Error", error)
    edit = smallest_edit(source, mended, SCRIPT, SCRIPT)
    why = f"The run ended with {named[0] if named else 'an error'}, so I mend that."
    return edit, _thought(why, edit, source)


def _play(done: Sequence[Event], source: str, plays: Sequence[Play]) -> tuple[Action, str] | None:
    tried = _tried(done)
    # An idea that did not apply at first may do so after another one.
    for play in (*plays[tried:], *plays[:tried]) if tried < len(plays) else ():
        new = changed(play.change, source)
        if new is not None:
            edit = smallest_edit(source, new, SCRIPT, SCRIPT)
            return edit, _thought(f"I will {play.doing}.", edit, source)
    return None


def _thought(why: str, edit: EditScript, source: str) -> str:
    return f"{why} I change:\n{quoted(edit, source)}"


def _may_mend(done: Sequence[Event]) -> bool:
    """Whether the last run crashed in a way to be mended, and not already in spite of mending."""
    error = done[-1].error if done else None
    runs = [event for event in done if event.kind == "run"]
    again = len(runs) > 1 and runs[-2].error == error
    return error is not None and repairable(error) and not again


def _tried(done: Sequence[Event]) -> int:
    """How many edits carried out an idea: all but those that follow a crash we try to mend.

    Where a mending was not possible this counts one too few, which is harmless: an idea that was
    carried out does not apply again.
    """
    before = [None, *done]
    return sum(
        event.kind == "edit"
        and not (earlier is not None and earlier.error is not None and repairable(earlier.error))
        for earlier, event in zip(before, done, strict=False)
    )


def _paper_field(label: str, history: History, plays: Sequence[Play]) -> str:
    """What stands in a field of the paper's prompt style."""
    runs = [event for event in history.events if event.kind == "run"]
    match label:
        case "Reflection":
            crashed = f"The last run crashed: {runs[-1].error}" if runs and runs[-1].error else ""
            return crashed or ("The last run went through." if runs else "Nothing was run yet.")
        case "Research Plan and Status":
            ideas = "; ".join(play.doing for play in plays)
            return f"Ideas to try: {ideas}. Scripts run so far: {len(runs)}."
        case _:
            return "Scores are those that running the script reported."
