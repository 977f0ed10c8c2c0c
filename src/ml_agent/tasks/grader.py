"""Our side of the grader: one process for all tasks, asked over a pipe."""

import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from types import TracebackType
from typing import IO, Self, cast

from ml_agent.core.errors import GraderError
from ml_agent.tasks.contract import Malformed, PreparedTask, Score
from ml_agent.tasks.grading import Reply, Request, Split, read_frame, write_frame
from ml_agent.tasks.tables import BYTES_AT_MOST

DEADLINE_S = 60.0
"""A request that takes longer ends the process; grading takes milliseconds."""

_SERVE = "from ml_agent.tasks.grading import serve; serve()"
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LANG": "C.UTF-8"}


class Grader:
    """Grades predictions in another process than ours and the agent's.

    Started at the first request, and again after it died. Threads may share one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def validation(self, prepared: PreparedTask, predictions: bytes) -> Score | Malformed:
        """Grade the validation rows of a submission.

        Args:
            prepared: The task that was worked on.
            predictions: Bytes of submission.csv, from outside the box.

        Raises:
            GraderError: The grader failed; nothing is known about the predictions.
        """
        value = self._score(prepared, predictions, "valid")
        return value if isinstance(value, Malformed) else Score(value=value)

    def close(self) -> None:
        """End the process. Calling it twice is harmless."""
        with self._lock:
            self._stop()

    # Not public: only tasks.test_split asks for the test split.
    def _score(self, prepared: PreparedTask, predictions: bytes, split: Split) -> float | Malformed:
        if len(predictions) > BYTES_AT_MOST:
            return Malformed(
                reason=f"submission.csv: {len(predictions)} bytes; at most {BYTES_AT_MOST} are read"
            )
        request = Request(
            answers=str(prepared.answers),
            valid_digest=prepared.task.splits.valid,
            test_digest=prepared.task.splits.test,
            metric=prepared.task.metric.name,
            split=split,
        )
        with self._lock:
            reply = self._ask(request, predictions)
        if reply.malformed is not None:
            return Malformed(reason=reply.malformed)
        if reply.value is None:
            raise GraderError(f"grading {prepared.task.id}: {reply.error}")
        return reply.value

    def _ask(self, request: Request, predictions: bytes) -> Reply:
        process = self._running()
        requests, replies = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
        watchdog = threading.Timer(DEADLINE_S, process.kill)
        watchdog.start()
        try:
            write_frame(requests, request.model_dump_json().encode())
            write_frame(requests, predictions)
            reply = read_frame(replies)
        except (OSError, EOFError):
            reply = None
        except BaseException:
            # Interrupted between request and reply: the next reader would get this one's reply.
            self._stop()
            raise
        finally:
            watchdog.cancel()
        if reply is None:
            raise GraderError(f"the grader's process died{self._stop()}. It starts again by itself")
        return Reply.model_validate_json(reply)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            # A file, not a pipe: nobody reads it while the process lives.
            self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _stop
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _SERVE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                cwd="/",
                env=_ENVIRONMENT,
                # Ctrl-C is for us: we end the process when we are done with it.
                process_group=0,
            )
        return self._process

    def _stop(self) -> str:
        """End the process if there is one; say how it ended, for a message."""
        process, log = self._process, self._log
        self._process = self._log = None
        if process is None or log is None:
            return ""
        process.kill()
        for pipe in (process.stdin, process.stdout):
            # Unsent bytes are lost with the process: closing must not complain about them.
            with suppress(OSError):
                cast(IO[bytes], pipe).close()
        process.wait()
        log.seek(0)
        said = log.read().decode(errors="replace").strip().splitlines()
        log.close()
        return f" ({said[-1][:200]})" if said else f" (exit code {process.returncode})"
