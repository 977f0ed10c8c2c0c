"""Play whole attempts, many in step with each other, and record every step as it is made.

A local model answers twenty-four prompts in little more time than one, so attempts move in rounds:
all that are still open decide together, then their experiments run side by side.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ml_agent.agents import Agent, Reply
from ml_agent.compute import Batch, Scheduler
from ml_agent.core.errors import EndsRun, MLAgentError, TooLong
from ml_agent.core.records import End, Trajectory
from ml_agent.runtime.attempt import Attempt, OpenAttempt
from ml_agent.runtime.stage import Stagehand, submit
from ml_agent.store import Stage, Store

OnStep = Callable[[Trajectory], None]
BROKEN_AT_MOST = 0.25
"""Share of attempts that may end by our own fault before a run is stopped."""

AT_ONCE = 24
"""Attempts under way at the same time, if nothing else is said: what a local model answers in one
go."""


def rollouts(
    attempts: Sequence[Attempt],
    stagehand: Stagehand,
    store: Store,
    stage: Stage,
    *,
    at_once: int = AT_ONCE,
    broken_at_most: float = BROKEN_AT_MOST,
    on_step: OnStep = lambda _: None,
) -> list[Trajectory]:
    """Play attempts to their ends, and return them in the order given; see `play_batches`."""
    batches = play_batches(
        attempts,
        stagehand,
        store,
        stage,
        at_once=at_once,
        broken_at_most=broken_at_most,
        on_step=on_step,
    )
    return [one for batch in batches for one in batch]


def play_batches(
    attempts: Sequence[Attempt],
    stagehand: Stagehand,
    store: Store,
    stage: Stage,
    *,
    at_once: int = AT_ONCE,
    well_before: int = 0,
    broken_at_most: float = BROKEN_AT_MOST,
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
        broken_at_most: Likewise.
        on_step: Told of every attempt after each of its steps and at its end.

    Yields:
        Every batch when it has ended.

    Raises:
        MLAgentError: So many broke that the rest would not be worth the time.
        EndsRun: Every further attempt would fail too, as when no space is left.
    """
    ends: list[Trajectory] = []
    for first in range(0, len(attempts), at_once):
        batch: list[OpenAttempt] = []
        try:
            chosen = attempts[first : first + at_once]
            batch.extend(OpenAttempt(attempt, stagehand, store, stage) for attempt in chosen)
            for one in batch:
                if one.record.end is not None:  # Broken before its first step.
                    on_step(one.record)
            # It waits for what runs: a box that is emptied meanwhile would be recorded so.
            _play(batch, stagehand.scheduler, on_step)
        finally:
            for one in batch:
                one.env.close()
        played = [one.record for one in batch]
        # How they ended is all that is needed of them any more.
        ends += [one.model_copy(update={"messages": (), "steps": ()}) for one in played]
        alarm_if_broken(ends, well_before=well_before, at_most=broken_at_most)
        yield played


def _play(batch: Sequence[OpenAttempt], scheduler: Scheduler, on_step: Callable[..., None]) -> None:
    """Rounds until all attempts of a batch have ended."""
    while still := [one for one in batch if one.record.end is None]:
        decided: list[tuple[OpenAttempt, Reply]] = []
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
                    own = len(one.record.steps) > one.past_steps
                    if one.is_late or (isinstance(reply, TooLong) and own):
                        one.stop()
                    else:
                        one.give_up(reply)
                    on_step(one.record)
                else:
                    decided.append((one, reply))
        with Batch[OpenAttempt](scheduler) as running:
            for one, reply in decided:
                submit(
                    running,
                    reply,
                    one.attempt.prepared.task,
                    ask=partial(one.ask, reply),
                    carry_out=partial(one.advance, reply),
                )
            for one in running.results():
                on_step(one.record)


def _replies(agent: Agent, attempts: Sequence[OpenAttempt]) -> Sequence[Reply | MLAgentError]:
    seeds = [one.seed for one in attempts]
    try:
        return agent.act([one.history for one in attempts], seeds=seeds)
    except EndsRun:
        raise
    except MLAgentError as error:
        return [error] * len(attempts)


def alarm_if_broken(
    played: Sequence[Trajectory], *, well_before: int = 0, at_most: float = BROKEN_AT_MOST
) -> None:
    """Stop a run in which our own machinery fails too often to be believed.

    Args:
        played: How these ended.
        well_before: How many of the same plan ended well in an earlier call.
        at_most: The share that may.

    Raises:
        MLAgentError: More than `at_most` of at least four attempts are BROKEN.
    """
    broken, count = [one for one in played if one.end is End.BROKEN], well_before + len(played)
    if count >= 4 and len(broken) > at_most * count:
        raise MLAgentError(
            f"{len(broken)} of {count} attempts broke by our own fault, last: "
            f"{(broken[-1].failure or '').rstrip('.')}. Run `ml-agent doctor`, then the same "
            "command again; finished attempts are kept."
        )
