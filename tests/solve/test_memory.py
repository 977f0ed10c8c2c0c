"""What is retrieved and remembered: by a formula done by hand, and from runs that were played."""

import math
from pathlib import Path

import pytest
from benchmark_folders import mlagentbench, mle_bench
from solve_fixtures import Solver

from made_records import CRASHED, RAN, TIMED_OUT, made_step, made_trajectory
from ml_agent.core.errors import StoreError
from ml_agent.core.records import Domain, Execution, Trajectory
from ml_agent.sandbox import Snapshots
from ml_agent.solve.memory import (
    Episode,
    Memory,
    Odds,
    changes,
    episodes_of,
    how_it_failed,
    read_runs,
    relevant,
    remember,
)
from ml_agent.solve.notes import documents_in
from ml_agent.solve.retrieval import best, pieces, scores, words
from ml_agent.store import RunFolder, Stage, Store, write_json

CRASH = "Traceback (most recent call last):\n  File ...\nKeyError: 'age of Mr Smith'\n"


def test_a_text_scores_as_the_formula_says() -> None:
    texts = ["ridge ridge table", "forest table", "text"]
    # "ridge" is in 1 of 3 texts: ln(1 + 2.5 / 1.5); twice among 3 words, where 2 are usual.
    ridge = math.log(1 + 2.5 / 1.5) * 2 * 2.5 / (2 + 1.5 * (0.25 + 0.75 * 3 / 2))
    # "table" is in 2: ln(1 + 1.5 / 2.5), once among 3 words and once among 2.
    rarity = math.log(1 + 1.5 / 2.5)
    first = ridge + rarity * 2.5 / (1 + 1.5 * (0.25 + 0.75 * 3 / 2))
    second = rarity * 2.5 / (1 + 1.5)
    assert scores("Ridge of the table", texts) == pytest.approx([first, second, 0.0])
    assert best("Ridge of the table", texts, count=3) == texts[:2]
    assert best("table", texts, count=1) == ["forest table"]
    assert scores("anything", []) == []


def test_names_of_code_are_taken_apart_into_words() -> None:
    assert words("A KeyError in max_iter=200") == ["key", "max", "iter", "200"]


def test_a_document_is_cut_between_paragraphs_where_that_is_possible() -> None:
    text = "One\nline.\n\nTwo.\n \n" + "x" * 25
    assert list(pieces(text, chars=20)) == ["One line. Two.", "x" * 20, "x" * 5]


def test_the_texts_beside_the_data_are_documents(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("Sales are weekly.")
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    (tmp_path / "mine.py").write_text("print(1)\n")
    assert documents_in(tmp_path) == ["Sales are weekly."]
    assert documents_in(tmp_path / "mine.py") == ["Sales are weekly."]
    assert documents_in(tmp_path / "rows.csv") == []


def test_answers_of_a_benchmark_are_no_documents(tmp_path: Path) -> None:
    kaggle = mle_bench(tmp_path / "kaggle")
    (kaggle / "raw" / "answers.txt").write_text("1 is right")
    lab = mlagentbench(tmp_path / "lab")
    (lab / "scripts" / "answer.txt").write_text("2 is right")
    told = [*documents_in(kaggle), *documents_in(lab)]
    assert told
    assert not any("is right" in one for one in told)


STOPPED = CRASHED.model_copy(update={"output": CRASH})


def test_a_failure_is_told_in_a_line() -> None:
    assert how_it_failed(RAN) is None
    assert how_it_failed(STOPPED) == "KeyError: 'age of Mr Smith'"
    assert how_it_failed(TIMED_OUT) == "it met the time limit"
    assert how_it_failed(CRASHED) == "exit code 1"


def attempt(
    snapshots: Snapshots,
    *sources: tuple[str, Execution, float | None],
    name: str = "one",
    **facts: object,
) -> Trajectory:
    """An attempt in which these scripts were run, one after the other."""
    steps = [
        made_step(
            None,
            execution,
            score,
            script="train.py",
            workspace=snapshots.save({"train.py": source.encode()}),
        )
        for source, execution, score in sources
    ]
    start = snapshots.save({"train.py": b"start\n"})
    return made_trajectory(steps, name=name).model_copy(update={"workspace": start} | facts)


def test_an_error_is_remembered_with_what_mended_it(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    played = attempt(
        snapshots,
        ("a\nb\n", STOPPED, None),
        ("a\nc\n", STOPPED, None),
        ("a\nd\n", RAN, 1.0),
        ("a\ne\n", RAN, 2.0),
        ("a\nf\n", STOPPED, None),
    )
    # Of two errors the last is mended; the one at the end is not.
    assert list(episodes_of(played, snapshots)) == [
        Episode(error="KeyError: 'age of Mr Smith'", fix="-c\n+d")
    ]
    assert changes("a\n" * 9, "b\n" * 9, chars=8) == "-a\n-a\n-a\n[cut]"[:8] + "\n[cut]"


def test_the_errors_most_like_this_one_are_found_each_once() -> None:
    key, name = (Episode(error=f"{one}: x", fix="-a\n+b") for one in ("KeyError", "NameError"))
    assert relevant("NameError: name 'y'", [key, name, name], count=2) == [name]


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """Two runs that are over and one that is damaged, in one folder."""
    for name, domain in (("solve-a", "tabular regression"), ("solve-b", "text")):
        run = RunFolder(tmp_path / name)
        with run.working("solve", {"perceived": {"domain": domain}, "seed": 0}):
            snapshots, store = Snapshots(run.snapshots), Store(run.store_path)
            tried = {"move": "draft", "ideas": ("model-forest",)}
            for one in (
                attempt(snapshots, ("x\n", RAN, 3.0), name=f"{name}-1", **tried),
                attempt(
                    snapshots,
                    *(("y\n", STOPPED, None), ("z\n", RAN, 5.0)),
                    name=f"{name}-2",
                    **tried | {"ideas": ("data-ordinal",)},
                ),
                attempt(
                    snapshots,
                    ("v\n", RAN, 3.5),
                    name=f"{name}-3",
                    **tried | {"parents": (f"{name}-1",)},
                ),
            ):
                store.begin(one, Stage.SOLVE)
                store.finish(one)
            store.close()
        metric = {"name": "rmse", "higher_is_better": False}
        write_json(run.path / "result.json", {"metric": metric, "starter": 4.0})
    (tmp_path / "solve-broken").mkdir()
    (tmp_path / "solve-broken" / "run.json").write_text("{")
    (tmp_path / "solve-broken" / "trajectories").mkdir()
    (tmp_path / "solve-broken" / "trajectories" / "store.sqlite").write_text("no store")
    return tmp_path


def test_earlier_runs_tell_which_ideas_helped_and_what_mended_errors(earlier: Path) -> None:
    known = read_runs(earlier, Domain.TABULAR_REGRESSION, but=earlier / "solve-c")
    assert sorted(known.runs) == ["solve-a", "solve-b"]
    # 3 is better than the starter's 4, and 3.5 is not better than the 3 it went on from; 5 is not
    # better than 4. What helped with texts is not counted.
    assert known.odds == {
        "data-ordinal": Odds(tried=1, helped=0),
        "model-forest": Odds(tried=2, helped=1),
    }
    # Of other runs nothing is told that an error quotes.
    assert known.episodes == (Episode(error="KeyError: '...'", fix="-y\n+z"),)
    assert read_runs(earlier, Domain.TEXT, but=earlier / "solve-b").odds == {}


def test_what_a_run_remembers_stays_as_it_was_when_it_began(earlier: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    first = remember(folder, Domain.TEXT, beside=earlier)
    assert first.odds
    assert remember(folder, Domain.TEXT, beside=tmp_path / "nowhere") == first
    (folder / "memory.json").write_text("{")
    with pytest.raises(StoreError, match="Delete it: it is made anew"):
        remember(folder, Domain.TEXT, beside=earlier)


def test_nothing_is_known_where_there_was_nothing(tmp_path: Path) -> None:
    assert read_runs(tmp_path / "nowhere", Domain.TEXT, but=tmp_path) == Memory()


def test_a_tree_by_the_playbook_finds_a_better_script_and_can_be_taken_up_as_a_line(
    tmp_path: Path, out: Path, solver: Solver
) -> None:
    from user_folders import made

    folder = made("csv_regression", tmp_path)
    outcome = solver.solve(folder, out, experiments=7, way="tree")
    assert outcome.improved
    assert outcome.experiments == 7
    tree = solver.last.tree
    assert {one.move for one in tree} >= {"draft", "improve"}
    assert tree.best.score == outcome.best
    more = solver.solve(folder, out, experiments=1, way="line")
    assert more.experiments == 8
    assert [one.id for one in solver.last.tree][: len(list(tree))] == [one.id for one in tree]
