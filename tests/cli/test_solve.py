"""`ml-agent solve` as a user meets it: real processes, stopped and killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_tables import write_rows

from ml_agent.cli.main import run

SOLVE = [sys.executable, "-m", "ml_agent.cli", "solve"]


@dataclass(frozen=True)
class Said:
    """How a call ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows")


Call = Callable[..., Said]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """The verb in this process: all that a process of its own would do before any script runs."""

    def called(*arguments: str, cwd: Path) -> Said:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["ml-agent", "solve", *arguments])
        code = run()
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return called


def started(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*SOLVE, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Not inherited: a shell's background job, as these tests may be, ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def wait_for_a_better_script(process: subprocess.Popen[str]) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if "  rmse " in line:
            return
    raise AssertionError("it ended before it found a better script")


def test_what_is_concluded_is_shown_and_can_be_had_as_json(
    rows: Path, tmp_path: Path, call: Call
) -> None:
    shown = call("rows", "--look", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "target           y, because it is usually called so" in shown.stdout
    told = json.loads(call("rows", "--look", "--json", "--metric", "mae", cwd=tmp_path).stdout)
    assert (told["target"], told["metric"]["name"]) == ("y", "mae")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "there is no nowhere"),
        (["rows", "--target", "z"], "--target: there is no column 'z'"),
        (["rows", "--say", "predict y, MAP@3"], "'MAP@3' is not one of: accuracy"),
        (["rows", "--minutes", "0.1"], "0.5 minutes at least"),
        (["rows", "--out", "rows/rows.csv"], "rows.csv is a file"),
        (["rows", "--out", "rows"], "rows holds other files; give a new folder"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, rows: Path, tmp_path: Path, call: Call
) -> None:
    assert rows.exists()
    done = call(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_nobody_is_asked_where_there_is_no_terminal(rows: Path, tmp_path: Path, call: Call) -> None:
    table = rows / "rows.csv"
    table.write_text(table.read_text().replace("a,b,c,y", "a,b,c,d"))
    done = call("rows", "--look", cwd=tmp_path)
    assert "target           d, because it is last (a guess" in done.stdout


def test_ctrl_c_leaves_an_answer_and_other_data_are_another_run(
    rows: Path, tmp_path: Path, call: Call
) -> None:
    process = started("rows", cwd=tmp_path)
    wait_for_a_better_script(process)
    os.killpg(process.pid, signal.SIGINT)
    said, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "It ended because you stopped it." in said
    assert error.strip().splitlines()[-1].startswith("ml-agent: stopped.")
    run_folder = tmp_path / "runs" / "solve-rows"
    result = json.loads((run_folder / "result.json").read_text())
    assert result["improved"]
    assert ">Improvement 1<" in (run_folder / "report.html").read_text()
    starter = (run_folder / "task" / "starter" / "train.py").read_text()
    assert (run_folder / "best" / "train.py").read_text() != starter

    table = rows / "rows.csv"
    table.write_text(table.read_text().replace("0.1", "0.2", 1))
    refused = call("rows", cwd=tmp_path)
    assert refused.returncode == 2
    assert "it differs in data. Choose another name with --out" in refused.stderr
