"""Real attempts on the page: what was thought, done, changed, printed and earned, step by step.

Every text here was written by an agent or a script, so all of it passes through `markup`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ml_agent.core.actions import EDITS, EditScript, EditScriptAI
from ml_agent.core.errors import MLAgentError
from ml_agent.core.records import Execution, Step, Task, Trajectory
from ml_agent.core.replies import thought_in
from ml_agent.evals.results import AttemptResult
from ml_agent.pages.blocks import cut, diff_block, text_block, unified
from ml_agent.pages.markup import Html, element
from ml_agent.pages.wording import number
from ml_agent.rewards import Reward

Workspace = Callable[[str], Mapping[str, bytes]]
"""The files of a snapshot by its digest; raises an MLAgentError where it is missing."""

_OUTPUT_LINES = 14


@dataclass(frozen=True, kw_only=True)
class Showcase:
    """One attempt to be shown whole."""

    label: str
    """The policy's: "base", "sft", "rl"."""
    task: Task
    trajectory: Trajectory
    result: AttemptResult


def choose_attempts(
    results: Mapping[str, Sequence[AttemptResult]],
) -> list[tuple[str, AttemptResult]]:
    """Of each policy, last one first: its best attempt and its median one, by normalised gain.

    A fixed rule, so that nobody picks the pretty ones by hand.

    Returns:
        (label, attempt); broken attempts are never chosen.
    """
    chosen: list[tuple[str, AttemptResult]] = []
    for label in reversed(list(results)):
        ranked = sorted(
            (one for one in results[label] if one.normalised_gain is not None),
            key=lambda one: (-(one.normalised_gain or 0.0), one.task, one.seed),
        )
        if ranked:
            places = sorted({0, len(ranked) // 2})
            chosen += [(label, ranked[place]) for place in places]
    return chosen


def attempt_details(shown: Showcase, *, workspace: Workspace, reward: Reward) -> Html:
    """One attempt, folded to a line that says how it went."""
    task, result = shown.task, shown.result
    gain = "broken" if result.normalised_gain is None else f"{result.normalised_gain:+.2f}"
    facts = (
        f"seed {result.seed} · {result.steps} steps · test {task.metric.name} "
        f"{number(result.test_score)} (starter {number(result.starter_test)}, reference "
        f"{number(result.reference_test)})"
    )
    steps = [
        _step(shown, t, workspace=workspace, reward=reward)
        for t in range(len(shown.trajectory.steps))
    ]
    return element(
        "details",
        element(
            "summary",
            element("b", shown.label, class_="badge"),
            element("b", task.id),
            element("span", "normalised gain ", element("b", gain)),
            element("span", facts, class_="muted"),
        ),
        element("p", task.statement, class_="statement"),
        *steps,
        element("p", _ending(shown), class_="muted"),
        class_="attempt",
    )


def edit_diff(trajectory: Trajectory, t: int, workspace: Workspace) -> str | None:
    """Unified diff of what step `t` edited; None if it is no edit, or its snapshots are gone."""
    step = trajectory.steps[t]
    if not isinstance(step.action, EditScript | EditScriptAI) or step.workspace is None:
        return None
    source, target = step.action.script_name, step.action.save_name
    try:
        before = workspace(trajectory.workspace_before(t)).get(source, b"")
        after = workspace(step.workspace).get(target, b"")
    except MLAgentError:
        return None
    return unified(before.decode(errors="replace"), after.decode(errors="replace"), source, target)


def _step(shown: Showcase, t: int, *, workspace: Workspace, reward: Reward) -> Html:
    step = shown.trajectory.steps[t]
    head = [element("b", f"Step {t + 1}"), element("span", _title(step))]
    head += [
        element("span", text, class_=f"chip {tone}") for text, tone in _chips(shown, t, reward)
    ]
    body = [element("p", thought, class_="thought")] if (thought := _thought(step)) else []
    diff = edit_diff(shown.trajectory, t, workspace)
    if step.action is None:
        body.append(text_block("What the policy replied", step.completion.text))
    elif diff is not None:
        body.append(diff_block(diff))
    elif step.action.kind not in EDITS:
        arguments = step.action.model_dump(mode="json", exclude={"kind"})
        body.append(element("p", element("code", json.dumps(arguments, ensure_ascii=False))))
    else:
        body.append(element("p", "The snapshots of this edit are not kept.", class_="muted"))
    if step.execution is not None:
        whose = "the reward's own run, not shown to the policy" if _is_edit(step) else "the run"
        body.append(text_block(f"Output of {whose}", _tail(step.execution.output)))
    elif step.observation and not _is_edit(step):
        body.append(text_block("What the policy was told", step.observation))
    return element("section", element("p", *head, class_="stephead"), *body, class_="step")


def _title(step: Step) -> str:
    if step.action is None:
        return "no valid action"
    target = step.script or getattr(step.action, "script_name", "")
    return f"{step.action.kind} {target}".rstrip()


def _chips(shown: Showcase, t: int, reward: Reward) -> list[tuple[str, str]]:
    """Short facts of a step and their tone: good, bad or plain."""
    task, step = shown.task, shown.trajectory.steps[t]
    chips: list[tuple[str, str]] = []
    if step.invalid is not None:
        chips.append((f"invalid: {step.invalid}", "bad"))
    if step.execution is not None:
        chips.append(_ran(step.execution))
    if step.malformed is not None:
        chips.append((f"not graded: {step.malformed}", "bad"))
    if step.score is not None:
        change = task.metric.sign * (step.score - shown.trajectory.score_before(task, t))
        tone = "good" if change > 0 else "bad" if change < 0 else "plain"
        word = "better" if change > 0 else "worse" if change < 0 else "unchanged"
        chips.append((f"validation {task.metric.name} {number(step.score)} ({word})", tone))
    worth = reward(task, shown.trajectory, t)
    chips.append((f"reward {'unknown' if worth is None else f'{worth:+.2f}'}", "plain"))
    if shown.result.result_step == t:
        chips.append(("the attempt's result", "good"))
    return chips


def _ran(execution: Execution) -> tuple[str, str]:
    if execution.killed_by is not None:
        return f"met the {execution.killed_by} limit after {execution.wall_s:.1f} s", "bad"
    if execution.exit_code != 0:
        return f"crashed (exit code {execution.exit_code})", "bad"
    return f"ran in {execution.wall_s:.1f} s", "plain"


def _thought(step: Step) -> str:
    """What stands before the action; nothing for a reply that is shown whole."""
    if step.action is None:
        return ""
    return cut(thought_in(step.completion.text))


def _ending(shown: Showcase) -> str:
    result = shown.result
    if result.broken:
        return f"Broken by our own fault: {shown.trajectory.failure}"
    how = "handed in by the policy" if result.end.value == "submitted" else "ended by its budget"
    if result.result_step is None:
        return f"The attempt was {how}; nothing beat the starter on validation: its gain is 0."
    return f"The attempt was {how}; its result is the script of step {result.result_step + 1}."


def _is_edit(step: Step) -> bool:
    return step.action is not None and step.action.kind in EDITS


def _tail(output: str) -> str:
    lines = output.rstrip().split("\n")
    cut = len(lines) - _OUTPUT_LINES
    return "\n".join([f"({cut} lines above)", *lines[cut:]] if cut > 0 else lines)
