"""The stage `eval`: every policy of a run plays tasks that none has seen, and what comes of it."""

from collections.abc import Collection
from pathlib import Path

from rich.console import Console

from ml_agent.agents import Agent, LLMAgent
from ml_agent.cli.experts import expert_agent
from ml_agent.cli.playing import prepared_tasks, told_ends
from ml_agent.cli.policies import chosen_policy, trained_policies
from ml_agent.cli.progress import progress
from ml_agent.cli.session import Session
from ml_agent.core.records import End
from ml_agent.evals import (
    AttemptResult,
    Showcase,
    Summary,
    choose_attempts,
    summarise,
    terminal_table,
    write_report,
    write_summary,
)
from ml_agent.evals.suite import judge, play
from ml_agent.models import Sampling
from ml_agent.rewards import reward_named
from ml_agent.store import RunFolder, Stage
from ml_agent.tasks import PreparedTask
from ml_agent.train.policy import Policy


def eval_stage(session: Session, *, only: Collection[str] | None = None) -> None:
    """Every policy that is there plays the held-out tasks.

    Args:
        session: The run.
        only: Some of them instead; each is asked for as for `chosen_policy`.

    Raises:
        UsageError: One that is asked for is not there.
    """
    recipe = session.recipe
    policies = _policies(session)
    if only is not None:
        chosen = {label: chosen_policy(session.run, recipe.model, label) for label in only}
        # The model as it came first: what has taken a checkpoint's weights is it no more.
        policies = dict(sorted(chosen.items(), key=lambda item: item[1][1] is not None))
    tasks = list(prepared_tasks(session, recipe.held_out_tasks).values())
    sampling = Sampling(
        temperature=recipe.evaluation.temperature, max_tokens=recipe.evaluation.max_tokens
    )
    # One policy takes the others' weights in turn: prompts that do not depend on them stay read.
    policy = Policy.load(recipe.model, weights=recipe.weights)
    for label, (name, checkpoint) in policies.items():
        if checkpoint is not None:
            policy.take(checkpoint)
        agent: Agent = LLMAgent(policy.sampler(name), offered=recipe.actions, sampling=sampling)
        if label == "expert" and session.exchange is not None:
            agent = expert_agent(recipe, session.exchange)
        total = recipe.evaluation.attempts_per_task * len(tasks)
        known = sum(one.whole for one in session.store.select(stage=Stage.EVAL, policy=name))
        with progress(f"evaluating {label}", total) as bar, told_ends(bar, session) as on_step:
            bar.advance(by=known)
            play(
                agent,
                tasks,
                session.stagehand,
                session.store,
                attempts_per_task=recipe.evaluation.attempts_per_task,
                steps=recipe.evaluation.steps,
                seed=recipe.seed,
                on_step=on_step,
            )


def is_unmeasured(session: Session) -> bool:
    """Whether a policy has come since the evaluation ended, or some of its attempts broke.

    Then it is not over after all.
    """
    for name, _ in _policies(session).values():
        ends = [one.end for one in session.store.begun(Stage.EVAL, policy=name)]
        if not ends or End.BROKEN in ends:
            return True
    return False


def judged(session: Session) -> tuple[dict[str, PreparedTask], dict[str, list[AttemptResult]]]:
    """The held-out tasks, and the test split's verdict on every recorded attempt, by policy."""
    tasks = prepared_tasks(session, session.recipe.held_out_tasks)
    return tasks, {
        label: judge(
            # Of a policy that is not asked for now, a kill may have left some unfinished.
            (
                one
                for one in session.store.select(stage=Stage.EVAL, policy=name)
                if one.end is not None
            ),
            tasks,
            session.grader,
            session.snapshots.get,
        )
        for label, (name, _) in _policies(session).items()
    }


def report(session: Session) -> Summary:
    """Judge the recorded attempts on the test split; write summary.json and report.html."""
    recipe, run = session.recipe, session.run
    tasks, results = judged(session)
    info = run.info()
    summary = summarise(
        results,
        held_out=[one.task for one in tasks.values()],
        train_tasks=recipe.train_tasks,
        seconds={name: round(stage.seconds, 1) for name, stage in info.stages.items()},
        versions=info.versions | {"isolation": _isolation(session)},
        seed=recipe.seed,
    )
    write_summary(run.path, summary)
    showcase = [
        Showcase(
            label=label,
            task=tasks[result.task].task,
            trajectory=session.store.get(result.trajectory),
            result=result,
        )
        for label, result in choose_attempts(results)
    ]
    write_report(
        run.path,
        summary,
        curves={stage: run.read_metrics(stage) for stage in ("sft", "rl")},
        showcase=showcase,
        workspace=session.snapshots.load,
        reward=reward_named(recipe.rl.reward),
        config=run.config(),
    )
    return summary


def print_summary(summary: Summary, run: RunFolder) -> None:
    """The table, and where the rest is."""
    console = Console()
    console.print(terminal_table(summary))
    console.print(f"report   {run.path / 'report.html'}", highlight=False)
    console.print(f"figures  {run.path / 'summary.json'}", highlight=False)


def _policies(session: Session) -> dict[str, tuple[str, Path | None]]:
    """Name and checkpoint of each policy of the run, by label, in the order of training."""
    found = trained_policies(session.run, session.recipe.model)
    if session.recipe.expert.evaluated and session.recipe.expert.url:
        found["expert"] = (session.recipe.expert.model, None)
    return found


def _isolation(session: Session) -> str:
    """Under which tiers the measured attempts were played."""
    measured = session.store.select(stage=Stage.EVAL)
    return ", ".join(sorted({one.versions.get("isolation", "not recorded") for one in measured}))
