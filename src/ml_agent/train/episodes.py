"""Episode mode, with which step-wise practice is compared: whole attempts, the same reward summed.

A state that is drawn is the beginning of a recorded attempt; the policy goes on from there to the
end, several times. The attempts at one task are a group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ml_agent.agents import Agent
from ml_agent.core.records import Completion, Step, Trajectory
from ml_agent.rewards import Reward
from ml_agent.runtime import Attempt, Stagehand, State, rollouts
from ml_agent.store import Sample, Stage, Store
from ml_agent.tasks import PreparedTask


def play(
    states: Sequence[State],
    agent: Agent,
    tasks: Mapping[str, PreparedTask],
    stagehand: Stagehand,
    store: Store,
    *,
    attempts: int,
    steps: int,
    seed: int,
) -> list[Trajectory]:
    """Play attempts from each state's beginning, in order; what this policy played is dropped.

    That was for an update that a kill cut off; its other attempts would not be the same again.

    Args:
        states: Beginnings of recorded attempts: which task is played, and in what workspace.
        agent: The policy as it is now.
        tasks: Prepared tasks by id.
        stagehand: Boxes and experiments.
        store: Every step is in it before the next one begins.
        attempts: How many there are for each state.
        steps: How many steps one may take.
        seed: Of the first one; the others have those that follow.

    Raises:
        EndsRun: Nothing further can be tried, as when no space is left.
    """
    store.discard_attempts(Stage.PRACTICE, policy=agent.policy)
    begins = [state.trajectory for state in states for _ in range(attempts)]
    planned = [
        Attempt(
            prepared=_as_begun(tasks[begin.task], begin),
            agent=agent,
            seed=seed + number,
            ends_after=steps,
            workspace=begin.workspace,
        )
        for number, begin in enumerate(begins)
    ]
    # How many may break is judged for the whole update, by rl.broken_at_most.
    return rollouts(planned, stagehand, store, Stage.PRACTICE, broken_at_most=1.0)


def _as_begun(prepared: PreparedTask, begin: Trajectory) -> PreparedTask:
    """The task as the attempt saw it, which may have gone on from another script."""
    if begin.m_init is None:
        return prepared
    task = prepared.task.model_copy(update={"m_init": begin.m_init})
    return replace(prepared, task=task)


def samples_of(
    played: Sequence[Trajectory], tasks: Mapping[str, PreparedTask], reward: Reward, *, update: int
) -> list[Sample]:
    """Every step of attempts as a sample, and in a broken one the step that could not be taken.

    Args:
        played: Attempts that have ended.
        tasks: Prepared tasks by id.
        reward: What a step was worth.
        update: Which one they were played for.
    """
    samples = []
    for one in played:
        task = tasks[one.task].task
        samples += [
            Sample(update=update, trajectory=one.id, t=t, step=step, reward=reward(task, one, t))
            for t, step in enumerate(one.steps)
        ]
        if one.failure is not None:
            nothing = Completion(text="", policy=one.policy)
            lost = Step(prompt=(), completion=nothing, action=None, invalid="our failure")
            samples.append(
                Sample(
                    update=update,
                    trajectory=one.id,
                    t=len(one.steps),
                    step=lost,
                    reward=None,
                    failure=one.failure,
                )
            )
    return samples
