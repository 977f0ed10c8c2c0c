"""The ideas of a run: asked of a language model, kept in its folder, and how diverse they are."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from ml_agent.agents.playbook import applicable
from ml_agent.cli.experts import note_usage, spent_so_far
from ml_agent.cli.progress import Bar, progress, say
from ml_agent.cli.recipes import Recipe
from ml_agent.core.actions import EditScriptAI
from ml_agent.core.records import Axis, Idea
from ml_agent.evals.diversity import Diversities, comparison, measure_diversity, write_diversity
from ml_agent.models.http import Exchange, HttpModel
from ml_agent.store import RunFolder, Stage, Store, read_record, write_json
from ml_agent.tasks import find_package
from ml_agent.train.collection import chosen_ideas
from ml_agent.train.exploration import Embed
from ml_agent.train.ideas import IN_VAIN_AT_MOST, TaskIdeas, generate_ideas

Known = Mapping[str, Sequence[Idea]]
"""Ideas by task."""


def gather(run: RunFolder, recipe: Recipe, exchange: Exchange | None, *, embed: Embed) -> Known:
    """All ideas there are for each task that is played: the playbook's, or a language model's.

    A language model is asked for what the run's folder does not hold yet; it is written there
    whenever something has come.

    Raises:
        UsageError: A quota is for a task that is not there.
        ModelError: A request got no answer.
        EndsRun: The budget is spent, or the endpoint refuses us.
        StoreError: The folder cannot be read or written.
    """
    packages = [find_package(name) for name in recipe.train_tasks]
    recipe.collect.check_quotas([one.card.id for one in packages])
    packages = [one for one in packages if recipe.collect.attempts(one.card.id)]
    if exchange is None or not recipe.ideas.per_axis:
        return {one.card.id: applicable(one.card.domain, one.starter.decode()) for one in packages}
    kept = {one.card.id: _read(run.ideas_path(one.card.id)) for one in packages}
    before = {name: one for name, one in kept.items() if one is not None}
    total = recipe.ideas.per_axis * len(Axis) * len(packages)
    with progress("asking for ideas", total) as bar:
        had = sum(len(one.ideas) for one in before.values())
        bar.advance(by=had)
        watch = _Watch(run, exchange, bar, before)
        found = generate_ideas(
            packages,
            HttpModel(exchange, recipe.expert.model),
            recipe.ideas,
            embed=embed,
            seed=recipe.seed,
            kept=before,
            on_round=watch.look,
        )
    for one in found:
        _say_what_is_wanting(one, recipe)
    return {one.task: one.ideas for one in found}


def judge_ideas(run: RunFolder, recipe: Recipe, known: Known, *, embed: Embed) -> Diversities:
    """Compare the ideas that are chosen with random choices, and write the pages of it.

    Raises:
        StoreError: The folder cannot be read or written.
    """
    instructions = _instructions(run)
    found = []
    for task, ideas in known.items():
        chosen = set(chosen_ideas(ideas, recipe.collect, embed))
        found.append(
            measure_diversity(
                task,
                ideas,
                embed([idea.text for idea in ideas]),
                [i for i, idea in enumerate(ideas) if idea in chosen],
                instructions=instructions.get(task, ()),
                seed=recipe.seed,
            )
        )
    judged = Diversities(rule=recipe.collect.rule, tasks=tuple(found))
    write_diversity(run.path, judged)
    return judged


def verdict(judged: Diversities, run: RunFolder) -> str:
    """What came of it, a line a task, and where the rest is."""
    lines = [f"{one.task}: {comparison(one)}" for one in judged.tasks]
    lines += [f"report   {run.path / 'diversity.html'}", f"figures  {run.path / 'diversity.json'}"]
    return "\n".join(lines)


class _Watch:
    """Keeps what has come, and shows it."""

    def __init__(
        self, run: RunFolder, exchange: Exchange, bar: Bar, before: Mapping[str, TaskIdeas]
    ) -> None:
        self._run, self._exchange, self._bar = run, exchange, bar
        self._had = {name: len(one.ideas) for name, one in before.items()}

    def look(self, changed: Sequence[TaskIdeas]) -> None:
        """A round has ended."""
        new = 0
        for one in changed:
            write_json(self._run.ideas_path(one.task), one.model_dump(mode="json"))
            new += len(one.ideas) - self._had.get(one.task, 0)
            self._had[one.task] = len(one.ideas)
        usage = note_usage(self._run, self._exchange)
        self._bar.advance(spent_so_far(usage, share=self._bar.share(new)), by=new)


def _say_what_is_wanting(found: TaskIdeas, recipe: Recipe) -> None:
    for axis in found.wanting(recipe.ideas):
        chain = found.axes[axis]
        say(
            f"{found.task}: {len(chain.ideas)} of {recipe.ideas.per_axis} ideas about {axis}: the "
            f"last {IN_VAIN_AT_MOST} replies of {chain.replies} brought nothing new "
            f"({chain.bad} held no list, {chain.repeated} ideas were there already, "
            f"{chain.unfit} were too long or a single word). Going on with these."
        )


def _read(path: Path) -> TaskIdeas | None:
    if not path.exists():
        return None
    remedy = "Delete it and run the same command again: what was answered is kept beside it."
    return read_record(path, TaskIdeas, remedy=remedy)


def _instructions(run: RunFolder) -> Mapping[str, Sequence[str]]:
    """What experts asked of coders in the run so far, by task."""
    found: dict[str, list[str]] = defaultdict(list)
    if run.store_path.exists():
        with closing(Store(run.store_path)) as store:
            for played in store.select(stage=Stage.COLLECT):
                found[played.task] += [
                    step.action.edit_instruction
                    for step in played.steps
                    if isinstance(step.action, EditScriptAI)
                ]
    return found
