"""Practice from recorded states on a task of the standard library, in both of its modes."""

import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from practising import BETTER, Seeing

from ml_agent.agents import LLMAgent
from ml_agent.core.errors import SandboxError, TrainingError, UsageError
from ml_agent.core.records import End, Trajectory
from ml_agent.env import Experiments
from ml_agent.env.experiments import Finding
from ml_agent.models import Sampling, ScriptedModel
from ml_agent.runtime import Attempt, Stagehand, rollouts
from ml_agent.sandbox import Sandbox, Snapshots
from ml_agent.store import Sample, Stage, Store
from ml_agent.tasks import Grader, PreparedTask
from ml_agent.train.figures import Metrics
from ml_agent.train.policy import Policy
from ml_agent.train.pool import Pool
from ml_agent.train.ppo import PPOConfig
from ml_agent.train.stepwise import Practice, StepwiseConfig
from puppet import BREAK, RUN, write_puppet

Mode = Literal["step", "episode"]


@pytest.fixture(scope="module")
def puppet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_puppet(tmp_path_factory.mktemp("models") / "puppet", (RUN, BETTER, BREAK))


@pytest.fixture
def collected(stagehand: Stagehand, store: Store, guess_task: PreparedTask) -> list[Trajectory]:
    expert = LLMAgent(
        ScriptedModel([RUN, BETTER, RUN]), offered=stagehand.offered, sampling=Sampling()
    )
    told = guess_task.workspace["train.py"].decode() + "# told in another way\n"
    attempt = Attempt(prepared=guess_task, agent=expert, seed=0, ends_after=3, starter=told)
    return rollouts([attempt], stagehand, store, Stage.COLLECT)


def config(mode: Mode, algorithm: Literal["grpo", "ppo"] = "grpo", **more: int) -> StepwiseConfig:
    return StepwiseConfig(
        mode=mode,
        algorithm=algorithm,
        actions=4,
        episode_steps=3,
        max_tokens=8,
        **more,  # type: ignore[arg-type]
    )


Prepare = Callable[[StepwiseConfig, Policy], Practice]


@pytest.fixture
def prepare(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask, collected: list[Trajectory]
) -> Prepare:
    def make(config: StepwiseConfig, policy: Policy) -> Practice:
        return Practice(
            policy=policy,
            learner=config.learner(policy),
            pool=Pool(collected, seed=0, first_steps=config.practised_steps),
            tasks={"guess": guess_task},
            stagehand=stagehand,
            store=store,
            config=config,
            name="puppet+rl",
            seed=0,
        )

    return make


def decided(samples: Sequence[Sample]) -> list[object]:
    """What was said and earned, without ids and times."""
    return [(one.update, one.t, one.step.completion, one.reward) for one in samples]


def kept(policy: Policy) -> list[torch.Tensor]:
    return [weights.detach().clone() for weights in policy.trained]


def rounded(value: float | None) -> float:
    assert value is not None
    return round(value, 9)


def test_an_episode_plays_whole_attempts_from_the_start_and_learns_from_their_sums(
    puppet: Path, prepare: Prepare, store: Store, collected: list[Trajectory]
) -> None:
    practice = prepare(config("episode", states=2, updates=2), Policy.load(str(puppet)))
    before, seeing = kept(practice.policy), Seeing(practice.learner)
    figures: list[Metrics] = []
    replace(practice, learner=seeing).run(on_update=lambda _, told: figures.append(told))
    assert not all(map(torch.equal, before, practice.policy.trained))

    played = list(store.select(stage=Stage.PRACTICE))
    assert [one.policy for one in played] == ["puppet+rl@step-0"] * 8 + ["puppet+rl@step-1"] * 8
    assert len({one.seed for one in played}) == 16
    (begin,) = collected
    assert {(one.workspace, one.prompt_of(0)) for one in played} == {
        (begin.workspace, begin.prompt_of(0))
    }
    samples = list(store.samples())
    whole = [(one.id, t, step) for one in played for t, step in enumerate(one.steps)]
    assert [(one.trajectory, one.t, one.step) for one in samples] == whole
    assert {len(one.steps) for one in played} == {3}
    for update, groups in enumerate(seeing.groups):
        for place in (0, 4):
            four = played[8 * update + place :][:4]
            sums = [sum(s.reward or 0 for s in samples if s.trajectory == one.id) for one in four]
            expected = Counter(
                (one.prompt_of(t), rounded(earned), rounded(sum(sums) / 4))
                for one, earned in zip(four, sums, strict=True)
                for t in range(3)
            )
            assert expected <= Counter(
                (group.prompt, rounded(reward), rounded(group.baseline))
                for group in groups
                for reward in group.rewards
            )
        assert sum(len(group.rewards) for group in groups) == 24
    ran = [sum(s.step.execution is not None for s in samples if s.update == n) for n in (1, 2)]
    assert [one["executed_scripts"] for one in figures] == [ran[0], sum(ran)]


@pytest.mark.parametrize("algorithm", ["grpo", "ppo"])
def test_episodes_taken_up_again_end_with_the_same_samples_weights_and_momenta(
    algorithm: Literal["grpo", "ppo"],
    puppet: Path,
    prepare: Prepare,
    store: Store,
    tmp_path: Path,
) -> None:
    chosen = config("episode", algorithm, states=1, updates=3)
    told: list[Metrics] = []
    Policy.load(str(puppet)).save(tmp_path / "sft")

    def run(upto: int, *, first: int = 1) -> None:
        policy = Policy.load(str(puppet), seed=first)
        policy.start_from(tmp_path / "sft")
        practice = prepare(replace(chosen, updates=upto), policy)
        if first > 1:
            _, beside = policy.go_on_from(tmp_path / f"step-{first - 1}")
            practice.learner.restore(beside)

        def on_update(update: int, figures: Metrics) -> None:
            told.append(figures)
            beside = practice.learner.state()
            policy.save(tmp_path / f"step-{update}", step=update, beside=beside)

        practice.run(first_update=first, seconds_before=100.0 * (first > 1), on_update=on_update)

    def found() -> tuple[list[object], list[bytes]]:
        files = sorted((tmp_path / "step-3").glob("*.safetensors"))
        assert len(files) == (3 if algorithm == "ppo" else 2)
        return decided(list(store.samples())), [file.read_bytes() for file in files]

    run(3)
    straight, executed = found(), [one["executed_scripts"] for one in told]
    attempts = len(list(store.select(stage=Stage.PRACTICE)))
    # As a kill in the third update leaves it: all of its attempts are there.
    store.discard_samples(from_update=3)
    del told[2:]
    run(3, first=3)
    assert found() == straight
    assert [one["executed_scripts"] for one in told] == executed
    assert all(float(one["seconds"] or 0) > 100 for one in told[2:])
    assert len(list(store.select(stage=Stage.PRACTICE))) == attempts
    assert (tmp_path / "step-2" / "adapter_model.safetensors").read_bytes() != straight[1][0]


def test_practice_ends_with_the_update_that_reaches_its_scripts_and_weighs_them_if_asked(
    puppet: Path, prepare: Prepare, store: Store
) -> None:
    chosen = replace(config("step", states=1, updates=9), scripts=7, duration_weights=True)
    practice = prepare(chosen, Policy.load(str(puppet)))
    seeing, figures = Seeing(practice.learner), list[Metrics]()
    replace(practice, learner=seeing).run(on_update=lambda _, told: figures.append(told))
    # Each of four actions executes a script.
    assert [one["executed_scripts"] for one in figures] == [4, 8]
    samples = [one for one in store.samples() if one.update == 1]
    took = [one.step.execution.wall_s for one in samples if one.step.execution]
    (group,) = seeing.groups[0]
    assert group.weights == pytest.approx([4 * seconds / sum(took) for seconds in took])


def test_practice_is_over_when_any_of_its_bounds_is_met() -> None:
    bounded = StepwiseConfig(updates=5, scripts=100, seconds=60.0)
    assert not bounded.is_over(4, 99, 59.9)
    assert bounded.is_over(5, 0, 0.0)
    assert bounded.is_over(1, 100, 0.0)
    assert bounded.is_over(1, 0, 60.0)
    assert not StepwiseConfig(updates=5).is_over(4, 10**6, 1e6)


class EveryTenthFails(Experiments):
    """Our machinery breaks in one of ten experiments."""

    def __init__(self, grader: Grader, snapshots: Snapshots) -> None:
        super().__init__(grader, snapshots)
        self.asked = 0
        self._counting = threading.Lock()

    def run(
        self, prepared: PreparedTask, box: Sandbox, script: str, *, cores: Collection[int] = ()
    ) -> Finding:
        with self._counting:
            self.asked += 1
            fails = self.asked % 10 == 0
        if fails:
            raise SandboxError("the box is gone")
        return super().run(prepared, box, script, cores=cores)


@pytest.mark.parametrize(("mode", "algorithm"), [("step", "grpo"), ("episode", "ppo")])
def test_a_run_in_which_every_tenth_experiment_fails_by_our_fault_ends_and_learns_from_none_of_them(
    mode: Mode,
    algorithm: Literal["grpo", "ppo"],
    puppet: Path,
    prepare: Prepare,
    store: Store,
    grader: Grader,
    tmp_path: Path,
) -> None:
    failing = EveryTenthFails(grader, Snapshots(tmp_path / "snapshots"))
    # As it is set where nothing else is said: a tenth is no reason to end, also by bad luck.
    chosen = config(mode, algorithm, states=2, updates=4)
    practice = prepare(chosen, Policy.load(str(puppet)))
    before, seeing = kept(practice.policy), Seeing(practice.learner)
    figures: list[Metrics] = []
    hand = replace(practice.stagehand, experiments=failing)
    replace(practice, stagehand=hand, learner=seeing).run(
        on_update=lambda _, told: figures.append(told)
    )
    assert not all(map(torch.equal, before, practice.policy.trained))

    samples = list(store.samples())
    lost = [one for one in samples if one.failure]
    assert len(lost) == failing.asked // 10 >= 2
    assert {one.failure for one in lost} == {"SandboxError: the box is gone"}
    assert [one["broken"] for one in figures] == [
        sum(one.update == update for one in lost) for update in range(1, 5)
    ]
    broken = {one.trajectory for one in lost} if mode == "episode" else set()
    ended = [one for one in store.select(stage=Stage.PRACTICE) if one.end is End.BROKEN]
    assert {one.id for one in ended} == broken
    for update, groups in enumerate(seeing.groups, start=1):
        learned = Counter(answer for group in groups for answer in group.completions)
        assert learned == Counter(
            one.step.completion
            for one in samples
            if one.update == update and not one.failure and one.trajectory not in broken
        )
        assert not any(reward is None for group in groups for reward in group.rewards)


def test_too_many_failures_of_ours_stop_practice(
    puppet: Path, prepare: Prepare, grader: Grader, tmp_path: Path
) -> None:
    failing = EveryTenthFails(grader, Snapshots(tmp_path / "snapshots"))
    failing.asked = 9
    practice = prepare(
        replace(config("step", states=2), broken_at_most=0.0), Policy.load(str(puppet))
    )
    hand = replace(practice.stagehand, experiments=failing)
    with pytest.raises(TrainingError, match="1 of 8 actions of an update failed by our own"):
        replace(practice, stagehand=hand).run()


def test_an_option_that_episodes_cannot_have_is_refused() -> None:
    with pytest.raises(UsageError, match=r"rl.mode is 'whole'; it is step or episode"):
        StepwiseConfig(mode="whole")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"set it to none, or rl.mode to step"):
        StepwiseConfig(mode="episode", evolve_every=2)
    with pytest.raises(UsageError, match=r"rl.ppo.gamma and rl.ppo.lam to 1"):
        StepwiseConfig(mode="episode", algorithm="ppo", ppo=PPOConfig(lam=0.9))
    with pytest.raises(UsageError, match=r"rl.episode_steps is 0"):
        StepwiseConfig(mode="episode", episode_steps=0)
    assert StepwiseConfig(mode="step", algorithm="ppo", ppo=PPOConfig(lam=0.9)).mode == "step"
