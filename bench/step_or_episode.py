"""Does step-wise practice learn more than whole attempts, at equal executed scripts or wall time?

From one fine-tuned run: same start, same reward, same tasks; each way practises until it has
executed so many scripts (or so many seconds have passed), with each seed; then all of them and
the fine-tuned policy play the held-out tasks. The same command goes on after a stop. In OUT lie a
run's folder for each way and seed, `comparison.json` and `comparison.svg`: training reward (the
mean of single actions) against executed scripts and against seconds. All seeds are judged together:
intervals do not know how practice varies from seed to seed.

    python bench/step_or_episode.py runs/NAME --out OUT --scripts 1000 [--seeds 0 1] [--json]
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from shutil import copy, copytree, rmtree
from typing import Any, Literal

from rich.console import Console

from ml_agent.assets import building, sha256_of
from ml_agent.cli import evaluating, pipeline
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
MODES: tuple[Literal["step", "episode"], ...] = ("step", "episode")
AXES = {"executed_scripts": "executed scripts", "seconds": "seconds"}
TAKEN = "begun-from.json"
"""In the folder of a run: what it has of the one it was begun from."""
LEGEND = '<text x="52" y="16" class="f0">step</text><text x="92" y="16" class="f1">episode</text>'
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


def practised(
    run: RunFolder, recipe: Recipe, tasks: Mapping[str, PreparedTask], tier: Tier
) -> dict[str, list[AttemptResult]]:
    """Practise and evaluate if that is not done; the results of "rl", and in step mode of "sft"."""
    mode = recipe.rl.mode
    only = ("sft", "rl") if mode == "step" else ("rl",)
    # No result of other runs: the way that comes later would not pay for its experiments.
    with working(run, recipe, tier=lambda: tier, cached=False) as session:
        if not run.is_done("rl"):
            with run.stage("rl"):
                pipeline.rl_stage(session)
        if not run.is_done("eval"):
            with run.stage("eval"):
                evaluating.eval_stage(session, only=only)
        played = list(session.store.select(stage=Stage.EVAL))
        kept = {label: [one for one in played if f"+{label}" in one.policy] for label in only}
        grader, load = session.grader, session.snapshots.get
        judged = [judge(those, tasks, grader, load) for those in kept.values()]
        return dict(zip((*only[:-1], mode), judged, strict=True))


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


def compared(asked: argparse.Namespace) -> tuple[Summary, Curves]:
    """Practise in both ways and evaluate.

    Raises:
        UsageError: The run is none that can be practised from, or OUT is of another one.
    """
    source = RunFolder(asked.run)
    given = recipe_of(source)
    runs = {
        (seed, mode): RunFolder(asked.out / f"{mode}-{seed}", option="--out")
        for seed in asked.seeds
        for mode in MODES
    }
    for run in runs.values():
        begun(source, run)
    tier = choose_tier("strong")
    tasks = {one.task.id: one for one in prepare_tasks(given.held_out_tasks, tier=tier)}
    # Every update executes a script, or the bound on updates ends a policy that never does.
    bounds = {"scripts": asked.scripts, "seconds": asked.seconds, "updates": asked.scripts or 10**6}
    rl = replace(given.rl, evolve_every=None, staleness=0, **bounds)
    results: list[tuple[int, dict[str, list[AttemptResult]]]] = []
    curves: Curves = {}
    for (seed, mode), run in runs.items():
        recipe = replace(given, seed=seed, rl=replace(rl, mode=mode))
        results.append((seed, practised(run, recipe, tasks, tier)))
        curves[f"{mode}-{seed}"] = run.read_metrics("rl")
    summary = summarise(pooled(results), held_out=[one.task for one in tasks.values()])
    return summary, curves


def main(arguments: Sequence[str] | None = None) -> None:
    """Practise in both ways, evaluate, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?", help="folder of a run with checkpoints/sft")
    parser.add_argument("--out", type=Path, default=Path("runs/step-or-episode"))
    parser.add_argument("--scripts", type=int, help="practise until so many were executed")
    parser.add_argument("--seconds", type=float, help="or so many seconds have passed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    if asked.run is None or (asked.scripts is None and asked.seconds is None):
        print("give a fine-tuned run, and --scripts or --seconds")  # `make bench` gives nothing.
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
        Console().print(terminal_table(summary))


if __name__ == "__main__":
    main()
