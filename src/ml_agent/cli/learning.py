"""The stages of `learn`: a policy goes on learning from a user's own runs, and is kept or not.

gather   attempts, workspaces and tasks of these runs, beside the pool of the policy's own run
sft      the policy imitates what helped, and as many steps of what it imitated before
rl       it practises, half of the time at these runs' tasks, if there are others
judge    old and new policy play the held-out tasks             -> learned.json, report.html

All of it happens in a run of its own, which begins with a copy of the policy. If what came of it is
not kept, its weights go from checkpoints/ to rejected/, and the run's last policy is the old one.
"""

import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ml_agent.assets import building
from ml_agent.cli.evaluating import eval_stage, judged, report
from ml_agent.cli.learn import Lesson
from ml_agent.cli.pipeline import fine_tune, imitated, rl_stage
from ml_agent.cli.playing import prepared_tasks
from ml_agent.cli.policies import trained_policies
from ml_agent.cli.progress import say
from ml_agent.cli.recipes import Recipe
from ml_agent.cli.session import Session
from ml_agent.core.base import Record
from ml_agent.core.errors import UsageError
from ml_agent.core.records import SCHEMA, Task, Trajectory
from ml_agent.evals import Difference
from ml_agent.evals.gate import RULE, verdict
from ml_agent.store import RunFolder, Stage, Store, read_record, write_json
from ml_agent.store.run import writing
from ml_agent.tasks import PreparedTask, find_package
from ml_agent.train.checkpoints import BESIDE, MOMENTA
from ml_agent.train.examples import Example
from ml_agent.train.own_runs import (
    Gathered,
    OwnRun,
    Taken,
    copy_attempts,
    keep_tasks,
    look_into,
    own_tasks,
    read_gathered,
    take,
    write_gathered,
)

ABOUT = {
    "gather": "attempts of the runs join the policy's pool",
    "sft": "the policy imitates what helped",
    "rl": "it practises in their states, rewarded by experiments",
    "judge": "old and new policy play tasks neither has seen",
}


class Source(Record):
    """What was learned from one run; own/gathered.json has it attempt by attempt."""

    run: str
    tasks: tuple[str, ...]
    attempts: int
    helped: int
    left_out: dict[str, int]
    """Attempts that were passed over, by reason."""


class Learned(Record):
    """learned.json."""

    schema_version: int = SCHEMA
    kept: bool
    why: str
    rule: str = RULE
    difference: Difference | None
    """Normalised gain of the new policy minus the old one's."""
    old: str
    """The policy that learned: its run, and its name there."""
    new: str
    """What became of it, as the records of this run call it."""
    use: str
    """The weights to use from now on: the new ones, or a copy of the old ones."""
    rejected: str | None
    """Where the new weights are, if they are not kept."""
    sources: tuple[Source, ...]
    held_out_tasks: tuple[str, ...]


def read_runs(lesson: Lesson, recipe: Recipe) -> list[OwnRun]:
    """Look into all the runs, before anything is written.

    Raises:
        UsageError: One of them cannot be learned from; the message says why.
        MLAgentError: One of them is damaged.
    """
    known = {one.id for one in _pool(lesson.policy)}
    found = [
        look_into(
            folder,
            style=recipe.style,
            offered=recipe.actions,
            held_out=[find_package(name).card.id for name in recipe.held_out_tasks],
            known=known,
        )
        for folder in lesson.runs
    ]
    if all(one.kind == "solve" for one in found):
        # What helped at other tasks is known only when these are prepared.
        longest = recipe.imitate_longest
        taken = [one.taken(_facts(one.tasks), longest=longest) for one in found]
        _refuse_without_help(lesson, taken)
    return found


def gather_stage(session: Session, lesson: Lesson, found: Sequence[OwnRun]) -> None:
    """Copy the old policy, its pool, and what the runs hold into the session's run.

    Raises:
        UsageError: One of the runs is of a held-out task's data; nothing in them helped.
        MLAgentError: Something cannot be read or written.
    """
    run = session.run
    _refuse_held_out(session, found)
    if not (run.checkpoints / "old").exists():
        with building(run.checkpoints / "old") as partial:
            # Nothing goes on from there, so nobody needs what is twice as large as the weights.
            unneeded = shutil.ignore_patterns(MOMENTA, BESIDE)
            shutil.copytree(lesson.checkpoint, partial, dirs_exist_ok=True, ignore=unneeded)
    session.store.discard_unfinished(Stage.COLLECT)
    keep_tasks(own_tasks(lesson.policy), run)
    copy_attempts(_pool(lesson.policy), lesson.policy, session.store, session.snapshots)
    for one in found:
        take(one, run, session.store, session.snapshots)
    before = read_gathered(lesson.policy).library
    names = {*before, *(name for one in found if one.kind == "training" for name in one.names)}
    library = tuple(sorted(names - set(session.recipe.train_tasks)))
    tasks = prepared_tasks(_with_own(session, library), (*session.recipe.train_tasks, *library))
    facts, longest = _facts(tasks) | _facts(own_tasks(run)), session.recipe.imitate_longest
    taken = [one.taken(facts, longest=longest) for one in found]
    _refuse_without_help(lesson, taken)
    for each in taken:
        left = sum(each.left_out.values())
        also = f"; {left} left out" if left else ""
        say(f"  {each.run}: {len(each.attempts)} attempts, {each.helped} steps that helped{also}")
    write_gathered(run, Gathered(taken=tuple(taken), library=library))


def learn_stages(session: Session, lesson: Lesson) -> Mapping[str, Callable[[], None]]:
    """The stages of training and judging, by name; to be asked for when all is gathered."""
    gathered = read_gathered(session.run)
    session = _with_own(session, gathered.library)
    new = {name for one in gathered.taken for name in one.tasks}
    old = session.run.checkpoints / "old"
    start = session.run.checkpoints / "sft" if lesson.by == "both" else old
    return {
        "sft": lambda: fine_tune(session, _examples(session, gathered), start=old),
        "rl": lambda: rl_stage(session, start=start, half=new),
        "judge": lambda: _judge(session, lesson, gathered),
    }


def read_learned(run: RunFolder) -> Learned:
    """What was decided.

    Raises:
        StoreError: It is not there, or damaged.
    """
    return read_record(_path(run), Learned, remedy="Delete it and learn again.")


def _path(run: RunFolder) -> Path:
    return run.path / "learned.json"


def _examples(session: Session, gathered: Gathered) -> list[Example]:
    """What helped in the runs, and at most as much of what the policy imitated before."""
    recipe = session.recipe
    tasks = _facts(prepared_tasks(session, recipe.train_tasks))
    new = {name for one in gathered.taken for name in one.attempts}
    pool = list(session.store.select(stage=Stage.COLLECT))
    whatever_helped = replace(
        recipe, imitate="improving-edits", imitate_states=None, practise_tasks=()
    )
    helped = imitated(whatever_helped, (one for one in pool if one.id in new), tasks)
    earlier = [one for one in pool if one.id not in new]
    if not earlier:
        return helped
    before = imitated(recipe, earlier, tasks)
    count = min(len(before), len(helped))
    say(f"  {len(helped)} steps that helped, {count} of what it imitated before")
    return [*helped, *random.Random(recipe.seed).sample(before, count)]


def _judge(session: Session, lesson: Lesson, gathered: Gathered) -> None:
    """Play, compare, decide, and act on it; a decision that stands is only carried out."""
    run, recipe = session.run, session.recipe
    if not _path(run).exists():
        policies = trained_policies(run, recipe.model)
        label = list(policies)[-1]
        eval_stage(session, only=("old", label))
        _, results = judged(session)
        decided = verdict(results["old"], results[label], seed=recipe.seed)
        report(session)
        name, path = policies[label]
        place = str((path or run.checkpoints).relative_to(run.path))
        learned = Learned(
            kept=decided.kept,
            why=decided.why,
            difference=decided.difference,
            old=f"{lesson.policy.path.name}: {lesson.name}",
            new=name,
            use=place if decided.kept else "checkpoints/old",
            rejected=None if decided.kept else place.replace("checkpoints", "rejected", 1),
            sources=tuple(_source(one) for one in gathered.taken),
            held_out_tasks=recipe.held_out_tasks,
        )
        write_json(_path(run), learned.model_dump(mode="json"))
    if not read_learned(run).kept:
        _reject(run)


def _source(taken: Taken) -> Source:
    return Source(
        run=taken.run,
        tasks=taken.tasks,
        attempts=len(taken.attempts),
        helped=taken.helped,
        left_out=taken.left_out,
    )


def _reject(run: RunFolder) -> None:
    """Put the new weights where nothing looks for a policy."""
    with writing(run.path / "rejected"):
        for name in ("sft", "rl"):
            if (run.checkpoints / name).exists():
                (run.path / "rejected").mkdir(exist_ok=True)
                (run.checkpoints / name).rename(run.path / "rejected" / name)


def _with_own(session: Session, library: Sequence[str]) -> Session:
    """The session with all tasks that are trained on."""
    own = own_tasks(session.run)
    names = (*session.recipe.train_tasks, *library, *own)
    return replace(session, own=own, recipe=replace(session.recipe, train_tasks=names))


def _refuse_held_out(session: Session, found: Sequence[OwnRun]) -> None:
    """Refuse data that the policy is measured on, whatever they are called."""
    held_out = prepared_tasks(session, session.recipe.held_out_tasks)
    measured = {one.task.splits.public: name for name, one in held_out.items()}
    for one in found:
        for prepared in one.tasks.values():
            if name := measured.get(prepared.task.splits.public):
                raise UsageError(
                    f"{one.folder.path} is of the data of {name}, on which the policy is measured: "
                    "what is learned there would make the measurement worthless. Leave it out."
                )


def _refuse_without_help(lesson: Lesson, taken: Sequence[Taken]) -> None:
    if lesson.by == "rl" or any(one.helped for one in taken):
        return
    named = ", ".join(one.run for one in taken)
    raise UsageError(
        f"{named}: no step made a score better by more than noise, or none that is short enough "
        "(imitate_longest), so there is nothing to imitate. Practise in the states with --by rl, "
        "or give other runs."
    )


def _pool(run: RunFolder) -> list[Trajectory]:
    """The attempts that a trained policy's run has collected or taken."""
    if not run.store_path.exists():
        return []
    store = Store(run.store_path)
    try:
        recorded = list(store.select(stage=Stage.COLLECT))
    finally:
        store.close()
    return [one for one in recorded if one.whole]


def _facts(tasks: Mapping[str, PreparedTask]) -> dict[str, Task]:
    return {name: one.task for name, one in tasks.items()}
