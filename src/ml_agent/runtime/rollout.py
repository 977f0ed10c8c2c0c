"""Play whole attempts, many in step with each other, and record every step as it is made.

A local model answers twenty-four prompts in little more time than one, so attempts move in rounds:
all that are still open decide together, then their experiments run side by side.
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from time import monotonic
from uuid import uuid4

from ml_agent.agents import Agent, Reply
from ml_agent.compute import Batch, Cores, Scheduler
from ml_agent.core.actions import NEEDS_CODER, Action
from ml_agent.core.errors import EndsRun, MLAgentError, TooLong
from ml_agent.core.records import Completion, End, Message, Step, Trajectory
from ml_agent.core.replies import PAPER_FIELDS, format_reply
from ml_agent.env import Env, opening, prompt_after
from ml_agent.runtime.stage import Stagehand, take
from ml_agent.runtime.timing import TimeLimit
from ml_agent.store import Stage, Store
from ml_agent.tasks import STARTER, PreparedTask

logger = logging.getLogger(__name__)

OnStep = Callable[[Trajectory], None]
BROKEN_AT_MOST = 0.25
"""Share of attempts that may end by our own fault before a run is stopped."""

AT_ONCE = 24
"""Attempts under way at the same time, if nothing else is said: what a local model answers in one
go."""

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
    """So many in the place of the task's budget; None: as the budget says."""
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


class _Open:
    """An attempt under way: the only mutable thing here."""

    def __init__(self, attempt: Attempt, stagehand: Stagehand, store: Store, stage: Stage) -> None:
        self.attempt = attempt
        self._hand = stagehand
        self._store = store
        self._spent_s = self._longest_s = 0.0
        self._script = STARTER
        self._prompt: tuple[int, ...] = ()
        self.env: Env = stagehand.env(attempt.prepared)
        self.record = self._begun() if attempt.past is None else self._gone_on(attempt.past)
        if attempt.past is not None:
            self._look_again(attempt.past.steps)
        store.begin(self.record, stage)

    def _begun(self) -> Trajectory:
        attempt, hand = self.attempt, self._hand
        workspace = self.env.start(attempt.workspace, starter=attempt.starter)
        messages = opening(
            attempt.prepared.task,
            hand.style,
            hand.offered,
            script=STARTER,
            source=self.env.source(STARTER),
            ideas=attempt.idea_texts,
            notes=attempt.notes,
        )
        self._prompt = tuple(range(len(messages)))
        return Trajectory(
            id=attempt.id or uuid4().hex,
            task=attempt.prepared.task.id,
            seed=attempt.seed,
            policy=attempt.agent.policy,
            versions=hand.versions,
            ideas=attempt.ideas,
            move=attempt.move,
            parents=attempt.parents,
            workspace=workspace,
            m_init=attempt.prepared.task.m_init,
            messages=tuple(messages),
            steps=(),
            end=None,
        )

    def _gone_on(self, past: Trajectory) -> Trajectory:
        self.env.start(past.workspace_before(len(past.steps)))
        self._script = next((one.script for one in reversed(past.steps) if one.script), STARTER)
        facts = {
            "id": self.attempt.id or uuid4().hex,
            "seed": self.attempt.seed,
            "policy": self.attempt.agent.policy,
            "versions": self._hand.versions,
            "ideas": self.attempt.ideas,
            "end": None,
            "failure": None,
        }
        return past.model_copy(update=facts)

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

    def advance(self, reply: Reply, said: str | None, cores: Cores) -> "_Open":
        """Carry out a reply and record the step; our failure ends the attempt as BROKEN."""
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
            self.attempt.prepared.task,
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
        budget = self.attempt.prepared.task.budget
        if self.attempt.time is not None and last.execution and last.execution.killed_by:
            return True
        steps = budget.steps if self.attempt.steps is None else self.attempt.steps
        return len(self.record.steps) >= steps or self._spent_s >= budget.wall_s

    def _close(self, end: End, failure: str | None = None) -> None:
        self.record = self.record.model_copy(update={"end": end, "failure": failure})
        self._store.finish(self.record)
        self.env.close()


def rollouts(
    attempts: Sequence[Attempt],
    stagehand: Stagehand,
    store: Store,
    stage: Stage,
    *,
    at_once: int = AT_ONCE,
    on_step: OnStep = lambda _: None,
) -> list[Trajectory]:
    """Play attempts to their ends, and return them in the order given; see `play_batches`."""
    batches = play_batches(attempts, stagehand, store, stage, at_once=at_once, on_step=on_step)
    return [one for batch in batches for one in batch]


def play_batches(
    attempts: Sequence[Attempt],
    stagehand: Stagehand,
    store: Store,
    stage: Stage,
    *,
    at_once: int = AT_ONCE,
    well_before: int = 0,
    on_step: OnStep = lambda _: None,
) -> Iterator[list[Trajectory]]:
    """Play attempts to their ends, in the order given, `at_once` of them in step, and forget them.

    For more of them than memory holds: they are played as the batches are asked for. An attempt
    that our machinery breaks ends as BROKEN; the others go on.

    Args:
        attempts: What to play.
        stagehand: Boxes, experiments and prompts.
        store: Every step is in it before the next one begins.
        stage: What the attempts are for.
        at_once: How many are open at the same time.
        well_before: As for `alarm_if_broken`.
        on_step: Told of every attempt after each of its steps and at its end.

    Yields:
        Every batch when it has ended.

    Raises:
        MLAgentError: So many broke that the rest would not be worth the time.
        EndsRun: Every further attempt would fail too, as when no space is left.
    """
    ends: list[Trajectory] = []
    for first in range(0, len(attempts), at_once):
        batch: list[_Open] = []
        try:
            chosen = attempts[first : first + at_once]
            batch.extend(_Open(attempt, stagehand, store, stage) for attempt in chosen)
            # It waits for what runs: a box that is emptied meanwhile would be recorded so.
            _play(batch, stagehand.scheduler, on_step)
        finally:
            for one in batch:
                one.env.close()
        played = [one.record for one in batch]
        # How they ended is all that is needed of them any more.
        ends += [one.model_copy(update={"messages": (), "steps": ()}) for one in played]
        alarm_if_broken(ends, well_before=well_before)
        yield played


def _play(batch: Sequence[_Open], scheduler: Scheduler, on_step: Callable[..., None]) -> None:
    """Rounds until all attempts of a batch have ended."""
    while still := [one for one in batch if one.record.end is None]:
        decided: list[tuple[_Open, Reply]] = []
        for one in still:
            if one.is_late:
                one.stop()
                on_step(one.record)
        still = [one for one in still if one.record.end is None]
        decided += [(one, one.given) for one in still if one.given is not None]
        still = [one for one in still if one.given is None]
        for agent in {id(one.attempt.agent): one.attempt.agent for one in still}.values():
            theirs = [one for one in still if one.attempt.agent is agent]
            for one, reply in zip(theirs, _replies(agent, theirs), strict=True):
                if isinstance(reply, MLAgentError):
                    # An answer that did not come in time is nobody's fault, and a conversation
                    # that has grown too long for the model has used up what it had.
                    if one.is_late or (isinstance(reply, TooLong) and one.record.steps):
                        one.stop()
                    else:
                        one.give_up(reply)
                    on_step(one.record)
                else:
                    decided.append((one, reply))
        said = _asked(decided)
        with Batch[_Open](scheduler) as running:
            for (one, reply), words in zip(decided, said, strict=True):
                if one.record.end is not None:  # The coder had no answer.
                    on_step(one.record)
                    continue
                task = one.attempt.prepared.task
                running.submit(
                    partial(one.advance, reply, words), task=task.id, limits=task.budget.experiment
                )
            for one in running.results():
                on_step(one.record)


def _asked(decided: Sequence[tuple[_Open, Reply]]) -> list[str | None]:
    """What the coder says to each, asked by all at the same time; none to what needs none."""
    asking = [(one, r) for one, r in decided if r.action and r.action.kind in NEEDS_CODER]
    with ThreadPoolExecutor(max(1, len(asking)), thread_name_prefix="coder") as pool:
        said = {id(one): pool.submit(one.ask, reply) for one, reply in asking}
    return [said[id(one)].result() if id(one) in said else None for one, _ in decided]


def _replies(agent: Agent, attempts: Sequence[_Open]) -> Sequence[Reply | MLAgentError]:
    seeds = [one.seed for one in attempts]
    try:
        return agent.act([one.history for one in attempts], seeds=seeds)
    except EndsRun:
        raise
    except MLAgentError as error:
        return [error] * len(attempts)


def alarm_if_broken(played: Sequence[Trajectory], *, well_before: int = 0) -> None:
    """Stop a run in which our own machinery fails too often to be believed.

    Args:
        played: How these ended.
        well_before: How many of the same plan ended well in an earlier call.

    Raises:
        MLAgentError: More than `BROKEN_AT_MOST` of at least four attempts are BROKEN.
    """
    broken, count = [one for one in played if one.end is End.BROKEN], well_before + len(played)
    if count >= 4 and len(broken) > BROKEN_AT_MOST * count:
        raise MLAgentError(
            f"{len(broken)} of {count} attempts broke by our own fault, last: "
            f"{(broken[-1].failure or '').rstrip('.')}. Run `ml-agent doctor`, then the same "
            "command again; finished attempts are kept."
        )
