"""Correct an error that was made: see what it did, say what was wrong, do better.

What teachers do in STeP (arXiv 2505.20023). Theirs judges and corrects a step at once. Ours first
runs an edit whose outcome nobody has seen: a policy that learns from the correction will not know
of an error otherwise, and is to learn to look.
"""

from collections.abc import Sequence
from typing import Literal

from ml_agent.agents.contract import Agent, Reply
from ml_agent.agents.playbook.expert import SCRIPT, PlaybookExpert
from ml_agent.agents.playbook.history import read_history
from ml_agent.core.actions import ExecuteScript
from ml_agent.core.errors import ModelError
from ml_agent.core.records import Completion, Message
from ml_agent.core.replies import PAPER_FIELDS, format_reply

Style = Literal["compact", "paper"]

_TOLD = {
    "compact": "Say in the Thought",
    "paper": "Say in the Reflection",
}
_ASKED = (
    "\n\nThe last step that changed or should have changed something was an error: look at what "
    "came of it. {where}, in one or two sentences, what was wrong with it and why, from nothing "
    "but what stands here; then correct it with one action whose script runs and scores better."
)
_JUDGED = (
    "\n\nThe last edit was an error, whatever it scored: {verdict}. {where}, in one or two "
    "sentences, what was wrong with it and why; then correct it with one action whose script runs."
)


class Reflecting:
    """Runs an edit that nobody has run since; where that was seen, lets a teacher correct it."""

    def __init__(self, teacher: Agent, *, style: Style) -> None:
        """Let a teacher correct.

        Args:
            teacher: Who says what was wrong, and what to do.
            style: Of prompts: which fields a reply has.
        """
        self._teacher = teacher
        self._fields = PAPER_FIELDS if style == "paper" else ("Thought",)

    @property
    def policy(self) -> str:
        """The teacher's."""
        return self._teacher.policy

    def act(
        self, histories: Sequence[Sequence[Message]], *, seeds: Sequence[int]
    ) -> Sequence[Reply | ModelError]:
        """The next action in each of several attempts that stand after an error.

        Raises:
            EndsRun: The teacher can be asked no more.
        """
        replies: list[Reply | ModelError | None] = [self._look(one) for one in histories]
        asked = [place for place, reply in enumerate(replies) if reply is None]
        said = (
            self._teacher.act([histories[i] for i in asked], seeds=[seeds[i] for i in asked])
            if asked
            else ()
        )
        given = dict(zip(asked, said, strict=True))
        return [given[place] if reply is None else reply for place, reply in enumerate(replies)]

    def _look(self, history: Sequence[Message]) -> Reply | None:
        """The reply that runs what was edited last; None: that was done, or nothing was edited."""
        events = read_history(history, SCRIPT).events
        script = events[-1].script if events else None
        if script is None:
            return None
        action = ExecuteScript(script_name=script)
        fields = dict.fromkeys(self._fields, "Nothing is known of the last edit yet.")
        fields["Thought"] = "I run the script to see what my edit did."
        text = format_reply(action, fields=fields)
        return Reply(completion=Completion(text=text, policy=PlaybookExpert.policy), action=action)


class Says:
    """An agent that gives one reply, whatever it sees."""

    def __init__(self, reply: Reply) -> None:
        """Keep the reply."""
        self._reply = reply

    @property
    def policy(self) -> str:
        """Who has written it."""
        return self._reply.completion.policy

    def act(self, histories: Sequence[Sequence[Message]], *, seeds: Sequence[int]) -> list[Reply]:
        """The reply, as often as it is asked for."""
        return [self._reply for _ in zip(histories, seeds, strict=True)]


class AskedToReflect:
    """A model that is told, beside what a policy would see, that an error was made.

    What it is told stands in no record: the policy is to see the error by itself.
    """

    def __init__(self, model: Agent, *, style: Style, verdict: str | None = None) -> None:
        """Let a model be the teacher.

        Args:
            model: Who is asked.
            style: Of prompts: in which field it reflects.
            verdict: What a judge found, where nothing else shows the error.
        """
        self._model = model
        asked = _ASKED if verdict is None else _JUDGED
        self._asked = asked.format(where=_TOLD[style], verdict=verdict)

    @property
    def policy(self) -> str:
        """The model's."""
        return self._model.policy

    def act(
        self, histories: Sequence[Sequence[Message]], *, seeds: Sequence[int]
    ) -> Sequence[Reply | ModelError]:
        """One reply for each history.

        Raises:
            EndsRun: It can be asked no more.
        """
        return self._model.act([self._told(one) for one in histories], seeds=seeds)

    def _told(self, history: Sequence[Message]) -> list[Message]:
        # Not a message of its own: many chat templates take no two of one role in a row.
        *before, last = history
        return [*before, last.model_copy(update={"text": last.text + self._asked})]
