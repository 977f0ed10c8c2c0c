"""Which steps were errors, and labels that keep them as context without imitating them.

STeP (arXiv 2505.20023): L = -sum_t d_t log pi(a_t | s_t), d_t = 0 for a step that was an error. The
policy sees it, and what came of it, in the prompts of later steps, and is not trained to repeat it.
Deviation: the paper's teacher is a language model; here the environment tells, with facts of the
record alone. A judge (`train.judging`) may find errors where the environment finds none; what it
says stands in `Step.step_ok`, and nothing here overrules it.

The same loss in two forms: `examples_from` gives one example a step, and passes over errors;
`labelled` gives whole conversations with a label for every token, as other trainers read them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ml_agent.core.records import Step, Task, Trajectory
from ml_agent.rewards import Case, case_of, relative_change

if TYPE_CHECKING:
    from ml_agent.models.chat import Chat

IGNORED = -100
"""The label of a token that carries no loss, for torch and all that is built on it."""


class Mark(StrEnum):
    """Why a step was an error."""

    INVALID = "invalid"
    """It held no valid action."""
    CRASH = "crash"
    """The script ended with an error."""
    LIMIT = "limit"
    """The script met a limit: time, memory, disk or processes."""
    MALFORMED = "malformed"
    """The script ran, and left no predictions or some that cannot be graded."""
    WORSE = "worse"
    """The edit made the score worse."""
    JUDGED = "judged"
    """A judge found an error where the environment can tell none."""


def mark_of(task: Task, trajectory: Trajectory, t: int) -> Mark | None:
    """What was wrong with step `t`; None: nothing that the environment or a judge could tell."""
    step = trajectory.steps[t]
    match case_of(step):
        case Case.INVALID:
            return Mark.INVALID
        case Case.CORNER:
            return Mark.LIMIT
        case Case.ERROR:
            ran = step.execution
            return Mark.CRASH if ran is not None and ran.exit_code != 0 else Mark.MALFORMED
        case Case.EDIT if relative_change(task, trajectory, t) < 0:
            return Mark.WORSE
    return Mark.JUDGED if step.step_ok is False else None


def marked(task: Task, trajectory: Trajectory) -> Trajectory:
    """The trajectory with `step_ok` set where nobody has judged before.

    It stays None where our own failure left nothing to judge by.
    """
    steps = tuple(_judged(task, trajectory, t, step) for t, step in enumerate(trajectory.steps))
    return trajectory.model_copy(update={"steps": steps})


def _judged(task: Task, trajectory: Trajectory, t: int, step: Step) -> Step:
    if step.step_ok is not None or case_of(step) is Case.UNKNOWN:
        return step
    return step.model_copy(update={"step_ok": mark_of(task, trajectory, t) is None})


@dataclass(frozen=True)
class Labelled:
    """A conversation in tokens, of which some are imitated."""

    ids: tuple[int, ...]
    labels: tuple[int, ...]
    """[T] as long as `ids`: the token itself where it carries loss, else `IGNORED`."""


def labelled(chat: "Chat", trajectory: Trajectory) -> list[Labelled]:
    """A trajectory as conversations whose answers are imitated, but for steps that were errors.

    A step stands in the conversation of the one before it if its prompt goes on, token for token,
    where that one's answer ended; else it begins another. So prompts that tell everything anew make
    a conversation each. Those in which nothing is imitated are left out.

    Args:
        chat: How a conversation becomes tokens; an answer ends with the end of its turn.
        trajectory: Steps whose `step_ok` is False are context alone.
    """
    found: list[tuple[list[int], list[int]]] = []
    for t, step in enumerate(trajectory.steps):
        prompt = chat.prompt_ids(trajectory.prompt_of(t))
        if not found or list(prompt[: len(found[-1][0])]) != found[-1][0]:
            found.append(([], []))
        ids, labels = found[-1]
        before = prompt[len(ids) :]
        answer = chat.completion_ids(step.completion.text)
        ids += [*before, *answer]
        labels += [IGNORED] * len(before)
        labels += [IGNORED] * len(answer) if step.step_ok is False else answer
    return [
        Labelled(tuple(ids), tuple(labels))
        for ids, labels in found
        if any(label != IGNORED for label in labels)
    ]
