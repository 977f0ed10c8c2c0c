"""Does step-wise practice learn more than whole attempts, at equal executed scripts and wall time?

From one fine-tuned run: same start, same reward, same tasks; each way practises until it has
executed so many scripts, with each seed; an update of either executes about as many. Then these
play the held-out tasks: the fine-tuned policy; what each way has come to (`step`, `episode`); and
what each was by the time that the faster one was through (`step_in_time`, `episode_in_time`: of
the slower one, after the update that was under way then). Time is compared fairly where nothing
else runs. The same command goes on after a stop. In OUT lie a run's folder for each way and seed,
`comparison.json` and `comparison.svg`: training reward (the mean of single actions) against
executed scripts and against seconds. The weights of every update stay in OUT. All seeds are judged
together: intervals do not know how practice varies from seed to seed.

    python bench/step_or_episode.py runs/NAME --out OUT --scripts 1000 [--seeds 0 1] [--json]
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from shutil import copy, copytree, rmtree
from typing import Any

from rich.console import Console

from ml_agent.assets import building, sha256_of
from ml_agent.cli import evaluating, pipeline
from ml_agent.cli.policies import chosen_policy
from ml_agent.cli.preparing import prepare_tasks
from ml_agent.cli.recipes import Recipe, recipe_from
from ml_agent.cli.session import working
from ml_agent.core.errors import MLAgentError, UsageError
from ml_agent.evals import AttemptResult, Summary, pooled, summarise, terminal_table
from ml_agent.evals.suite import judge
from ml_agent.pages.charts import Series, line_chart
from ml_agent.sandbox import Tier, choose_tier
from ml_agent.store import RunFolder, Stage, Store, write_atomically, write_json
from ml_agent.tasks import PreparedTask
from ml_agent.train.own_runs import own_tasks

Curves = dict[str, list[dict[str, Any]]]  # Figures of every update, by way and seed.
LABELS = ("sft", "episode_in_time", "episode", "step_in_time", "step")
"""What plays, in the order of the table."""
AXES = {"executed_scripts": "executed scripts", "seconds": "seconds"}
TAKEN = "begun-from.json"
"""In the folder of a run: what it has of the one it was begun from."""
LEGEND = (
    '<text x="52" y="16">training reward, mean of single actions: '
    '<tspan class="f0">step</tspan>, <tspan class="f1">episode</tspan></text>'
)
STYLE = """
svg { font: 12px system-ui, sans-serif; background: white; } .grid { stroke: #dfe3e8; }
.line { fill: none; stroke-width: 2; } .faint { opacity: .35; }
.s0 { stroke: #1f6fd6; } .f0 { fill: #1f6fd6; } .s1 { stroke: #c2570c; } .f1 { fill: #c2570c; }
"""


def recipe_of(run: RunFolder) -> Recipe:
    """What a run was made by.

    Raises:
        UsageError: There is no run, or it was made by no recipe of this version.
    """
    run.info()
    return recipe_from(run.config())


def begun(
    source: RunFolder,
    run: RunFolder,
    *,
    stages: Sequence[Stage] = (Stage.COLLECT,),
    checkpoints: Sequence[str] = ("sft",),
) -> None:
    """Make a run that has been through some stages of another's, as far as it is not there.

    Raises:
        UsageError: The other one has not been trained so far, or it has learned from a user's own
            runs, whose tasks are its own; or the run is there and was begun from something else,
            or is the other one itself.
    """
    if run.path.resolve() == source.path.resolve():
        raise UsageError(
            f"{run.path} is the run that is to be compared: its copy would lie in its place. Give "
            "another --out"
        )
    if lacking := [name for name in checkpoints if not (source.checkpoints / name).exists()]:
        raise UsageError(
            f"{source.path} has not been trained so far: it has no checkpoint {', '.join(lacking)}"
        )
    if stages and own_tasks(source):
        raise UsageError(f"{source.path} has tasks of its own: give a run of `ml-agent train`")
    taken = {"started": source.info().started}
    judged = Stage.REFLECT in stages
    taken |= {stage.value: collection_digest(source, stage, judged=judged) for stage in stages}
    taken |= {name: folder_digest(source.checkpoints / name) for name in checkpoints}
    if run.path.exists():
        noted = refuse_another_source(source, run, taken)
        write_json(run.path / TAKEN, noted | taken)
    else:
        part = RunFolder(run.path.with_name(f".{run.path.name}"))
        rmtree(part.path, ignore_errors=True)
        copytree(source.snapshots, part.snapshots)
        if source.tasks_path.exists():
            copy(source.tasks_path, part.tasks_path)
        with closing(Store(source.store_path)) as old, closing(Store(part.store_path)) as new:
            for stage in stages:
                for one in old.select(stage=stage):
                    new.begin(one, stage)
                    new.finish(one)
        write_json(part.path / TAKEN, taken)
        part.path.rename(run.path)
    for name in checkpoints:
        if not (run.checkpoints / name).exists():
            with building(run.checkpoints / name) as partial:
                copytree(source.checkpoints / name, partial, dirs_exist_ok=True)


def refuse_another_source(
    source: RunFolder, run: RunFolder, taken: Mapping[str, str]
) -> dict[str, str]:
    """What a run has noted of the one it was begun from.

    Raises:
        UsageError: That is not what would be taken of the source now, or it has noted nothing.
    """
    path = run.path / TAKEN
    if not path.exists():
        raise UsageError(
            f"{run.path} is there, but not as this comparison makes it: it does not say from which "
            "run it was begun. Another program made it, or an earlier version. Give another --out"
        )
    noted: dict[str, str] = json.loads(path.read_text())
    if differing := [key for key in noted if taken.get(key, noted[key]) != noted[key]]:
        raise UsageError(
            f"{run.path} was begun from another run than {source.path}, or from what that was "
            f"before: it differs in {', '.join(differing)}. Give another --out, or delete "
            f"{run.path}"
        )
    return noted


def collection_digest(run: RunFolder, stage: Stage, *, judged: bool) -> str:
    """Of all attempts of a stage.

    Args:
        run: Whose.
        stage: Which.
        judged: With what a judge has said of them since.
    """
    whole = sha256()
    unjudged = {"step_ok": None, "verdict": None}
    with closing(Store(run.store_path)) as store:
        for one in store.select(stage=stage):
            steps = (
                step if judged or step.verdict is None else step.model_copy(update=unjudged)
                for step in one.steps
            )
            told = one.model_copy(update={"steps": tuple(steps)})
            whole.update(told.model_dump_json().encode())
    return whole.hexdigest()


def folder_digest(folder: Path) -> str:
    """Of all files in it, and their names."""
    whole = sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole.update(f"{path.relative_to(folder)} {sha256_of(path)}\n".encode())
    return whole.hexdigest()


def practised(run: RunFolder, recipe: Recipe, tier: Tier) -> list[dict[str, Any]]:
    """Practise if that is not done; the figures of every update."""
    # No result of other runs: the way that comes later would not pay for its experiments.
    with working(run, recipe, tier=lambda: tier, cached=False) as session:
        if not run.is_done("rl"):
            with run.stage("rl"):
                pipeline.rl_stage(session)
    return run.read_metrics("rl")


def updates_in_time(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, int]:
    """How many updates each way had done, or was doing, as the faster one was through."""
    time = min(lines[-1]["seconds"] for lines in curves.values())
    return {
        mode: next(line["update"] for line in lines if line["seconds"] >= time)
        for mode, lines in curves.items()
    }


def played(
    run: RunFolder,
    recipe: Recipe,
    tasks: Mapping[str, PreparedTask],
    tier: Tier,
    policies: Mapping[str, str],
) -> dict[str, list[AttemptResult]]:
    """Play what has not been played; the results.

    Args:
        run: Whose policies.
        recipe: How it was made.
        tasks: The held-out ones.
        tier: Of the boxes.
        policies: Checkpoints by what the results are to be called.
    """
    found = {}
    with working(run, recipe, tier=lambda: tier, cached=False) as session:
        # Always: which update was the last in time depends on the other way.
        with run.stage("eval"):
            evaluating.eval_stage(session, only=sorted(set(policies.values())))
        for label, checkpoint in policies.items():
            name, _ = chosen_policy(run, recipe.model, checkpoint)
            its = session.store.select(stage=Stage.EVAL, policy=name)
            found[label] = judge(its, tasks, session.grader, session.snapshots.get)
    return found


def picture(curves: Curves) -> str:
    """Both charts, one below the other, as one SVG file."""
    parts = []
    for place, (key, label) in enumerate(AXES.items()):
        series = []
        for name, lines in curves.items():
            points = [(float(line[key]), float(line["reward"])) for line in lines]
            colour = int(name.startswith("episode"))
            series.append(Series(name=name, points=points, colour=colour))
        chart = line_chart(series, title=f"training reward by {label}", x_label=label)
        parts.append(chart.replace("<svg", f'<svg y="{24 + 236 * place}" height="230"', 1))
    body = f"<style>{STYLE}</style>{LEGEND}{''.join(parts)}"
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="520" height="500">{body}</svg>\n'


def recipes(given: Recipe, asked: argparse.Namespace) -> Iterator[tuple[int, str, Recipe]]:
    """How each way practises with each seed."""
    # Every update executes a script, or the bound on updates ends a policy that never does.
    rl = replace(given.rl, scripts=asked.scripts, seconds=None, updates=asked.scripts)
    # The weights of every update stay: which one came to an end in time is not known before.
    rl = replace(rl, checkpoint_every=1, evolve_every=None, staleness=0)
    beginnings = asked.beginnings
    if beginnings is None:
        beginnings = max(1, rl.states // rl.episode_steps)
    for seed in asked.seeds:
        yield seed, "step", replace(given, seed=seed, rl=replace(rl, mode="step"))
        whole = replace(rl, mode="episode", states=beginnings)
        yield seed, "episode", replace(given, seed=seed, rl=whole)


def compared(asked: argparse.Namespace) -> tuple[Summary, Curves]:
    """Practise in both ways and evaluate.

    Raises:
        UsageError: The run is none that can be practised from, or OUT is of another one.
    """
    source = RunFolder(asked.run)
    given = recipe_of(source)
    runs: dict[int, dict[str, tuple[RunFolder, Recipe]]] = {}
    for seed, mode, recipe in recipes(given, asked):
        run = RunFolder(asked.out / f"{mode}-{seed}", option="--out")
        begun(source, run)
        runs.setdefault(seed, {})[mode] = (run, recipe)
    tier = choose_tier("strong")
    tasks = {one.task.id: one for one in prepare_tasks(given.held_out_tasks, tier=tier)}
    results: list[tuple[int, dict[str, list[AttemptResult]]]] = []
    curves: Curves = {}
    for seed, ways in runs.items():
        lines = {mode: practised(*way, tier) for mode, way in ways.items()}
        in_time = updates_in_time(lines)
        its: dict[str, list[AttemptResult]] = {}
        for mode, way in ways.items():
            policies = {"sft": "sft"} if mode == "step" else {}
            policies |= {mode: "rl", f"{mode}_in_time": f"step-{in_time[mode]}"}
            its |= played(*way, tasks, tier, policies)
            curves[f"{mode}-{seed}"] = lines[mode]
        results.append((seed, {label: its[label] for label in LABELS}))
    summary = summarise(pooled(results), held_out=[one.task for one in tasks.values()])
    return summary, curves


def main(arguments: Sequence[str] | None = None) -> None:
    """Practise in both ways, evaluate, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?", help="folder of a run with checkpoints/sft")
    parser.add_argument("--out", type=Path, default=Path("runs/step-or-episode"))
    parser.add_argument("--scripts", type=int, help="practise until so many were executed")
    parser.add_argument(
        "--beginnings",
        type=int,
        help="from how many an update in episode mode draws attempts (default: so many that it "
        "executes as many scripts as one in step mode)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.run is None or asked.scripts is None:
        print("give a fine-tuned run, and --scripts")  # `make bench` gives nothing.
        return
    try:
        summary, curves = compared(asked)
    except MLAgentError as error:
        sys.exit(str(error))
    told = {"summary": summary.model_dump(mode="json"), "curves": curves}
    write_json(asked.out / "comparison.json", told)
    write_atomically(asked.out / "comparison.svg", picture(curves))
    if asked.json:
        print(json.dumps(told))
    else:
        # Names are longer than the table has room for in 80 columns.
        Console(width=max(100, Console().width)).print(terminal_table(summary))


if __name__ == "__main__":
    main()
