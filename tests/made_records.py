"""Tasks, steps and trajectories written by hand, for tests that run nothing."""

from collections.abc import Sequence
from typing import Any

from ml_agent.core.actions import Action, EditScript, ExecuteScript
from ml_agent.core.records import (
    Completion,
    Domain,
    End,
    Execution,
    Message,
    Metric,
    SplitDigests,
    Step,
    Task,
    Trajectory,
)

EDIT = EditScript(
    script_name="train.py",
    start_line_number=1,
    end_line_number=1,
    new_code="",
    save_name="train.py",
)
RUN = ExecuteScript(script_name="train.py")
RAN = Execution(exit_code=0, output="", wall_s=1.0, cpu_s=1.0)
CRASHED = RAN.model_copy(update={"exit_code": 1})
TIMED_OUT = RAN.model_copy(update={"exit_code": None, "killed_by": "time"})


def made_task(
    name: str = "toy", *, m_init: float = 0.5, m_best: float = 1.0, higher: bool = True
) -> Task:
    return Task(
        id=name,
        domain=Domain.TEXT,
        statement="",
        metric=Metric(name="m", higher_is_better=higher),
        m_init=m_init,
        m_best=m_best,
        splits=SplitDigests(public="", valid="", test=""),
    )


def made_step(
    action: Action | None = EDIT,
    execution: Execution | None = RAN,
    score: float | None = None,
    *,
    text: str = "",
    prompt: tuple[int, ...] = (0,),
    **facts: Any,
) -> Step:
    return Step(
        prompt=prompt,
        completion=Completion(text=text, policy="p"),
        action=action,
        execution=execution,
        score=score,
        **facts,
    )


def made_trajectory(
    steps: Sequence[Step],
    *,
    task: str = "toy",
    name: str = "one",
    messages: Sequence[tuple[str, str]] = (),
    end: End | None = End.SUBMITTED,
) -> Trajectory:
    """A trajectory.

    Args:
        steps: Its steps, in order.
        task: Of which task, by id.
        name: Its id.
        messages: Roles and texts.
        end: How it ended; None: it did not.
    """
    return Trajectory(
        id=name,
        task=task,
        seed=0,
        policy="p",
        versions={},
        workspace="w",
        messages=tuple(Message(role=role, text=text) for role, text in messages),
        steps=tuple(steps),
        end=end,
    )
