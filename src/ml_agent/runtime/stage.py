"""What every attempt needs and none owns: boxes, experiments, prompts, versions."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from ml_agent.agents import Reply
from ml_agent.compute import Batch, Cores, Scheduler
from ml_agent.core.actions import NEEDS_CODER
from ml_agent.core.records import Step, Task
from ml_agent.env import COMPACT_ACTIONS, Coder, Env, Experiments, PromptStyle
from ml_agent.sandbox import Sandbox
from ml_agent.tasks import PreparedTask

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Stagehand:
    """Makes environments, all of one kind."""

    box: Callable[[PreparedTask], Sandbox]
    """Makes an empty box with a task's data in it."""
    experiments: Experiments
    style: PromptStyle = "compact"
    offered: Collection[str] = COMPACT_ACTIONS
    coder: Coder | None = None
    """Carries out the actions that need one; None: they cannot be offered."""
    versions: dict[str, str] = field(default_factory=dict)
    """Stands in every trajectory."""
    scheduler: Scheduler = field(default_factory=Scheduler)
    """Says when and on which cores an experiment runs."""

    def env(self, prepared: PreparedTask) -> Env:
        """A fresh environment; its box is closed by whoever asked for it."""
        return Env(
            prepared,
            self.box(prepared),
            self.experiments,
            offered=self.offered,
            coder=self.coder,
        )


def submit(
    running: Batch[T],
    reply: Reply,
    task: Task,
    *,
    ask: Callable[[], S],
    carry_out: Callable[[S | None, Cores], T],
) -> None:
    """Have a reply carried out in a batch.

    Args:
        running: The batch.
        reply: What is carried out.
        task: At which it was said.
        ask: Asks the coder, where the reply needs one: before a place among the experiments is
            taken for it.
        carry_out: Is given what came of that, or None.
    """
    limits = task.budget.experiment
    if reply.action is not None and reply.action.kind in NEEDS_CODER:
        running.submit_after(ask, carry_out, task=task.id, limits=limits)
    else:
        running.submit(partial(carry_out, None), task=task.id, limits=limits)


def take(
    env: Env,
    reply: Reply,
    prompt: tuple[int, ...],
    *,
    cores: Collection[int] = (),
    said: str | None = None,
) -> tuple[Step, bool]:
    """Carry out one reply; returns the step as recorded and whether the agent ended the attempt.

    Args:
        env: The workspace.
        reply: What the agent said.
        prompt: What it saw, for the record.
        cores: Where its experiment runs; none: on any core.
        said: What the coder says to it, as `Env.ask` returned it; None: it is asked if need be.

    Raises:
        MLAgentError: Our machinery failed. What the script does is in the step.
    """
    step = Step(
        prompt=prompt, completion=reply.completion, action=reply.action, invalid=reply.invalid
    )
    if reply.action is None:
        told = f"Invalid action: {reply.invalid}."
        return step.model_copy(update={"observation": told}), False
    outcome = env.step(reply.action, cores=cores, said=said)
    facts = {
        "action": None if outcome.invalid else reply.action,
        "invalid": outcome.invalid,
        "execution": outcome.execution,
        "score": outcome.score,
        "malformed": outcome.malformed,
        "submission": outcome.submission,
        "observation": outcome.observation,
        "script": outcome.script,
        "workspace": outcome.workspace,
    }
    return step.model_copy(update=facts), outcome.done
