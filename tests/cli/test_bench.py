"""Comparisons of runs under bench/: what they refuse before anything is played."""

import argparse
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import engine
import overlap
import seeds
import step_or_episode
from made_records import made_step, made_trajectory
from ml_agent.cli.recipes import laptop, quickstart, recipe_named
from ml_agent.core.errors import UsageError
from ml_agent.sandbox import Snapshots
from ml_agent.store import Judgement, RunFolder, Stage, Store
from step_or_episode import begun

Main = Callable[[Sequence[str]], None]


def made(path: Path, *, said: str = "", seed: int = 0, change: str = "rl.updates=8") -> RunFolder:
    """A run that has collected one attempt and was fine-tuned."""
    run, recipe = RunFolder(path), recipe_named("quickstart", [f"seed={seed}", change])
    with run.working(recipe.name, recipe.as_json()), closing(Store(run.store_path)) as store:
        store.begin(one := made_trajectory([made_step(text=said)]), Stage.COLLECT)
        store.finish(one)
    Snapshots(run.snapshots).save({})
    for name in ("sft", "rl"):
        (run.checkpoints / name).mkdir(parents=True)
        (run.checkpoints / name / "weights").write_text(said)
    return run


def dated(run: RunFolder, started: str) -> RunFolder:
    info = json.loads((run.path / "run.json").read_text())
    (run.path / "run.json").write_text(json.dumps(info | {"started": started}))
    return run


def test_a_run_that_is_taken_up_again_is_left_as_it_is(tmp_path: Path) -> None:
    source, run = made(tmp_path / "source"), RunFolder(tmp_path / "out" / "step-0")
    begun(source, run)
    (run.path / "made later").touch()
    (source.path / "report.html").touch()
    begun(source, run)
    assert (run.path / "made later").exists()
    with closing(Store(run.store_path)) as store:
        assert [one.id for one in store.select()] == ["one"]


def test_checkpoints_that_are_asked_for_later_join_those_that_are_there(tmp_path: Path) -> None:
    source, run = made(tmp_path / "source", said="a"), RunFolder(tmp_path / "out")
    begun(source, run, stages=(), checkpoints=["sft"])
    assert [one.name for one in run.checkpoints.iterdir()] == ["sft"]
    begun(source, run, stages=(), checkpoints=["sft", "rl"])
    assert (run.checkpoints / "rl" / "weights").read_text() == "a"
    (source.checkpoints / "rl" / "weights").write_text("b")
    with pytest.raises(UsageError, match="it differs in rl"):
        begun(source, run, stages=(), checkpoints=["rl"])


@pytest.mark.parametrize("differing", ["started", "collect", "sft"])
def test_a_second_source_never_gets_what_the_first_one_made(differing: str, tmp_path: Path) -> None:
    first, run = dated(made(tmp_path / "first"), "2026"), RunFolder(tmp_path / "out" / "step-0")
    begun(first, run)
    second = first
    match differing:
        case "started":
            second = dated(made(tmp_path / "second"), "2027")
        case "collect":
            second = dated(made(tmp_path / "second", said="other"), "2026")
            shutil.copytree(first.checkpoints, second.checkpoints, dirs_exist_ok=True)
        case _:
            (first.checkpoints / "sft" / "weights").write_text("trained on")
    with pytest.raises(UsageError) as caught:
        begun(second, run)
    said = str(caught.value)
    assert said.startswith(f"{run.path} was begun from another run than {second.path}")
    assert f"it differs in {differing}. Give" in said
    assert said.endswith(f"Give another --out, or delete {run.path}")


def test_a_folder_that_no_comparison_made_is_never_advised_to_be_deleted(tmp_path: Path) -> None:
    first, second = made(tmp_path / "first"), made(tmp_path / "second")
    with pytest.raises(UsageError) as caught:
        begun(first, second)
    said = str(caught.value)
    assert said.startswith(f"{second.path} is there, but not as this comparison makes it")
    assert said.endswith("Give another --out")
    call = [str(first.path), "--out", str(tmp_path), "--set", "evaluation.steps=1"]
    with pytest.raises(SystemExit, match=r"first is the run that is to be compared.*another --out"):
        seeds.main([*call, "--policies", "sft"])


def test_what_a_judge_says_later_is_another_source_only_where_reflections_are_taken(
    tmp_path: Path,
) -> None:
    source, plain = made(tmp_path / "source"), RunFolder(tmp_path / "plain")
    arms, both = RunFolder(tmp_path / "arms"), (Stage.COLLECT, Stage.REFLECT)
    begun(source, plain)
    begun(source, arms, stages=both)
    with closing(Store(source.store_path)) as store:
        store.judge([Judgement(trajectory="one", t=0, ok=False, reason="no", judge="j")])
    begun(source, plain)
    with pytest.raises(UsageError, match="it differs in collect"):
        begun(source, arms, stages=both)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"seed": 1, "change": "sft.lr=1"}, r"differ in more than the seed \(sft\.lr\)"),
        ({"seed": 0}, "both have seed 0, so they play the same attempts"),
        ({"seed": 0, "change": "sft.seed=1"}, "both have seed 0, so they play the same attempts"),
    ],
)
def test_runs_that_are_not_seeds_of_one_recipe_are_not_pooled(
    other: dict[str, Any], said: str, tmp_path: Path
) -> None:
    runs = made(tmp_path / "a"), made(tmp_path / "b", **other)
    with pytest.raises(SystemExit, match=said):
        seeds.main([*(str(one.path) for one in runs), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_the_slower_way_is_measured_after_the_update_it_was_in_as_the_faster_was_through() -> None:
    def lines(*seconds: float) -> list[dict[str, float]]:
        return [{"update": number, "seconds": at} for number, at in enumerate(seconds, start=1)]

    curves = {"step": lines(10, 20, 31), "episode": lines(15, 30, 45, 60)}
    assert step_or_episode.updates_in_time(curves) == {"step": 3, "episode": 3}
    curves = {"step": lines(10, 20, 30), "episode": lines(8, 16)}
    assert step_or_episode.updates_in_time(curves) == {"step": 2, "episode": 2}


def test_an_update_executes_about_as_many_scripts_either_way() -> None:
    asked = argparse.Namespace(scripts=500, seeds=[3], beginnings=None)
    for given in (laptop(), quickstart()):
        (_, _, step), (_, _, whole) = step_or_episode.recipes(given, asked)
        assert (step.seed, whole.seed) == (3, 3)
        scripts = whole.rl.states * whole.rl.actions * whole.rl.episode_steps
        assert 0.7 < scripts / (step.rl.states * step.rl.actions) <= 1
    asked.beginnings = 9
    assert [one.rl.states for _, _, one in step_or_episode.recipes(laptop(), asked)] == [9, 9]


@pytest.mark.parametrize(
    ("main", "options"),
    [
        (step_or_episode.main, ["--scripts", "1"]),
        (overlap.main, []),
        (seeds.main, ["--policies", "sft", "--set", "evaluation.steps=1"]),
    ],
)
def test_a_run_that_was_not_trained_is_one_line(
    main: Main, options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = made(tmp_path / "run")
    shutil.rmtree(run.checkpoints)
    with pytest.raises(SystemExit, match="has not been trained so far: it has no checkpoint sft"):
        main([str(run.path), *options])
    with pytest.raises(SystemExit, match="nowhere is no run"):
        main(["nowhere", *options])
    assert [one.name for one in tmp_path.iterdir()] == ["run"]


def test_a_learned_run_is_told_how_it_is_compared(tmp_path: Path) -> None:
    run = made(tmp_path / "learned")
    config = run.config() | {"name": "learn"}
    (run.path / "config.json").write_text(json.dumps(config))
    with pytest.raises(SystemExit, match="was not evaluated: give --set"):
        seeds.main([str(run.path), "--policies", "rl", "--out", str(tmp_path / "out")])


def test_too_few_repeats_are_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        engine.main(["--repeats", "3"])
    assert "--repeats is 3; quartiles need 4 at least" in capsys.readouterr().err
