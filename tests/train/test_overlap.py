"""Practice that overlaps: what an update takes, how old it may be, and what a kill leaves."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from practising import BETTER, Seeing

from ml_agent.agents import LLMAgent
from ml_agent.compute import Scheduler
from ml_agent.core.errors import DiskFull, TrainingError, UsageError
from ml_agent.core.records import Message, Trajectory
from ml_agent.env import Experiments
from ml_agent.env.experiments import Finding
from ml_agent.models import Sampling, ScriptedModel
from ml_agent.rewards import Sigmoid
from ml_agent.runtime import Attempt, Stagehand, retry, rollouts
from ml_agent.sandbox import Sandbox, Snapshots
from ml_agent.store import Sample, Stage, Store
from ml_agent.tasks import Grader, PreparedTask
from ml_agent.train.checkpoints import WAITING
from ml_agent.train.figures import Metrics
from ml_agent.train.grpo import GRPOConfig, grpo_update
from ml_agent.train.overlap import Waiting
from ml_agent.train.policy import Policy
from ml_agent.train.pool import Pool
from ml_agent.train.stepwise import Practice, StepwiseConfig
from ml_agent.train.update import Group
from puppet import BREAK, RUN, write_puppet

LONG_S = 120.0
"""Only a fault waits for so long."""
ATTEMPTS, ACTIONS = 6, 2


class Held(Experiments):
    """The first experiment of all stays where it is until it is let go."""

    def __init__(self, grader: Grader, snapshots: Snapshots) -> None:
        super().__init__(grader, snapshots)
        self.first, self.let_go = threading.Lock(), threading.Event()

    def run(
        self, prepared: PreparedTask, box: Sandbox, script: str, *, cores: Collection[int] = ()
    ) -> Finding:
        if self.first.acquire(blocking=False):
            assert self.let_go.wait(LONG_S)
        # On any core: those of the scheduler below are numbers, and none of this machine's.
        return super().run(prepared, box, script)


class Uneven(Experiments):
    """Some experiments take longer than others."""

    def run(
        self, prepared: PreparedTask, box: Sandbox, script: str, *, cores: Collection[int] = ()
    ) -> Finding:
        time.sleep(random.choice((0.0, 0.0, 0.05, 0.3)))
        return super().run(prepared, box, script)


class Full(Experiments):
    """No space is left for the third experiment and all after it."""

    asked = 0

    def run(
        self, prepared: PreparedTask, box: Sandbox, script: str, *, cores: Collection[int] = ()
    ) -> Finding:
        self.asked += 1
        if self.asked > 2:
            raise DiskFull("no space is left")
        return super().run(prepared, box, script)


@pytest.fixture(scope="module")
def puppet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_puppet(tmp_path_factory.mktemp("models") / "puppet", (RUN, BETTER, BREAK))


@pytest.fixture
def collected(stagehand: Stagehand, store: Store, guess_task: PreparedTask) -> list[Trajectory]:
    """Attempts that differ in a word of what was seen, so that each of their states is one."""
    expert = LLMAgent(
        ScriptedModel([RUN, BETTER, RUN]), offered=stagehand.offered, sampling=Sampling()
    )
    attempt = Attempt(prepared=guess_task, agent=expert, seed=0, steps=3)
    (first,) = rollouts([attempt], stagehand, store, Stage.COLLECT)
    others = []
    for n in range(1, ATTEMPTS):
        seen = tuple(
            Message(role=one.role, text=f"{one.text} Again: {n}") for one in first.messages
        )
        others.append(first.model_copy(update={"id": f"again-{n}", "messages": seen}))
    for one in others:
        store.begin(one, Stage.COLLECT)
        store.finish(one)
    return [first, *others]


Prepare = Callable[..., Practice]


@pytest.fixture
def prepare(
    stagehand: Stagehand,
    store: Store,
    guess_task: PreparedTask,
    collected: list[Trajectory],
    puppet: Path,
    grader: Grader,
    tmp_path: Path,
) -> Iterator[Prepare]:
    with Scheduler([100, 101]) as scheduler:

        def make(kind: type[Experiments] = Held, **chosen: Any) -> Practice:
            config = StepwiseConfig(**{"states": 1, "actions": ACTIONS, "max_tokens": 8} | chosen)
            policy = Policy.load(str(puppet))
            experiments = kind(grader, Snapshots(tmp_path / "snapshots"))
            return Practice(
                policy=policy,
                learner=Seeing(config.learner(policy)),
                pool=Pool(collected, seed=0),
                tasks={"guess": guess_task},
                stagehand=replace(stagehand, experiments=experiments, scheduler=scheduler),
                store=store,
                config=config,
                name="puppet+rl",
                seed=0,
            )

        yield make


def version(sample: Sample) -> int:
    name, _, number = sample.step.completion.policy.partition("@step-")
    assert name == "puppet+rl"
    return int(number)


def assert_each_group_was_taken_once(
    samples: Sequence[Sample], collected: list[Trajectory], practice: Practice
) -> None:
    """All states that were drawn, with all of their actions."""
    rounds = practice.open_groups.rounds
    assert rounds >= practice.config.updates
    drawn = Pool(collected, seed=0).draw(rounds * practice.config.states)
    taken = Counter((one.trajectory, one.t) for one in samples)
    assert taken == {
        place: ACTIONS * times
        for place, times in Counter((one.trajectory.id, one.t) for one in drawn).items()
    }


def until_all_have_ended(practice: Practice) -> None:
    """Wait for all experiments of open groups."""
    while any(one.reward is None for one in practice.open_groups.waiting().samples):
        time.sleep(0.01)


def held(practice: Practice) -> Held:
    experiments = practice.stagehand.experiments
    assert isinstance(experiments, Held)
    return experiments


def test_an_update_waits_for_no_slow_experiment_and_takes_its_group_at_last_without_it(
    prepare: Prepare, store: Store, collected: list[Trajectory]
) -> None:
    practice = prepare(staleness=1, updates=4)
    assert len(practice.pool) == 3 * ATTEMPTS
    told: list[Metrics] = []

    def on_update(update: int, figures: Metrics) -> None:
        told.append(figures)
        if update == 2:
            held(practice).let_go.set()

    practice.run(on_update=on_update)
    # Two groups are sampled at once; the first stays behind, and joins the third.
    assert [one["groups"] for one in told[:2]] == [1, 2]
    assert [one["overtaken_groups"] for one in told[:2]] == [1, 0]
    assert [one["staleness_most"] for one in told[:2]] == [0, 1]
    assert [one["staleness_mean"] for one in told[:2]] == [0, 0.5]
    assert [one["late_actions"] for one in told] == [0, 1, 0, 0]
    assert all(one["broken"] == 0 for one in told)
    samples = list(store.samples())
    (late,) = [one for one in samples if one.reward is None]
    assert (late.update, late.failure, late.step.execution) == (2, None, None)
    assert late.step.completion.token_ids
    assert_each_group_was_taken_once(samples, collected, practice)
    assert isinstance(practice.learner, Seeing)
    learned = [[len(group.completions) for group in groups] for groups in practice.learner.groups]
    assert learned[:2] == [[2], [1, 2]]
    assert told[-1]["executed_scripts"] == len(samples) - 1


def test_a_group_left_behind_joins_the_next_update_whole_once_its_experiment_has_ended(
    prepare: Prepare, store: Store, collected: list[Trajectory]
) -> None:
    practice = prepare(staleness=3, updates=3)
    told: list[Metrics] = []

    def on_update(update: int, figures: Metrics) -> None:
        told.append(figures)
        held(practice).let_go.set()
        until_all_have_ended(practice)

    practice.run(on_update=on_update)
    assert [one["overtaken_groups"] for one in told] == [1, 0, 0]
    assert [one["late_actions"] for one in told] == [0, 0, 0]
    assert [one["staleness_most"] for one in told][:2] == [0, 1]
    drawn = Pool(collected, seed=0).draw(2)
    taken = [next(store.samples(update)) for update in (2, 1)]
    assert [(one.trajectory, one.t) for one in taken] == [
        (one.trajectory.id, one.t) for one in drawn
    ]
    assert [version(one) for one in taken] == [0, 0]


@pytest.mark.parametrize(("algorithm", "staleness"), [("grpo", 1), ("ppo", 3)])
def test_no_sample_is_staler_than_the_bound_and_each_is_taken_by_one_update(
    algorithm: Literal["grpo", "ppo"],
    staleness: int,
    prepare: Prepare,
    store: Store,
    collected: list[Trajectory],
) -> None:
    practice = prepare(Uneven, algorithm=algorithm, staleness=staleness, updates=6, states=2)
    told: list[Metrics] = []
    practice.run(on_update=lambda _, figures: told.append(figures))
    samples = list(store.samples())
    for figures in told:
        its = [one for one in samples if one.update == figures["update"]]
        stale = [one.update - 1 - version(one) for one in its]
        assert 0 <= min(stale) <= max(stale) <= staleness
        assert figures["staleness_most"] == max(stale)
        assert figures["staleness_mean"] == pytest.approx(sum(stale) / len(stale))
        assert figures["groups"] == len(its) / ACTIONS
        assert figures["late_actions"] == sum(one.reward is None for one in its)
    assert any(one["staleness_most"] for one in told)
    assert [one["update"] for one in told] == [1, 2, 3, 4, 5, 6]
    assert_each_group_was_taken_once(samples, collected, practice)


def test_practice_taken_up_again_loses_no_group_and_learns_from_none_twice(
    prepare: Prepare, store: Store, collected: list[Trajectory], puppet: Path, tmp_path: Path
) -> None:
    Policy.load(str(puppet)).save(tmp_path / "sft")
    practice = prepare(staleness=4, updates=7)
    practice.policy.start_from(tmp_path / "sft")

    def on_update(update: int, _: Metrics) -> None:
        if update == 2:
            kept = practice.open_groups.waiting().model_dump_json()
            practice.policy.save(tmp_path / "step-2", step=2, texts={WAITING: kept})
        if update == 4:
            held(practice).let_go.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        practice.run(on_update=on_update)
    before = [one for one in store.samples() if one.update <= 2]
    assert {one.update for one in store.samples()} == {1, 2, 3, 4}
    store.discard_samples(from_update=3)
    waiting = Waiting.read(tmp_path / "step-2" / WAITING)
    behind, *_ = waiting.groups(ACTIONS)
    # The first group of all, of which one experiment had not ended.
    assert {one.update for one in behind} == {1}
    assert sorted(one.reward is None for one in behind) == [False, True]

    again = prepare(staleness=4, updates=7)
    again.policy.start_from(tmp_path / "sft")
    again.policy.go_on_from(tmp_path / "step-2")
    held(again).let_go.set()
    again.run(first_update=3, waiting=waiting, on_update=lambda *_: until_all_have_ended(again))
    samples = list(store.samples())
    assert [one for one in samples if one.update <= 2] == before
    assert_each_group_was_taken_once(samples, collected, again)
    assert all(0 <= one.update - 1 - version(one) <= 4 for one in samples)
    assert all(one.reward is not None for one in samples)
    for group in waiting.groups(ACTIONS):
        place = (group[0].trajectory, group[0].t)
        found = [one for one in samples if (one.trajectory, one.t) == place]
        assert [one.step.completion for one in found] == [one.step.completion for one in group]
        assert found[0].update >= 3


def test_attempts_for_the_pool_by_weights_that_a_kill_has_lost_are_played_anew(
    prepare: Prepare, store: Store, collected: list[Trajectory]
) -> None:
    facts = {"id": "lost", "policy": "puppet+rl@step-2"}
    lost = collected[0].model_copy(update=facts)
    store.begin(lost, Stage.PRACTICE)
    store.finish(lost)
    practice = prepare(Uneven, staleness=1, updates=3, evolve_every=2, first_steps=3)
    practice.run(waiting=Waiting())
    (again,) = store.select(stage=Stage.PRACTICE, policy="puppet+rl@step-2")
    assert again.id != "lost"


def test_a_damaged_record_of_open_groups_is_our_error(tmp_path: Path) -> None:
    (tmp_path / WAITING).write_text("{")
    with pytest.raises(TrainingError, match=r"reading .*waiting.json"):
        Waiting.read(tmp_path / WAITING)


def test_a_full_disk_ends_practice_though_others_could_go_on(prepare: Prepare) -> None:
    with pytest.raises(DiskFull):
        prepare(Full, staleness=2, updates=6).run()


def test_without_staleness_practice_is_the_plain_loop_bit_for_bit(
    prepare: Prepare,
    store: Store,
    guess_task: PreparedTask,
    stagehand: Stagehand,
    collected: list[Trajectory],
    puppet: Path,
) -> None:
    practice = prepare(Experiments, updates=3, states=2)
    # Its cores are numbers only; the others know the machine's.
    practice = replace(practice, stagehand=stagehand)
    told: list[Metrics] = []
    practice.run(on_update=lambda _, figures: told.append(figures))

    policy, pool = Policy.load(str(puppet)), Pool(collected, seed=0)
    for update in (1, 2, 3):
        states, groups, earned = pool.draw(2), list[Group](), list[float | None]()
        agent = LLMAgent(
            policy.sampler(f"puppet+rl@step-{update - 1}"),
            offered=stagehand.offered,
            sampling=Sampling(temperature=1.0, max_tokens=8),
        )
        said = agent.propose([one.prompt for one in states], samples=ACTIONS, seed=update)
        for state, replies in zip(states, said, strict=True):
            steps = [retry(state, reply, guess_task, stagehand) for reply in replies]
            rewards = [
                Sigmoid()(guess_task.task, state.followed_by(step), state.t) for step in steps
            ]
            completions = tuple(reply.completion for reply in replies)
            groups.append(
                Group(prompt=state.prompt, completions=completions, rewards=tuple(rewards))
            )
            earned += rewards
        grpo_update(policy, groups, GRPOConfig())
        samples = list(store.samples(update))
        assert [one.step.completion for one in samples] == [
            one for group in groups for one in group.completions
        ]
        assert [one.reward for one in samples] == earned
        assert [(one.trajectory, one.t) for one in samples[::ACTIONS]] == [
            (one.trajectory.id, one.t) for one in states
        ]
    assert all(map(torch.equal, policy.trained, practice.policy.trained))
    assert practice.open_groups.waiting() == Waiting()
    assert "staleness_most" not in told[0]


def test_a_bound_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match=r"rl.staleness is -1; it must be 0 or more"):
        StepwiseConfig(staleness=-1)
    with pytest.raises(UsageError, match=r"Set it to 0, or rl.mode to step"):
        StepwiseConfig(mode="episode", staleness=1)
