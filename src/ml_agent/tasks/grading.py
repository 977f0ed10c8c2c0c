"""The grader's process: reads labels and predictions, says a score, and does nothing else.

It runs apart from everybody else (`python -I`, empty environment, working folder "/") and serves
frames over its standard input and output: a request as JSON, the predictions as bytes; then the
reply as JSON. A frame is its length (4 bytes, big-endian) and that many bytes.

Covered: predictions of any content are a score or a reason, never an exception or code that runs;
labels other than the pinned ones are refused. Not covered: who may send requests (the pipe's
owner may).
"""

import hashlib
import math
import os
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from ml_agent.core.base import Record
from ml_agent.tasks.metrics import METRICS, Measure
from ml_agent.tasks.tables import (
    BadTable,
    canonical,
    first_few,
    is_number,
    parse_labels,
    parse_numbers,
    read_probabilities,
    read_table,
)

Split = Literal["valid", "test"]


class Request(Record):
    """What is to be graded; the predictions follow in a frame of their own."""

    answers: str
    """Folder of valid.csv and test.csv."""
    valid_digest: str
    test_digest: str
    metric: str
    split: Split


class Reply(Record):
    """Exactly one of the three."""

    value: float | None = None
    malformed: str | None = None
    error: str | None = None
    """The grader's own failure."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The labels of both splits, by id, in the order of their files."""

    valid: dict[str, str]
    test: dict[str, str]

    @classmethod
    def read(cls, folder: Path, *, digests: tuple[str, str] | None = None) -> "Answers":
        """Read both files.

        Args:
            folder: Where valid.csv and test.csv lie.
            digests: Their pinned sha256; None where nothing is pinned yet.

        Raises:
            BadTable: A file cannot be read as `id,label`, or is not the pinned one.
        """
        tables = []
        for i, name in enumerate(("valid.csv", "test.csv")):
            content = (folder / name).read_bytes()
            if digests and hashlib.sha256(content).hexdigest() != digests[i]:
                raise BadTable(
                    f"{folder / name} was altered since the task was prepared. Delete "
                    f"{folder.parent} and prepare the task again"
                )
            try:
                tables.append(read_table(content, "label"))
            except BadTable as error:
                raise BadTable(f"{name}: {error}") from error
        return cls(valid=tables[0], test=tables[1])


def score(answers: Answers, measure: Measure, split: Split, predictions: bytes) -> float:
    """Grade a submission on one split.

    Raises:
        BadTable: The predictions are malformed.
    """
    truth, predicted = compared(answers, measure, split, predictions)
    try:
        value = measure.compute(truth, predicted)
    except ValueError as error:
        # The truth was graded before, when the task was prepared: the predictions are to blame.
        raise BadTable(f"the metric cannot be computed: {error}") from error
    if not math.isfinite(value):
        raise BadTable("the predictions are too large to be measured")
    return value


def compared(
    answers: Answers, measure: Measure, split: Split, predictions: bytes
) -> tuple[list[Any], list[Any]]:
    """Truth and predictions of one split, row by row, as the metric compares them.

    Every row must be right, those of the other split too: which rows belong to which split shows
    neither in the score's existence nor in a message.

    Raises:
        BadTable: The predictions are malformed.
    """
    labels = answers.valid | answers.test
    truth, predicted = _comparable(labels, predictions, measure)
    wanted = answers.valid if split == "valid" else answers.test
    return [truth[i] for i in wanted], [predicted[i] for i in wanted]


def _comparable(
    labels: dict[str, str], predictions: bytes, measure: Measure
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Truth and predictions as what the metric compares, by id."""
    rows_at_most = 2 * len(labels) + 1000
    if measure.predicts == "probabilities":
        shares = read_probabilities(predictions, rows_at_most=rows_at_most)
        _refuse_other_ids(labels, shares)
        classes = {i: canonical(label) for i, label in labels.items()}
        if not set(classes.values()) & set(next(iter(shares.values()))):
            raise BadTable("no column is called like a class")
        return classes, shares
    given = read_table(predictions, "prediction", rows_at_most=rows_at_most)
    _refuse_other_ids(labels, given)
    if measure.predicts == "number":
        said = parse_numbers(given, lowest=measure.lowest, highest=measure.highest)
        return parse_numbers(labels), said
    if all(is_number(label) for label in labels.values()):
        # Class 1 predicted as 1.0 is right: many libraries turn labels into floats.
        return (
            {i: repr(value) for i, value in parse_numbers(labels).items()},
            {i: repr(value) for i, value in parse_numbers(given).items()},
        )
    return labels, parse_labels(given)


def _refuse_other_ids(labels: Mapping[str, str], given: Mapping[str, object]) -> None:
    if missing := [name for name in labels if name not in given]:
        raise BadTable(
            f"{len(missing)} of {len(labels)} ids of predict.csv have no row: {first_few(missing)}"
        )
    if extra := [name for name in given if name not in labels]:
        raise BadTable(f"{len(extra)} ids are not in predict.csv: {first_few(extra)}")


def answer(request: Request, predictions: bytes, known: dict[str, Answers]) -> Reply:
    """Serve one request. `known` keeps labels between requests."""
    digests = (request.valid_digest, request.test_digest)
    key = f"{request.answers}:{digests}"
    try:
        if key not in known:
            known[key] = Answers.read(Path(request.answers), digests=digests)
        measure = METRICS[request.metric]
    except (BadTable, OSError, KeyError) as error:
        return Reply(error=f"{type(error).__name__}: {error}")
    try:
        return Reply(value=score(known[key], measure, request.split, predictions))
    except BadTable as error:
        return Reply(malformed=f"submission.csv: {error}")


def read_frame(stream: IO[bytes]) -> bytes | None:
    """The next frame; None at the stream's end.

    Raises:
        EOFError: The stream ended inside a frame.
    """
    head = stream.read(4)
    if not head:
        return None
    size = struct.unpack(">I", head)[0] if len(head) == 4 else 1
    body = stream.read(size)
    if len(body) != size:
        raise EOFError("the stream ended inside a frame")
    return body


def write_frame(stream: IO[bytes], body: bytes) -> None:
    """Write one frame and send it off."""
    stream.write(struct.pack(">I", len(body)) + body)
    stream.flush()


def serve() -> None:
    """Answer requests until standard input ends."""
    # Replies have a descriptor of their own: a library that prints cannot garble them.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    known: dict[str, Answers] = {}
    while (head := read_frame(sys.stdin.buffer)) is not None:
        predictions = read_frame(sys.stdin.buffer) or b""
        try:
            reply = answer(Request.model_validate_json(head), predictions, known)
        except Exception as error:  # noqa: BLE001 - one request must not end the process
            reply = Reply(error=f"{type(error).__name__}: {error}")
        write_frame(replies, reply.model_dump_json().encode())
