"""Take one recorded step again: what step-wise training does.

A state is a place in a recorded trajectory: what the policy saw there, and the workspace it stood
in. Any box restores it, so the same state can be tried by many actions at once.
"""

from collections.abc import Collection
from dataclasses import dataclass

from ml_agent.agents import Reply
from ml_agent.core.records import Message, Step, Trajectory
from ml_agent.runtime.stage import Stagehand, take
from ml_agent.tasks import PreparedTask


@dataclass(frozen=True)
class State:
    """Step `t` of a trajectory, before it was taken."""

    trajectory: Trajectory
    t: int

    @property
    def prompt(self) -> tuple[Message, ...]:
        """What the policy saw."""
        return self.trajectory.prompt_of(self.t)

    def followed_by(self, step: Step) -> Trajectory:
        """The trajectory up to this state, then another step: what a reward looks at."""
        steps = (*self.trajectory.steps[: self.t], step)
        return self.trajectory.model_copy(update={"steps": steps, "end": None})


def ask_coder(
    state: State, reply: Reply, prepared: PreparedTask, stagehand: Stagehand
) -> str | None:
    """What the coder says to another reply in a recorded state: for `retry`.

    Returns:
        None: It is not asked.

    Raises:
        MLAgentError: Our machinery failed; the action has no reward then.
    """
    if reply.action is None:
        return None
    env = stagehand.env(prepared)
    try:
        env.start(state.trajectory.workspace_before(state.t))
        return env.ask(reply.action)
    finally:
        env.close()


def retry(
    state: State,
    reply: Reply,
    prepared: PreparedTask,
    stagehand: Stagehand,
    *,
    cores: Collection[int] = (),
    said: str | None = None,
) -> Step:
    """Carry out another reply in a recorded state, its experiment on `cores` (none: on any).

    Args:
        state: Where.
        reply: What is carried out.
        prepared: The task.
        stagehand: Boxes and experiments.
        cores: Of the experiment.
        said: What `ask_coder` returned; None: the coder is asked now, if need be.

    Raises:
        MLAgentError: Our machinery failed; the action has no reward then.
    """
    env = stagehand.env(prepared)
    try:
        env.start(state.trajectory.workspace_before(state.t))
        step, _ = take(env, reply, state.trajectory.steps[state.t].prompt, cores=cores, said=said)
        return step
    finally:
        env.close()
