"""The errors that a run has recorded, each with a reflection and a correction: what there is."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain

from ml_agent.cli.experts import expert_agent
from ml_agent.cli.playing import prepared_tasks, told_ends
from ml_agent.cli.progress import progress
from ml_agent.cli.session import Session
from ml_agent.core.base import Record
from ml_agent.core.errors import ModelError, TrainingError, UsageError
from ml_agent.core.records import Completion, Message, Task, Trajectory
from ml_agent.models import Sampling
from ml_agent.models.http import HttpModel
from ml_agent.store import Sample, Stage, Store
from ml_agent.train.failures import distinct, failed_samples, failures_in
from ml_agent.train.judging import Doubtful, corrections, doubtful, judge
from ml_agent.train.marks import Mark, mark_of
from ml_agent.train.reflection import (
    ModelTeacher,
    PlaybookTeacher,
    Teacher,
    error_of,
    fit_to_imitate,
    helpful_ideas,
    is_mended,
    plan_reflections,
    reflect,
)


class Tally(Record):
    """What came of the errors of one kind."""

    played: int
    """Corrections that were run."""
    mended: int
    """Of those, the ones that are fit to be imitated."""


class Verdicts(Record):
    """What a judge said of edits in which the environment found no error, in all calls."""

    fine: int = 0
    errors: int = 0
    unclear: int = 0
    """It said neither, or could not be asked; the latter are asked again by the next call."""


class Account(Record):
    """What came of all of them, in all calls together."""

    failed_steps: int
    """Distinct ones that were to be reflected on."""
    unknown: int
    """For which the teacher knew no correction."""
    by_mark: dict[Mark, Tally]
    """What there is in the record, by what was wrong."""
    imitated: int
    """Of those that are better, how many this run's fine-tuning imitates."""
    judged: Verdicts | None
    """None: no judge was asked."""


def reflect_stage(
    session: Session, *, at_most: int | None = None, judged: int | None = None
) -> Account:
    """Correct what failed in collection and practice, as far as it is not done.

    Args:
        session: Its exchange, if there is one, is with the teacher its recipe's expert names.
        at_most: How many distinct failed steps, in all calls together; None: all.
        judged: About how many distinct edits a judge is asked first, by the session's exchange, in
            all calls together, and about the corrections of those it calls errors; None: no judge.

    Raises:
        UsageError: Nothing was collected.
        TrainingError: No step has failed, and no judge was asked.
        MLAgentError: Too many attempts broke by our own fault.
    """
    recipe, store = session.recipe, session.store
    if not any(one.end for one in store.begun(Stage.COLLECT)):
        raise UsageError(
            f"{session.run.path} has collected nothing yet: run `ml-agent collect` for it first"
        )
    prepared = prepared_tasks(session, tuple(filter(recipe.imitates, recipe.train_tasks)))
    tasks = {name: one.task for name, one in prepared.items()}
    verdicts = None
    if judged is not None:
        chosen = doubtful(_collected(store, tasks), tasks)[:judged]
        verdicts = _judge(session, chosen, "judging")
    failed = distinct(
        chain(
            failures_in(_collected(store, tasks), tasks),
            failed_samples(_practised(store, tasks), store.get, tasks),
        ),
        at_most=at_most,
    )
    if not failed and verdicts is None:
        raise TrainingError(
            "no recorded step has failed, so there is nothing to reflect on. Collect more "
            "attempts, or practise first."
        )
    teacher = _teacher(session, tasks)
    planned = plan_reflections(failed, teacher, prepared, store, style=recipe.style)
    with (
        progress("reflecting", len(failed) - planned.unknown) as bar,
        told_ends(bar, session) as on_step,
    ):
        bar.advance(by=planned.played)
        reflect(
            planned.attempts,
            session.stagehand,
            store,
            well_before=planned.played,
            on_step=on_step,
        )
    if verdicts is not None:
        corrected = corrections(store.select(stage=Stage.REFLECT), tasks)
        _judge(session, corrected, "judging corrections")
    fit = fit_to_imitate(
        store.select(stage=Stage.REFLECT),
        tasks,
        longest=recipe.imitate_longest,
        at_most=recipe.imitate_corrections,
    )
    return Account(
        failed_steps=len(failed),
        unknown=planned.unknown,
        by_mark=_by_mark(store, tasks),
        imitated=0
        if recipe.imitate_reflected == "none" or session.run.is_done("sft")
        else len(fit),
        judged=verdicts,
    )


def in_words(account: Account) -> str:
    """An account in a few lines."""
    played = sum(one.played for one in account.by_mark.values())
    mended = sum(one.mended for one in account.by_mark.values())
    lines = [
        f"{account.failed_steps} failed steps, {played} corrections played: {mended} are better, "
        f"of which fine-tuning imitates {account.imitated}; {played - mended} are not"
    ]
    if (judged := account.judged) is not None:
        lines.insert(0, f"the judge found {judged.errors} errors, and {judged.fine} edits fine")
        if judged.unclear:
            lines.insert(1, f"it said neither, or nothing, of {judged.unclear}")
    if account.unknown:
        lines.append(f"no correction is known for {account.unknown}")
    rows = account.by_mark.items()
    return "\n".join([*lines, *(f"  {mark:<10} {n.mended} of {n.played}" for mark, n in rows)])


def _judge(session: Session, chosen: Sequence[Doubtful], doing: str) -> Verdicts:
    """Ask about steps that nobody has judged, and record the answers."""
    store, expert = session.store, session.recipe.expert
    if session.exchange is None:
        raise UsageError("a judge is a language model, and the session has no exchange with one")
    steps = [one for one in chosen if one.ok is None]
    model = HttpModel(session.exchange, expert.model)
    # Nothing is to be found out by a second try, and the same question has the same answer.
    sampling = Sampling(temperature=0.0, max_tokens=expert.max_tokens)

    def ask(prompts: Sequence[Sequence[Message]]) -> Sequence[Completion | ModelError]:
        return model.sample_each(prompts, sampling, seeds=[session.recipe.seed] * len(prompts))

    before = Counter(one.ok for one in chosen)
    verdicts = Verdicts(fine=before[True], errors=before[False])
    with progress(doing, len(chosen)) as bar:
        bar.advance(by=len(chosen) - len(steps))
        for said in judge(steps, ask, name=expert.model):
            store.judge(said.judgements)
            verdicts = Verdicts(
                fine=verdicts.fine + said.fine,
                errors=verdicts.errors + said.errors,
                unclear=verdicts.unclear + said.unclear,
            )
            bar.advance(by=said.fine + said.errors + said.unclear)
    return verdicts


def _collected(store: Store, tasks: Collection[str]) -> Iterator[Trajectory]:
    """Attempts at these tasks: those that are only practised on were collected too."""
    for name in sorted(tasks):
        yield from store.select(stage=Stage.COLLECT, task=name)


def _practised(store: Store, tasks: Collection[str]) -> Iterator[Sample]:
    """Actions at these tasks; those of attempts that broke and were forgotten are passed over."""
    begun = (one for stage in (Stage.COLLECT, Stage.PRACTICE) for one in store.begun(stage))
    kept = {one.id for one in begun if one.task in tasks}
    yield from (one for one in store.samples() if one.trajectory in kept)


def _teacher(session: Session, tasks: Mapping[str, Task]) -> Teacher:
    recipe = session.recipe
    if session.exchange is not None:
        return ModelTeacher(expert_agent(recipe, session.exchange), style=recipe.style)

    def source(workspace: str, script: str) -> str | None:
        content = session.snapshots.load(workspace).get(script)
        return None if content is None else content.decode(errors="replace")

    helped = helpful_ideas(_collected(session.store, tasks), tasks)
    return PlaybookTeacher(tasks, helped, source, style=recipe.style)


def _by_mark(store: Store, tasks: Mapping[str, Task]) -> dict[Mark, Tally]:
    played: Counter[Mark] = Counter()
    mended: Counter[Mark] = Counter()
    for one in store.select(stage=Stage.REFLECT):
        if not one.whole:
            continue
        task = tasks[one.task]
        mark = mark_of(task, one, error_of(one))
        if mark is not None:
            played[mark] += 1
            mended[mark] += is_mended(task, one)
    return {mark: Tally(played=played[mark], mended=mended[mark]) for mark in Mark if played[mark]}
