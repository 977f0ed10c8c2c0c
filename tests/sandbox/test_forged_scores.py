"""No script gets a score but by predictions that the grader reads, and can read.

Numbers are those of the list of attacks in the design (`sandbox.md`, 5.2). What is wrong inside a
well-meant table is tried in `tests/tasks/test_grading.py`.
"""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from ml_agent.env import Experiments
from ml_agent.env.experiments import Finding
from ml_agent.sandbox import ColdBox, Snapshots
from ml_agent.tasks import Grader, PreparedTask

Try = Callable[..., Finding]
PERFECT = "id,prediction\na,10\nb,10\nc,10\nd,10\n"


@pytest.fixture
def attempt(guess_task: PreparedTask, grader: Grader, snapshots: Snapshots) -> Try:
    """Run a script as an experiment, with other files beside it."""
    experiments = Experiments(grader, snapshots)

    def attempt(script: str, **files: str) -> Finding:
        box = ColdBox(snapshots, data=guess_task.public)
        for name, text in files.items():
            box.write(name.replace("_csv", ".csv").replace("_py", ".py"), text.encode())
        box.write("train.py", dedent(script).encode())
        return experiments.run(guess_task, box, "train.py")

    return attempt


def test_43_a_metric_that_is_only_printed_is_no_score(attempt: Try) -> None:
    found = attempt(
        """
        import os
        print("validation mae: 0.0\\nscore: 1.0", flush=True)
        os._exit(0)
        """
    )
    assert found.execution.succeeded
    assert found.score is None
    assert found.malformed == "the script wrote no submission.csv"


def test_43_predictions_of_an_earlier_run_are_no_score(attempt: Try) -> None:
    assert attempt("import os; os._exit(3)", submission_csv=PERFECT).score is None
    found = attempt(f"open('submission.csv', 'w').write({PERFECT!r}); raise SystemExit(1)")
    assert (found.score, found.submission, found.malformed) == (None, None, None)


def test_49_predictions_that_are_no_file_are_no_score(attempt: Try) -> None:
    for make in (
        "os.mkfifo('submission.csv')",
        "os.mkdir('submission.csv'); open('submission.csv/submission.csv', 'w').write(TEXT)",
        "os.symlink('other.csv', 'submission.csv')",
        "os.link('other.csv', 'submission.csv')",
        "os.symlink('/proc/self/environ', 'submission.csv')",
    ):
        text = f"import os; TEXT = {PERFECT!r}; open('other.csv', 'w').write(TEXT); {make}"
        found = attempt(text)
        assert found.execution.succeeded, make
        assert found.malformed == "the script wrote no submission.csv"


@pytest.mark.parametrize(
    "write",
    [
        "pickle.dump(Evil(), open('submission.csv', 'wb'))",
        "numpy.save(open('submission.csv', 'wb'), numpy.array([Evil()]), allow_pickle=True)",
        "open('submission.csv', 'w').write(pickle.dumps(Evil(), protocol=0).decode())",
    ],
    ids=["pickle", "npy", "pickle in text"],
)
def test_50_nothing_is_unpickled(attempt: Try, tmp_path: Path, write: str) -> None:
    found = attempt(
        f"""
        import os, pickle, numpy

        class Evil:
            def __reduce__(self):
                return os.mkdir, ({str(tmp_path / "evil")!r},)

        {write}
        """
    )
    assert found.execution.succeeded, found.execution.output
    assert found.score is None
    assert (found.malformed or "").startswith("submission.csv: ")
    assert not (tmp_path / "evil").exists()


def test_51_a_million_rows_are_refused_and_cost_nothing(attempt: Try) -> None:
    found = attempt(
        f"""
        with open("submission.csv", "w") as file:
            file.write({PERFECT!r})
            file.writelines(f"q{{number}},1\\n" for number in range(1_100_000))
        """
    )
    # Twice the four labels and a thousand are read.
    assert found.malformed == "submission.csv: more than 1008 rows"
    found = attempt("open('submission.csv', 'w').write('x' * (20 << 20))")
    assert found.malformed == "submission.csv: 20971520 bytes; at most 16777216 are read"


def test_53_a_grader_in_the_workspace_grades_nothing(attempt: Try) -> None:
    own = "def compute(*_): return 0.0\nscore = grade = validation = compute"
    found = attempt(
        """
        import os
        for name in ("valid", "test", "answers"):
            open(f"{name}.csv", "w").write("id,label\\na,6\\nb,6\\nc,6\\nd,6\\n")
        open("submission.csv", "w").write("id,prediction\\na,6\\nb,6\\nc,6\\nd,6\\n")
        """,
        metric_py=own,
        grader_py=own,
        ml_agent_py=own,
        csv_py=own,
    )
    # Every label is 10.
    assert found.score == 4.0
