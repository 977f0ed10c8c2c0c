"""The policy at work in recorded states: it answers, and its actions are carried out and rewarded.

A sample is made when it is said; what came of it takes its place once its experiment has ended.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from ml_agent.agents import LLMAgent, Reply
from ml_agent.compute import Batch, Cores
from ml_agent.core.errors import EndsRun, MLAgentError
from ml_agent.core.records import Step, Trajectory
from ml_agent.models.contract import Sampling
from ml_agent.rewards import reward_named
from ml_agent.runtime import Stagehand, State, ask_coder, retry, submit
from ml_agent.store import Sample
from ml_agent.tasks import PreparedTask
from ml_agent.train.figures import Metrics
from ml_agent.train.policy import Policy

logger = logging.getLogger(__name__)


def is_known(sample: Sample) -> bool:
    """Whether its experiment has ended, be it by our own failure."""
    return sample.reward is not None or sample.failure is not None


def tokens(groups: Sequence[Sequence[Sample]]) -> int:
    """How many were sampled."""
    return sum(len(one.step.completion.token_ids) for group in groups for one in group)


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What an update learns from."""

    states: Sequence[State]
    """In which something was tried, as drawn."""
    samples: Sequence[Sample]
    """State by state."""
    seen: Mapping[str, Trajectory]
    """The trajectories that the samples' states are of, by id."""
    figures: Metrics
    """How long it took, and what waited for what."""


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A policy under training, and what its actions need."""

    policy: Policy
    called: Callable[[int], str]
    """Its name in records after so many updates: "NAME@step-N"."""
    sampling: Sampling
    tasks: Mapping[str, PreparedTask]
    """Prepared tasks by id."""
    stagehand: Stagehand
    """Boxes and experiments."""
    reward: str
    """Name of what an action is worth."""
    actions: int
    """How many are sampled in a state."""
    seed: int
    """Of sampling."""

    def seed_of(self, number: int) -> int:
        """Of the so-manieth sampling of a run."""
        return 1_000_003 * self.seed + number

    def agent(self, version: int) -> LLMAgent:
        """The policy as it is now, after so many updates."""
        sampler = self.policy.sampler(self.called(version))
        return LLMAgent(sampler, offered=self.stagehand.offered, sampling=self.sampling)

    def sample(self, states: Sequence[State], *, version: int, number: int) -> list[list[Sample]]:
        """Actions in every state, of which nothing has come yet.

        Args:
            states: Where.
            version: Updates behind the policy as it is now.
            number: Which sampling of the run it is; stands in the samples as their update.
        """
        prompts = [state.prompt for state in states]
        seed = self.seed_of(number)
        replies = self.agent(version).propose(prompts, samples=self.actions, seed=seed)
        return [
            [
                Sample(
                    update=number,
                    trajectory=state.trajectory.id,
                    t=state.t,
                    step=Step(
                        prompt=state.trajectory.steps[state.t].prompt,
                        completion=reply.completion,
                        action=reply.action,
                        invalid=reply.invalid,
                    ),
                    reward=None,
                )
                for reply in group
            ]
            for state, group in zip(states, replies, strict=True)
        ]

    def try_out(self, running: Batch[Sample], state: State, sample: Sample) -> None:
        """Have a sample's action carried out, unless it was before."""
        if is_known(sample):
            known: Future[Sample] = Future()
            known.set_result(sample)
            running.futures.append(known)
            return
        submit(
            running,
            _reply(sample),
            self.tasks[state.trajectory.task].task,
            ask=partial(self._ask, state, sample),
            carry_out=partial(self._carry_out, state, sample),
        )

    def _ask(self, state: State, sample: Sample) -> str | MLAgentError | None:
        """What the coder says to an action, or why it says nothing."""
        prepared = self.tasks[state.trajectory.task]
        try:
            return ask_coder(state, _reply(sample), prepared, self.stagehand)
        except EndsRun:
            raise
        except MLAgentError as error:
            return error

    def _carry_out(
        self, state: State, sample: Sample, said: str | MLAgentError | None, cores: Cores
    ) -> Sample:
        """What came of an action; a failure of ours has no reward."""
        prepared = self.tasks[state.trajectory.task]
        try:
            if isinstance(said, MLAgentError):
                raise said
            step = retry(state, _reply(sample), prepared, self.stagehand, cores=cores, said=said)
        except EndsRun:
            raise
        except MLAgentError as error:
            logger.warning("an experiment on %s broke: %s", prepared.task.id, error)
            nothing = sample.step.model_copy(update={"action": None, "invalid": "our failure"})
            failure = f"{type(error).__name__}: {error}"
            return sample.model_copy(update={"step": nothing, "failure": failure})
        worth = reward_named(self.reward)(prepared.task, state.followed_by(step), state.t)
        return sample.model_copy(update={"step": step, "reward": worth})


def _reply(sample: Sample) -> Reply:
    said = sample.step
    return Reply(completion=said.completion, action=said.action, invalid=said.invalid)
