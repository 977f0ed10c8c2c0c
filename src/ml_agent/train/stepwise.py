"""Step-wise reinforcement learning: single actions from recorded states, one experiment each.

    J(theta) = E_{s ~ pool, a ~ pi_theta(.|s)}[ R(s, a) ]          (arXiv 2505.23723, section 3.2)

The loop of one update, top to bottom: draw states, sample G actions in each, carry them out in
boxes, reward them, move the policy. Our own failures have no reward and train nothing.
Two algorithms: `grpo` (a group's mean as baseline; the embedded default) and the paper's `ppo`.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Literal

from ml_agent.agents import LLMAgent, Reply
from ml_agent.compute import Batch, Cores
from ml_agent.core.errors import EndsRun, MLAgentError, TrainingError, UsageError
from ml_agent.core.records import Trajectory
from ml_agent.models.contract import Sampling
from ml_agent.rewards import Case, case_of, reward_named
from ml_agent.runtime import Attempt, Stagehand, State, retry, rollouts
from ml_agent.store import Sample, Stage, Store
from ml_agent.tasks import PreparedTask
from ml_agent.train.grpo import GRPO, GRPOConfig
from ml_agent.train.policy import Policy
from ml_agent.train.pool import Pool
from ml_agent.train.ppo import PPO, PPOConfig
from ml_agent.train.update import Group, Learner

logger = logging.getLogger(__name__)

Metrics = dict[str, float | int | str | None]


@dataclass(frozen=True, kw_only=True)
class StepwiseConfig:
    """How long to practise, and on what."""

    updates: int = 10
    states: int = 4
    """States an update (B)."""
    actions: int = 8
    """Actions a state (G)."""
    first_steps: int | None = None
    """Practise only in states with fewer steps than this behind them; None: in all of the pool."""
    learnability: bool = False
    """Give more turns to places whose actions differ in what they earn."""
    evolve_every: int | None = None
    """Updates after which the policy plays each training task once, and the states it reaches join
    the pool; None: the pool stays what was collected."""
    timeouts: Literal["neutral", "masked"] = "neutral"
    """What an action earns that met a limit: half (the paper), or nothing is learned from it."""
    reward: str = "sigmoid"
    max_tokens: int = 192
    checkpoint_every: int = 5
    broken_at_most: float = 0.25
    """Share of an update's experiments that may fail by our own fault."""
    algorithm: Literal["grpo", "ppo"] = "grpo"
    """Which of the two below learns."""
    grpo: GRPOConfig = field(default_factory=GRPOConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            UsageError: A count is below one.
        """
        counts = ("states", "actions", "max_tokens", "checkpoint_every")
        for name in (*counts, "first_steps", "evolve_every"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise UsageError(f"rl.{name} is {count}; it must be at least 1")
        if self.timeouts not in {"neutral", "masked"}:
            raise UsageError(f"rl.timeouts is {self.timeouts!r}; it is neutral or masked")
        if self.algorithm not in {"grpo", "ppo"}:
            raise UsageError(f"rl.algorithm is {self.algorithm!r}; it is grpo or ppo")

    def learner(self, policy: Policy) -> Learner:
        """The algorithm at work on a policy."""
        if self.algorithm == "ppo":
            return PPO(policy, self.ppo)
        return GRPO(policy, self.grpo)


@dataclass(frozen=True, kw_only=True)
class Practice:
    """What every update works with."""

    policy: Policy
    """What learns; the reference of its KL term is what it was before the first update."""
    learner: Learner
    """How it learns."""
    pool: Pool
    tasks: Mapping[str, PreparedTask]
    """Prepared tasks by id."""
    stagehand: Stagehand
    """Boxes and experiments."""
    store: Store
    """Every sampled action is in it before the policy moves."""
    config: StepwiseConfig
    name: str
    """Stands in the records as the policy's name, with "@step-N"."""
    seed: int
    """Of sampling."""

    def run(
        self, *, first_update: int = 1, on_update: Callable[[int, Metrics], None] = lambda *_: None
    ) -> None:
        """Run updates `first_update..config.updates` on the policy, in place.

        Draws of earlier updates are repeated and passed over, so that a stage taken up again sees
        the states it would have seen.

        Args:
            first_update: Where to begin; the policy is what the updates before made of it.
            on_update: Told the figures of every update; writes checkpoints.

        Raises:
            TrainingError: Too many experiments failed by our own fault.
            EndsRun: Nothing further can be tried, as when no space is left.
        """
        config = self.config
        for update in range(1, config.updates + 1):
            states = self.pool.draw(config.states)
            if update < first_update:
                samples = list(self.store.samples(update))
            else:
                samples, figures = self._update(update, states)
                on_update(update, figures)
            self.pool.learn(states, self._rewards(samples))
            if config.evolve_every and update % config.evolve_every == 0:
                self.pool.add(self._play(update))

    def _update(self, update: int, states: Sequence[State]) -> tuple[list[Sample], Metrics]:
        config, experiments = self.config, self.stagehand.experiments
        began = monotonic()
        prompts, seed = [state.prompt for state in states], 1_000_003 * self.seed + update
        replies = self._agent(update - 1).propose(prompts, samples=config.actions, seed=seed)
        sampled, unstable = monotonic(), experiments.unstable
        samples = self._experiments(update, states, replies)
        self.store.add_samples(samples)
        _alarm(samples, config)
        tried = monotonic()
        metrics = self.learner.update(_groups(states, samples, self._rewards(samples)))
        written = sum(len(one.step.completion.token_ids) for one in samples)
        return samples, {
            "update": update,
            **_describe(states, samples),
            **metrics,
            "unstable_experiments": experiments.unstable - unstable,
            "sampled_tokens_per_s": written / (sampled - began),
            "sampling_s": sampled - began,
            "experiments_s": tried - sampled,
            "update_s": monotonic() - tried,
        }

    def _agent(self, updates: int) -> LLMAgent:
        """The policy as it is now, after so many updates."""
        return LLMAgent(
            self.policy.sampler(f"{self.name}@step-{updates}"),
            offered=self.stagehand.offered,
            sampling=Sampling(
                temperature=self.learner.config.temperature, max_tokens=self.config.max_tokens
            ),
        )

    def _experiments(
        self, update: int, states: Sequence[State], replies: Sequence[Sequence[Reply]]
    ) -> list[Sample]:
        """Carry out every action in its state, many at a time; the samples are in order."""
        reward = reward_named(self.config.reward)

        def one(state: State, reply: Reply, cores: Cores) -> Sample:
            prepared = self.tasks[state.trajectory.task]
            sample = partial(Sample, update=update, trajectory=state.trajectory.id, t=state.t)
            try:
                step = retry(state, reply, prepared, self.stagehand, cores=cores)
            except EndsRun:
                raise
            except MLAgentError as error:
                logger.warning("an experiment on %s broke: %s", prepared.task.id, error)
                step = state.trajectory.steps[state.t].model_copy(
                    update={
                        "completion": reply.completion,
                        "action": None,
                        "invalid": "our failure",
                    }
                )
                failure = f"{type(error).__name__}: {error}"
                return sample(step=step, reward=None, failure=failure)
            worth = reward(prepared.task, state.followed_by(step), state.t)
            return sample(step=step, reward=worth)

        with Batch[Sample](self.stagehand.scheduler) as running:
            for state, group in zip(states, replies, strict=True):
                task = self.tasks[state.trajectory.task].task
                for reply in group:
                    work = partial(one, state, reply)
                    running.submit(work, task=task.id, limits=task.budget.experiment)
            return list(running.results())

    def _rewards(self, samples: Sequence[Sample]) -> list[list[float | None]]:
        """By state, what is to be learned from each action; None: nothing."""
        masked = self.config.timeouts == "masked"
        earned = [
            None if masked and case_of(sample.step) is Case.CORNER else sample.reward
            for sample in samples
        ]
        actions = self.config.actions
        return [earned[first : first + actions] for first in range(0, len(earned), actions)]

    def _play(self, update: int) -> list[Trajectory]:
        """An attempt of the policy at every training task; those recorded are not played again."""
        policy = f"{self.name}@step-{update}"
        self.store.discard_unfinished(Stage.PRACTICE)
        played = {one.task for one in self.store.select(stage=Stage.PRACTICE, policy=policy)}
        if missing := [name for name in sorted(self.tasks) if name not in played]:
            agent = self._agent(update)
            attempts = [
                Attempt(
                    prepared=self.tasks[name],
                    agent=agent,
                    seed=1_000_003 * self.seed + update,
                    steps=self.config.first_steps,
                )
                for name in missing
            ]
            rollouts(attempts, self.stagehand, self.store, Stage.PRACTICE)
        return list(self.store.select(stage=Stage.PRACTICE, policy=policy))


def _groups(
    states: Sequence[State], samples: Sequence[Sample], rewards: Sequence[Sequence[float | None]]
) -> list[Group]:
    actions = len(samples) // len(states)
    return [
        Group(
            prompt=state.prompt,
            completions=tuple(s.step.completion for s in samples[i * actions : (i + 1) * actions]),
            rewards=tuple(rewards[i]),
        )
        for i, state in enumerate(states)
    ]


def _alarm(samples: Sequence[Sample], config: StepwiseConfig) -> None:
    failed = [sample.failure for sample in samples if sample.failure]
    if len(failed) > config.broken_at_most * len(samples):
        raise TrainingError(
            f"{len(failed)} of {len(samples)} experiments of an update failed by our own fault, "
            f"last: {failed[-1]}. Run `ml-agent doctor`, then the same command again."
        )


def _describe(states: Sequence[State], samples: Sequence[Sample]) -> Metrics:
    """What the actions of one update came to. Shares are of the actions whose fate is known."""
    by_task: dict[str, list[float]] = {}
    actions = len(samples) // len(states)
    for place, sample in enumerate(samples):
        if sample.reward is not None:
            by_task.setdefault(states[place // actions].trajectory.task, []).append(sample.reward)
    known = [sample for sample in samples if sample.reward is not None]
    cases = Counter(case_of(sample.step) for sample in known)
    edits = [
        s
        for s in known
        if s.step.script and s.step.action and s.step.action.kind != "Execute Script"
    ]
    count = max(1, len(known))
    rewards = [sample.reward for sample in known if sample.reward is not None]
    seconds = [s.step.execution.wall_s for s in known if s.step.execution]
    return {
        "reward": math.fsum(rewards) / count,
        "valid_action_rate": 1 - cases[Case.INVALID] / count,
        "edits_that_run": cases[Case.EDIT] / len(edits) if edits else None,
        **{f"case_{case.value}": cases[case] / count for case in Case if case is not Case.UNKNOWN},
        "broken": len(samples) - len(known),
        "action_tokens": sum(len(s.step.completion.token_ids) for s in samples) / len(samples),
        **{f"reward_{task}": math.fsum(those) / len(those) for task, those in by_task.items()},
        "experiment_wall_s": math.fsum(seconds),
        "experiments": len(seconds),
        "cached_experiments": sum(s.step.execution.cached for s in known if s.step.execution),
    }
