"""One experiment: run a script in the box, take its predictions out, have them graded.

The predictions file never stays in the workspace. A script that crashes before it writes one must
not be graded on what an earlier run left there.
"""

import threading
from dataclasses import dataclass, replace

from ml_agent.core.records import Execution, Task
from ml_agent.sandbox import Sandbox, Snapshots
from ml_agent.tasks import SUBMISSION, Grader, Malformed, PreparedTask


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one experiment showed."""

    execution: Execution
    score: float | None
    """On validation; None: nothing to grade."""
    malformed: str | None
    """Why predictions, though the script ended well, could not be graded."""
    submission: str | None
    """Digest of the predictions file."""
    workspace: str
    """Digest of the workspace the run left, without the predictions."""


class Experiments:
    """Runs scripts and grades them, and never runs the same experiment twice.

    An experiment is the same if task data, workspace, script and limits are. Scripts are expected
    to be deterministic, as the box's fixed hash seed and the tasks' starters make them; what is
    remembered lives as long as this object. Safe to share between threads.
    """

    def __init__(self, grader: Grader, snapshots: Snapshots) -> None:
        """Grade with `grader`; keep predictions and workspaces in `snapshots`."""
        self._grader = grader
        self._snapshots = snapshots
        self._known: dict[tuple[str, ...], Finding] = {}
        self._lock = threading.Lock()

    def run(self, prepared: PreparedTask, box: Sandbox, script: str) -> Finding:
        """Run `script` of the workspace in `box`, which afterwards stands as the run left it.

        Raises:
            SandboxError: The box failed.
            GraderError: The grader's process failed.
        """
        before = box.snapshot()
        limits = prepared.task.budget.experiment
        key = (prepared.task.splits.public, before, script, limits.model_dump_json())
        with self._lock:
            known = self._known.get(key)
        if known is not None:
            box.restore(known.workspace)
            return replace(known, execution=known.execution.model_copy(update={"cached": True}))
        execution = box.run((script,), limits=limits)
        finding = self._examine(prepared, box, execution)
        # A limit may have been met because the machine was busy: that is worth another try.
        if execution.killed_by != "time":
            with self._lock:
                self._known[key] = finding
        return finding

    def _examine(self, prepared: PreparedTask, box: Sandbox, execution: Execution) -> Finding:
        predictions = box.read(SUBMISSION)
        workspace = box.snapshot()
        submission = None
        if predictions is not None:
            files = self._snapshots.load(workspace)
            files.pop(SUBMISSION, None)
            workspace = self._snapshots.save(files)
            box.restore(workspace)
        score, malformed = None, None
        if execution.succeeded:
            if predictions is None:
                malformed = f"the script wrote no {SUBMISSION}"
            else:
                submission = self._snapshots.put(predictions)
                graded = self._grader.validation(prepared, predictions)
                if isinstance(graded, Malformed):
                    malformed = graded.reason
                else:
                    score = graded.value
        return Finding(
            execution=execution,
            score=score,
            malformed=malformed,
            submission=submission,
            workspace=workspace,
        )


def format_score(task: Task, score: float) -> str:
    """A score as agents and people read it: four decimals, none for large numbers."""
    return f"{score:.4f}" if abs(score) < 100 else f"{score:.0f}"
