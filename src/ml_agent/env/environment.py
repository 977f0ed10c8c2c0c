"""What actions do: a task in a box, one step at a time.

Covered: an action that cannot be carried out (no such file, lines out of range, not offered) is no
valid action and changes nothing; an edit is followed by the reward's own run of the saved script,
which the agent is not shown and which leaves nothing in the workspace.
Not covered here: budgets of a whole attempt (the runtime counts them).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Protocol

from ml_agent.core.actions import (
    NEEDS_CODER,
    Action,
    CopyFile,
    EditScript,
    EditScriptAI,
    ExecuteScript,
    FinalAnswer,
    InspectLines,
    ListFiles,
    UnderstandFile,
)
from ml_agent.core.errors import UsageError
from ml_agent.core.listing import format_listing, number_lines
from ml_agent.core.records import Execution
from ml_agent.env.edits import insert_code, unified_diff
from ml_agent.env.experiments import Experiments, Finding, format_score
from ml_agent.sandbox import Sandbox
from ml_agent.tasks import STARTER, PreparedTask

COMPACT_ACTIONS = ("Edit Script", "Execute Script", "Final Answer")
"""What a small model is offered: its prompt shows the script, so nothing has to be looked up."""

PAPER_ACTIONS = (
    "List Files",
    "Copy File",
    "Inspect Script Lines",
    "Execute Script",
    "Edit Script",
    "Final Answer",
)
"""The paper's actions that need no coder, and our Edit Script."""


SEVEN_ACTIONS = (
    "List Files",
    "Copy File",
    "Inspect Script Lines",
    "Execute Script",
    "Understand File",
    "Edit Script (AI)",
    "Final Answer",
)
"""All of the paper's, which need a coder: the policy writes instructions, and no code."""

CODER_READS_CHARS = 60_000
"""A longer script is not given to the coder: it would have to write all of it anew."""
_ROUND_S = (0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
"""Limits of runs that have to be shorter than their task allows."""


class Coder(Protocol):
    """A frozen model that carries out edit instructions and reads files for the policy."""

    def edit(self, source: str, instruction: str) -> str:
        """The new source. Raises ModelError when the coder fails: never the policy's fault."""
        ...

    def answer(self, content: str, question: str) -> str:
        """What the content says about the question."""
        ...


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one action led to."""

    observation: str
    """What the agent is told."""
    invalid: str | None = None
    """Why the action could not be carried out; then nothing happened."""
    execution: Execution | None = None
    score: float | None = None
    malformed: str | None = None
    submission: str | None = None
    script: str | None = None
    """The script that was edited or run."""
    workspace: str
    done: bool = False


class Env:
    """One workspace of one task, and the meaning of each action in it."""

    def __init__(
        self,
        prepared: PreparedTask,
        box: Sandbox,
        experiments: Experiments,
        *,
        offered: Collection[str] = COMPACT_ACTIONS,
        coder: Coder | None = None,
    ) -> None:
        """Set the stage; nothing is in the workspace before `start`.

        Raises:
            UsageError: An action is offered that needs a coder, and there is none.
        """
        wanting = sorted(NEEDS_CODER & set(offered))
        if wanting and coder is None:
            raise UsageError(f"{', '.join(wanting)} cannot be offered: no coder is configured")
        self.prepared = prepared
        self.offered = tuple(offered)
        self._box = box
        self._experiments = experiments
        self._coder = coder

    def start(self, workspace: str | None = None, *, starter: str | None = None) -> str:
        """Put the workspace into a recorded state, or the task's first one; returns its digest.

        Args:
            workspace: Digest of the recorded state.
            starter: In the first state, a script in the place of the task's own.
        """
        if workspace is not None:
            self._box.restore(workspace)
            return workspace
        for path, content in self.prepared.workspace.items():
            self._box.write(path, content)
        if starter is not None:
            self._box.write(STARTER, starter.encode())
        return self._box.snapshot()

    def close(self) -> None:
        """Give the box back. Calling it twice is harmless."""
        self._box.close()

    def hurry(self, wall_s: float) -> None:
        """Let every run from now on take at most so long, whatever the task's budget allows.

        A little less, in fact: limits are part of what an experiment is, and with a new one for
        every second, no result would ever be found again.
        """
        task = self.prepared.task
        if wall_s >= task.budget.experiment.wall_s:
            return
        round_s = max((one for one in _ROUND_S if one <= wall_s), default=wall_s)
        limits = task.budget.experiment.model_copy(update={"wall_s": round_s})
        budget = task.budget.model_copy(update={"experiment": limits})
        self.prepared = replace(self.prepared, task=task.model_copy(update={"budget": budget}))

    def source(self, script: str) -> str | None:
        """A script's text as it stands, None if there is no such file or it is not text."""
        content = self._box.read(script)
        if content is None:
            return None
        try:
            return content.decode()
        except UnicodeDecodeError:
            return None

    def ask(self, action: Action) -> str | None:
        """What the coder says to an action: for `step`, so that no place is held meanwhile.

        An answer may be minutes in coming, and needs no core of this machine.

        Returns:
            None: The action needs no coder, or cannot be carried out.

        Raises:
            ModelError: The coder failed; not the agent's fault.
        """
        if not isinstance(action, EditScriptAI | UnderstandFile) or action.kind not in self.offered:
            return None
        source, refusal = self._to_be_read(action)
        return None if refusal else self._coder_says(action, source)

    def step(
        self, action: Action, *, cores: Collection[int] = (), said: str | None = None
    ) -> Outcome:
        """Carry out one action.

        Args:
            action: What is to be done.
            cores: Where its script runs; none: on any.
            said: What `ask` returned for it, in this workspace; None: the coder is asked now.

        Raises:
            SandboxError: The box failed; not the agent's fault.
            GraderError: The grader failed; not the agent's fault.
            ModelError: The coder failed; not the agent's fault.
        """
        if action.kind not in self.offered:
            return self._impossible(f"{action.kind} is not offered")
        match action:
            case ListFiles():
                return self._list(action)
            case CopyFile():
                return self._copy(action)
            case InspectLines():
                return self._inspect(action)
            case ExecuteScript():
                return self._execute(action, cores)
            case EditScript():
                return self._edit(action, cores)
            case EditScriptAI() | UnderstandFile():
                return self._by_coder(action, cores, said)
            case FinalAnswer():
                return self._outcome("The attempt has ended.", done=True)

    def _list(self, action: ListFiles) -> Outcome:
        names = self._box.names(action.dir_path)
        if names is None:
            return self._impossible(f"there is no folder {action.dir_path!r}")
        return self._outcome("\n".join(names) or "(empty)")

    def _copy(self, action: CopyFile) -> Outcome:
        content = self._box.read(action.source)
        if content is None:
            return self._impossible(f"there is no file {action.source!r}")
        if (refusal := self._unwritable(action.destination)) is not None:
            return self._impossible(refusal)
        self._box.write(action.destination, content)
        return self._outcome(f"Copied {action.source} to {action.destination}.")

    def _inspect(self, action: InspectLines) -> Outcome:
        source = self.source(action.script_name)
        if source is None:
            return self._impossible(f"there is no text file {action.script_name!r}")
        lines = source.splitlines()
        first, last = action.start_line_number, min(action.end_line_number, len(lines))
        if first > len(lines):
            return self._impossible(f"{action.script_name} has {len(lines)} lines")
        if first == 1 and last == len(lines):
            return self._outcome(format_listing(action.script_name, source))
        shown = number_lines("\n".join(lines[first - 1 : last]), first=first)
        return self._outcome(f"{action.script_name}, lines {first} to {last}:\n{shown}")

    def _execute(self, action: ExecuteScript, cores: Collection[int]) -> Outcome:
        script = action.script_name
        if self._box.read(script) is None:
            return self._impossible(f"there is no file {script!r}")
        found = self._experiments.run(self.prepared, self._box, script, cores=cores)
        return self._found(self._tell(found), found, script, found.workspace)

    def _edit(self, action: EditScript, cores: Collection[int]) -> Outcome:
        source = self.source(action.script_name)
        if source is None:
            return self._impossible(f"there is no text file {action.script_name!r}")
        lines = source.splitlines()
        first, last = action.start_line_number, action.end_line_number
        if first > len(lines) + 1 or last > len(lines):
            return self._impossible(f"{action.script_name} has only {len(lines)} lines")
        new = insert_code(lines, first, last, action.new_code.splitlines())
        return self._save_and_try(action.save_name, "".join(line + "\n" for line in new), cores)

    def _by_coder(
        self, action: EditScriptAI | UnderstandFile, cores: Collection[int], said: str | None
    ) -> Outcome:
        source, refusal = self._to_be_read(action)
        if refusal:
            return self._impossible(refusal)
        said = self._coder_says(action, source) if said is None else said
        if isinstance(action, UnderstandFile):
            return self._outcome(said)
        told = unified_diff(source, said, action.script_name, action.save_name)
        return self._save_and_try(action.save_name, said, cores, told=told)

    def _to_be_read(self, action: EditScriptAI | UnderstandFile) -> tuple[str, str | None]:
        """The file that the coder is shown, and why it is not, if so."""
        if isinstance(action, UnderstandFile):
            name, refusal = action.file_name, None
        else:
            name, refusal = action.script_name, self._unwritable(action.save_name)
        source = self.source(name)
        if source is None:
            return "", f"there is no text file {name!r}"
        if isinstance(action, EditScriptAI) and len(source) > CODER_READS_CHARS:
            refusal = f"{name!r} has more than {CODER_READS_CHARS} characters"
        return source, refusal

    def _coder_says(self, action: EditScriptAI | UnderstandFile, source: str) -> str:
        if self._coder is None:
            raise UsageError(f"{action.kind} cannot be carried out: no coder is configured")
        if isinstance(action, UnderstandFile):
            return self._coder.answer(source, action.things_to_look_for)
        return self._coder.edit(source, action.edit_instruction)

    def _save_and_try(
        self, script: str, source: str, cores: Collection[int], *, told: str = ""
    ) -> Outcome:
        """Save a script, then run it for the reward's eyes only and undo what the run did.

        Args:
            script: Where it is saved.
            source: Its text.
            cores: Where it runs.
            told: What the agent is told besides that it is saved.
        """
        if (refusal := self._unwritable(script)) is not None:
            return self._impossible(refusal)
        self._box.write(script, source.encode())
        edited = self._box.snapshot()
        found = self._experiments.run(self.prepared, self._box, script, cores=cores)
        self._box.restore(edited)
        observation = f"Saved {script}.\n{told}".rstrip()
        return self._found(observation, found, script, edited)

    def _unwritable(self, path: str) -> str | None:
        parts = PurePosixPath(path).parts
        if parts[0] == "data":
            return "data/ is read-only"
        if self._box.names(path) is not None:
            return f"{path!r} is a folder"
        return None

    def _tell(self, found: Finding) -> str:
        """What the agent is told of a run it asked for."""
        task, ran = self.prepared.task, found.execution
        if ran.killed_by is not None:
            verdict = f"Stopped: it met the {ran.killed_by} limit."
        elif ran.exit_code != 0:
            verdict = f"Crashed with exit code {ran.exit_code}."
        elif found.score is None:
            verdict = f"No score: {found.malformed}."
        else:
            verdict = f"Validation {task.metric.name}: {format_score(task, found.score)}"
        return "\n".join(part for part in (ran.output.rstrip(), verdict) if part)

    def _impossible(self, reason: str) -> Outcome:
        return self._outcome(f"Invalid action: {reason}.", invalid=reason)

    def _outcome(
        self, observation: str, *, invalid: str | None = None, done: bool = False
    ) -> Outcome:
        return Outcome(
            observation=observation, invalid=invalid, workspace=self._box.snapshot(), done=done
        )

    def _found(self, observation: str, found: Finding, script: str, workspace: str) -> Outcome:
        return Outcome(
            observation=observation,
            execution=found.execution,
            score=found.score,
            malformed=found.malformed,
            submission=found.submission,
            script=script,
            workspace=workspace,
        )
