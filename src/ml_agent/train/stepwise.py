"""Step-wise reinforcement learning: single actions from recorded states, one experiment each.

    J(theta) = E_{s ~ pool, a ~ pi_theta(.|s)}[ R(s, a) ]          (arXiv 2505.23723, section 3.2)

The loop of one update, top to bottom: draw states, sample G actions in each, carry them out in
boxes, reward them, move the policy. Our own failures have no reward and train nothing.
Deviation from the paper: `grpo` (a group's mean as baseline) instead of PPO with a critic.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

from ml_agent.agents import LLMAgent, Reply
from ml_agent.compute import Batch, Cores
from ml_agent.core.errors import DiskFull, MLAgentError, TrainingError, UsageError
from ml_agent.models.contract import Sampling
from ml_agent.rewards import Case, Reward, case_of, reward_named
from ml_agent.runtime import Stagehand, State, retry
from ml_agent.store import Sample, Store
from ml_agent.tasks import PreparedTask
from ml_agent.train.grpo import Group, GRPOConfig, grpo_update
from ml_agent.train.policy import Policy
from ml_agent.train.pool import Pool

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
    reward: str = "sigmoid"
    max_tokens: int = 192
    checkpoint_every: int = 5
    broken_at_most: float = 0.25
    """Share of an update's experiments that may fail by our own fault."""
    grpo: GRPOConfig = field(default_factory=GRPOConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            UsageError: A count is below one.
        """
        for name in ("states", "actions", "first_steps", "max_tokens", "checkpoint_every"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise UsageError(f"rl.{name} is {count}; it must be at least 1")


def practise(
    policy: Policy,
    pool: Pool,
    tasks: Mapping[str, PreparedTask],
    stagehand: Stagehand,
    store: Store,
    config: StepwiseConfig,
    *,
    name: str,
    seed: int,
    first_update: int = 1,
    on_update: Callable[[int, Metrics], None],
) -> None:
    """Run updates `first_update..config.updates` on `policy`, in place.

    Args:
        policy: What learns; the reference of its KL term is what it was before the first update.
        pool: Where states come from. Draws of earlier updates are repeated and passed over, so
            that a stage taken up again sees the states it would have seen.
        tasks: Prepared tasks by id.
        stagehand: Boxes and experiments.
        store: Every sampled action is recorded before the policy moves.
        config: The recipe's figures.
        name: Stands in the records as the policy's name, with "@step-N".
        seed: Of sampling.
        first_update: Where to begin.
        on_update: Told the figures of every update; writes checkpoints.

    Raises:
        TrainingError: Too many experiments failed by our own fault.
        DiskFull: No space is left.
    """
    reward = reward_named(config.reward)
    sampling = Sampling(temperature=config.grpo.temperature, max_tokens=config.max_tokens)
    for update in range(1, config.updates + 1):
        states = pool.draw(config.states)
        if update < first_update:
            continue
        began = monotonic()
        agent = LLMAgent(
            policy.sampler(f"{name}@step-{update - 1}"),
            offered=stagehand.offered,
            sampling=sampling,
        )
        prompts = [state.prompt for state in states]
        replies = agent.propose(prompts, samples=config.actions, seed=1_000_003 * seed + update)
        sampled, unstable = monotonic(), stagehand.experiments.unstable
        samples = _experiments(update, states, replies, tasks, stagehand, reward)
        store.add_samples(samples)
        _alarm(samples, config)
        tried = monotonic()
        metrics = grpo_update(policy, _groups(states, samples, config.actions), config.grpo)
        figures: Metrics = {"update": update, **_describe(states, samples), **metrics}
        figures["unstable_experiments"] = stagehand.experiments.unstable - unstable
        figures["sampling_s"] = sampled - began
        written = sum(len(one.step.completion.token_ids) for one in samples)
        figures["sampled_tokens_per_s"] = written / (sampled - began)
        figures["experiments_s"] = tried - sampled
        figures["update_s"] = monotonic() - tried
        on_update(update, figures)


def _experiments(
    update: int,
    states: Sequence[State],
    replies: Sequence[Sequence[Reply]],
    tasks: Mapping[str, PreparedTask],
    stagehand: Stagehand,
    reward: Reward,
) -> list[Sample]:
    """Carry out every action in its state, many at a time; the samples are in order."""

    def one(state: State, reply: Reply, cores: Cores) -> Sample:
        prepared = tasks[state.trajectory.task]
        sample = partial(Sample, update=update, trajectory=state.trajectory.id, t=state.t)
        try:
            step = retry(state, reply, prepared, stagehand, cores=cores)
        except DiskFull:
            raise
        except MLAgentError as error:
            logger.warning("an experiment on %s broke: %s", prepared.task.id, error)
            step = state.trajectory.steps[state.t].model_copy(
                update={"completion": reply.completion, "action": None, "invalid": "our failure"}
            )
            failure = f"{type(error).__name__}: {error}"
            return sample(step=step, reward=None, failure=failure)
        worth = reward(prepared.task, state.followed_by(step), state.t)
        return sample(step=step, reward=worth)

    with Batch[Sample](stagehand.scheduler) as running:
        for state, group in zip(states, replies, strict=True):
            task = tasks[state.trajectory.task].task
            for reply in group:
                work = partial(one, state, reply)
                running.submit(work, task=task.id, limits=task.budget.experiment)
        return list(running.results())


def _groups(states: Sequence[State], samples: Sequence[Sample], actions: int) -> list[Group]:
    return [
        Group(
            prompt=state.prompt,
            completions=tuple(s.step.completion for s in samples[i * actions : (i + 1) * actions]),
            rewards=tuple(s.reward for s in samples[i * actions : (i + 1) * actions]),
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
