"""What is recorded is read back, and a kill takes nothing that was finished."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ml_agent.core.actions import ExecuteScript
from ml_agent.core.errors import StoreError
from ml_agent.core.records import Completion, End, Execution, Message, Step, Trajectory
from ml_agent.store import Begun, Judgement, RunFolder, Sample, Stage, Store

STEP = Step(
    prompt=(0, 1),
    completion=Completion(text="Action: ...", policy="p", token_ids=(3, 1), logprobs=(-0.1, -2.5)),
    action=ExecuteScript(script_name="train.py"),
    execution=Execution(exit_code=1, output="Ä\0", wall_s=0.5, cpu_s=0.1),
    workspace="abc",
)


def trajectory(identity: str = "one", **changes: object) -> Trajectory:
    begun = Trajectory(
        id=identity,
        task="toy",
        seed=3,
        policy="p",
        versions={"ml-agent": "0"},
        workspace="start",
        messages=(Message(role="system", text="s"), Message(role="user", text="u")),
        steps=(),
        end=None,
    )
    return begun.model_copy(update=changes)


def test_an_attempt_recorded_step_by_step_is_read_back_whole(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    one = trajectory()
    store.begin(one, Stage.COLLECT)
    more = (*one.messages, Message(role="user", text="next"))
    one = one.model_copy(update={"messages": more, "steps": (STEP,)})
    store.append(one, messages_before=2)
    assert store.get("one") == one
    one = one.model_copy(update={"end": End.BROKEN, "failure": "SandboxError: x"})
    store.finish(one)
    assert list(Store(tmp_path / "store.sqlite").select()) == [one]


def test_attempts_are_found_by_stage_task_and_policy(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    store.begin(trajectory("a"), Stage.COLLECT)
    store.begin(trajectory("b", task="other"), Stage.EVAL)
    store.begin(trajectory("c", policy="q"), Stage.EVAL)
    assert [one.id for one in store.select()] == ["b", "a", "c"]
    assert [one.id for one in store.select(stage=Stage.EVAL)] == ["b", "c"]
    assert [one.id for one in store.select(stage=Stage.EVAL, policy="q", task="toy")] == ["c"]


def test_attempts_come_by_task_and_seed_in_whatever_order_they_were_begun(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    for identity, task, seed in [
        ("a", "toy", 2),
        ("b", "toy", 1),
        ("c", "other", 3),
        ("d", "toy", 1),
    ]:
        store.begin(trajectory(identity, task=task, seed=seed), Stage.COLLECT)
    assert [one.id for one in store.select()] == ["c", "b", "d", "a"]


def test_a_policys_attempts_can_be_forgotten(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    store.begin(trajectory("old", policy="q", steps=(STEP,)), Stage.PRACTICE)
    store.begin(trajectory("elsewhere", policy="q"), Stage.EVAL)
    store.begin(trajectory("kept"), Stage.PRACTICE)
    assert store.discard_attempts(Stage.PRACTICE, policy="q") == 1
    assert {one.id for one in store.select()} == {"elsewhere", "kept"}


def test_attempts_are_told_apart_without_reading_what_happened_in_them(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    store.begin(trajectory("a", ideas=("x", "y"), steps=(STEP,)), Stage.COLLECT)
    store.begin(trajectory("b", seed=4), Stage.COLLECT)
    store.finish(trajectory("b", end=End.SUBMITTED))
    store.begin(trajectory("elsewhere"), Stage.EVAL)
    assert list(store.begun(Stage.COLLECT)) == [
        Begun(id="a", task="toy", seed=3, ideas=("x", "y"), end=None),
        Begun(id="b", task="toy", seed=4, ideas=(), end=End.SUBMITTED),
    ]


def test_cut_off_and_broken_attempts_can_be_forgotten(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    store.begin(trajectory("cut", steps=(STEP,)), Stage.COLLECT)
    store.begin(trajectory("broken"), Stage.COLLECT)
    store.finish(trajectory("broken", end=End.BROKEN))
    store.begin(trajectory("whole"), Stage.COLLECT)
    store.finish(trajectory("whole", end=End.SUBMITTED))
    store.begin(trajectory("elsewhere"), Stage.EVAL)
    assert store.discard_unfinished(Stage.COLLECT) == 2
    assert [one.id for one in store.select()] == ["whole", "elsewhere"]


def test_samples_of_an_update_done_again_replace_the_old_ones(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    samples = [Sample(update=1, trajectory="a", t=i, step=STEP, reward=0.5) for i in range(3)]
    store.add_samples(samples)
    store.add_samples(samples[:1])
    store.add_samples([samples[0].model_copy(update={"update": 2, "reward": None})])
    assert [(s.update, s.t, s.reward) for s in store.samples()] == [(1, 0, 0.5), (2, 0, None)]
    assert list(store.samples(1)) == samples[:1]


def test_samples_of_updates_that_were_lost_are_forgotten_and_earlier_ones_kept(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "store.sqlite")
    for update in (1, 2, 3, 4):
        store.add_samples([Sample(update=update, trajectory="a", t=0, step=STEP, reward=None)])
    store.discard_samples(from_update=3)
    assert [one.update for one in store.samples()] == [1, 2]


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    Store(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE meta SET schema_version=99")
    with pytest.raises(StoreError, match="schema version 99"):
        Store(path)


def test_a_file_that_is_no_store_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Store(path)


def test_a_store_may_be_opened_at_the_moment_another_process_makes_it(tmp_path: Path) -> None:
    opener = "import sys; from pathlib import Path; from ml_agent.store import Store\n" + (
        "for line in sys.stdin: Store(Path(line.strip())); print('opened', flush=True)"
    )
    call = [sys.executable, "-c", opener]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        for turn in range(100):
            path = tmp_path / str(turn) / "store.sqlite"
            other.stdin.write(f"{path}\n")
            other.stdin.flush()
            while not path.exists():
                assert other.poll() is None
            Store(path).close()
            assert other.stdout.readline() == "opened\n"
        other.stdin.close()


def test_a_finished_step_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    writer = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_store import STEP, Path, Stage, Store, trajectory
        store = Store(Path({str(path)!r}))
        one = trajectory()
        store.begin(one, Stage.COLLECT)
        while True:
            one = one.model_copy(update={{"steps": (*one.steps, STEP)}})
            store.append(one, messages_before=len(one.messages))
            print(len(one.steps), flush=True)
    """)
    process = subprocess.Popen([sys.executable, "-c", writer], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = 0
    while told < 20:
        told = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    recorded = Store(path).get("one")
    assert len(recorded.steps) >= told
    assert all(step == STEP for step in recorded.steps)


def test_what_a_kill_left_half_written_is_removed_and_nothing_else(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with run.working("r", {}):
        pass
    (run.checkpoints / "rl" / ".partial-x").mkdir(parents=True)
    (run.checkpoints / "rl" / ".partial-x" / "weights").write_bytes(b"half")
    (run.checkpoints / ".replaced-sft-7").mkdir()
    (run.checkpoints / "sft").mkdir()
    (run.path / ".partial-y").write_text("{")
    run.ideas_path("toy").parent.mkdir()
    (run.ideas_path("toy").parent / ".partial-z").write_text("{")
    run.ideas_path("toy").write_text("{}")
    (run.path / ".keep").touch()
    with run.working("r", {}):
        left = {str(path.relative_to(run.path)) for path in run.path.rglob("*")}
    assert left == {
        *("run.json", "config.json", "lock", ".keep"),
        *("checkpoints", "checkpoints/sft", "checkpoints/rl"),
        *("ideas", "ideas/toy.json"),
    }


def test_a_checkpoint_whose_successor_never_came_is_put_back(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with run.working("r", {}):
        pass
    for moved in ("rl/.replaced-step-10-7", ".replaced-sft-7"):
        (run.checkpoints / moved).mkdir(parents=True)
        (run.checkpoints / moved / "checkpoint.json").write_text("old")
    (run.checkpoints / "sft").mkdir()
    with run.working("r", {}):
        left = [str(path.relative_to(run.checkpoints)) for path in run.checkpoints.rglob("*")]
    assert sorted(left) == ["rl", "rl/step-10", "rl/step-10/checkpoint.json", "sft"]
    assert (run.checkpoints / "rl" / "step-10" / "checkpoint.json").read_text() == "old"


def test_what_a_judge_found_is_read_with_the_step_and_forgotten_with_its_attempt(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path / "store.sqlite")
    known = STEP.model_copy(update={"step_ok": True})
    store.begin(trajectory(steps=(STEP, STEP, known)), Stage.COLLECT)
    found = [Judgement(trajectory="one", t=t, ok=False, reason="leaks", judge="j") for t in (1, 2)]
    store.judge(found)
    store.judge(found)
    steps = store.get("one").steps
    assert [one.step_ok for one in steps] == [None, False, True]
    assert [one.verdict for one in steps] == [None, "leaks", None]

    assert store.discard_unfinished(Stage.COLLECT) == 1
    store.begin(trajectory(steps=(STEP, STEP)), Stage.COLLECT)
    assert [one.step_ok for one in store.get("one").steps] == [None, None]


def test_a_store_made_before_there_were_judges_can_be_judged(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = Store(path)
    store.begin(trajectory(steps=(STEP,)), Stage.COLLECT)
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE judgements")
    store = Store(path)
    assert store.get("one").steps == (STEP,)
    store.judge([Judgement(trajectory="one", t=0, ok=True, reason="", judge="j")])
    assert store.get("one").steps[0].step_ok is True
