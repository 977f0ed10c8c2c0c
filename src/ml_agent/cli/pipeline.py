"""The stages of a run: what `train` does, in order, each taken up again where it stopped.

collect   an expert plays training tasks, guided by diverse ideas         -> trajectories/
sft       the model imitates what was played                              -> checkpoints/sft
rl        it practises from recorded states, single steps or whole attempts -> checkpoints/rl
eval      base, sft and rl play tasks none of them has seen               -> report.html

The first three are here, the last in `evaluating`.
"""

import logging
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_agent.cli.experts import expert_agent
from ml_agent.cli.gathering import gather, judge_ideas
from ml_agent.cli.playing import prepared_tasks, told_ends
from ml_agent.cli.policies import latest_practice, practice_checkpoints, short_name
from ml_agent.cli.progress import progress, say
from ml_agent.cli.recipes import Recipe
from ml_agent.cli.session import Session
from ml_agent.core.errors import UsageError
from ml_agent.core.records import End, Task, Trajectory
from ml_agent.models.encoder import encoder_named
from ml_agent.runtime import AT_ONCE, Attempt
from ml_agent.store import RunFolder, Stage
from ml_agent.tasks import PreparedTask
from ml_agent.train.checkpoints import BESIDE, IMITATED, MOMENTA, WAITING
from ml_agent.train.collection import collect, ended, forget_others, plan, plan_again, plan_states
from ml_agent.train.examples import Example, examples_from
from ml_agent.train.exploration import remembered
from ml_agent.train.figures import Metrics
from ml_agent.train.overlap import Waiting
from ml_agent.train.policy import Policy
from ml_agent.train.pool import Pool
from ml_agent.train.reflection import fit_to_imitate, reflected_examples, without_errors
from ml_agent.train.rehearsal import Imitated, Rehearsal
from ml_agent.train.sft import sft
from ml_agent.train.stepwise import Practice
from ml_agent.train.watch import Watch

logger = logging.getLogger(__name__)

ABOUT = {
    "collect": "an expert plays the training tasks",
    "sft": "the model learns to imitate what was played",
    "rl": "the model practises, rewarded by experiments",
    "eval": "every policy plays tasks it never saw",
}


def collect_stage(session: Session) -> None:
    """Play expert attempts on every training task."""
    recipe = session.recipe
    embed = remembered(encoder_named(recipe.collect.encoder))
    tasks = list(prepared_tasks(session, recipe.train_tasks).values())
    known = gather(session.run, recipe, session.exchange, embed=embed)
    attempts = plan(
        tasks,
        recipe.collect,
        embed=embed,
        style=recipe.style,
        seed=recipe.seed,
        expert=expert_agent(recipe, session.exchange) if session.exchange else None,
        ideas=known,
    )
    with progress("collecting", len(attempts)) as bar, told_ends(bar, session) as on_step:
        bar.advance(by=ended(session.store, attempts))
        # Fewer at a time would leave some of an endpoint's requests unused.
        at_once = max(AT_ONCE, session.exchange.endpoint.at_once if session.exchange else 0)
        collect(attempts, session.stagehand, session.store, at_once=at_once, on_step=on_step)
    told = recipe.collect.retold or recipe.collect.retold_practised
    if told and session.exchange:
        say("  starters told in other ways are for the playbook: collect.retold* have no effect")
    elif told:
        again = _told_otherwise(session, tasks)
        forget_others(session.store, (*attempts, *again))
        with progress("playing again", len(again)) as bar, told_ends(bar, session) as on_step:
            bar.advance(by=ended(session.store, again))
            collect(again, session.stagehand, session.store, on_step=on_step)
    if broken := _broken(session):
        say(
            f"  {broken} attempts broke by no fault of their own: {session.run.path / 'log.txt'} "
            "says why. `ml-agent collect` plays them again, as long as fine-tuning has not begun"
        )
    if recipe.ideas.per_axis:
        judge_ideas(session.run, recipe, known, embed=embed)
        say(f"  how diverse the ideas are: {session.run.path / 'diversity.html'}")


def _told_otherwise(session: Session, tasks: Sequence[PreparedTask]) -> list[Attempt]:
    """What is played on starters told in other ways: what helped, and states to practise from."""
    recipe = session.recipe
    ways = recipe.collect.retold_practised
    again = plan_again(
        session.store.select(stage=Stage.COLLECT),
        [one for one in tasks if ways is None or recipe.imitates(one.task.id)],
        recipe.collect,
        style=recipe.style,
        seed=recipe.seed,
        longest=recipe.imitate_longest,
    )
    practised = [one for one in tasks if not recipe.imitates(one.task.id)]
    return again + plan_states(practised, ways or 0, style=recipe.style, seed=recipe.seed)


def lacks_attempts(session: Session) -> bool:
    """Whether attempts of the collection broke, and nothing has been learned from the others."""
    return "sft" not in session.run.info().stages and _broken(session) > 0


def _broken(session: Session) -> int:
    return sum(one.end is End.BROKEN for one in session.store.begun(Stage.COLLECT))


def sft_stage(session: Session) -> None:
    """Fine-tune on the collected steps; the adapter goes to checkpoints/sft."""
    recipe = session.recipe
    tasks = {name: one.task for name, one in prepared_tasks(session, recipe.train_tasks).items()}
    examples = imitated(recipe, session.store.select(stage=Stage.COLLECT), tasks)
    if recipe.imitate_reflected != "none":
        reflected = fit_to_imitate(
            session.store.select(stage=Stage.REFLECT),
            tasks,
            longest=recipe.imitate_longest,
            at_most=recipe.imitate_corrections,
        )
        masked = recipe.imitate_reflected == "masked"
        if masked:
            examples = without_errors(examples, reflected)
        examples += reflected_examples(reflected, masked=masked)
    fine_tune(session, examples)


def imitated(
    recipe: Recipe, trajectories: Iterable[Trajectory], tasks: Mapping[str, Task]
) -> list[Example]:
    """What a recipe imitates of trajectories, tasks by id; see `examples_from`."""
    return examples_from(
        (one for one in trajectories if recipe.imitates(one.task)),
        tasks,
        keep=recipe.imitate,
        longest=recipe.imitate_longest,
        states_at_most=recipe.imitate_states,
        answers_at_most=recipe.imitate_answers,
        seed=recipe.seed,
    )


def fine_tune(session: Session, examples: Sequence[Example], *, start: Path | None = None) -> None:
    """Imitate examples; the adapter goes to checkpoints/sft.

    Args:
        session: The run.
        examples: What is imitated.
        start: The checkpoint it begins with; None: the model as it came.
    """
    recipe, run = session.recipe, session.run
    unfinished = run.checkpoints / "sft-unfinished"
    policy, done = learning_policy(recipe), 0
    if start is not None:
        policy.start_from(start)
    if unfinished.exists():
        done, _ = policy.go_on_from(unfinished)
    pairs = [(example.prompt, example.reply) for example in examples]
    # A bound where updates are counted: some have fewer examples than they may have.
    total = len(pairs) * recipe.sft.epochs
    if recipe.sft.updates is not None:
        total = recipe.sft.updates * recipe.sft.batch
    with (
        run.figures("sft", first_update=done + 1) as log,
        progress("fine-tuning", total) as bar,
    ):
        bar.advance(by=sum(int(line["examples"]) for line in run.read_metrics("sft")))

        def on_update(figures: Mapping[str, Any]) -> None:
            log(figures)
            if figures["update"] % recipe.sft.checkpoint_every == 0:
                policy.save(unfinished, step=int(figures["update"]))
            bar.advance(f"loss {figures['loss']:.3f}", by=int(figures["examples"]))

        imitating = sft(policy, pairs, recipe.sft, first_update=done + 1, on_update=on_update)
    if dropped := set(imitating.dropped):
        say(
            f"  {len(dropped)} of {len(examples)} examples were not imitated: with their prompts "
            f"they are longer than sft.max_tokens={recipe.sft.max_tokens}"
        )
    kept = tuple(one for place, one in enumerate(examples) if place not in dropped)
    learned = Imitated(examples=kept).model_dump_json()
    policy.save(run.checkpoints / "sft", texts={IMITATED: learned})
    shutil.rmtree(unfinished, ignore_errors=True)


def rl_stage(
    session: Session, *, start: Path | None = None, half: Collection[str] = frozenset()
) -> None:
    """Practise from the pool; checkpoints/rl/step-N every few updates and at the end.

    Args:
        session: The run.
        start: The checkpoint it begins with; None: what fine-tuning made.
        half: Tasks that get half of all turns; empty: every task gets its turn alike.
    """
    recipe, run = session.recipe, session.run
    start = start or _need(run.checkpoints / "sft", "sft")
    done, latest = latest_practice(run)
    _tidy(run, latest=done)
    practice, waiting = _practice(session, start, latest, half)
    session.store.discard_samples(from_update=done + 1)
    told_by, end = recipe.rl.end
    reached = 0
    with (
        run.figures("rl", first_update=done + 1) as log,
        progress("practising", end) as bar,
    ):
        watch = Watch(max_tokens=recipe.rl.max_tokens)
        seconds_before = 0.0
        for line in run.read_metrics("rl"):
            watch.look(line)
            seconds_before = line["seconds"]
            reached = int(line[told_by])
        bar.advance(by=reached)

        def on_update(update: int, figures: Metrics) -> None:
            nonlocal reached
            log(figures)
            for alarm in watch.look(figures):
                logger.warning(alarm)
                say(f"  {alarm}")
            over = recipe.rl.is_over(
                update, int(figures["executed_scripts"] or 0), float(figures["seconds"] or 0)
            )
            if over or update % recipe.rl.checkpoint_every == 0:
                _keep(practice, update, run)
            before, reached = reached, min(end, int(figures[told_by] or 0))
            bar.advance(told_in_short(figures), by=reached - before)

        practice.run(
            first_update=done + 1,
            seconds_before=seconds_before,
            waiting=waiting,
            on_update=on_update,
        )


def told_in_short(figures: Metrics) -> str:
    """An update in the words of a progress bar; all its figures are in the metrics."""
    parts = [f"reward {figures['reward']:.3f}", f"valid {figures['valid_action_rate']:.0%}"]
    named = {"runs": "edits_that_run", "same": "zero_spread_groups"}
    shares = {name: figures.get(key) for name, key in named.items()}
    parts += [f"{name} {share:.0%}" for name, share in shares.items() if share is not None]
    values = {name: figures.get(name) for name in ("kl", "entropy")}
    parts += [f"{name} {value:.3f}" for name, value in values.items() if value is not None]
    return "  ".join(parts)


def learning_policy(recipe: Recipe) -> Policy:
    """The model of a recipe, ready to learn.

    Raises:
        UsageError: There is no such model.
        ModelError: It cannot be loaded.
    """
    return Policy.load(
        recipe.model,
        weights=recipe.weights,
        seed=recipe.seed,
        gradient_checkpointing=recipe.gradient_checkpointing,
    )


def _practice(
    session: Session, start: Path, latest: Path | None, half: Collection[str]
) -> tuple[Practice, Waiting | None]:
    """Practice as it stood at its latest checkpoint, and what had been sampled and not taken."""
    recipe = session.recipe
    # A lesson, the half that it is, is practised on with all there is.
    names = recipe.train_tasks if half else recipe.practise_tasks or recipe.train_tasks
    tasks = prepared_tasks(session, names)
    pool = Pool(
        (one for one in session.store.select(stage=Stage.COLLECT) if one.task in tasks),
        seed=recipe.seed,
        first_steps=recipe.rl.practised_steps,
        learnability=recipe.rl.learnability,
        half=half,
    )
    policy = learning_policy(recipe)
    policy.start_from(start)
    learner = recipe.rl.learner(policy)
    waiting = Waiting() if recipe.rl.staleness else None
    if latest is not None:
        _, beside = policy.go_on_from(latest)
        learner.restore(beside)
        if waiting is not None:
            waiting = Waiting.read(latest / WAITING)
    rehearsal = None
    if recipe.rl.rehearse:
        rehearsal = Rehearsal(
            policy,
            Imitated.read(start),
            count=recipe.rl.rehearse,
            weight=recipe.rl.rehearse_weight,
            seed=recipe.seed,
            row_tokens=recipe.sft.row_tokens,
        )
    practice = Practice(
        policy=policy,
        learner=learner,
        pool=pool,
        tasks=tasks,
        stagehand=session.stagehand,
        store=session.store,
        config=recipe.rl,
        name=f"{short_name(recipe.model)}+rl",
        seed=recipe.seed,
        rehearsal=rehearsal,
    )
    return practice, waiting


def _keep(practice: Practice, update: int, run: RunFolder) -> None:
    """Make a checkpoint that practice can go on from; of those before, the weights stay."""
    texts = {}
    if practice.config.staleness:
        texts[WAITING] = practice.open_groups.waiting().model_dump_json()
    if practice.rehearsal is not None:
        # For who learns further from this policy: it is one that has imitated these.
        texts[IMITATED] = practice.rehearsal.imitated.model_dump_json()
    practice.policy.save(
        run.checkpoints / "rl" / f"step-{update}",
        step=update,
        beside=practice.learner.state(),
        texts=texts,
    )
    _tidy(run, latest=update)


def _tidy(run: RunFolder, *, latest: int) -> None:
    """Of checkpoints before the latest keep the weights: nothing goes on from them."""
    for made, folder in practice_checkpoints(run).items():
        if made != latest:
            for name in (MOMENTA, BESIDE, WAITING, IMITATED):
                (folder / name).unlink(missing_ok=True)


def _need(checkpoint: Path, stage: str) -> Path:
    if not checkpoint.exists():
        raise UsageError(
            f"{checkpoint} is not there: run `ml-agent {stage}` for this run first, or "
            "`ml-agent train`, which runs every stage"
        )
    return checkpoint
