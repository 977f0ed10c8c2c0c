"""The actions an agent may take: one record each, tagged by the name the agent writes.

Seven are the paper's (arXiv 2505.23723, table of actions); `EditScript` is ours: the policy
writes the code itself, so it is never blamed for the work of an unseen editor.
"""

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from ml_agent.core.base import Record

INSPECT_AT_MOST = 100
"""Lines one `Inspect Script Lines` may show (stated in the paper)."""


def _inside(path: str) -> str:
    """Refuse a path that could leave the workspace.

    Examples:
        >>> _inside("sub/train.py")
        'sub/train.py'
    """
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts or parts[0] == "/" or "\0" in path:
        raise ValueError(f"not a path inside the workspace: {path!r}")
    return str(PurePosixPath(path))


WorkspacePath = Annotated[str, AfterValidator(_inside)]
"""A relative path that cannot leave the workspace; parsed once, trusted afterwards."""


def _inside_or_root(path: str) -> str:
    return "." if path in {"", ".", "./"} else _inside(path)


def _whole_lines(code: str) -> str:
    r"""Code as lines, each with its end: how the last one ends must not decide what it is.

    Examples:
        >>> _whole_lines("a\r\nb")
        'a\nb\n'
        >>> _whole_lines("")
        ''
    """
    return "".join(line + "\n" for line in code.splitlines())


Code = Annotated[str, AfterValidator(_whole_lines)]
"""Lines of code; none of them is the empty text, one blank line is a line end."""


class ListFiles(Record):
    """Show the names in a folder of the workspace."""

    kind: Literal["List Files"] = "List Files"
    dir_path: Annotated[str, AfterValidator(_inside_or_root)] = "."


class CopyFile(Record):
    """Copy a file of the workspace. Not an edit: nothing new was written."""

    kind: Literal["Copy File"] = "Copy File"
    source: WorkspacePath
    destination: WorkspacePath


class InspectLines(Record):
    """Show numbered lines of a script, both ends included, counted from 1."""

    kind: Literal["Inspect Script Lines"] = "Inspect Script Lines"
    script_name: WorkspacePath
    start_line_number: int = Field(ge=1)
    end_line_number: int

    @model_validator(mode="after")
    def _range_is_shown(self) -> "InspectLines":
        count = self.end_line_number - self.start_line_number + 1
        if not 1 <= count <= INSPECT_AT_MOST:
            raise ValueError(f"asks for {count} lines; between 1 and {INSPECT_AT_MOST} are shown")
        return self


class ExecuteScript(Record):
    """Run a Python script of the workspace."""

    kind: Literal["Execute Script"] = "Execute Script"
    script_name: WorkspacePath


class UnderstandFile(Record):
    """Ask the coder what a file holds. Offered only where a coder is configured."""

    kind: Literal["Understand File"] = "Understand File"
    file_name: WorkspacePath
    things_to_look_for: str


class EditScriptAI(Record):
    """Have the coder carry out an instruction. Offered only where a coder is configured."""

    kind: Literal["Edit Script (AI)"] = "Edit Script (AI)"
    script_name: WorkspacePath
    edit_instruction: str
    save_name: WorkspacePath


class EditScript(Record):
    """Replace lines `start..end` (both included, counted from 1) by code the policy wrote.

    `end = start - 1` inserts before `start` and replaces nothing.

    The order of the keys is the order they are written in. Where to edit stands first: begun like
    the input of Execute Script, a small model would end it like one. The code stands last: an agent
    may write it below the JSON (`core.replies`).
    """

    kind: Literal["Edit Script"] = "Edit Script"
    start_line_number: int = Field(ge=1)
    end_line_number: int = Field(ge=0)
    script_name: WorkspacePath
    save_name: WorkspacePath
    new_code: Code

    @model_validator(mode="after")
    def _range_is_in_order(self) -> "EditScript":
        if self.end_line_number < self.start_line_number - 1:
            raise ValueError(f"line {self.end_line_number} is before line {self.start_line_number}")
        return self


class FinalAnswer(Record):
    """Declare the work finished."""

    kind: Literal["Final Answer"] = "Final Answer"
    final_answer: str = ""


Action = Annotated[
    ListFiles
    | CopyFile
    | InspectLines
    | ExecuteScript
    | UnderstandFile
    | EditScriptAI
    | EditScript
    | FinalAnswer,
    Field(discriminator="kind"),
]

ACTIONS: dict[str, type[Record]] = {
    "List Files": ListFiles,
    "Copy File": CopyFile,
    "Inspect Script Lines": InspectLines,
    "Execute Script": ExecuteScript,
    "Understand File": UnderstandFile,
    "Edit Script (AI)": EditScriptAI,
    "Edit Script": EditScript,
    "Final Answer": FinalAnswer,
}
"""Every action by the name the agent writes."""

NEEDS_CODER = frozenset({"Understand File", "Edit Script (AI)"})
EDITS = frozenset({"Edit Script (AI)", "Edit Script"})
"""A_edit of the reward (method, section 5)."""
