"""Reflection: recorded errors, what was wrong with them, and corrections that were really run.

STeP (arXiv 2505.20023): a teacher reflects on a step that was an error and corrects it, the
attempt goes on from there, and a policy imitates all but the error. Deviations: the environment
marks errors (`train.marks`), not the teacher; they are those of recorded attempts, played to their
ends before; the erroneous action was executed, and the correction starts in the state it left; the
attempt ends with the correction.

What came of a correction is in the record, whether it helped or not. `is_mended` says, from facts
of the record alone, whether it is fit to be imitated.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ml_agent.agents import Agent, Reply
from ml_agent.agents.playbook import PlaybookExpert, corrected, quoted, smallest_edit
from ml_agent.agents.reflecting import AskedToReflect, Reflecting, Says
from ml_agent.core.records import Completion, Task, Trajectory
from ml_agent.core.replies import PAPER_FIELDS, format_reply
from ml_agent.env import PromptStyle, ideas_told
from ml_agent.env.experiments import format_score
from ml_agent.rewards import Case, case_of, relative_change
from ml_agent.runtime import Attempt, OnStep, Stagehand, play_batches
from ml_agent.store import Stage, Store
from ml_agent.tasks import STARTER, PreparedTask
from ml_agent.train.examples import Example, improved
from ml_agent.train.failures import ERROR, Failure, in_turn
from ml_agent.train.marks import Mark, mark_of

Reflected = Literal["none", "masked", "unmasked"]
"""Of trajectories of reflection, fine-tuning imitates: nothing; all from the error on but the error
itself, as in STeP; the error too, which is what it is compared with."""

_SHOWN_CHARS = 100
"""How much of an error message a reflection repeats: a small model imitates short replies."""


class Teacher(Protocol):
    """Who reflects and corrects."""

    def agent_for(self, failure: Failure) -> Agent | None:
        """Who goes on after an error that has been seen; None: no correction is known."""
        ...


class ModelTeacher:
    """A language model, asked with what a policy would see."""

    def __init__(self, model: Agent, *, style: PromptStyle) -> None:
        """Let `model` reflect and correct."""
        self._model = model
        self._style: PromptStyle = style
        # One for all: requests of all attempts are sent together.
        self._agent = Reflecting(AskedToReflect(model, style=style), style=style)

    def agent_for(self, failure: Failure) -> Agent:
        """The same for every error, but for those that only a judge can name."""
        if failure.mark is not Mark.JUDGED:
            return self._agent
        told = AskedToReflect(self._model, style=self._style, verdict=failure.step.verdict)
        return Reflecting(told, style=self._style)


class PlaybookTeacher:
    """No language model: the environment's own words, and the playbook's repairs and ideas."""

    policy = PlaybookExpert.policy

    def __init__(
        self,
        tasks: Mapping[str, Task],
        helped: Mapping[str, Sequence[str]],
        source: Callable[[str, str], str | None],
        *,
        style: PromptStyle,
    ) -> None:
        """Make a teacher.

        Args:
            tasks: By id.
            helped: Ids of the ideas that helped on each task, best first.
            source: The text of a script in a recorded workspace, by that one's digest and its own
                name; None: it is not there or not text.
            style: Of prompts: which fields a reply has.
        """
        self._tasks = tasks
        self._helped = helped
        self._source = source
        self._style: PromptStyle = style

    def agent_for(self, failure: Failure) -> Agent | None:
        """One that says what is to be said of this error."""
        past, last = failure.past, len(failure.past.steps) - 1
        task = self._tasks[past.task]
        scripts = [step.script for step in past.steps if step.script]
        script = scripts[-1] if scripts else STARTER
        before = self._source(past.workspace_before(last), script)
        now = self._source(past.workspace_before(last + 1), script)
        if before is None or now is None:
            return None
        if _failed_before(past):
            before = now
        new = corrected(
            error=_last_line(failure),
            before=before,
            now=now,
            helped=self._helped.get(past.task, ()),
            domain=task.domain,
        )
        if new is None:
            return None
        edit = smallest_edit(now, new, script, script)
        said, change = what_went_wrong(task, failure), f"I change:\n{quoted(edit, now)}"
        fields = {"Thought": f"{said} {change}"}
        if self._style == "paper":
            plain = dict.fromkeys(PAPER_FIELDS, "The outcome of the last step is what is known.")
            plan = "Correct the error first, then go on."
            fields = plain | {
                "Reflection": said,
                "Research Plan and Status": plan,
                "Thought": change,
            }
        completion = Completion(text=format_reply(edit, fields=fields), policy=self.policy)
        reply = Reply(completion=completion, action=edit)
        return Reflecting(Says(reply), style=self._style)


def what_went_wrong(task: Task, failure: Failure) -> str:
    """An error in a sentence, from what the agent was told of it."""
    step = failure.step
    match failure.mark:
        case Mark.JUDGED:
            return f"A judge says of my change: {_short(step.verdict or '')}."
        case Mark.INVALID:
            return f"My last reply was no valid action: {_short(step.invalid or '')}."
        case Mark.CRASH:
            return f"The run crashed with {_short(_last_line(failure) or 'an error')}."
        case Mark.LIMIT:
            limit = step.execution.killed_by if step.execution else "time"
            return f"The run met the {limit} limit, so my change costs too much."
        case Mark.MALFORMED:
            return f"The run left no score: {_short(step.malformed or '')}."
        case Mark.WORSE:
            score = format_score(task, step.score) if step.score is not None else "worse"
            return f"The {task.metric.name} is {score} now, which is worse, so I change that."


def helpful_ideas(
    trajectories: Iterable[Trajectory], tasks: Mapping[str, Task]
) -> dict[str, list[str]]:
    """By task, ids of the playbook's ideas that made its score better at once, best first."""
    gains: dict[str, dict[str, float]] = defaultdict(dict)
    for one in trajectories:
        ours = one.whole and one.policy == PlaybookTeacher.policy
        if ours and one.steps and one.ideas:
            task, idea = tasks[one.task], one.ideas[0]
            if improved(task, one, 0) and one.steps[0].step_ok is not False:
                gain = relative_change(task, one, 0)
                gains[one.task][idea] = max(gain, gains[one.task].get(idea, gain))
    return {task: sorted(found, key=lambda name: -found[name]) for task, found in gains.items()}


@dataclass(frozen=True, kw_only=True)
class Reflections:
    """What there is to do."""

    attempts: tuple[Attempt, ...]
    """Not played yet."""
    played: int
    """Failures that have been reflected on before."""
    unknown: int
    """For which the teacher knows no correction."""


def plan_reflections(
    failures: Sequence[Failure],
    teacher: Teacher,
    tasks: Mapping[str, PreparedTask],
    store: Store,
    *,
    style: PromptStyle,
) -> Reflections:
    """An attempt for every failure that has none yet.

    One that a kill cut off, or our own failure broke, is forgotten and planned again.

    Args:
        failures: Each distinct one once.
        teacher: Who corrects.
        tasks: Prepared tasks by id.
        store: Where played ones are.
        style: Of prompts.
    """
    store.discard_unfinished(Stage.REFLECT)
    done = {one.id for one in store.begun(Stage.REFLECT)}
    missing = [one for one in failures if one.id not in done]
    agents = [(one, teacher.agent_for(one)) for one in missing]
    attempts = [
        Attempt(
            prepared=tasks[failure.past.task],
            agent=agent,
            seed=failure.past.seed,
            ideas=failure.past.ideas,
            # In the other style every prompt holds all messages, so they stand in it anyway.
            idea_texts=ideas_told(failure.past.prompt_of(0)) if style == "compact" else (),
            past=failure.past,
            id=failure.id,
            ends_after=len(failure.past.steps) + (2 if failure.unseen else 1),
        )
        for failure, agent in agents
        if agent is not None
    ]
    return Reflections(
        attempts=tuple(attempts),
        played=len(failures) - len(missing),
        unknown=len(missing) - len(attempts),
    )


def reflect(
    attempts: Sequence[Attempt],
    stagehand: Stagehand,
    store: Store,
    *,
    well_before: int = 0,
    on_step: OnStep = lambda _: None,
) -> None:
    """Play what was planned: what an unseen error did, and its correction, both for real.

    Args:
        attempts: As planned.
        stagehand: Boxes and experiments.
        store: Every step is in it before the next one begins.
        well_before: How many of the same plan ended well in an earlier call.
        on_step: Told of every step.

    Raises:
        MLAgentError: Too many attempts broke by our own fault.
        EndsRun: Every further attempt would fail too.
    """
    for _ in play_batches(
        attempts, stagehand, store, Stage.REFLECT, well_before=well_before, on_step=on_step
    ):
        pass  # What was played is in the store.


def error_of(reflected: Trajectory) -> int:
    """Place of the step that a trajectory of reflection corrects.

    Raises:
        ValueError: It is no such trajectory.
    """
    roles = [step.role for step in reflected.steps]
    return len(roles) - 1 - roles[::-1].index(ERROR)


def is_mended(task: Task, reflected: Trajectory) -> bool:
    """Whether a correction is fit to be imitated.

    It is an edit whose script ran, was graded, and scored better than the error did; or, where that
    had no score, no worse than what was known before. Where a judge alone saw the error, its score
    says nothing: then the judge must find the correction fine, and the score be no worse than what
    was known before the error.
    """
    if not reflected.whole:
        return False
    t, last = error_of(reflected), len(reflected.steps) - 1
    if last == t:
        return False
    correction = reflected.steps[last]
    if case_of(correction) is not Case.EDIT or correction.score is None:
        return False
    if mark_of(task, reflected, t) is Mark.JUDGED:
        change = correction.score - reflected.score_before(task, t)
        return correction.step_ok is True and task.metric.sign * change >= 0
    if mark_of(task, reflected, last):
        return False
    scored = reflected.steps[t].score is not None
    return not scored or relative_change(task, reflected, last) > 0


def as_imitated(reflected: Trajectory, *, masked: bool) -> Trajectory:
    """The trajectory with every step judged: what is imitated, and what is context.

    The steps before the error are context: what of them is worth imitating is imitated where it
    was recorded. After it come the run that shows it, and reflection with correction.

    Args:
        reflected: A trajectory that `is_mended`.
        masked: Whether the error itself is context too.
    """
    error = error_of(reflected)
    steps = [
        step.model_copy(update={"step_ok": t > error or (t == error and not masked)})
        for t, step in enumerate(reflected.steps)
    ]
    return reflected.model_copy(update={"steps": tuple(steps)})


def fit_to_imitate(
    reflected: Iterable[Trajectory],
    tasks: Mapping[str, Task],
    *,
    longest: int | None = None,
    at_most: int | None = None,
) -> list[Trajectory]:
    """The trajectories of reflection that are imitated.

    Args:
        reflected: As recorded.
        tasks: By id.
        longest: Characters an answer may have; a trajectory with a longer one from the error on is
            left out, whether the error is imitated or not. None: any number.
        at_most: How many, evenly over tasks; None: all.
    """
    by_task: dict[str, list[Trajectory]] = defaultdict(list)
    for one in reflected:
        if is_mended(tasks[one.task], one) and _is_short(one, longest):
            by_task[one.task].append(one)
    return in_turn(list(by_task.values()))[:at_most]


def reflected_examples(chosen: Sequence[Trajectory], *, masked: bool = True) -> list[Example]:
    """What is imitated of trajectories of reflection, each distinct step once.

    What is context in one may be imitated in another: the second error of an attempt has the first
    before it.

    Args:
        chosen: Those that are `fit_to_imitate`.
        masked: Whether errors are context alone.
    """
    examples = (
        Example(task=one.task, prompt=one.prompt_of(t), reply=step.completion.text)
        for one in (as_imitated(played, masked=masked) for played in chosen)
        for t, step in enumerate(one.steps)
        if step.step_ok
    )
    return list(dict.fromkeys(examples))


def without_errors(examples: Iterable[Example], chosen: Sequence[Trajectory]) -> list[Example]:
    """Examples but for the errors that trajectories of reflection correct.

    A filter that keeps every recorded step would have them imitated where they were made.

    Args:
        examples: What is imitated of the collection.
        chosen: Those that are `fit_to_imitate`.
    """
    errors = set()
    for one in chosen:
        t = error_of(one)
        errors.add((one.prompt_of(t), one.steps[t].completion.text))
    return [one for one in examples if (one.prompt, one.reply) not in errors]


def _is_short(reflected: Trajectory, longest: int | None) -> bool:
    said = [step.completion.text for step in reflected.steps[error_of(reflected) :]]
    return longest is None or max(map(len, said)) <= longest


def _failed_before(past: Trajectory) -> bool:
    """Whether the script had no score before the error either: nothing to go back to."""
    ran = [step for step in past.steps[:-1] if step.execution is not None]
    return bool(ran) and ran[-1].score is None


def _last_line(failure: Failure) -> str | None:
    """The last line of what a crash printed; None: nothing crashed."""
    ran = failure.step.execution
    if failure.mark is not Mark.CRASH or ran is None:
        return None
    lines = [line.strip() for line in ran.output.splitlines() if line.strip()]
    return lines[-1] if lines else None


def _short(text: str) -> str:
    # Where a package lies says nothing, and is elsewhere on every machine.
    text = " ".join(re.sub(r" \(/[^)]*\)", "", text).split()).rstrip(".")
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS].rstrip()}..."
