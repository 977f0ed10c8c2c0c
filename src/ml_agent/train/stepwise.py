"""Step-wise reinforcement learning: single actions from recorded states, one experiment each.

    J(theta) = E_{s ~ pool, a ~ pi_theta(.|s)}[ R(s, a) ]          (arXiv 2505.23723, section 3.2)

The loop of one update, top to bottom: draw states, sample G actions in each, carry them out in
boxes, reward them, move the policy. Our own failures have no reward and train nothing.
Two algorithms: `grpo` (a group's mean as baseline; the embedded default) and the paper's `ppo`.
In episode mode, with which this is compared, a whole attempt takes the place of an action.
By option (`staleness`) all of this overlaps: see `overlap`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal

from ml_agent.compute import Batch
from ml_agent.core.errors import TrainingError, UsageError, enough_memory
from ml_agent.core.records import Trajectory
from ml_agent.models.contract import Sampling
from ml_agent.rewards import reward_named
from ml_agent.runtime import Attempt, Stagehand, State, rollouts
from ml_agent.store import Sample, Stage, Store
from ml_agent.tasks import PreparedTask
from ml_agent.train import episodes
from ml_agent.train.acting import Actor, Tried, tokens
from ml_agent.train.figures import Metrics, describe, scripts
from ml_agent.train.grpo import GRPO, GRPOConfig
from ml_agent.train.overlap import OpenGroups, Waiting
from ml_agent.train.policy import LESS_MEMORY, Policy
from ml_agent.train.pool import Pool
from ml_agent.train.ppo import PPO, PPOConfig
from ml_agent.train.rehearsal import Rehearsal
from ml_agent.train.tries import Tries
from ml_agent.train.update import Learner


@dataclass(frozen=True, kw_only=True)
class StepwiseConfig:
    """How long to practise, and on what."""

    updates: int = 10
    """At most; fewer where one of the next two is met first."""
    scripts: int | None = None
    """Executed scripts after which practice ends, at the end of an update; None: any number."""
    seconds: float | None = None
    """Likewise."""
    states: int = 4
    """States an update (B)."""
    actions: int = 8
    """Actions a state (G); in episode mode attempts."""
    mode: Literal["step", "episode"] = "step"
    """Practise single actions in recorded states, or play whole attempts: the states of an update
    are then beginnings, `actions` attempts go on from each, and what an attempt earned is the sum
    of its steps' rewards."""
    episode_steps: int = 5
    """Steps of an attempt that the policy plays, in episode mode or as the pool evolves."""
    staleness: int = 0
    """Updates by which the policy that acts may be behind the one that learns. 0: sampling,
    experiments and learning take turns. Above, they overlap, and no update waits for a slow
    experiment while others are done; which ones it learns from is then a matter of time."""
    first_steps: int | None = None
    """Practise only in recorded states with fewer steps than this behind them; None: in all."""
    learnability: bool = False
    """Give more turns to places whose actions differ in what they earn."""
    evolve_every: int | None = None
    """Updates after which the policy plays each training task once, and the states it reaches join
    the pool; None: the pool stays what was collected."""
    rehearse: int = 0
    """Imitated examples that every update learns from too, tasks in turn, so that what pays in the
    states of an update does not displace what was learned for others. 0: none (the paper)."""
    rehearse_weight: float = 1.0
    """Of their loss, beside that of practice."""
    timeouts: Literal["neutral", "masked"] = "neutral"
    """What an action earns that met a limit: as much as one without an edit (the paper), or nothing
    is learned from it."""
    duration_weights: bool = False
    """Weigh an action by the seconds of its experiment over the update's mean."""
    reward: str = "sigmoid"
    max_tokens: int = 192
    checkpoint_every: int = 5
    broken_at_most: float = 0.25
    """Share of the actions whose experiments may fail by our own fault. An update in which so many
    do that chance alone would not explain it ends practice."""
    algorithm: Literal["grpo", "ppo"] = "grpo"
    """Which of the two below learns."""
    grpo: GRPOConfig = field(default_factory=GRPOConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            UsageError: A count is below one, or options contradict each other.
        """
        if self.updates < 1:
            raise UsageError(f"rl.updates is {self.updates}; it must be at least 1")
        if self.algorithm == "grpo" and self.actions == 1:
            raise UsageError(
                "rl.actions is 1: grpo compares the actions of a state with each other, and would "
                "learn nothing. Give 2 at least, or set rl.algorithm=ppo"
            )
        if self.learnability and self.actions == 1:
            raise UsageError(
                "rl.learnability compares the actions of a state, and rl.actions is 1. Give 2 at "
                "least, or set rl.learnability=false"
            )
        counts = ("states", "actions", "episode_steps", "max_tokens", "checkpoint_every")
        for name in (*counts, "first_steps", "evolve_every", "scripts", "seconds"):
            count = getattr(self, name)
            if count is not None and count < 1:
                raise UsageError(f"rl.{name} is {count}; it must be at least 1")
        if self.timeouts not in {"neutral", "masked"}:
            raise UsageError(f"rl.timeouts is {self.timeouts!r}; it is neutral or masked")
        if self.algorithm not in {"grpo", "ppo"}:
            raise UsageError(f"rl.algorithm is {self.algorithm!r}; it is grpo or ppo")
        if self.mode not in {"step", "episode"}:
            raise UsageError(f"rl.mode is {self.mode!r}; it is step or episode")
        if not 0 <= self.broken_at_most <= 1:
            raise UsageError(f"rl.broken_at_most is {self.broken_at_most}; it lies in [0, 1]")
        if self.rehearse < 0 or self.rehearse_weight < 0:
            raise UsageError("rl.rehearse and rl.rehearse_weight must be 0 or more")
        if self.staleness < 0:
            raise UsageError(f"rl.staleness is {self.staleness}; it must be 0 or more")
        if self.mode == "episode":
            self._check_episodes()

    def _check_episodes(self) -> None:
        if self.staleness:
            raise UsageError(
                "rl.staleness lets single actions overlap with learning; whole attempts do not. "
                "Set it to 0, or rl.mode to step"
            )
        if self.evolve_every is not None:
            raise UsageError(
                "rl.evolve_every adds states that episode mode would never begin from; set it to "
                "none, or rl.mode to step"
            )
        if self.algorithm == "ppo" and (self.ppo.gamma, self.ppo.lam) != (1, 1):
            raise UsageError(
                "in episode mode an action is worth the sum of what was earned from it on; set "
                "rl.ppo.gamma and rl.ppo.lam to 1"
            )

    @property
    def practised_steps(self) -> int | None:
        """States with fewer steps than this behind them are practised in; None: all."""
        return 1 if self.mode == "episode" else self.first_steps

    def is_over(self, update: int, executed_scripts: int, seconds: float) -> bool:
        """Whether practice ends with an update, after so many scripts and seconds."""
        return (
            update >= self.updates
            or (self.scripts is not None and executed_scripts >= self.scripts)
            or (self.seconds is not None and seconds >= self.seconds)
        )

    @property
    def end(self) -> tuple[str, int]:
        """By which figure to tell how far practice has come, and where it ends by that."""
        if self.scripts is not None:
            return "executed_scripts", self.scripts
        if self.seconds is not None:
            return "seconds", math.ceil(self.seconds)
        return "update", self.updates

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
    """Every action an update learns from is in it before the policy moves."""
    config: StepwiseConfig
    name: str
    """Stands in the records as the policy's name, with "@step-N"."""
    seed: int
    """Of sampling."""
    rehearsal: Rehearsal | None = None
    """What is learned from beside practice; None: nothing."""
    open_groups: OpenGroups = field(default_factory=OpenGroups)
    """What no update has taken yet; stays empty where nothing overlaps."""

    def run(
        self,
        *,
        first_update: int = 1,
        seconds_before: float = 0.0,
        waiting: Waiting | None = None,
        on_update: Callable[[int, Metrics], None] = lambda *_: None,
    ) -> None:
        """Run updates from `first_update` on until the configuration says that it is over.

        Draws of earlier updates are repeated and passed over, so that a stage taken up again sees
        the states it would have seen.

        Args:
            first_update: Where to begin; the policy is what the updates before made of it.
            seconds_before: How long these took.
            waiting: What they had sampled and not taken; None: nothing overlaps.
            on_update: Told the figures of every update; writes checkpoints.

        Raises:
            TrainingError: Too many experiments failed by our own fault.
            EndsRun: Nothing further can be tried, as when no space is left.
        """
        with self.open_groups:
            if waiting is not None:
                self.open_groups.take_up(
                    waiting,
                    done=first_update - 1,
                    states=self.config.states,
                    pool=self.pool,
                    store=self.store,
                    actor=self._actor,
                )
            self._run(first_update, seconds_before, on_update)

    def _run(
        self,
        first_update: int,
        seconds_before: float,
        on_update: Callable[[int, Metrics], None],
    ) -> None:
        config, began = self.config, monotonic() - seconds_before
        update, executed, seconds = 0, 0, seconds_before
        over = config.is_over(update, executed, seconds)
        while not over:
            update += 1
            if update < first_update:
                (states, tries), figures = self._recorded(update), None
            else:
                states, tries, figures = self._update(update)
            executed += scripts(sample.step for sample in tries.samples)
            if figures is not None:
                seconds = monotonic() - began
                on_update(update, {**figures, "executed_scripts": executed, "seconds": seconds})
            over = config.is_over(update, executed, seconds)
            self.pool.learn(states, tries.returns())
            if config.evolve_every and not over and update % config.evolve_every == 0:
                if figures is not None:
                    # A kill may have left some by weights that were lost, and are not these.
                    self.store.discard_attempts(Stage.PRACTICE, policy=self._version(update))
                reached = self._play(update, replayed=update < first_update - 1)
                executed += scripts(step for one in reached for step in one.steps)
                self.pool.add(reached)

    def _recorded(self, update: int) -> tuple[Sequence[State], Tries]:
        """What an earlier update learned from."""
        states = self.pool.draw(self.config.states)
        tries = self._tries(self.store.samples(update))
        if self.config.staleness:
            # Which states these are was a matter of time.
            firsts = tries.samples[:: self.config.actions]
            states = [State(self.store.get(one.trajectory), one.t) for one in firsts]
        return states, tries

    def _update(self, update: int) -> tuple[Sequence[State], Tries, Metrics]:
        config, experiments = self.config, self.stagehand.experiments
        unstable = experiments.unstable
        tried = self._overlapping(update) if config.staleness else self._in_turn(update)
        self.store.add_samples(tried.samples)
        tries = self._tries(tried.samples)
        tries.alarm_if_broken(at_most=config.broken_at_most)
        began = monotonic()
        less = f"Lower rl.{config.algorithm}.row_tokens or rl.max_tokens, {LESS_MEMORY}."
        with enough_memory(TrainingError, "an update", less):
            metrics = self.learner.update(
                tries.groups(
                    tried.seen,
                    whole_returns=config.algorithm == "grpo",
                    by_duration=config.duration_weights,
                ),
                self.rehearsal.of_update(update) if self.rehearsal else None,
            )
        figures = {
            "update": update,
            **describe([state.trajectory.task for state in tried.states], tries),
            **metrics,
            "unstable_experiments": experiments.unstable - unstable,
            **tried.figures,
            "update_s": monotonic() - began,
        }
        return tried.states, tries, figures

    def _tries(self, samples: Iterable[Sample]) -> Tries:
        return Tries(
            samples,
            a_state=self.config.actions,
            whole=self.config.mode == "episode",
            masked=self.config.timeouts == "masked",
        )

    def _in_turn(self, update: int) -> Tried:
        """Draw, sample, and wait for all that comes of it."""
        states = self.pool.draw(self.config.states)
        tried = self._episodes if self.config.mode == "episode" else self._actions
        return tried(update, states)

    def _actions(self, update: int, states: Sequence[State]) -> Tried:
        """Single actions in every state."""
        began, actor = monotonic(), self._actor
        groups = actor.sample(states, version=update - 1, number=update)
        sampled = monotonic()
        with Batch[Sample](self.stagehand.scheduler) as running:
            for state, group in zip(states, groups, strict=True):
                for one in group:
                    actor.try_out(running, state, one)
            samples = list(running.results())
        return Tried(
            states=states,
            samples=samples,
            seen={state.trajectory.id: state.trajectory for state in states},
            figures={
                "sampled_tokens_per_s": tokens(groups) / (sampled - began),
                "sampling_s": sampled - began,
                "experiments_s": monotonic() - sampled,
            },
        )

    def _episodes(self, update: int, states: Sequence[State]) -> Tried:
        """Whole attempts from every state; a step of one is a sample."""
        began, config, actor = monotonic(), self.config, self._actor
        played = episodes.play(
            states,
            actor.agent(update - 1),
            self.tasks,
            self.stagehand,
            self.store,
            attempts=config.actions,
            steps=config.episode_steps,
            seed=actor.seed_of(update) * config.states * config.actions,
        )
        reward = reward_named(config.reward)
        return Tried(
            states=states,
            samples=episodes.samples_of(played, self.tasks, reward, update=update),
            seen={one.id: one for one in played},
            figures={"playing_s": monotonic() - began},
        )

    def _overlapping(self, update: int) -> Tried:
        """What is complete by now, once it is enough."""
        config = self.config
        return self.open_groups.gather(
            update,
            states=config.states,
            staleness=config.staleness,
            updates=config.updates,
            pool=self.pool,
            actor=self._actor,
        )

    def _version(self, updates: int) -> str:
        """What the policy is called after so many updates."""
        return f"{self.name}@step-{updates}"

    @property
    def _actor(self) -> Actor:
        config = self.config
        return Actor(
            policy=self.policy,
            called=self._version,
            sampling=Sampling(
                temperature=self.learner.config.temperature, max_tokens=config.max_tokens
            ),
            tasks=self.tasks,
            stagehand=self.stagehand,
            reward=config.reward,
            actions=config.actions,
            seed=self.seed,
        )

    def _play(self, update: int, *, replayed: bool = False) -> list[Trajectory]:
        """An attempt of the policy at every training task; those recorded are not played again.

        Args:
            update: After which.
            replayed: Its weights are gone: what is recorded is all there is.
        """
        policy = self._version(update)
        if not replayed:
            self.store.discard_unfinished(Stage.PRACTICE, policy=policy)
        played = {one.task for one in self.store.select(stage=Stage.PRACTICE, policy=policy)}
        missing = [name for name in sorted(self.tasks) if name not in played]
        if missing and not replayed:
            actor = self._actor
            agent = actor.agent(update)
            attempts = [
                Attempt(
                    prepared=self.tasks[name],
                    agent=agent,
                    seed=actor.seed_of(update),
                    ends_after=self.config.episode_steps,
                )
                for name in missing
            ]
            most = self.config.broken_at_most
            rollouts(attempts, self.stagehand, self.store, Stage.PRACTICE, broken_at_most=most)
        return list(self.store.select(stage=Stage.PRACTICE, policy=policy))
