"""One attempt: what is to be played, and the attempt under way."""

import logging
import math
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic
from uuid import uuid4

from ml_agent.agents import Agent, Reply
from ml_agent.compute import Cores
from ml_agent.core.actions import Action
from ml_agent.core.errors import EndsRun, MLAgentError
from ml_agent.core.records import Completion, End, Message, Step, Task, Trajectory
from ml_agent.core.replies import PAPER_FIELDS, format_reply
from ml_agent.env import Env, opening, prompt_after
from ml_agent.runtime.stage import Stagehand, take
from ml_agent.runtime.timing import TimeLimit
from ml_agent.store import Stage, Store
from ml_agent.tasks import STARTER, PreparedTask

logger = logging.getLogger(__name__)

GIVEN = "given"
"""The policy of steps that nobody decided: see `Attempt.begins`."""
_GIVEN = "I look at what there is first."

LEAST_S = 0.5
"""With less time than this left, no step is begun."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt to be played."""

    prepared: PreparedTask
    agent: Agent
    seed: int
    ideas: tuple[str, ...] = ()
    """Ids of the ideas the agent was given, for the record."""
    idea_texts: tuple[str, ...] = ()
    """Ideas that stand in the problem text. Empty where the agent knows them by itself: then a
    policy trained on the attempt learns to have them unasked."""
    begins: tuple[Action, ...] = ()
    """Actions it takes before its agent is asked, so that the agent sees what came of them."""
    notes: str = ""
    """What else stands in the problem text: what to do now, what is known from before."""
    move: str | None = None
    """What it is for in a tree of attempts, for the record; None: it is in none."""
    parents: tuple[str, ...] = ()
    """Ids of the attempts it goes on from, for the record."""
    steps: int | None = None
    """So many in the place of the task's budget, which its prompts tell; None: as the budget
    says."""
    ends_after: int | None = None
    """So many in the place of either, which its prompts tell only where it is more: of an attempt
    of which no more is wanted, or of a correction after its last step. None: as they tell."""
    starter: str | None = None
    """The script it begins with, in the place of the task's own."""
    workspace: str | None = None
    """Digest of a recorded workspace that it begins in, in the place of the task's first one."""
    past: Trajectory | None = None
    """Recorded steps that it goes on from, in the workspace they left. They stand in its record,
    and count among `steps`; the messages end with those that the last of them saw."""
    id: str = ""
    """Of its record; empty: a new one."""
    time: TimeLimit | None = None
    """When it must be over: the last run is cut short for that. There is then no time for a run
    that would meet its limit again: the attempt ends with the first. None: it may take its time."""
    decides_in_s: float = 0.0
    """How long its agent takes to decide: with less time left than that, it is not asked."""


class OpenAttempt:
    """An attempt under way: the only mutable thing here."""

    def __init__(self, attempt: Attempt, stagehand: Stagehand, store: Store, stage: Stage) -> None:
        self.attempt = attempt
        self._hand = stagehand
        self._store = store
        self._spent_s = self._longest_s = 0.0
        self._script = STARTER
        self._prompt: tuple[int, ...] = ()
        self._task = _as_told(attempt)
        # A box that cannot be made is no attempt's own failure: it ends the run.
        self.env: Env = stagehand.env(attempt.prepared)
        self.record = self._nothing_yet()
        try:
            failure = self._set_out()
            store.begin(self.record, stage)
            if failure is not None:
                self.give_up(failure)
        except BaseException:
            self.env.close()
            raise

    def _set_out(self) -> MLAgentError | None:
        """Put the workspace into its first state, and say why if that could not be done."""
        try:
            self._begin() if self.attempt.past is None else self._go_on(self.attempt.past)
        except EndsRun:
            raise
        except MLAgentError as error:
            return error
        return None

    def _begin(self) -> None:
        attempt, hand = self.attempt, self._hand
        workspace = self.env.start(attempt.workspace, starter=attempt.starter)
        messages = opening(
            self._task,
            hand.style,
            hand.offered,
            script=STARTER,
            source=self.env.source(STARTER),
            ideas=attempt.idea_texts,
            notes=attempt.notes,
        )
        self._prompt = tuple(range(len(messages)))
        facts = {"workspace": workspace, "messages": tuple(messages)}
        self.record = self.record.model_copy(update=facts)

    def _go_on(self, past: Trajectory) -> None:
        self.env.start(past.workspace_before(len(past.steps)))
        self._script = next((one.script for one in reversed(past.steps) if one.script), STARTER)
        kept = ("workspace", "m_init", "messages", "steps", "move", "parents")
        self.record = self.record.model_copy(update={name: getattr(past, name) for name in kept})
        self._look_again(past.steps)

    def _nothing_yet(self) -> Trajectory:
        attempt = self.attempt
        return Trajectory(
            id=attempt.id or uuid4().hex,
            task=attempt.prepared.task.id,
            seed=attempt.seed,
            policy=attempt.agent.policy,
            versions=self._hand.versions,
            ideas=attempt.ideas,
            move=attempt.move,
            parents=attempt.parents,
            workspace="",
            m_init=attempt.prepared.task.m_init,
            messages=(),
            steps=(),
            end=None,
        )

    @property
    def past_steps(self) -> int:
        """How many of its steps were recorded before it."""
        return 0 if self.attempt.past is None else len(self.attempt.past.steps)

    @property
    def seed(self) -> int:
        """Of its next decision: another one in every turn of every attempt, whoever else plays."""
        named = f"{self.record.task} {self.attempt.seed} {len(self.record.steps)}"
        return int.from_bytes(sha256(named.encode()).digest()[:7])

    @property
    def history(self) -> list[Message]:
        """What the agent sees now."""
        return [self.record.messages[i] for i in self._prompt]

    @property
    def is_late(self) -> bool:
        """Whether there is no time for another decision and what follows it."""
        return self._left_s < LEAST_S + self.attempt.decides_in_s

    @property
    def _left_s(self) -> float:
        time = self.attempt.time
        return math.inf if time is None else time.ends(self._longest_s) - monotonic()

    @property
    def _run_s(self) -> float:
        """What a run may take that begins now."""
        time = self.attempt.time
        return math.inf if time is None else time.run_s(monotonic(), self._longest_s)

    @property
    def given(self) -> Reply | None:
        """Its next step, where nobody is asked for it."""
        taken = len(self.record.steps)
        if taken >= len(self.attempt.begins):
            return None
        action = self.attempt.begins[taken]
        labels = PAPER_FIELDS if self._hand.style == "paper" else ("Thought",)
        text = format_reply(action, fields=dict.fromkeys(labels, _GIVEN))
        return Reply(completion=Completion(text=text, policy=GIVEN), action=action)

    def stop(self) -> None:
        """End the attempt for want of time, or of room for what more would be said."""
        self._close(End.OUT_OF_BUDGET)

    def ask(self, reply: Reply) -> str | None:
        """What the coder says to a reply, if it is asked; its failure ends the attempt as BROKEN.

        Raises:
            EndsRun: There will be no answer to any.
        """
        try:
            return None if reply.action is None else self.env.ask(reply.action)
        except EndsRun:
            raise
        except MLAgentError as error:
            self.give_up(error)
            return None

    def advance(self, reply: Reply, said: str | None, cores: Cores) -> "OpenAttempt":
        """Carry out a reply and record the step; our failure ends the attempt as BROKEN."""
        if self.record.end is not None:  # The coder had no answer.
            return self
        if (run_s := self._run_s) < LEAST_S:
            self.stop()
            return self
        self.env.hurry(run_s)
        try:
            step, done = take(self.env, reply, self._prompt, cores=cores, said=said)
        except EndsRun:
            raise
        except MLAgentError as error:
            self.give_up(error)
            return self
        before = len(self.record.messages)
        steps = (*self.record.steps, step)
        took_s = step.execution.wall_s if step.execution else 0.0
        self._spent_s += took_s
        self._longest_s = max(self._longest_s, took_s)
        self._script = step.script or self._script
        self.record = self.record.model_copy(update={"steps": steps})
        if done:
            end: End | None = End.SUBMITTED
        else:
            end = End.OUT_OF_BUDGET if self._out_of_budget(step) else None
            self._look_again(steps)
        self._store.append(self.record, messages_before=before)
        if end is not None:
            self._close(end)
        return self

    def give_up(self, error: Exception) -> None:
        """End the attempt by our own fault."""
        logger.warning("an attempt at %s broke: %s", self.record.task, error)
        self._close(End.BROKEN, f"{type(error).__name__}: {error}")

    def _look_again(self, steps: tuple[Step, ...]) -> None:
        added, self._prompt = prompt_after(
            self.record.messages,
            self._task,
            self._hand.style,
            steps,
            script=self._script,
            source=self.env.source(self._script),
            ideas=self.attempt.idea_texts,
            notes=self.attempt.notes,
        )
        messages = (*self.record.messages, *added)
        self.record = self.record.model_copy(update={"messages": messages})

    def _out_of_budget(self, last: Step) -> bool:
        budget = self._task.budget
        if self.attempt.time is not None and last.execution and last.execution.killed_by:
            return True
        ends_after = self.attempt.ends_after
        steps = budget.steps if ends_after is None else ends_after
        return len(self.record.steps) >= steps or self._spent_s >= budget.wall_s

    def _close(self, end: End, failure: str | None = None) -> None:
        self.record = self.record.model_copy(update={"end": end, "failure": failure})
        self._store.finish(self.record)
        self.env.close()


def _as_told(attempt: Attempt) -> Task:
    """The task with the steps that this attempt's prompts tell."""
    task = attempt.prepared.task
    told = task.budget.steps if attempt.steps is None else attempt.steps
    budget = task.budget.model_copy(update={"steps": max(told, attempt.ends_after or 0)})
    return task.model_copy(update={"budget": budget})
