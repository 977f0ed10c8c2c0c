"""What the agent is shown, as a pure function of the records.

Two styles. `paper`: the whole conversation as chat turns, replies in six fields. `compact`: made
for a small model; each step's prompt is new and short: the task in two lines, the script as it
stands with line numbers, one line for every step so far.
"""

import json
import re
from collections.abc import Collection, Sequence
from typing import Literal

from ml_agent.core.actions import ACTIONS, EditScript, EditScriptAI, ExecuteScript
from ml_agent.core.errors import UsageError
from ml_agent.core.listing import format_listing
from ml_agent.core.records import Message, Step, Task
from ml_agent.core.replies import PAPER_FIELDS
from ml_agent.env.experiments import format_score

PromptStyle = Literal["compact", "paper"]
STYLES: tuple[PromptStyle, ...] = ("compact", "paper")

_IDEAS = "\nTry these ideas first:"
_EXAMPLES: dict[str, dict[str, str | int]] = {
    "List Files": {"dir_path": "."},
    "Copy File": {"source": "train.py", "destination": "old.py"},
    "Inspect Script Lines": {
        "script_name": "train.py",
        "start_line_number": 1,
        "end_line_number": 20,
    },
    "Execute Script": {"script_name": "train.py"},
    "Understand File": {"file_name": "train.py", "things_to_look_for": "the model"},
    "Edit Script (AI)": {
        "script_name": "train.py",
        "edit_instruction": "scale the features",
        "save_name": "train.py",
    },
    "Edit Script": {
        "start_line_number": 8,
        "end_line_number": 9,
        "script_name": "train.py",
        "save_name": "train.py",
    },
    "Final Answer": {"final_answer": "done"},
}
"""One input of each action: a small model copies a form better than it follows a description."""

LISTING_CHARS = 8000
"""A script longer than this is cut in a compact prompt; about 2,700 tokens."""
LINE_CHARS = 140
"""How much of an error stands in a line about a step."""
OBSERVATION_CHARS = 6000
"""How much of an observation stands in a paper prompt: head and tail are kept."""


def opening(
    task: Task,
    style: PromptStyle,
    offered: Collection[str],
    *,
    script: str,
    source: str | None,
    ideas: Sequence[str] = (),
    notes: str = "",
) -> list[Message]:
    """The messages before the first step; all of them are its prompt.

    Args:
        task: What is to be solved.
        style: Which prompt.
        offered: Names of the actions on offer.
        script: The script to be improved.
        source: Its text.
        ideas: Texts of ideas to be tried first (exploration-enriched collection).
        notes: What else the agent is told: lines of text, or nothing.
    """
    system = Message(role="system", text=system_text(style, offered))
    if style == "compact":
        return [system, _compact_state(task, (), script, source, ideas, notes)]
    parts = [_task_text(task), notes.strip(), f"The script to improve is {script}."]
    user = "\n".join(filter(None, parts)) + _ideas_text(ideas)
    return [system, Message(role="user", text=user)]


def system_text(style: PromptStyle, offered: Collection[str]) -> str:
    """The first message of every prompt of a style: what may be done, and how it is said.

    Raises:
        UsageError: There is no such style.
    """
    match style:
        case "compact":
            return _compact_system(offered)
        case "paper":
            return _paper_system(offered)
    raise UsageError(f"there is no prompt style {style!r}; choose one of {', '.join(STYLES)}")


def prompt_after(
    messages: Sequence[Message],
    task: Task,
    style: PromptStyle,
    steps: Sequence[Step],
    *,
    script: str,
    source: str | None,
    ideas: Sequence[str] = (),
    notes: str = "",
) -> tuple[list[Message], tuple[int, ...]]:
    """What is added to the messages after a step, and which of all of them the next prompt is.

    Args:
        messages: All messages so far, beginning with those of `opening`.
        task: What is to be solved.
        style: Which prompt.
        steps: All steps so far; the last one's observation is told now.
        script: The script a compact prompt shows.
        source: Its text, None if it cannot be shown.
        ideas: As in `opening`.
        notes: As in `opening`.
    """
    if style == "compact":
        return [_compact_state(task, steps, script, source, ideas, notes)], (0, len(messages))
    last = steps[-1]
    said = Message(role="assistant", text=last.completion.text)
    told = Message(role="user", text=_shortened(last.observation, OBSERVATION_CHARS))
    return [said, told], tuple(range(len(messages) + 2))


def describe_step(task: Task, number: int, step: Step) -> str:
    """One line about a step, without anything the agent was not shown."""
    match step.action:
        case None:
            return f"Step {number}: invalid action: {_shortened(step.invalid or '', LINE_CHARS)}"
        case EditScript() as edit:
            place = f"{edit.script_name} lines {edit.start_line_number}-{edit.end_line_number}"
            return f"Step {number}: Edit Script {place} -> saved to {edit.save_name}"
        case EditScriptAI() as edit:
            return f"Step {number}: {edit.kind} {edit.script_name} -> saved to {edit.save_name}"
        case ExecuteScript() as run:
            return f"Step {number}: Execute Script {run.script_name} -> {_verdict(task, step)}"
        case other:
            told = step.observation.partition("\n")[0]
            return f"Step {number}: {other.kind} -> {_shortened(told, LINE_CHARS)}"


def _verdict(task: Task, step: Step) -> str:
    ran = step.execution
    if step.score is not None:
        return f"validation {task.metric.name} {format_score(task, step.score)}"
    if ran is None:
        return "not run"
    if ran.killed_by is not None:
        return f"stopped: {ran.killed_by} limit"
    if ran.exit_code != 0:
        lines = [line for line in ran.output.splitlines() if line.strip()]
        return f"crashed: {_shortened(lines[-1] if lines else 'no output', LINE_CHARS)}"
    return f"no score: {_shortened(step.malformed or '', LINE_CHARS)}"


def _compact_system(offered: Collection[str]) -> str:
    lines = [
        "You improve a machine-learning script so that its validation score gets better.",
        "Reply in this form:",
        "Thought: one sentence, and the line to change",
        f"Action: {' or '.join(offered)}",
        "Action Input: JSON as shown here",
        *(f"{name}: {json.dumps(_EXAMPLES[name])}{_below(name)}" for name in offered),
    ]
    return "\n".join(lines)


def _below(name: str) -> str:
    """What follows the JSON of an action's input."""
    return ", then the new lines in a ```python block" if name == "Edit Script" else ""


def _compact_state(
    task: Task,
    steps: Sequence[Step],
    script: str,
    source: str | None,
    ideas: Sequence[str],
    notes: str,
) -> Message:
    shown = [s.score for s in steps if isinstance(s.action, ExecuteScript) and s.score is not None]
    best = max(shown, key=lambda score: task.metric.sign * score, default=None)
    standing = f"Score of the first script: {format_score(task, task.m_init)}"
    if best is not None:
        standing += f", best so far: {format_score(task, best)}"
    if source is None:
        listing = f"({script} cannot be shown)"
    elif len(source) > LISTING_CHARS:
        listing = f"({script} is too long to be shown; it begins:)\n{source[:LISTING_CHARS]}"
    else:
        listing = format_listing(script, source)
    told = [describe_step(task, number, step) for number, step in enumerate(steps, 1)]
    # What changes from step to step stands last: what stands before it has been read already.
    parts = [_task_text(task), notes.strip(), listing, standing, *told]
    text = (
        "\n".join(filter(None, parts)) + f"\nThis is step {len(steps) + 1} of {task.budget.steps}."
    )
    return Message(role="user", text=text + _ideas_text(ideas))


def _paper_system(offered: Collection[str]) -> str:
    actions = "\n".join(f"- {name}: {', '.join(_keys(name))}" for name in offered)
    fields = "\n".join(f"{field}: ..." for field in PAPER_FIELDS)
    below = "new_code may stand below the JSON instead, in a ```python block.\n"
    code = below if "Edit Script" in offered else ""
    return (
        "You are a machine-learning engineer. You improve a training script by experiments; its "
        "predictions on rows you have no labels for are what counts. The script reads data/ and "
        "writes submission.csv with the columns id,prediction, or those that the task names, for "
        "every row to predict.\n"
        f"You may take these actions, each with the keys of its input:\n{actions}\n{code}"
        f"Answer every time in exactly this format:\n{fields}\n"
        'Action: the name of one action\nAction Input: one JSON object, e.g. {"script_name": '
        '"train.py"}\n'
        "Reflection: what the last observation means. Research Plan and Status: the whole plan, "
        "what is done and what it showed. Fact Check: what is confirmed by an observation and "
        "what is a guess. Thought: what to do now, and why."
    )


def _keys(name: str) -> list[str]:
    return [key for key in ACTIONS[name].model_fields if key != "kind"]


def _task_text(task: Task) -> str:
    direction = "higher" if task.metric.higher_is_better else "lower"
    return f"Task: {task.statement.strip()}\nMetric: {task.metric.name}, {direction} is better."


def _ideas_text(ideas: Sequence[str]) -> str:
    if not ideas:
        return ""
    return _IDEAS + "".join(f"\n- {idea}" for idea in ideas)


def ideas_told(prompt: Sequence[Message]) -> tuple[str, ...]:
    """The texts of the ideas that stand in a prompt; none: it names none."""
    shown = next((one.text for one in prompt if one.role == "user"), "")
    return tuple(shown.partition(_IDEAS)[2].split("\n- ")[1:])


def _shortened(text: str, chars: int) -> str:
    """Head and tail, with a note of how much was cut between them."""
    if len(text) <= chars:
        return text
    half = chars // 2
    note = f"[{len(text) - 2 * half} characters cut]"
    separator = "\n" if "\n" in text else " "
    return re.sub(r"\s+$", "", text[:half]) + separator + note + separator + text[-half:]
