"""Play a policy on tasks it never saw, and judge every attempt on the test split."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from ml_agent.agents import Agent
from ml_agent.core.records import Trajectory
from ml_agent.evals.results import AttemptResult, measure
from ml_agent.runtime import Attempt, Stagehand, rollouts
from ml_agent.store import Stage, Store
from ml_agent.tasks import Grader, PreparedTask
from ml_agent.tasks.test_split import Baselines, grade_baselines, grade_test

_APART = 10_000
"""Between the attempts of a task by one seed and by the next: more than anybody plays."""


def play(
    agent: Agent,
    tasks: Sequence[PreparedTask],
    stagehand: Stagehand,
    store: Store,
    *,
    attempts_per_task: int,
    steps: int,
    seed: int,
    on_step: Callable[[Trajectory], None] = lambda _: None,
) -> list[Trajectory]:
    """Play what is not recorded yet; returns all of this policy's attempts on these tasks.

    Seeds are the same for every policy, so that policies are compared pairwise, and others for
    another `seed`, so that nothing is counted twice where runs are pooled. An attempt that a
    kill cut off, or our own failure broke, is forgotten and played again.

    Raises:
        MLAgentError: Too many attempts broke by our own fault.
    """
    store.discard_unfinished(Stage.EVAL, policy=agent.policy)
    known = {(one.task, one.seed) for one in store.select(stage=Stage.EVAL, policy=agent.policy)}
    seeds = [_APART * seed + number for number in range(attempts_per_task)]
    missing = [
        # Not told how soon we look away: prompts are as those that policies learned from.
        Attempt(prepared=prepared, agent=agent, seed=own, ends_after=steps)
        for own in seeds
        for prepared in tasks
        if (prepared.task.id, own) not in known
    ]
    rollouts(missing, stagehand, store, Stage.EVAL, on_step=on_step)
    played = store.select(stage=Stage.EVAL, policy=agent.policy)
    return [one for one in played if one.seed in seeds]


def judge(
    trajectories: Iterable[Trajectory],
    tasks: Mapping[str, PreparedTask],
    grader: Grader,
    submission: Callable[[str], bytes],
) -> list[AttemptResult]:
    """The test split's verdict on every attempt.

    Args:
        trajectories: Finished attempts.
        tasks: Prepared tasks by id.
        grader: Grades predictions outside the box.
        submission: Bytes of a predictions file by its digest.
    """
    scales: dict[str, Baselines] = {}
    results = []
    for trajectory in trajectories:
        prepared = tasks[trajectory.task]
        if trajectory.task not in scales:
            scales[trajectory.task] = grade_baselines(grader, prepared)
        scale = scales[trajectory.task]
        results.append(
            measure(
                prepared.task,
                trajectory,
                test_score=lambda found, task=prepared: grade_test(grader, task, found),  # type: ignore[misc]
                submission=submission,
                starter_test=scale.starter.value,
                reference_test=scale.reference.value,
            )
        )
    return results
