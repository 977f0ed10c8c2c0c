"""The grader: hand-made scores, and a reason for every kind of bad predictions."""

import hashlib
import math
import os
import signal
import threading
from pathlib import Path

import pytest

from ml_agent.core.errors import GraderError
from ml_agent.core.records import Domain, Metric, SplitDigests, Task
from ml_agent.tasks import METRICS, Grader, Malformed, PreparedTask, Score
from ml_agent.tasks.checks import no_op
from ml_agent.tasks.tables import BYTES_AT_MOST
from ml_agent.tasks.test_split import TestScore, grade_test

VALID = {"a": "1", "b": "2", "c": "3"}
TEST = {"d": "10", "e": "20"}
GOOD = "id,prediction\na,1\nb,2\nc,6\nd,10\ne,24\n"


def prepared(folder: Path, metric: str = "mae", valid=VALID, test=TEST) -> PreparedTask:
    answers = folder / f"answers-{metric}"
    answers.mkdir()
    digests = []
    for name, labels in (("valid", valid), ("test", test)):
        content = "id,label\n" + "".join(f"{i},{label}\n" for i, label in labels.items())
        (answers / f"{name}.csv").write_text(content)
        digests.append(hashlib.sha256(content.encode()).hexdigest())
    task = Task(
        id="hand-made",
        domain=Domain.TABULAR_REGRESSION,
        statement="Predict.",
        metric=Metric(name=metric, higher_is_better=METRICS[metric].higher_is_better),
        m_init=1.0,
        m_best=0.5,
        splits=SplitDigests(public="", valid=digests[0], test=digests[1]),
    )
    return PreparedTask(task=task, public=folder, answers=answers, workspace={})


def test_validation_rows_are_scored(grader, tmp_path):
    assert grader.validation(prepared(tmp_path), GOOD.encode()) == Score(value=1.0)


def test_test_rows_are_scored_by_another_type(grader, tmp_path):
    found = grade_test(grader, prepared(tmp_path), GOOD.encode())
    assert found == TestScore(value=2.0)
    assert not isinstance(found, Score)


def test_a_grader_offers_no_test_score():
    public = {name for name in dir(Grader) if not name.startswith("_")}
    assert public == {"validation", "close"}


@pytest.mark.parametrize(
    "text",
    [
        "id,prediction\ne,24\nc,6\nd,10\na,1\nb,2\n",
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD + "\n\n",
        GOOD.rstrip("\n"),
        GOOD.replace("a,1\n", '"a","1.0"\n').replace("e,24", "e,2.4e1"),
    ],
    ids=["row order", "BOM", "CRLF", "empty lines", "no last newline", "quotes and exponents"],
)
def test_harmless_differences_change_no_score(grader, tmp_path, text):
    assert grader.validation(prepared(tmp_path), text.encode()) == Score(value=1.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the header is '', it must be 'id,prediction'"),
        (b",id,prediction\n0,a,1\n", "the header is ',id,prediction'"),
        (b"prediction,id\n1,a\n", "it must be 'id,prediction'"),
        (GOOD.replace("b,2\n", "").encode(), "1 of 5 ids of predict.csv have no row: 'b'"),
        (b"id,prediction\n", "5 of 5 ids of predict.csv have no row: 'a', 'b', 'c' and 2 more"),
        ((GOOD + "z,1\n").encode(), "1 ids are not in predict.csv: 'z'"),
        ((GOOD + "a,1\nb,9\n").encode(), "2 ids stand more than once: 'a', 'b'"),
        (GOOD.replace("c,6", "c,nan").encode(), "1 value is not a finite number: 'nan' for id 'c'"),
        (GOOD.replace("e,24", "e,inf").encode(), "'inf' for id 'e'"),
        (GOOD.replace("e,24", "e,1e999").encode(), "'1e999' for id 'e'"),
        (GOOD.replace("a,1", "a,").encode(), "1 value is not a finite number: '' for id 'a'"),
        (GOOD.replace("a,1", "a,1_0").encode(), "'1_0' for id 'a'"),
        (GOOD.replace("a,1", "a,[1]").encode(), r"'\[1\]' for id 'a'"),
        (GOOD.replace("a,1", "a,1,5").encode(), "line 2 has 3 fields, not 2"),
        (GOOD.replace("a,1", "a").encode(), "line 2 has 1 fields, not 2"),
        (GOOD.replace("a,1", 'a,"1').encode(), "is not CSV"),
        (GOOD.replace("a,1", "a\0,1").encode(), "holds a NUL character"),
        (GOOD.encode("utf-16"), "not UTF-8"),
        (b"\x80\x04\x95 a pickle", "not UTF-8"),
        (GOOD.replace("a,1", "a," + "1" * 5000).encode(), "line 2 has 5002 characters"),
        ((GOOD + "".join(f"q{i},1\n" for i in range(2000))).encode(), "more than 1010 rows"),
        (b"x" * (BYTES_AT_MOST + 1), "at most 16777216 are read"),
        (GOOD.replace("a,1", "a,1e308").replace("b,2", "b,-1.7e308").encode(), "too large"),
    ],
)
def test_malformed_predictions_say_what_is_wrong(grader, tmp_path, content, said):
    found = grader.validation(prepared(tmp_path), content)
    assert isinstance(found, Malformed), found
    with pytest.raises(ValueError, match=said):
        raise ValueError(found.reason)
    assert found.reason.startswith("submission.csv: ")
    assert len(found.reason) < 400


def test_rows_of_the_other_split_must_be_right_too(grader, tmp_path):
    task = prepared(tmp_path)
    spoiled = GOOD.replace("e,24", "e,nan").encode()
    assert isinstance(grader.validation(task, spoiled), Malformed)
    assert isinstance(grade_test(grader, task, spoiled), Malformed)


def test_classes_written_as_floats_are_the_same_classes(grader, tmp_path):
    task = prepared(tmp_path, "accuracy", valid={"a": "0", "b": "1"}, test={"c": "1"})
    text = b"id,prediction\na,0.0\nb,1.0\nc,1.0\n"
    assert grader.validation(task, text) == Score(value=1.0)


def test_classes_with_names_are_compared_as_text(grader, tmp_path):
    task = prepared(tmp_path, "accuracy", valid={"a": "cat", "b": "dog"}, test={"c": "1"})
    text = "id,prediction\na,cat\nb,cow\nc,1\n"
    assert grader.validation(task, text.encode()) == Score(value=0.5)
    empty = grader.validation(task, text.replace("cow", "").encode())
    assert empty == Malformed(reason="submission.csv: 1 value is empty: ids 'b'")


def test_a_metric_of_logarithms_wants_no_negative_numbers(grader, tmp_path):
    found = grader.validation(prepared(tmp_path, "rmsle"), GOOD.replace("a,1", "a,-1").encode())
    assert isinstance(found, Malformed)
    assert "not a finite number of 0 or more: '-1' for id 'a'" in found.reason


def test_a_metric_of_probabilities_wants_numbers_from_0_to_1(grader, tmp_path):
    task = prepared(tmp_path, "log_loss", valid={"a": "0", "b": "1"}, test={"c": "1"})
    text = "id,prediction\na,0.5\nb,0.5\nc,1\n"
    assert grader.validation(task, text.encode()) == Score(value=-math.log(0.5))
    found = grader.validation(task, text.replace("c,1", "c,1.5").encode())
    assert isinstance(found, Malformed)
    assert "not a finite number of 0 or more, at most 1: '1.5' for id 'c'" in found.reason


SHARES = "id,1,2\na,0.5,0.5\nb,0.75,0.25\nc,1,0\n"


def test_probabilities_are_read_by_the_names_of_classes(grader, tmp_path):
    labels = {"valid": {"a": "1", "b": "2"}, "test": {"c": "1"}}
    task = prepared(tmp_path, "multiclass_log_loss", **labels)
    expected = pytest.approx((math.log(2) + math.log(4)) / 2)
    turned = "id,2.0,1.0\nb,0.25,0.75\nc,0,1\na,0.5,0.5\n"
    # What adds up to nearly 1 is brought to it.
    rounded = SHARES.replace("0.5,0.5", "0.5001,0.5001")
    for text in (SHARES, turned, rounded):
        assert grader.validation(task, text.encode()).value == expected


def test_a_constant_prediction_of_probabilities_are_the_shares_of_classes(grader, tmp_path):
    labels = {"valid": {"a": "x", "b": "y", "c": "x", "d": "x"}, "test": {"e": "y", "f": "x"}}
    task = prepared(tmp_path, "multiclass_log_loss", **labels)
    constants = no_op(task)
    assert list(constants) == ["shares"]
    # The entropy of the labels themselves.
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert grader.validation(task, constants["shares"]).value == pytest.approx(entropy)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("id,1,2", "id,prediction", "it must be 'id' and the names of all classes, each once"),
        ("id,1,2", "id,1,1.0", "it must be 'id' and the names of all classes, each once"),
        ("id,1,2", "key,1,2", "it must be 'id' and the names of all classes, each once"),
        ("id,1,2", "id,one,two", "no column is called like a class"),
        ("b,0.75,0.25", "b,0.75,0.2", "the probabilities of 1 rows do not add up to 1: ids 'b'"),
        ("b,0.75,0.25", "b,1.25,-0.25", "not a finite number of 0 or more, at most 1: '1.25'"),
        ("b,0.75,0.25", "b,nan,1", "not a finite number of 0 or more, at most 1: 'nan'"),
        ("b,0.75,0.25", "b,1", "line 3 has 2 fields, not 3"),
        ("b,0.75,0.25\n", "", "1 of 3 ids of predict.csv have no row: 'b'"),
        ("c,1,0", "c,1,0\nc,1,0", "1 id stands more than once: 'c'"),
        (SHARES, "", "the header is ''"),
        ("a,0.5,0.5\nb,0.75,0.25\nc,1,0\n", "", "3 of 3 ids of predict.csv have no row"),
    ],
)
def test_malformed_probabilities_say_what_is_wrong(grader, tmp_path, old, new, said):
    labels = {"valid": {"a": "1", "b": "2"}, "test": {"c": "1"}}
    task = prepared(tmp_path, "multiclass_log_loss", **labels)
    found = grader.validation(task, SHARES.replace(old, new).encode())
    assert isinstance(found, Malformed)
    assert said in found.reason


def test_a_kappa_of_floats_that_are_no_labels_is_the_scripts_fault(grader, tmp_path):
    task = prepared(tmp_path, "qwk", valid={"a": "1", "b": "2"}, test={"c": "3"})
    found = grader.validation(task, b"id,prediction\na,1\nb,2.5\nc,3\n")
    assert isinstance(found, Malformed)
    assert "labels are whole numbers, 2.5 is none" in found.reason


def test_altered_labels_are_our_failure(grader, tmp_path):
    task = prepared(tmp_path)
    (task.answers / "valid.csv").write_text("id,label\na,1\nb,2\nc,6\n")
    with pytest.raises(GraderError, match="was altered since the task was prepared"):
        grader.validation(task, GOOD.encode())


def test_a_dead_grader_is_our_failure_and_comes_back(tmp_path):
    task = prepared(tmp_path)
    with Grader() as mortal:
        assert mortal.validation(task, GOOD.encode()) == Score(value=1.0)
        os.kill(mortal._process.pid, signal.SIGKILL)
        with pytest.raises(GraderError, match="the grader's process died"):
            mortal.validation(task, GOOD.encode())
        assert mortal.validation(task, GOOD.encode()) == Score(value=1.0)


def test_a_grader_that_hangs_is_our_failure(tmp_path, monkeypatch):
    monkeypatch.setattr("ml_agent.tasks.grader.DEADLINE_S", 0.2)
    with Grader() as hung:
        hung._running().send_signal(signal.SIGSTOP)
        with pytest.raises(GraderError, match="the grader's process died"):
            hung.validation(prepared(tmp_path), GOOD.encode())


def test_threads_share_grader(grader, tmp_path):
    task = prepared(tmp_path)
    wrong: list[float] = []

    def ask(error: int) -> None:
        text = GOOD.replace("c,6", f"c,{3 + error}").encode()
        for _ in range(20):
            found = grader.validation(task, text)
            if found != Score(value=error / 3):
                wrong.append(error)

    threads = [threading.Thread(target=ask, args=(error,)) for error in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_grader_sees_none_of_our_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    with Grader() as apart:
        process = Path(f"/proc/{apart._running().pid}")
        apart.validation(prepared(tmp_path), GOOD.encode())
        assert b"hunter2" not in (process / "environ").read_bytes()
        assert (process / "cwd").resolve() == Path("/")
