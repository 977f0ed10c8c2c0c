"""A judge: a language model that is asked about edits in which the environment found no error.

STeP (arXiv 2505.20023) lets its teacher judge every step. Deviation: what the environment knows to
be an error needs no judge, and what changes nothing is not worth its price. It is shown one edit at
a time, with all that the agent saw and what came of it; its verdict is kept beside the step.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ml_agent.core.errors import ModelError
from ml_agent.core.records import Completion, Message, Task, Trajectory
from ml_agent.env.experiments import format_score
from ml_agent.rewards import Case, case_of
from ml_agent.store import Judgement
from ml_agent.train.failures import in_turn
from ml_agent.train.marks import Mark, mark_of
from ml_agent.train.reflection import error_of

Ask = Callable[[Sequence[Sequence[Message]]], Sequence[Completion | ModelError]]
"""Answers to prompts, in their order; an error where one could not be answered."""

AT_ONCE = 32
"""Questions between two writes: a stop loses no verdict that is older than these."""

_QUESTION = """\
An agent improves a machine-learning script step by step. Judge its last step, and that alone.

<seen>
{seen}
</seen>

<step>
{step}
</step>

<outcome>
{outcome}
</outcome>

The step is an ERROR if it trains or selects on data it must not use, breaks what the task asks \
for, does something else than it says, or repeats what is known to bring nothing. A sound try that \
brings little or nothing is FINE. Answer with one line: FINE, or ERROR: and the reason in one \
sentence, said to the agent."""

_VERDICT = re.compile(
    r"^\W*(fine|error)\W*$|^\W*(fine|error)\W*?[:.\u2014-]\W*\s(.+)$", re.IGNORECASE
)


@dataclass(frozen=True)
class Doubtful:
    """A step for a judge, wherever it was recorded."""

    question: tuple[Message, ...]
    places: tuple[tuple[str, int], ...]
    """Ids of trajectories and the step's place in each: the same reply to the same prompt, with the
    same outcome."""
    ok: bool | None
    """What the judge has said of it before; None: it was not asked, or said neither."""


@dataclass(frozen=True)
class Judged:
    """What a judge has said of some steps."""

    judgements: tuple[Judgement, ...]
    """One for each place; a step that was recorded twice has two."""
    fine: int
    errors: int
    unclear: int
    """Steps of which it could not be asked, or said neither."""


def doubtful(trajectories: Iterable[Trajectory], tasks: Mapping[str, Task]) -> list[Doubtful]:
    """Edits without an error that the environment can tell, each distinct one once, tasks in turn.

    Args:
        trajectories: What was recorded; broken and cut-off attempts are passed over.
        tasks: Theirs by id.
    """
    by_task: dict[str, dict[str, Doubtful]] = defaultdict(dict)
    for one in trajectories:
        if not one.whole:
            continue
        task, found = tasks[one.task], by_task[one.task]
        for t, step in enumerate(one.steps):
            if case_of(step) is not Case.EDIT or mark_of(task, one, t) not in {None, Mark.JUDGED}:
                continue
            question = _question(task, one, t)
            before = found.get(question.text)
            # Of the same edit in two places only one may have been judged.
            known = before.ok if before and step.step_ok is None else step.step_ok
            places = (*(before.places if before else ()), (one.id, t))
            found[question.text] = Doubtful((question,), places, known)
    return in_turn([list(found.values()) for _, found in sorted(by_task.items())])


def corrections(reflected: Iterable[Trajectory], tasks: Mapping[str, Task]) -> list[Doubtful]:
    """The last edits of trajectories of reflection whose error a judge alone saw.

    Args:
        reflected: As recorded.
        tasks: By id.
    """
    found = []
    for one in reflected:
        if not one.whole:
            continue
        task, error, last = tasks[one.task], error_of(one), len(one.steps) - 1
        if last == error or case_of(one.steps[last]) is not Case.EDIT:
            continue
        if mark_of(task, one, error) is Mark.JUDGED:
            question = (_question(task, one, last),)
            found.append(Doubtful(question, ((one.id, last),), one.steps[last].step_ok))
    return found


def judge(steps: Sequence[Doubtful], ask: Ask, *, name: str) -> Iterator[Judged]:
    """Have steps judged, some at a time; what is yielded is to be recorded before the next.

    Args:
        steps: Which.
        ask: Puts questions to the judge.
        name: The judge's.

    Raises:
        ModelError: It answered none of the questions that were put together.
        EndsRun: It can be asked no more.
    """
    for start in range(0, len(steps), AT_ONCE):
        part = steps[start : start + AT_ONCE]
        answers = ask([one.question for one in part])
        silent = [said for said in answers if isinstance(said, ModelError)]
        # A few left over at the end may all be unlucky, which is no word on the endpoint.
        if len(silent) == len(part) and (not start or len(part) == AT_ONCE):
            raise silent[0]
        verdicts = [
            None if isinstance(said, ModelError) else read_verdict(said) for said in answers
        ]
        found = [(one, said) for one, said in zip(part, verdicts, strict=True) if said is not None]
        errors = sum(not ok for _, (ok, _) in found)
        yield Judged(
            judgements=tuple(
                Judgement(trajectory=place, t=t, ok=ok, reason=reason, judge=name)
                for one, (ok, reason) in found
                for place, t in one.places
            ),
            fine=len(found) - errors,
            errors=errors,
            unclear=len(part) - len(found),
        )


def read_verdict(said: Completion) -> tuple[bool, str] | None:
    """Whether a step is fine, and why not; None: it does not say.

    The last line that begins with a verdict counts: some judges think aloud before. An error
    without a reason says nothing that could be learned from, and counts as no verdict; likewise
    what does not end: a verdict may have been still to come, or half a reason.
    """
    if not said.finished:
        return None
    lines = [found for line in said.text.splitlines() if (found := _VERDICT.match(line))]
    if not lines:
        return None
    alone, word, reason = lines[-1].groups(default="")
    ok, reason = (alone or word).lower() == "fine", reason.strip().strip("*_").rstrip(".")
    return (ok, reason) if ok or reason else None


def _question(task: Task, trajectory: Trajectory, t: int) -> Message:
    step = trajectory.steps[t]
    before = format_score(task, trajectory.score_before(task, t))
    outcome = [f"{task.metric.name} on validation before: {before}"]
    if step.score is not None:
        outcome.append(f"after: {format_score(task, step.score)}")
    if step.observation:
        outcome.append(f"the agent is told: {step.observation}")
    asked = _QUESTION.format(
        seen="\n\n".join(one.text for one in trajectory.prompt_of(t)),
        step=step.completion.text,
        outcome="\n".join(outcome),
    )
    return Message(role="user", text=asked)
