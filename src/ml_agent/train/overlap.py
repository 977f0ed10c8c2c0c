"""Overlapped practice: groups whose experiments run while the policy samples and learns on.

A group is a state and the actions sampled in it. With a bound of k (`rl.staleness`), an update
learns only from groups whose policy was at most k updates behind the one that learns:

- It begins as soon as `rl.states` groups are complete, and takes the oldest of these. So it waits
  for no slow experiment while others are done: that group is left to a later update.
- A group that no later update may take comes along, with what is known of its actions by then. The
  others are late: they are recorded and counted, and train nothing.
- While too few groups are complete further ones are sampled, up to what k + 1 updates take.

What is clipped is the ratio to the log-probabilities recorded while sampling: it corrects for what
the policy has learned since. Every completion names its policy, "NAME@step-N" after N updates.

Covered: a kill loses no group and has none learned from twice, as a checkpoint holds all that are
open (`Waiting`). Not covered: an experiment that is late runs to its end or its limit, and keeps
its cores until then.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from time import monotonic
from typing import Literal, Self

from ml_agent.compute import Batch
from ml_agent.core.base import Record
from ml_agent.core.errors import TrainingError, boundary
from ml_agent.runtime import State
from ml_agent.store import Sample, Store
from ml_agent.train.acting import Actor, Tried, is_known, tokens
from ml_agent.train.figures import Metrics
from ml_agent.train.pool import Pool


class Waiting(Record):
    """What no update had learned from when a checkpoint was made; stands beside its weights."""

    schema_version: Literal[1] = 1
    rounds: int = 0
    """How often states had been drawn."""
    samples: tuple[Sample, ...] = ()
    """Group by group; their `update` is the round they were sampled in."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """What a checkpoint holds.

        Raises:
            TrainingError: It is missing or damaged.
        """
        with boundary(TrainingError, f"reading {path}"):
            return cls.model_validate_json(path.read_bytes())

    def groups(self, actions: int) -> Iterator[tuple[Sample, ...]]:
        """The samples of each group, of so many actions."""
        for first in range(0, len(self.samples), actions):
            yield self.samples[first : first + actions]


def version_of(sample: Sample) -> int:
    """How many updates were behind the policy that said it."""
    return int(sample.step.completion.policy.rpartition("@step-")[2])


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenGroup:
    """A group that no update has taken yet."""

    state: State
    sampled: tuple[Sample, ...]
    """As they were sampled, or as a checkpoint kept them."""
    running: Batch[Sample]
    """What comes of each."""

    @property
    def version(self) -> int:
        """Updates behind the policy that sampled it."""
        return version_of(self.sampled[0])

    @property
    def is_complete(self) -> bool:
        """Whether all its experiments have ended."""
        return all(future.done() for future in self.running.futures)

    def samples(self) -> list[Sample]:
        """All its actions; what has not ended stands there as it was sampled."""
        return [
            future.result() if future.done() else sample
            for sample, future in zip(self.sampled, self.running.futures, strict=True)
        ]


class OpenGroups:
    """The groups that no update has taken yet, in the order they were sampled.

    Used in a `with` statement, however that is left nothing of them runs afterwards.

    Attributes:
        rounds: How often states were drawn.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self.rounds = 0
        self._groups: list[OpenGroup] = []
        self._late: list[Batch[Sample]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        running = [*self._late, *(group.running for group in self._groups)]
        for batch in running:
            batch.cancel()
        with ExitStack() as waiting:
            for batch in running:
                waiting.enter_context(batch)

    def take_up(
        self, waiting: Waiting, *, done: int, states: int, pool: Pool, store: Store, actor: Actor
    ) -> None:
        """Go on with the groups of a checkpoint.

        Args:
            waiting: These.
            done: Updates behind the checkpoint.
            states: Groups a round has.
            pool: The draws that were ahead of the updates are repeated and passed over. With
                `rl.learnability` or `rl.evolve_every` they depended on what the updates found, so
                some states may come twice, and others later.
            store: Holds the trajectories that the groups' states are of.
            actor: Tries what had not ended.
        """
        self.rounds = waiting.rounds
        pool.draw(states * (waiting.rounds - done))
        for sampled in waiting.groups(actor.actions):
            state = State(store.get(sampled[0].trajectory), sampled[0].t)
            self._open(state, sampled, actor)

    def gather(
        self, update: int, *, states: int, staleness: int, updates: int, pool: Pool, actor: Actor
    ) -> Tried:
        """What an update learns from; what is sampled meanwhile is for later ones.

        Args:
            update: Which.
            states: Complete groups that it takes, and groups of a round that is sampled.
            staleness: The bound.
            updates: How many there will be; nothing is sampled that none of them would take.
            pool: Where states come from.
            actor: The policy as it is now.

        Raises:
            EndsRun: Nothing further can be tried, as when no space is left.
        """
        room = (min(staleness, updates - update) + 1) * states
        written, sampling_s, waiting_s = 0, 0.0, 0.0
        while (complete := sum(group.is_complete for group in self._groups)) < states:
            began = monotonic()
            if len(self._groups) + states <= room:
                written += self._sample(states, version=update - 1, pool=pool, actor=actor)
                sampling_s += monotonic() - began
            elif complete == len(self._groups):
                break  # Practice ends with these.
            else:
                self._wait()
                waiting_s += monotonic() - began
        self._raise_failures()
        tried = self._take(states, update=update, staleness=staleness)
        spent: Metrics = {
            "sampled_tokens_per_s": written / sampling_s if sampling_s else None,
            "sampling_s": sampling_s,
            "waiting_s": waiting_s,
        }
        return replace(tried, figures={**tried.figures, **spent})

    def waiting(self) -> Waiting:
        """All that are open, for a checkpoint."""
        samples = tuple(sample for group in self._groups for sample in group.samples())
        return Waiting(rounds=self.rounds, samples=samples)

    def _sample(self, states: int, *, version: int, pool: Pool, actor: Actor) -> int:
        """Try actions in the next states and wait for nothing; returns how many tokens they are."""
        self.rounds += 1
        drawn = pool.draw(states)
        groups = actor.sample(drawn, version=version, number=self.rounds)
        for state, sampled in zip(drawn, groups, strict=True):
            self._open(state, sampled, actor)
        return tokens(groups)

    def _open(self, state: State, sampled: Sequence[Sample], actor: Actor) -> None:
        running = Batch[Sample](actor.stagehand.scheduler)
        # Before anything is submitted: what runs is waited for, whatever happens now.
        self._groups.append(OpenGroup(state=state, sampled=tuple(sampled), running=running))
        for sample in sampled:
            actor.try_out(running, state, sample)

    def _wait(self) -> None:
        """Wait until another experiment has ended."""
        running = [future for group in self._groups for future in group.running.futures]
        wait([future for future in running if not future.done()], return_when=FIRST_COMPLETED)
        self._raise_failures()

    def _take(self, states: int, *, update: int, staleness: int) -> Tried:
        """The oldest complete groups, and those that no later update may take."""
        version = update - 1
        complete = [group for group in self._groups if group.is_complete][:states]
        taken = [
            group
            for group in self._groups
            if group in complete or version - group.version >= staleness
        ]
        before = self._groups[: self._groups.index(taken[-1])]
        self._groups = [group for group in self._groups if group not in taken]
        samples = [sample for group in taken for sample in group.samples()]
        for group in taken:
            group.running.cancel()
        self._late += [group.running for group in taken]
        stale = [version - group.version for group in taken]
        return Tried(
            states=[group.state for group in taken],
            samples=[sample.model_copy(update={"update": update}) for sample in samples],
            seen={group.state.trajectory.id: group.state.trajectory for group in taken},
            figures={
                "groups": len(taken),
                "staleness_mean": fmean(stale),
                "staleness_most": max(stale),
                "overtaken_groups": sum(group in self._groups for group in before),
                "late_actions": sum(not is_known(sample) for sample in samples),
            },
        )

    def _raise_failures(self) -> None:
        """Let nothing pass that is more than an experiment's own failure, nor of a late one."""
        self._late = [batch for batch in self._late if not _have_ended(batch.futures)]
        for group in self._groups:
            _have_ended(group.running.futures)


def _have_ended(futures: Sequence[Future[Sample]]) -> bool:
    """Whether nothing of these is to come; raises what any of them has raised."""
    # What was cancelled has ended when nothing is waited for on its behalf any more.
    ended, left = wait(futures, timeout=0)
    for future in ended:
        if not future.cancelled():
            future.result()
    return not left
